"""The bootstrap over images: what is drawn again, and what its intervals are."""

from __future__ import annotations

import numpy as np
import pytest

from robench.errors import DataError
from robench.reporting import statistics
from robench.reporting.resampling import Array, bootstrap, paired_bootstrap


def mean(means: Array) -> float:
    return float(means.mean())


def some(images: int = 400, share: float = 0.3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((images, 1)) < share


def test_an_interval_of_a_share_is_as_wide_as_theory_says() -> None:
    """1.96 √(p (1 − p) / n) to either side."""
    wrong = some()
    share = wrong.mean()
    found = bootstrap(mean, wrong)
    half = 1.96 * np.sqrt(share * (1 - share) / 400)
    assert found.value == share
    assert found.interval.low == pytest.approx(share - half, abs=0.1 * half)
    assert found.interval.high == pytest.approx(share + half, abs=0.1 * half)


def test_conditions_of_an_image_are_drawn_together() -> None:
    """The same outcome under five conditions says no more than under one; independent ones narrow the interval by √5."""
    wrong = some()
    alone = bootstrap(mean, wrong).interval
    assert bootstrap(mean, np.tile(wrong, 5)).interval == pytest.approx(alone)
    other = bootstrap(mean, np.hstack([some(seed=seed) for seed in range(5)])).interval
    assert (alone.high - alone.low) / (other.high - other.low) == pytest.approx(5**0.5, rel=0.1)


def test_of_two_images_each_draw_is_one_of_four() -> None:
    """Both, twice the first or twice the second: means 0, 1/2, 1/2, 1, seen as often as they should be."""
    seen: list[float] = []

    def kept(means: Array) -> float:
        seen.append(float(means[0]))
        return seen[-1]

    found = bootstrap(kept, np.array([[False], [True]]), resamples=4000)
    assert (found.value, found.interval) == (0.5, (0.0, 1.0))
    values, counts = np.unique(seen[1:], return_counts=True)
    assert values.tolist() == [0, 0.5, 1]
    assert counts.tolist() == pytest.approx([1000, 2000, 1000], abs=120)


def test_draws_in_several_parts_are_as_many_and_as_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "CELLS", 400 * 7)
    calls: list[float] = []

    def one(means: Array) -> float:
        calls.append(float(means[1]))
        return float(means[0])

    found = bootstrap(one, np.hstack([some(), np.ones((400, 1))]), resamples=100)
    assert calls == pytest.approx([1.0] * 101)  # every draw is of as many images as there are
    assert found.interval.low < found.value < found.interval.high


def test_a_statistic_may_be_any_function_of_the_conditions() -> None:
    """A ratio of two conditions, of which one is always three times the other."""
    base = some().astype(float)
    found = bootstrap(lambda means: float(means[1] / means[0]), np.hstack([base, 3 * base]))
    assert (found.value, *found.interval) == pytest.approx((3, 3, 3))


def test_a_paired_difference_draws_the_same_images_for_both() -> None:
    """Models that differ on 20 of 400 images: 1.96 √(d (1 − d) / n) for d = 0.05, whatever they share."""
    first = some(share=0.5)
    second = first.copy()
    second[np.flatnonzero(first)[:20]] = False
    found = paired_bootstrap(mean, first, second)
    half = 1.96 * np.sqrt(0.05 * 0.95 / 400)
    assert found.value == pytest.approx(0.05)
    assert found.interval == pytest.approx((0.05 - half, 0.05 + half), abs=0.15 * half)
    assert paired_bootstrap(mean, first, first) == (0, (0, 0))
    assert paired_bootstrap(mean, second, first).value == pytest.approx(-0.05)


def test_images_that_lack_a_condition_are_refused() -> None:
    wrong = np.ones((4, 2))
    wrong[2, 1] = np.nan
    with pytest.raises(DataError, match="1 of 4 images lack a condition, the first of them in row 2"):
        bootstrap(mean, wrong)
    with pytest.raises(DataError, match=r"of \(4, 1\) and of \(3, 1\)"):
        paired_bootstrap(mean, np.ones((4, 1)), np.ones((3, 1)))
    for shape in ((0, 3), (3,)):
        with pytest.raises(DataError, match=r"\(images, conditions\) is wanted"):
            bootstrap(mean, np.ones(shape))
