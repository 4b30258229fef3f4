"""The gate's statistics: by hand, and beside a second library."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from scipy.stats import binomtest

from robench.gate.paired import (
    change_interval,
    flipped_p,
    images_needed,
    lost_p,
    power,
    rounded_up,
    smallest_drop,
)


@pytest.mark.parametrize(("lost", "won"), [(7, 0), (0, 7), (12, 4), (0, 0), (1, 1), (300, 250)])
def test_mcnemar_one_sided_is_a_binomial_test_of_the_flips(lost: int, won: int) -> None:
    expected = binomtest(lost, lost + won, alternative="greater").pvalue if lost + won else 1.0
    assert lost_p(lost, won) == pytest.approx(expected)


def test_the_interval_of_a_change_is_bonett_and_prices() -> None:
    """By hand: 9 lost, 3 won of 98: shares 10/100 and 4/100; the change -.06 ± 1.96 · √((.14 - .0036)/100)."""
    low, high = change_interval(9, 3, 98)
    reach = 1.959964 * math.sqrt((0.14 - 0.0036) / 100)
    assert (low, high) == pytest.approx((-0.06 - reach, -0.06 + reach), abs=1e-6)
    assert change_interval(0, 0, 98)[1] > 0.02, "that nothing flipped is no proof that nothing flips"


@pytest.mark.parametrize("net", [[1, 1, 1, 0], [3, -1], [2, 1, 1], [5, 4, -3, 2, -1, 1, 0], [-2, -2], [0, 0]])
def test_the_pooled_test_counts_all_exchanges(net: list[int]) -> None:
    """All 2^n ways to exchange before and after, image by image."""
    moved = [value for value in net if value]
    sums = [
        sum(sign * value for sign, value in zip(signs, moved, strict=True))
        for signs in product((1, -1), repeat=len(moved))
    ]
    expected = np.mean([total >= sum(moved) for total in sums])
    assert flipped_p(np.array(net)) == pytest.approx(float(expected))


def test_the_pooled_test_of_very_many_flips_is_the_normal_limit() -> None:
    net = np.concatenate([np.full(1500, 1000), np.full(1400, -1000)])
    exact = flipped_p(net // 1000)
    assert flipped_p(net) == pytest.approx(exact, rel=0.05)


@pytest.mark.parametrize(
    ("images", "flips", "drop", "published"),
    [
        (256, 0.005, 0.02, 0.18),
        (256, 0.005, 0.05, 0.83),
        (1000, 0.005, 0.02, 0.91),
        (256, 0.02, 0.05, 0.59),
        (1000, 0.02, 0.02, 0.55),
    ],
)
def test_the_power_is_that_of_a_simulation(images: int, flips: float, drop: float, published: float) -> None:
    """The design's table, of 20,000 repeats each."""
    assert power(images, drop, flips, 0.01) == pytest.approx(published, abs=0.02)


def test_the_smallest_drop_is_shown_in_80_of_100_cases_and_less_is_not() -> None:
    drop = smallest_drop(1000, 0.005, 0.01)
    assert power(1000, drop, 0.005, 0.01) == pytest.approx(0.8, abs=0.01)
    assert power(1000, 0.8 * drop, 0.005, 0.01) < 0.7
    assert smallest_drop(1000, 0.02, 0.01) > drop, "images that flip by themselves hide a drop"
    assert smallest_drop(6, 0.0, 0.01) == math.inf, "2^-6 is above .01: six images can show nothing"
    assert smallest_drop(7, 0.0, 0.01) < math.inf


def test_as_many_images_as_are_needed_show_it() -> None:
    needed = images_needed(0.01, 0.005, 0.01)
    assert power(needed, 0.01, 0.005, 0.01) >= 0.8
    assert power(int(0.9 * needed), 0.01, 0.005, 0.01) < 0.8
    assert smallest_drop(needed, 0.005, 0.01) <= 0.01


@pytest.mark.parametrize(("number", "expected"), [(7, 7), (99, 99), (101, 110), (1234, 1300), (45_001, 46_000)])
def test_numbers_of_images_are_rounded_up_to_two_digits(number: int, expected: int) -> None:
    assert rounded_up(number) == expected
