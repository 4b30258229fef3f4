"""What may excuse a regression, and what it may not excuse: acceptances, and images that hold against other seeds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date

import pytest
from gated import GATE, cell, shifted, side

from robench.errors import MissingError
from robench.gate.baseline import Acceptance
from robench.gate.judging import judged
from robench.gate.sources import Side
from robench.gate.verdicts import Verdict


def test_an_accepted_regression_is_a_warning_as_far_as_it_went() -> None:
    before, now, further = cell(500), cell(500, lost=30), cell(500, lost=60)
    accepted = Side("b.json", [before], accepted=[Acceptance("robust", "agreed in #12", date(2027, 1, 31), [now])])
    today = date(2026, 12, 1)
    (found,) = judged([GATE], accepted, side(now), today)
    assert found.kind == "warn" and "accepted until 2027-01-31: agreed in #12" in found.notes
    (worse,) = judged([GATE], accepted, side(further), today)
    assert worse.kind == "regressed" and "further than what was accepted" in "; ".join(worse.notes)
    floor = replace(GATE, floor=49.0)
    assert judged([floor], accepted, side(now), today)[0].kind == "warn"
    with pytest.raises(MissingError, match=r"expired on 2027-01-31.*robench baseline accept") as late:
        judged([GATE], accepted, side(now), date(2027, 2, 1))
    assert late.value.exit_status == 3


def test_an_acceptance_excuses_only_what_it_was_of() -> None:
    accepted = [Acceptance("robust", "agreed", date(2030, 1, 1), [cell(450, attack="a")])]
    floor = replace(GATE, floor=46.0)
    before = Side("b.json", [cell(500, attack="a"), cell(480, attack="b")], accepted=accepted)
    after = side(cell(450, attack="a"), cell(455, attack="b"), cell(10, attack="new"))
    found = {
        v.subject.text.split()[2]: v.kind for v in judged([floor], before, after, date(2026, 1, 1)) if not v.pooled
    }
    assert found == {"a": "warn", "b": "regressed", "new": "regressed"}


def held(count: int) -> Callable[[Verdict], tuple[set[str], str]]:
    """The first so many lost images hold against other seeds."""
    return lambda verdict: (set(verdict.lost_images.tolist()[:count]), f"{count} held")


def test_losses_that_other_seeds_do_not_repeat_are_no_regression_and_no_pass() -> None:
    sides = side(cell(500)), side(cell(500, lost=25, won=5))
    assert judged([GATE], *sides, again=held(3))[0].kind == "regressed"
    (lucky,) = judged([GATE], *sides, again=held(15))
    assert (lucky.kind, lucky.lost) == ("inconclusive", 25) and "15 held" in lucky.notes
    floor = replace(GATE, floor=49.0)
    assert judged([floor], *sides, again=held(25))[0].kind == "regressed", "below its floor it stays"


def test_holms_correction_is_made_anew_where_images_held() -> None:
    """By itself 2^-11 of six tests would do, but no more where its Bonferroni level is asked for: none held, so it stays red."""
    attacks = [f"a{i}" for i in range(12)]
    before = side(*(cell(500, attack=a) for a in attacks))
    after = side(*(cell(500, attack=a, lost=12 - (a == "a0")) for a in attacks))
    found = judged([GATE], before, after, again=held(0))
    assert [v.kind for v in found if v.subject.text.startswith("vit under a0 ")] == ["regressed"]


def test_a_pooled_regression_stands_where_the_single_ones_were_luck() -> None:
    before = side(*(cell(200, 400, attack=f"a{i}") for i in range(8)))
    after = side(*(shifted(i) for i in range(7)), cell(200, 400, attack="a7", lost=40))
    luck = judged([GATE], before, after, again=held(40))
    assert [v.pooled for v in luck if v.kind == "regressed"] == [True]
    assert [v.kind for v in luck if " a7 " in v.subject.text] == ["inconclusive"]
