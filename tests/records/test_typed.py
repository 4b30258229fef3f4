"""What is read from a file has its types, or is refused by the name of the field."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

import pytest
from measured import card, facts, unit

from robench import Call
from robench.entries.calls import Json
from robench.files import parse_json
from robench.records.cards import AttentionStudy, ModelCard, QueryMaps
from robench.records.manifest import Facts, Manifest, Part
from robench.records.typed import built


@dataclass(frozen=True)
class Inner:
    rows: int


@dataclass(frozen=True)
class Outer:
    name: str
    share: tuple[float, float] | None
    several: tuple[int, ...]
    inner: list[Inner]
    known: dict[str, float]
    made: Call
    free: Json
    note: str = ""


SOUND: dict[str, Any] = {
    "name": "a",
    "share": [1, 0.5],
    "several": [1, 2, 3],
    "inner": [{"rows": 1}],
    "known": {"x": 1},
    "made": {"call": "vit", "options": {"dim": 3}},
    "free": {"deep": [None, {"x": "y"}, float("inf")]},
}


def test_what_is_sound_is_built_as_it_was() -> None:
    made = built(Outer, SOUND)
    assert made == Outer("a", (1.0, 0.5), (1, 2, 3), [Inner(1)], {"x": 1.0}, Call("vit", {"dim": 3}), SOUND["free"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": 3}, "name is 3"),
        ({"name": "\ud800"}, "surrogates not allowed"),
        ({"share": [1]}, "share is"),
        ({"share": [1, "x"]}, "share is 'x'"),
        ({"share": [1, float("nan")]}, "share is out of range"),
        ({"several": [1, True]}, "several is True"),
        ({"several": [2**63]}, "several is out of range"),
        ({"several": 7}, "several is 7"),
        ({"inner": [{"rows": 1, "more": 2}]}, "Inner has no 'more'"),
        ({"inner": [{}]}, "missing 1 required"),
        ({"inner": [7]}, "Inner is 7"),
        ({"known": [1]}, "known is"),
        ({"known": {"x": None}}, "known is None"),
        ({"made": "vit"}, "made is 'vit'"),
        ({"made": {"call": "vit"}}, "made is"),
        ({"made": {"call": "vit", "options": {"dim": "\udfff"}}}, "surrogates not allowed"),
        ({"free": float("nan")}, "a number is none"),
        ({"free": [10**30]}, "a number is out of range"),
        ({"note": None}, "note is None"),
        ({"unknown": 1}, "has no 'unknown'"),
    ],
)
def test_what_is_not_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        built(Outer, SOUND | changes)
    with pytest.raises(ValueError, match="Outer is"):
        built(Outer, [])


def test_all_that_a_store_writes_is_read_as_it_was() -> None:
    one = unit(norm="l2", goal="minimal", eps=None, share=(0.1, 0.125))
    manifest = Manifest(one.spec, one.identity, one.facts, (Part("part-1.parquet", 3),))
    assert Manifest.of(json.loads(json.dumps(manifest.plain()))) == manifest
    maps = QueryMaps((1, 2), 0, [[0.5, 0.5]], [[0.2, 0.8]], [1, 2, 2], ["", ""])
    own = card(study=AttentionStudy(4, [[0.1]], 2, 0.1, [[0.9]], maps))
    assert ModelCard.of(json.loads(json.dumps(own.plain()))) == own
    assert built(Facts, json.loads(json.dumps(asdict(facts())))) == facts()


def test_json_that_is_nested_too_deeply_is_refused_before_it_is_walked() -> None:
    assert parse_json("[" * 99 + "]" * 99)
    for depth in (101, 50_000):
        with pytest.raises(ValueError, match="nested"):
            parse_json("[" * depth + "]" * depth)
    with pytest.raises(ValueError):
        parse_json(b"\xff")
