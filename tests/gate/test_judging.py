"""Verdicts: of each kind one that is worked out by hand, and what must not change them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from gated import GATE, cell, one, printed, shifted, side
from scipy.stats import binom

from robench.errors import MissingError, UsageError
from robench.gate.cells import Cell
from robench.gate.judging import differences, judged
from robench.gate.paired import images_needed
from robench.gate.policy import Gate
from robench.gate.unsteady import with_unsteady
from robench.gate.verdicts import exit_status


def test_a_drop_beyond_the_margin_that_is_significant_is_a_regression() -> None:
    found = one(cell(500), cell(500, lost=25, won=5))
    assert (found.kind, found.lost, found.won) == ("regressed", 25, 5)
    assert (found.change.before, found.change.after, found.change.points) == pytest.approx((50.0, 48.0, -2.0))
    assert found.p == pytest.approx(binom.sf(24, 30, 0.5))
    assert exit_status([found]) == 1


def test_a_significant_drop_within_the_margin_is_none() -> None:
    """9 of 1,000 lost, none won: p = 2^-9, .9 points."""
    found = one(cell(500), cell(500, lost=9))
    assert found.p == pytest.approx(2**-9) and found.kind == "pass", "1,000 images show a drop of .9 points"
    half = one(cell(250, 500), cell(250, 500, lost=4))
    assert half.kind == "inconclusive", "and 500 do not"
    many = one(cell(50_000, 100_000), cell(50_000, 100_000, lost=900))
    assert many.p < 0.01 and many.kind == "pass"
    assert one(cell(500), cell(500, lost=11)).kind == "regressed"


def test_a_drop_beyond_the_margin_that_chance_explains_is_inconclusive() -> None:
    found = one(cell(50, 100), cell(50, 100, lost=3))
    assert found.change.points == pytest.approx(-3)
    assert (found.kind, exit_status([found]), exit_status([found], strict=True)) == ("inconclusive", 0, 4)
    assert found.needed > 100 and f"n = {found.needed:,} would settle it" in found.notes
    assert found.smallest > 1


def test_that_nothing_was_lost_is_claimed_only_where_n_could_have_shown_it() -> None:
    assert one(cell(50, 100), cell(50, 100)).kind == "inconclusive"
    assert one(cell(2000, 4000), cell(2000, 4000)).kind == "pass"
    wide = replace(GATE, max_drop=10.0)
    assert one(cell(50, 100), cell(50, 100), wide).kind == "pass"


def test_images_that_flip_by_themselves_make_the_smallest_drop_larger_and_are_counted_apart() -> None:
    quiet = cell(500)
    records = [(1, _records(cell(500, lost=20))), (2, _records(cell(500, won=20))), (0, _records(quiet))]
    shaky = with_unsteady(quiet, records)
    assert shaky.unsteady is not None and int(shaky.unsteady.sum()) == 40
    # of the five pairs of runs with different seeds 20, 20, 40, 20 and 20 images of 1,000 differ, half of them each way
    assert shaky.flips == pytest.approx(120 / 5 / 1000 / 2, abs=1e-6)
    now = cell(500, lost=25)
    assert one(shaky, now).smallest > one(quiet, now).smallest
    assert one(shaky, now).unsteady == (20, 0)
    assert one(shaky, now).lost == 25, "they stay in the test, since leaving them out would favour one side"


def _records(of: Cell) -> pd.DataFrame:
    return pd.DataFrame({"image": of.images, "correct": of.correct, "fooled": ~of.robust, "linf": 0.1, "l2": 0.1})


def test_holms_correction_is_over_all_tests_of_a_check() -> None:
    """9 lost: p = 2^-9 = .00195; of 6 tests (5 cells and the pooled one) that is .0117."""
    attacks = [f"a{i}" for i in range(5)]
    before = side(*(cell(500, attack=a) for a in attacks))
    after = side(cell(500, lost=11, attack="a0"), *(cell(500, won=11, attack=a) for a in attacks[1:]))
    found = {v.subject.text: v for v in judged([GATE], before, after)}
    assert found["vit under a0 on digits"].p == pytest.approx(6 * 2**-11)
    alone = one(side(*(cell(500, attack=a) for a in attacks[:1])), side(cell(500, lost=11, attack="a0")))
    assert alone.p == pytest.approx(2**-11)


def test_warnings_are_a_family_of_their_own() -> None:
    warn = Gate("warned", select={"attack": ("b*",)}, max_drop=1.0, severity="warn")
    error = Gate("errors", select={"attack": ("a*",)}, max_drop=1.0)
    before = side(cell(500, attack="a"), *(cell(500, attack=f"b{i}") for i in range(9)))
    after = side(cell(500, attack="a", lost=11), *(cell(500, attack=f"b{i}", lost=11) for i in range(9)))
    found = judged([error, warn], before, after)
    assert found[0].p == pytest.approx(2**-11)
    assert {v.kind for v in found[1:]} == {"warn"}
    assert exit_status(found[1:]) == 0


def test_a_small_drop_everywhere_is_seen_by_the_pooled_test_alone() -> None:
    """12 lost and 4 won of 400 in each of 8 cells: p = .038 in each, and 2 points everywhere."""
    cells = range(8)
    before = side(*(cell(200, 400, attack=f"a{i}") for i in cells))
    after = side(*(shifted(i) for i in cells))
    found = judged([GATE], before, after)
    assert [v.subject.text for v in found if v.kind == "regressed"] == ["all 8 of them together"]
    assert found[0].lost == 96 and found[0].change.points == pytest.approx(-2.0)


def test_cells_that_share_their_losses_are_not_counted_as_independent() -> None:
    """The same 5 images lost in each of 8 cells are 5 exchanges, not 40: p = 2^-5."""
    before = side(*(cell(200, 400, attack=f"a{i}") for i in range(8)))
    after = side(*(cell(200, 400, attack=f"a{i}", lost=5) for i in range(8)))
    assert not [v for v in judged([GATE], before, after) if v.kind == "regressed"]


def test_a_rise_on_the_same_weights_means_that_the_attack_got_weaker() -> None:
    rise = Gate("reference", max_rise=1.0)
    found = one(cell(500), cell(500, won=25), rise)
    assert found.kind == "regressed" and found.weaker
    assert "the attack got weaker" in "; ".join(found.notes)
    assert one(cell(500), cell(500, lost=25), rise).kind == "improved", "a stronger attack is no fault"
    other = one(cell(500), cell(500, won=25, weights="w1"), rise)
    assert other.kind == "incomparable" and "weights of the reference w0 → w1" in other.notes


def test_a_rise_is_an_improvement_of_a_model_and_says_the_head_room() -> None:
    found = one(cell(500), cell(500, won=35))
    assert found.kind == "improved" and "head-room of 3.5 points" in "; ".join(found.notes)
    assert exit_status([found], strict=True) == 0


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"seed": 1}, "attack seed 0 → 1"),
        ({"precision": "bfloat16"}, "precision float32 → bfloat16"),
        ({"data": "beef"}, "data dada → beef"),
        ({"subset": (1, 2)}, "classes all → (1, 2)"),
    ],
)
def test_what_must_be_the_same_and_is_not_is_named(changes: dict[str, object], part: str) -> None:
    found = one(cell(500), cell(500, **changes))
    assert found.kind == "incomparable" and part in found.notes
    assert exit_status([found]) == 3


def test_fewer_images_are_incomparable_and_more_are_compared_on_those_of_the_baseline() -> None:
    fewer = one(cell(500), cell(250, 500))
    assert (fewer.kind, fewer.notes) == ("incomparable", ("images: 500 of the baseline's 1,000 are there",))
    more = one(cell(500), cell(500, 2000))
    assert (more.kind, len(more.change.images)) == ("pass" if more.smallest <= 1 else more.kind, 1000)


def test_code_weights_and_versions_may_differ_and_are_printed() -> None:
    found = one(cell(2000, 4000), cell(2000, 4000, weights="w1", code="c1", engine=5, torch="2.12", threads=2))
    assert found.kind == "pass"
    assert found.notes == ("changed: weights w0 → w1, code, engine 4 → 5",), (
        "what the baseline did not know is no change"
    )


def test_a_cell_that_is_gone_or_broke_down_is_missing() -> None:
    gone = one(
        side(cell(500), cell(500, attack="b")), side(cell(500)), Gate("b", select={"attack": ("b",)}, max_drop=1)
    )
    assert gone.kind == "missing" and exit_status([gone]) == 3
    none = np.zeros(0, dtype=bool)
    broken = Cell(printed(), np.zeros(0, dtype=np.str_), none, none, refused="it returned NaN")
    found = one(cell(500), broken)
    assert found.kind == "missing" and "it broke down: it returned NaN" in found.notes


def test_the_newest_of_what_has_other_seeds_too_is_compared_with_its_own() -> None:
    found = judged([GATE], side(cell(500)), side(cell(100, seed=1), cell(500)))
    assert [v.change.after for v in found if v.subject.before] == [50.0]


def test_several_seeds_of_one_attack_are_several_numbers() -> None:
    both = side(cell(500), cell(500, seed=1))
    found = judged([GATE], both, side(cell(500, seed=1, lost=30), cell(500)))
    assert [(v.kind, v.subject.text.rpartition(" on ")[2]) for v in found if not v.pooled] == [
        ("regressed", "digits, attack seed 1"),
        ("pass", "digits"),
    ]
    assert [v.kind for v in judged([GATE], side(cell(500)), both) if not v.pooled] == ["pass", "pass"]


def test_a_gate_that_selects_nothing_says_what_there_is() -> None:
    lost = Gate("lost", select={"defense": ("kas*",)}, max_drop=1.0, line=3)
    with pytest.raises(
        UsageError, match="gate 'lost' selects nothing.*defense 'kas\\*'; there are vit under pgd on digits"
    ):
        judged([lost], side(cell(5)), side(cell(5)))


def test_a_gate_that_compares_needs_a_baseline() -> None:
    with pytest.raises(MissingError, match="--baseline FILE"):
        judged([GATE], None, side(cell(5)))


def test_verdicts_come_in_the_order_of_how_much_they_matter() -> None:
    before = side(
        *(cell(2000, 4000, attack=a) for a in ("pass", "worse", "gone", "better", "other")), cell(5, 10, attack="few")
    )
    after = side(
        cell(2000, 4000, attack="pass"),
        cell(2000, 4000, attack="worse", lost=300),
        cell(2000, 4000, attack="better", won=300),
        cell(2000, 4000, attack="other", seed=3),
        cell(5, 10, attack="few"),
        cell(1, 10, attack="new"),
    )
    found = judged([GATE], before, after)
    assert [v.kind for v in found if not v.pooled] == [
        *("regressed", "incomparable", "missing", "inconclusive", "improved", "pass", "pass")
    ]
    assert "not in the baseline" in found[-1].notes or "not in the baseline" in found[-2].notes


def test_what_broke_down_is_missing_also_where_only_a_floor_is_asked_for() -> None:
    none = np.zeros(0, dtype=bool)
    broken = Cell(printed("new"), np.zeros(0, dtype=np.str_), none, none, refused="NaN")
    floor = Gate("floor", floor=10.0)
    assert [v.kind for v in judged([floor], None, side(cell(500), broken))] == ["missing", "pass"]
    assert [v.kind for v in judged([GATE], side(cell(2000, 4000)), side(cell(2000, 4000), broken))] == [
        "missing",
        "pass",
    ]
    worst = Gate("worst", metric="worst_case", floor=10.0)
    assert [v.kind for v in judged([worst], None, side(cell(500), broken))] == ["missing"]


def test_an_inline_gate_that_selects_nothing_and_an_empty_baseline_are_told() -> None:
    with pytest.raises(UsageError, match="selects nothing"):
        judged([Gate("inline", select={"defense": ("nope",)}, max_drop=1.0)], side(cell(5)), side(cell(5)))
    with pytest.raises(MissingError, match="holds no cells"):
        judged([GATE], side(), side(cell(5)))


def test_a_difference_is_of_both_sides_and_judges_nothing() -> None:
    found = differences(side(cell(500), cell(1, attack="gone")), side(cell(500, lost=8), cell(1, attack="new")))
    first = found[0]
    assert first.p == pytest.approx(2 * 2**-8) and first.kind == "pass"
    assert {note for v in found for note in v.notes} == {
        "missing: vit under gone on digits is not there",
        "only in store",
    }


def test_won_images_say_how_many_flip_by_themselves_and_the_needed_n_is_that_of_the_corrected_level() -> None:
    quiet, busy = one(cell(50, 100), cell(50, 100)), one(cell(50, 100, won=0), cell(50, 100, lost=3, won=3))
    assert busy.smallest > quiet.smallest and busy.needed > quiet.needed
    alone = one(cell(50, 100), cell(50, 100))
    many = judged([GATE], *2 * [side(*(cell(50, 100, attack=f"a{i}") for i in range(9)))])
    assert alone.needed == images_needed(0.01, 0.0, 0.01)
    assert many[0].needed == images_needed(0.01, 0.0, 0.01 / 10) > alone.needed


def test_improvements_are_corrected_for_too() -> None:
    """8 won: p = 2^-8 = .0039; of six tests that is .023."""
    names = [f"a{i}" for i in range(5)]
    before = side(*(cell(2000, 4000, attack=a) for a in names))
    after = side(cell(2000, 4000, attack="a0", won=8), *(cell(2000, 4000, attack=a) for a in names[1:]))
    assert {v.kind for v in judged([GATE], before, after) if not v.pooled} == {"pass"}
    assert one(cell(2000, 4000), cell(2000, 4000, won=8)).kind == "improved"


def test_of_a_gate_with_both_margins_the_worse_verdict_counts() -> None:
    both = Gate("both", max_drop=1.0, max_rise=1.0)
    assert one(cell(500), cell(500, won=30), both).weaker
    fell = one(cell(500), cell(500, lost=30), both)
    assert fell.kind == "regressed" and not fell.weaker


def test_how_far_a_rise_may_go_is_the_upper_end_of_its_interval() -> None:
    """Many images were lost, so that the lower end is far away, and no rise is possible."""
    rise = Gate("reference", max_rise=2.0)
    assert one(cell(150, 300), cell(150, 300, lost=4), rise).kind == "pass"
    assert one(cell(150, 300), cell(150, 300, won=4), rise).kind == "inconclusive"
