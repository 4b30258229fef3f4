"""How far a whole run is, and how long what is left takes: by hand, with a clock that is set."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import robench
from robench.console import Silent
from robench.running import overall
from robench.running.overall import Overall


class Clock:
    now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(overall, "time", found)
    return found


def row(name: str, *attacks: str, trained: bool = True, refused: bool = False) -> Any:
    checkpoint = SimpleNamespace(folder=Path(name), weights=lambda: "abc" if trained else None)
    return SimpleNamespace(
        checkpoint=checkpoint, refused=refused, conditions=[SimpleNamespace(text=text) for text in attacks]
    )


def test_an_attack_takes_as_long_as_it_took_before_and_an_unknown_one_as_long_as_the_others(clock: Clock) -> None:
    said = Silent()
    whole = Overall([row("a", "fgsm", "pgd"), row("b", "fgsm", "pgd", "cw")], said)
    for text, seconds in (("fgsm", 100.0), ("pgd", 300.0)):
        with whole.cell(text):
            clock.now += seconds
    assert whole.left() == "2 of 5 cells done, about 10 min left", "100 + 300 + their mean, 200"
    assert said.messages == [
        "in all: 1 of 5 cells done, about 7 min left",
        "in all: 2 of 5 cells done, about 10 min left",
    ]


def test_what_was_in_the_store_says_nothing_of_what_is_not(clock: Clock) -> None:
    whole = Overall([row("a", "pgd"), row("b", "pgd"), row("c", "pgd")], Silent())
    with whole.cell("pgd"):
        clock.now += 0.01
    assert whole.left() == "1 of 3 cells done"
    with whole.cell("pgd"):
        clock.now += 60
    assert whole.left() == "2 of 3 cells done, about 60 s left"


def test_trainings_that_are_left_take_as_long_as_those_before(clock: Clock) -> None:
    rows = [row(name, "pgd", trained=name == "c") for name in "abc"]
    whole = Overall(rows, Silent())
    with whole.cell("pgd"):
        clock.now += 60
    assert whole.left() == "1 of 3 cells done, about 2 min left, and 2 trainings"
    with whole.training(rows[0]):
        clock.now += 600
    assert whole.left() == "1 of 3 cells done, about 12 min left"
    with whole.training(rows[2]):
        clock.now += 1  # from the cache
    assert whole.left() == "1 of 3 cells done, about 12 min left"


def test_a_cell_that_breaks_down_and_a_row_that_is_refused_are_done(clock: Clock) -> None:
    rows = [row("a", "pgd", "cw", trained=False), row("b", "pgd", refused=True)]
    whole = Overall(rows, Silent())
    with pytest.raises(ValueError), whole.cell("pgd"):
        raise ValueError
    with pytest.raises(ValueError), whole.training(rows[0]):
        raise ValueError
    whole.skip(["cw"])
    assert whole.left() == "2 of 2 cells done"


def test_it_is_said_at_times_and_not_of_small_runs(clock: Clock) -> None:
    said = Silent()
    small, large = (Overall([row("a", *["pgd"] * count)], said) for count in (3, 9))
    for _ in range(3):
        with small.cell("pgd"):
            clock.now += 60
    assert said.messages == []
    for _ in range(8):
        with large.cell("pgd"):
            clock.now += 11
    assert said.messages == ["in all: 1 of 9 cells done, about 88 s left", *said.messages[1:]]
    assert len(said.messages) == 3, "every 30 s, the first at once since the clock ran on"


def test_a_run_of_many_cells_says_how_far_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overall, "EVERY", 0.0)
    monkeypatch.chdir(tmp_path)
    said = Silent()
    robench.run(
        "vit(epochs=1)", ["fgsm(eps=[0.1, 0.2, 0.3])", "pgd_linf(eps=0.1, steps=2)"], "digits", n=10, reporter=said
    )
    assert [line for line in said.messages if line.startswith("in all: ")][-1].startswith("in all: 3 of 4 cells done")
