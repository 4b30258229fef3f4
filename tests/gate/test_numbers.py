"""The numbers that gates look at, each worked out by hand, and their floors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from gated import cell, minimal, one, printed, side

from robench.benchmarks import CORRUPTIONS
from robench.errors import UsageError
from robench.gate.cells import Cell
from robench.gate.judging import judged
from robench.gate.policy import Gate


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


def test_the_worst_case_is_of_attacks_in_one_ball_and_of_the_images_that_all_of_them_met() -> None:
    gate = Gate("worst", metric="worst_case", eps=0.1, max_drop=10.0)
    noise = cell(0, attack="noise", goal="natural")
    wider, fewer = cell(0, attack="wider", eps=0.2), cell(60, 100, attack="fewer")
    both = side(cell(500, attack="a"), fewer, wider, noise)
    found = one(both, both, gate)
    assert (found.change.before, len(found.change.images)) == (60.0, 100)
    assert {v.subject.text.split()[-1] for v in judged([replace(gate, eps=None)], both, both)} == {"0.1", "0.2"}


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


def test_a_radius_that_is_met_exactly_is_met() -> None:
    """Codes of sizes are rounded down, those of radii too."""
    for level in (*range(1, 20), 64):
        gate = Gate("near", eps=level / 255, floor=40.0)
        assert one(minimal([level / 255] * 10), minimal([level / 255] * 10), gate).kind == "regressed", level
        just = minimal([1.005 * level / 255] * 10)
        (alone,) = judged([gate], None, side(just))
        assert alone.kind == "pass", "a floor is judged by the sizes themselves"


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
    wrong = replace(before, correct=np.arange(402) >= 100)
    assert len(one(wrong, wrong, gate).change.images) == 301, "what was wrong before has no distance"
    nothing = one(minimal([0.5, np.inf, np.inf]), minimal([np.inf, 0.5, 0.5]), gate)
    assert (nothing.kind, nothing.notes) == ("inconclusive", ("fewer than ten images were broken before and now",))


def test_a_change_that_is_the_same_for_all_images_is_no_matter_of_spread() -> None:
    gate = Gate("far", metric="mean_distance", max_drop=5.0)
    nearer = one(minimal([0.5] * 12), minimal([0.4] * 12), gate)
    assert nearer.kind == "regressed" and nearer.raw_p == 0.5**12
    assert one(minimal([0.5] * 12), minimal([0.5] * 12), gate).raw_p == 1.0


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


def test_clean_accuracy_is_one_number_for_a_row() -> None:
    wrong = replace(cell(500), correct=np.arange(1000) < 900)
    now = replace(cell(500), correct=np.arange(1000) < 880)
    gate = Gate("clean", metric="clean_accuracy", max_drop=1.0)
    before, after = (side(one_, replace(one_, identity=printed("b"))) for one_ in (wrong, now))
    found = one(before, after, gate)
    assert (found.kind, found.change.before, found.change.after) == ("regressed", 90.0, 88.0)


def test_clean_accuracy_is_that_of_the_newest_weights_whatever_the_attack() -> None:
    gate = Gate("clean", metric="clean_accuracy", max_drop=1.0)
    wrong = replace(cell(0, attack="b", weights="w1"), correct=np.zeros(1000, dtype=bool))
    found = one(side(cell(500, attack="a")), side(wrong, cell(500, attack="a")), gate)
    assert (found.kind, found.change.after) == ("regressed", 0.0)
    assert one(side(cell(2000, 4000, attack="a")), side(cell(2000, 4000, attack="b")), gate).kind == "pass"


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


def test_below_the_floor_is_a_regression_whatever_n() -> None:
    floor = Gate("floor", floor=41.0)
    assert one(cell(40, 100), cell(40, 100), floor).kind == "regressed"
    assert one(cell(41, 100), cell(41, 100), floor).kind == "pass"
    assert "below its floor of 41" in one(cell(40, 100), cell(40, 100), floor).notes
    (new,) = judged([floor], None, side(cell(40, 100)))
    assert new.kind == "regressed"


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
