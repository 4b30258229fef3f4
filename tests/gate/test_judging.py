"""Verdicts: of each kind one that is worked out by hand, and what must not change them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest
from gated import cell, minimal, printed, side
from scipy.stats import binom

from robench.benchmarks import CORRUPTIONS
from robench.errors import UsageError
from robench.gate.baseline import Acceptance, MissingError
from robench.gate.cells import Cell
from robench.gate.judging import differences, judged
from robench.gate.policy import Gate
from robench.gate.sources import Side
from robench.gate.unsteady import with_unsteady
from robench.gate.verdicts import Verdict, exit_status

GATE = Gate("robust", max_drop=1.0)


def one(before: Cell | Side, after: Cell | Side, gate: Gate = GATE) -> Verdict:
    """The only verdict on a cell."""
    sides = [own if isinstance(own, Side) else side(own) for own in (before, after)]
    (found,) = judged([gate], *sides)
    return found


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
    after = side(*(_shifted(i) for i in cells))
    found = judged([GATE], before, after)
    assert [v.subject.text for v in found if v.kind == "regressed"] == ["all 8 of them together"]
    assert found[0].lost == 96 and found[0].change.points == pytest.approx(-2.0)


def _shifted(place: int) -> Cell:
    """12 lost, 4 won, other images in each cell."""
    found = cell(200, 400, attack=f"a{place}")
    robust = found.robust.copy()
    robust[12 * place : 12 * place + 12] = False
    robust[200 + 4 * place : 204 + 4 * place] = True
    return replace(found, robust=robust)


def test_cells_that_share_their_losses_are_not_counted_as_independent() -> None:
    """The same 5 images lost in each of 8 cells are 5 exchanges, not 40: p = 2^-5."""
    before = side(*(cell(200, 400, attack=f"a{i}") for i in range(8)))
    after = side(*(cell(200, 400, attack=f"a{i}", lost=5) for i in range(8)))
    assert not [v for v in judged([GATE], before, after) if v.kind == "regressed"]


def test_below_the_floor_is_a_regression_whatever_n() -> None:
    floor = Gate("floor", floor=41.0)
    assert one(cell(40, 100), cell(40, 100), floor).kind == "regressed"
    assert one(cell(41, 100), cell(41, 100), floor).kind == "pass"
    assert "below its floor of 41" in one(cell(40, 100), cell(40, 100), floor).notes
    (new,) = judged([floor], None, side(cell(40, 100)))
    assert new.kind == "regressed"


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


def test_the_worst_case_is_over_all_attacks_image_by_image() -> None:
    gate = Gate("worst", metric="worst_case", max_drop=1.0)
    before = side(cell(600, attack="a"), cell(500, attack="b"))
    after = side(cell(600, attack="a"), cell(500, attack="b", lost=30))
    found = one(before, after, gate)
    assert (found.change.before, found.change.after, found.lost) == (50.0, 47.0, 30)
    gone = one(before, side(cell(600, attack="a")), gate)
    assert gone.kind == "missing" and "vit under b on digits is not there" in gone.notes
    other = side(cell(600, attack="a", eps=0.2), cell(500, attack="b"))
    assert len(judged([gate], other, other)) == 2, "one number for each radius"


def test_minimal_attacks_are_counted_at_the_gates_radius() -> None:
    gate = Gate("near", eps=0.5, max_drop=30.0)
    before, after = minimal([0.1, 0.4, 0.6, 0.7]), minimal([0.1, 0.4, 0.3, 0.7])
    found = one(before, after, gate)
    assert (found.change.before, found.change.after) == (50.0, 25.0)
    assert found.subject.text.endswith("within 0.5")
    worst = replace(gate, metric="worst_case")
    both = side(before, cell(4, 4, attack="a", norm="l2", eps=0.5))
    (verdict,) = judged([worst], both, both)
    assert verdict.change.before == 50.0


def test_distances_are_compared_on_the_images_that_both_broke() -> None:
    gate = Gate("far", metric="mean_distance", max_drop=5.0)
    random = np.random.default_rng(0)
    sizes = random.lognormal(0, 0.3, 400)
    before = minimal([*sizes, np.inf, 0.5])
    nearer = one(before, minimal([*(0.9 * sizes), 0.001, np.inf]), gate)
    assert nearer.kind == "regressed"
    assert nearer.change.points == pytest.approx(-10, abs=0.3)
    assert len(nearer.change.images) == 400
    assert one(before, before, gate).kind == "pass"
    same = one(before, before, gate)
    spread = 100 * sizes.std() / sizes.mean() / 400
    assert same.change.points == 0 and same.change.interval is not None
    assert same.change.interval.high == pytest.approx(1.96 * spread, rel=0.02), (
        "nothing changed is no proof that nothing does"
    )
    assert same.smallest == pytest.approx((2.576 + 0.842) * spread, rel=0.02), "of two tests"
    farther = one(before, minimal([*(1.2 * sizes), np.inf, 0.5]), replace(gate, max_drop=None, max_rise=5.0))
    assert farther.kind == "regressed" and farther.weaker
    little = one(minimal([0.5, 0.6, 0.7] * 4), minimal([0.5, 0.3, 0.72] * 4), gate)
    assert little.kind == "inconclusive"
    fails = judged([gate], side(before), side(minimal([np.inf] * 100 + [*sizes[100:], np.inf, 0.5])))
    assert [v.kind for v in fails] == ["improved", "pass"] and "at any distance" in fails[0].subject.text
    assert fails[0].won == 100
    weak = judged([replace(gate, max_drop=None, max_rise=5.0)], side(before), side(minimal([np.inf] * 402)))
    assert weak[0].kind == "regressed" and weak[0].weaker, (
        "an attack that breaks nothing has no mean distance, and is weaker"
    )
    nothing = one(minimal([0.5, np.inf, np.inf]), minimal([np.inf, 0.5, 0.5]), gate)
    assert (nothing.kind, nothing.notes) == ("inconclusive", ("fewer than ten images were broken before and now",))


def test_clean_accuracy_is_one_number_for_a_row() -> None:
    wrong = replace(cell(500), correct=np.arange(1000) < 900)
    now = replace(cell(500), correct=np.arange(1000) < 880)
    gate = Gate("clean", metric="clean_accuracy", max_drop=1.0)
    before, after = (side(one_, replace(one_, identity=printed("b"))) for one_ in (wrong, now))
    found = one(before, after, gate)
    assert (found.kind, found.change.before, found.change.after) == ("regressed", 90.0, 88.0)


def corrupted(wrong: float, of: int = 400, **changes: object) -> list[Cell]:
    """All 75 conditions, each wrong on other images of this share."""
    found = []
    for name in CORRUPTIONS:
        for severity in range(1, 6):
            random = np.random.default_rng([len(name), severity])
            own = cell(
                of,
                of,
                attack=f"{name}({severity})",
                goal="natural",
                corruption=name,
                severity=severity,
                eps=None,
                **changes,
            )
            found.append(replace(own, robust=random.random(of) >= wrong))
    return found


def test_a_mean_corruption_error_is_over_all_75_conditions_and_has_a_ceiling() -> None:
    gate = Gate("noise", metric="mean_corruption_error", max_drop=1.0, ceiling=35.0)
    before, after = side(*corrupted(0.2)), side(*corrupted(0.23))
    found = one(before, after, gate)
    assert found.kind == "regressed" and found.change.points == pytest.approx(3, abs=0.5)
    assert one(after, before, gate).kind == "improved"
    same = one(before, before, gate)
    assert same.kind == "pass" and same.change.interval == pytest.approx((-1.96 / 4, 1.96 / 4), rel=0.01)
    assert one(side(*corrupted(0.4)), side(*corrupted(0.4)), gate).notes[-1] == "above its ceiling of 35"
    with pytest.raises(UsageError, match="74 of them|1 of them are missing, the first"):
        one(side(*corrupted(0.2)[:-1]), side(*corrupted(0.2)[:-1]), gate)


def test_an_mce_needs_something_to_divide_by(tmp_path: object) -> None:
    gate = Gate("mce", metric="mce", max_drop=5.0)
    with pytest.raises(UsageError, match="no published errors divide its errors"):
        one(side(*corrupted(0.2)), side(*corrupted(0.2)), gate)
    published = side(*corrupted(0.2, normaliser="alexnet_imagenet_c"))
    found = one(published, side(*corrupted(0.3, normaliser="alexnet_imagenet_c")), gate)
    assert found.kind == "regressed" and found.change.after > found.change.before > 10


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
    after = side(*(_shifted(i) for i in range(7)), cell(200, 400, attack="a7", lost=40))
    luck = judged([GATE], before, after, again=held(40))
    assert [v.pooled for v in luck if v.kind == "regressed"] == [True]
    assert [v.kind for v in luck if " a7 " in v.subject.text] == ["inconclusive"]


def test_a_floor_is_of_all_there_is_now_whatever_the_baseline_has() -> None:
    floor = Gate("floor", metric="worst_case", floor=30.0, max_drop=1.0)
    before = side(cell(500, attack="a"))
    found = one(before, side(cell(500, attack="a"), cell(0, attack="new")), floor)
    assert found.kind == "regressed" and "below its floor of 30 (0 now, on all images and attacks)" in found.notes
    grown = one(cell(200, 400), cell(200, 1000), Gate("floor", floor=40.0, max_drop=5.0))
    assert grown.kind == "regressed" and grown.change.after == 50.0
    far = Gate("far", metric="mean_distance", floor=1.0, max_drop=5.0)
    near = judged([far], side(minimal([5.0] * 12 + [np.inf] * 98)), side(minimal([5.0] * 12 + [0.001] * 98)))
    assert {v.kind for v in near} == {"regressed"} and any("below its floor of 1" in "; ".join(v.notes) for v in near)


@pytest.mark.parametrize("count", [29, 57, 58])
def test_a_floor_that_is_reached_exactly_is_kept(count: int) -> None:
    assert one(cell(count, 100), cell(count, 100), Gate("floor", floor=float(count))).kind == "pass"


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


def test_a_radius_that_is_met_exactly_is_met() -> None:
    """Codes of sizes are rounded down, those of radii too."""
    for level in (*range(1, 20), 64):
        gate = Gate("near", eps=level / 255, floor=40.0)
        assert one(minimal([level / 255] * 10), minimal([level / 255] * 10), gate).kind == "regressed", level
        just = minimal([1.005 * level / 255] * 10)
        (alone,) = judged([gate], None, side(just))
        assert alone.kind == "pass", "a floor is judged by the sizes themselves"


def test_few_images_show_no_distance() -> None:
    gate = Gate("far", metric="mean_distance", max_drop=5.0)
    few = one(minimal([0.5] * 9), minimal([0.4] * 9), gate)
    assert few.kind == "inconclusive" and few.notes == ("fewer than ten images were broken before and now",)
    random = np.random.default_rng(0)
    red = 0
    for _ in range(400):
        sizes = random.lognormal(0, 0.1, 12)
        before, after = (minimal([*(sizes + random.normal(0, 0.15, 12)).clip(0.01)]) for _ in range(2))
        red += one(before, after, gate).kind == "regressed"
    assert red <= 9, "at 1 % for both tests together, 4 of 400 are expected"


def test_an_acceptance_excuses_only_what_it_was_of() -> None:
    accepted = [Acceptance("robust", "agreed", date(2030, 1, 1), [cell(450, attack="a")])]
    floor = replace(GATE, floor=46.0)
    before = Side("b.json", [cell(500, attack="a"), cell(480, attack="b")], accepted=accepted)
    after = side(cell(450, attack="a"), cell(455, attack="b"), cell(10, attack="new"))
    found = {
        v.subject.text.split()[2]: v.kind for v in judged([floor], before, after, date(2026, 1, 1)) if not v.pooled
    }
    assert found == {"a": "warn", "b": "regressed", "new": "regressed"}


def test_an_inline_gate_that_selects_nothing_and_an_empty_baseline_are_told() -> None:
    with pytest.raises(UsageError, match="selects nothing"):
        judged([Gate("inline", select={"defense": ("nope",)}, max_drop=1.0)], side(cell(5)), side(cell(5)))
    with pytest.raises(MissingError, match="holds no cells"):
        judged([GATE], side(), side(cell(5)))


def test_clean_accuracy_is_that_of_the_newest_weights_whatever_the_attack() -> None:
    gate = Gate("clean", metric="clean_accuracy", max_drop=1.0)
    wrong = replace(cell(0, attack="b", weights="w1"), correct=np.zeros(1000, dtype=bool))
    found = one(side(cell(500, attack="a")), side(wrong, cell(500, attack="a")), gate)
    assert (found.kind, found.change.after) == ("regressed", 0.0)
    assert one(side(cell(2000, 4000, attack="a")), side(cell(2000, 4000, attack="b")), gate).kind == "pass"


def test_a_difference_is_of_both_sides_and_judges_nothing() -> None:
    found = differences(side(cell(500), cell(1, attack="gone")), side(cell(500, lost=8), cell(1, attack="new")))
    first = found[0]
    assert first.p == pytest.approx(2 * 2**-8) and first.kind == "pass"
    assert {note for v in found for note in v.notes} == {
        "missing: vit under gone on digits is not there",
        "only in store",
    }
