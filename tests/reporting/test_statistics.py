"""Intervals, tests and metrics against closed forms and a second library."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from cases import split_of

from robench import Call
from robench.records.schema import SCHEMA
from robench.reporting import statistics
from robench.reporting.metrics import (
    attack_success_rate,
    curve,
    distances,
    robust_accuracy,
    success_after,
    target_rates,
    worst_case,
)
from robench.reporting.seeds import Training, over_seeds
from robench.reporting.statistics import clustered, paired_ratio_difference, paired_ratio_differences, wilson
from robench.reporting.tables import Column, Table


@pytest.mark.parametrize(("successes", "trials"), [(0, 10), (5, 10), (10, 10), (497, 1000)])
def test_wilson_is_statsmodels(successes: int, trials: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from statsmodels.stats.proportion import proportion_confint
    theirs = proportion_confint(successes, trials, method="wilson")
    assert wilson(successes, trials) == pytest.approx(theirs, abs=1e-9)


def test_rows_of_one_image_do_not_count_as_so_many_images() -> None:
    images = np.repeat([f"{i}" for i in range(50)], 9)
    values = np.repeat(np.arange(50) % 2, 9).astype(float)
    low, high = clustered(values, images)
    alone = wilson(225, 450)
    assert high - low > 2 * (alone.high - alone.low)


def test_equal_rows_are_tied_and_far_ones_are_not() -> None:
    ones = np.ones(200)
    value = np.arange(200) % 2 * 1.0
    assert paired_ratio_difference((value, ones), (value, ones)) == (0, 0)
    low, _ = paired_ratio_difference((ones, ones), (value, ones))
    assert low > 0.3


@pytest.mark.parametrize("cells", [4_000_000, 7_000])
def test_one_against_several_is_the_bootstrap_of_each_pair(cells: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Written out, with the same draws: whether these are made at once or in parts, and with denominators of any size."""
    monkeypatch.setattr(statistics, "CELLS", cells)
    random = np.random.default_rng(1)
    rows = [(random.uniform(size=60), random.integers(0, 3, 60).astype(float)) for _ in range(3)]
    picks = np.random.default_rng(0).integers(0, 60, (300, 60))
    ratios = [above[picks].sum(1) / below[picks].sum(1) for above, below in rows]
    found = paired_ratio_differences(rows[0], rows[1:], resamples=300)
    for ends, other in zip(found, ratios[1:], strict=True):
        assert ends == pytest.approx(np.quantile(ratios[0] - other, [0.025, 0.975]))
    nothing = (np.zeros(60), np.zeros(60))
    assert paired_ratio_differences(rows[0], [nothing], resamples=300) == [(-np.inf, np.inf)]


def records(rows: list[dict[str, object]]) -> pd.DataFrame:
    base = {
        "label": 0,
        "correct": True,
        "eps": None,
        "target": None,
        "success": True,
        "fooled": True,
        "l1": 1.0,
        "l2": 1.0,
        "linf": 1.0,
        "l0": 1.0,
    }
    frame = pd.DataFrame([{**base, **row} for row in rows])
    return frame.reindex(columns=[n for n in SCHEMA.names if n != "adversarial"])


def test_asr_leaves_clean_errors_out_and_robust_accuracy_does_not() -> None:
    frame = records(
        [
            {"image": "a"},
            {"image": "b", "success": False, "fooled": False},
            {"image": "c", "correct": False, "linf": 0.0},
        ]
    )
    assert (attack_success_rate(frame).count, attack_success_rate(frame).total) == (1, 2)
    assert (robust_accuracy(frame, "linf", None).count, robust_accuracy(frame, "linf", None).total) == (1, 3)


def test_a_minimal_attack_is_scored_at_every_eps_from_its_distances() -> None:
    frame = records([{"image": str(i), "linf": i / 10} for i in range(1, 11)])
    assert robust_accuracy(frame, "linf", 0.35).count == 7
    assert list(curve([(None, frame)], "linf", [0.0, 0.5, 1.0])) == [1.0, 0.5, 0.0]


def test_success_grows_with_the_passes_that_it_took() -> None:
    passes = [{"image": "a", "forwards": 2, "backwards": 1}, {"image": "b", "forwards": 10, "backwards": 10}]
    late = {"image": "c", "forwards": 30, "backwards": 30, "fooled": False}
    far = {"image": "d", "forwards": 5, "backwards": 0, "linf": 2.0}
    wrong = {"image": "e", "forwards": 0, "backwards": 0, "correct": False}
    taken, share = success_after(records([*passes, late, far, wrong]), "linf", 1.0)
    assert taken.tolist() == [1, 3, 20, 60]
    assert share.tolist() == [0, 0.25, 0.5, 0.5]


def test_the_worst_case_is_chosen_for_each_image() -> None:
    first = records([{"image": "a"}, {"image": "b", "fooled": False, "success": False}])
    second = records([{"image": "b"}, {"image": "a", "fooled": False, "success": False}])
    assert robust_accuracy(first, "linf", None).count == 1
    assert worst_case([first, second], "linf", None).count == 0


def test_a_targeted_miss_that_fools_counts_against_robust_accuracy() -> None:
    frame = records([{"image": "a", "target": 3, "success": False, "fooled": True, "linf": 0.1}])
    assert attack_success_rate(frame).count == 0
    assert robust_accuracy(frame, "linf", 0.1).count == 0


def test_all_targets_report_average_best_and_worst() -> None:
    frame = records(
        [
            {"image": i, "target": t, "success": s}
            for i, t, s in [("a", 1, True), ("a", 2, False), ("b", 1, True), ("b", 2, True)]
        ]
    )
    assert target_rates(frame) == (0.75, 1.0, 0.5)


def test_medians_over_all_count_failures_as_infinite() -> None:
    frame = records([{"image": str(i), "l2": float(i), "success": i < 3} for i in range(5)])
    size = distances(frame, "l2")
    assert (size.mean, size.median, size.median_all) == (1.0, 1.0, 2.0)
    assert size.mean_all == np.inf


def test_subsets_are_pinned_balanced_and_nested() -> None:
    split = split_of(40)
    small, large = split.first(10), split.first(20)
    assert list(large.image_ids()[:10]) == list(small.image_ids())
    assert int(small.targets().sum()) == 5
    shuffled = split.select(np.random.default_rng(1).permutation(40))
    assert list(shuffled.first(10).image_ids()) == list(small.image_ids())
    assert shuffled.fingerprint == split.fingerprint


def test_rows_that_differ_only_in_their_seed_are_averaged() -> None:
    columns = [Column("", "Clean", True, percent=True), Column("cw_l2", "L2", True, digits=3)]
    shares = {"vit": [0.7, 0.72, 0.71], "ksa": [0.69, 0.73, 0.71], "other": [0.5]}
    calls = [Call(name, {"k": 4} if name == "ksa" else {}) for name in shares for _ in shares[name]]
    calls = [
        Call(call.name, call.options | ({"seed": seed} if seed else {}))
        for call, seed in zip(calls, [seed for values in shares.values() for seed in range(len(values))], strict=True)
    ]
    rows = [
        (str(call), [columns[0].cell(value), columns[1].cell(1.0 if call.name == "vit" else 0.5 + seed / 100)])
        for call, (seed, value) in zip(
            calls, [pair for values in shares.values() for pair in enumerate(values)], strict=True
        )
    ]
    trainings = [Training(call, call.options.get("seed", 0), call.name) for call in calls]
    averaged = over_seeds(Table("T", columns, rows), trainings)
    assert averaged is not None
    assert [name for name, _ in averaged.rows] == ["vit (3 seeds)", "ksa(k=4) (3 seeds)"]
    (vit, ksa) = (cells for _, cells in averaged.rows)
    assert [cell.text for cell in vit] == ["71.0 ± 1.0", "1.000 ± 0.000"]
    assert (vit[0].best, ksa[0].best) == (True, True)
    assert (vit[1].best, ksa[1].best) == (True, False)
    assert over_seeds(Table("T", columns, rows[:1]), trainings[:1]) is None
