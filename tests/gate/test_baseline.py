"""The file of a baseline: small, whole, and never believed where it contradicts itself."""

from __future__ import annotations

import base64
import json
import zlib
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gated import cell, minimal

from robench.errors import MissingError, UsageError
from robench.gate.baseline import Acceptance, Baseline
from robench.gate.cells import Cell, size_codes, size_of


def same(first: Cell, second: Cell) -> bool:
    pairs = [
        (getattr(first, name), getattr(second, name)) for name in ("images", "correct", "robust", "sizes", "unsteady")
    ]
    return first.identity == second.identity and all(
        (a is None and b is None) or (a is not None and b is not None and np.array_equal(a, b)) for a, b in pairs
    )


def changed(path: Path, change: Any) -> Path:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    return path


def swollen() -> str:
    """A few bytes that would become a gigabyte."""
    return base64.b64encode(zlib.compress(bytes(10_000_000))).decode()


@pytest.fixture
def written(tmp_path: Path) -> Path:
    return Baseline([cell(413), minimal([0.5, 0.25, np.inf, 0.0])]).write(tmp_path / "baseline.json")


def test_a_baseline_is_read_as_it_was_written(tmp_path: Path) -> None:
    from dataclasses import replace

    first = cell(413, subset=(1, 2), torch="2.11")
    first = replace(first, unsteady=first.images < "0000000000000005", flips=0.0025)
    odd = replace(cell(3, 5, attack="named"), images=np.array(["a", "b", "c", "d", "épée"]))
    cells = [first, minimal([0.5, 0.25, np.inf, 0.0]), odd]
    accepted = [Acceptance("gate", "agreed", date(2027, 1, 31), [cell(400)])]
    found = Baseline.read(Baseline(cells, accepted).write(tmp_path / "b.json"))
    by_attack = {one.identity.attack: one for one in found.cells}
    assert all(same(one, by_attack[one.identity.attack]) for one in cells)
    assert by_attack["pgd"].flips == 0.0025
    assert found.accepted[0].expires == date(2027, 1, 31) and same(found.accepted[0].cells[0], cell(400))


def test_a_cell_of_1000_images_takes_a_few_kilobytes(tmp_path: Path) -> None:
    sizes = np.random.default_rng(0).lognormal(-2, 0.5, 1000).tolist()
    one = Baseline([minimal(sizes)]).write(tmp_path / "one.json").stat().st_size
    ten = Baseline([minimal(sizes, attack=f"cw{i}") for i in range(10)]).write(tmp_path / "ten.json").stat().st_size
    assert (ten - one) / 9 < 4000
    plain = Baseline([cell(413, attack=f"pgd{i}") for i in range(10)]).write(tmp_path / "plain.json").stat().st_size
    assert plain < 10 * 1500 + 12_000


def test_what_a_person_reads_is_what_the_bits_say(written: Path) -> None:
    content = json.loads(written.read_text())
    assert {one["attack"]: one["robust"] for one in content["cells"]} == {"pgd": "413 of 1000", "cw": "1 of 4"}

    def better(content: dict[str, Any]) -> None:
        content["cells"][1]["robust"] = "513 of 1000"

    with pytest.raises(
        UsageError, match=r'its 2nd cell: it says "robust": "513 of 1000", and its bits say "413 of 1000"'
    ):
        Baseline.read(changed(written, better))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: c.update(kind="else"), "is no baseline"),
        (lambda c: c["cells"][0].pop("robust_bits"), "1st cell"),
        (lambda c: c["cells"][0].update(robust_bits="AAAA"), "bits for 24 images"),
        (lambda c: c["cells"][0].update(robust_bits="%%%"), "not in base64"),
        (lambda c: c["cells"][0].update(images="none"), "none' is missing"),
        (lambda c: c["cells"][0].update(sizes="eJxjYAACAAAFAAE="), "1st cell"),
        (lambda c: c["cells"][0].update(norm="l7"), "1st cell"),
        (lambda c: c["cells"][0].update(surprise=1), "1st cell"),
        (lambda c: c["cells"].__setitem__(0, 5), "1st cell"),
        (lambda c: c["cells"][0].update(sizes="AAAA"), "1st cell: Error -3"),
        (lambda c: c["cells"][0].update(sizes=swollen()), "other than 4 sizes"),
        (lambda c: c["cells"][0].update(eps=float("nan")), "eps is out of range"),
        (lambda c: c["cells"][0].update(seed=10**400), "seed is out of range"),
        (lambda c: c["cells"][0].update(defense=["vit"]), "defense is"),
        (lambda c: c["cells"][0].update(defense="\ud800"), "surrogates not allowed"),
        (lambda c: c["cells"][0].update(goal="else"), "the goal 'else'"),
        (lambda c: c["cells"][0].update(flips="many"), "flips is 'many'"),
        (lambda c: c["cells"][0].update(subset={"a": 1}), "subset is"),
        (lambda c: c["cells"][0].update(robust=["413 of 1000"]), "it says"),
        (lambda c: next(iter(c["images"].values())).update(count=3), "its images: 3 different ids"),
        (lambda c: c.update(accepted=[{"gate": "g", "reason": "r", "expires": "soon", "cells": []}]), "1st acceptance"),
    ],
)
def test_a_damaged_baseline_is_one_message(written: Path, change: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Baseline.read(changed(written, change))


def test_an_older_schema_a_missing_file_and_a_broken_one_are_told(written: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="of schema 0, this robench reads schema 1") as old:
        Baseline.read(changed(written, lambda c: c.update(schema=0)))
    assert old.value.exit_status == 3
    with pytest.raises(MissingError, match="robench baseline write --out"):
        Baseline.read(tmp_path / "nowhere.json")
    (tmp_path / "cut.json").write_text(written.read_text()[:500])
    with pytest.raises(UsageError, match="is no JSON"):
        Baseline.read(tmp_path / "cut.json")
    (tmp_path / "deep.json").write_text("[" * 100_000)
    with pytest.raises(UsageError, match="is no JSON"):
        Baseline.read(tmp_path / "deep.json")
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="not in UTF-8"):
        Baseline.read(tmp_path / "bytes.json")
    with pytest.raises(UsageError, match="cannot be read"):
        Baseline.read(tmp_path)


def test_sizes_are_kept_to_a_hundredth_and_what_failed_is_infinitely_far() -> None:
    sizes = np.array([0.0, 1e-9, 1e-3, 0.237, 1.0, 55.5, 150_528.0, np.inf])
    found = size_of(size_codes(sizes))
    assert found[0] == 0 and found[-1] == np.inf
    assert found[1:-1] == pytest.approx(sizes[1:-1], rel=0.011)
    assert (found[1:-1] <= sizes[1:-1] * (1 + 1e-9)).all(), (
        "rounded down, so that what was inside a radius stays inside"
    )
    assert np.array_equal(size_codes(found), size_codes(sizes)), "what is read back is written the same"
