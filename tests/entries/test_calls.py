"""Entries are written as calls, and only as calls."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from robench import ATTACKS, DATASETS, DEFENSES, Call, UsageError, parse
from robench.entries.calls import written


def test_options_are_read_as_literals_fractions_and_nested_calls() -> None:
    call = parse("madry(model=ksa(k=4, layers=[1, 2]), eps=8/255, name='a b', flag=True, nothing=None, low=-1.5)")
    assert call.options["model"] == Call("ksa", {"k": 4, "layers": [1, 2]})
    assert call.options["eps"] == 8 / 255
    assert call.options["low"] == -1.5
    assert call.options["nothing"] is None


def test_a_path_names_a_file_and_maybe_an_entry_in_it() -> None:
    assert parse("./my file.py".replace(" ", "_")).name == "./my_file.py"
    assert parse("./mine.py::fast(steps=3)") == Call("./mine.py::fast", {"steps": 3})


@pytest.mark.parametrize(
    "text", ["pgd_linf(eps=8/255)", "ksa(k=4, layers=[1])", "folder(path='a b')", "x(y=[1/255, 0.1])"]
)
def test_what_is_written_is_what_was_read(text: str) -> None:
    assert str(parse(text)) == text


def test_only_multiples_of_a_grey_level_that_look_ugly_are_written_as_fractions() -> None:
    assert [written(x) for x in (8 / 255, 0.2, 0.0, 1.0, 1e-5)] == ["8/255", "0.2", "0", "1", "1e-05"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("pgd_linf(eps=8/0)", "divides by zero"),
        ("__import__('os').system('true')", "has no name|is not understood"),
        ("ksa(4)", "has no name"),
        ("ksa(k=2**9)", "is not understood"),
        ("ksa(k=", "cannot be read"),
        ("ksa(**x)", "'**'"),
        ("3", "is not the name"),
        ("ksa(k=1, k=2)", "cannot be read|twice"),
    ],
)
def test_what_cannot_be_read_is_said(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said.replace("**", r"\*\*")):
        parse(text)


@pytest.mark.parametrize(
    ("registry", "text", "said"),
    [
        (DEFENSES, "kas", "did you mean 'ksa'"),
        (DEFENSES, "ksa(kk=4)", "did you mean 'k'"),
        (DEFENSES, "ksa(k=0)", "at least 1"),
        (DEFENSES, "ksa(k=4.5)", "wanted a whole number"),
        (DEFENSES, "ksa(k=True)", "wanted a whole number"),
        (DEFENSES, "ksa(layers='some')", "wanted a list"),
        (DEFENSES, "vit(attention=linear)", "quote a string: 'linear'"),
        (ATTACKS, "pgd_linf(eps='big')", "wanted a number"),
        (ATTACKS, "cw_l2(targets='mine')", "'random' or 'all'"),
        (ATTACKS, "cw_l2(eps=1)", "has no option 'eps'"),
        (DATASETS, "digitz", "did you mean 'digits'"),
        (DATASETS, "folder", "needs the option 'path'"),
        (DATASETS, "./none.py", "there is no file"),
    ],
)
def test_what_does_not_fit_an_entry_is_said_with_what_would(registry: object, text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        registry.find(text)  # type: ignore[attr-defined]


def test_options_at_their_defaults_are_left_out_when_a_call_is_shown() -> None:
    entry, call = DEFENSES.find("ksa(k=4, layers=[1])")
    assert str(entry.shown(call)) == "ksa(layers=[1])"


def test_a_preset_stands_for_its_options_and_is_shown_by_its_name() -> None:
    entry, call = ATTACKS.find("cw_l2(preset='art', confidence=1.0)")
    assert (call.options["search_steps"], call.options["steps"], call.options["variable"]) == (10, 40, "tanh")
    assert str(entry.shown(call)) == "cw_l2(preset='art', confidence=1)"
    assert ATTACKS.find(entry.shown(call))[1] == call
    assert str(entry.shown(ATTACKS.find("cw_l2(preset='art', steps=20)")[1])).startswith(
        "cw_l2(search_steps=10, steps=20"
    )
    with pytest.raises(UsageError, match="no preset 'arts'; did you mean 'art'"):
        ATTACKS.find("cw_l2(preset='arts')")


def test_nested_entries_are_part_of_the_identity() -> None:
    first, second = (
        DEFENSES.identity(DEFENSES.find(text)[1]) for text in ("ksa(model=vit(depth=2))", "ksa(model=vit(depth=3))")
    )
    assert first != second
    assert first["options"]["model"]["options"]["depth"] == 2


def test_a_changed_default_is_another_identity_only_where_it_is_used(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"

    def identities(source: str) -> list[object]:
        file.write_text(source)
        os.utime(file, ns=(time.time_ns(), time.time_ns()))
        return [DEFENSES.identity(*reversed(DEFENSES.find(text))) for text in (f"{file}", f"{file}(width=8)")]

    source = (
        'import robench\n@robench.defense()\ndef mine(task, *, width: int = 4):\n    """Mine."""\n    return width\n'
    )
    before, after = identities(source), identities(source.replace("int = 4", "int = 5"))
    assert before[0] != after[0]
    assert before[1] == after[1]
    assert identities(source.replace("return width", "return -width"))[1] != before[1]
