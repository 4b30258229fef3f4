"""Intervals and paired tests. All cover the sampling of test images, not of training seeds."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Z = 1.959963984540054
"""The standard normal's quantile at 97.5 %."""


class Interval(NamedTuple):
    """A 95 % confidence interval."""

    low: float
    high: float


def wilson(successes: int, trials: int) -> Interval:
    """Wilson's score interval for a share (1927), where a row is one image."""
    if trials == 0:
        return Interval(float("nan"), float("nan"))
    share, spread = successes / trials, Z * Z / trials
    middle = (share + spread / 2) / (1 + spread)
    reach = Z * math.sqrt((share * (1 - share) + spread / 4) / trials) / (1 + spread)
    return Interval(0.0 if successes == 0 else middle - reach, 1.0 if successes == trials else middle + reach)


def clustered(values: Array, images: NDArray[np.str_], resamples: int = 2000) -> Interval:
    """Bootstrap interval for a mean over rows of which several share an image: whole images are drawn again."""
    _, image = np.unique(images, return_inverse=True)
    sums, counts = np.bincount(image, values), np.bincount(image)
    picks = np.random.default_rng(0).integers(0, len(sums), (resamples, len(sums)))
    means = sums[picks].sum(1) / counts[picks].sum(1)
    low, high = np.quantile(means, [0.025, 0.975])
    return Interval(float(low), float(high))


def paired_ratio_difference(first: tuple[Array, Array], second: tuple[Array, Array], resamples: int = 2000) -> Interval:
    """Bootstrap interval, over images, of Σa₁/Σb₁ − Σa₂/Σb₂: two rates or means with denominators of their own.

    Args:
        first, second: numerators and denominators, one an image, of the same images in the same order.
    """
    picks = np.random.default_rng(0).integers(0, len(first[0]), (resamples, len(first[0])))
    with np.errstate(invalid="ignore", divide="ignore"):
        difference = first[0][picks].sum(1) / first[1][picks].sum(1) - second[0][picks].sum(1) / second[1][picks].sum(1)
    difference = difference[np.isfinite(difference)]
    if not len(difference):
        return Interval(float("-inf"), float("inf"))
    low, high = np.quantile(difference, [0.025, 0.975])
    return Interval(float(low), float(high))


def mcnemar(first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.float64]:
    """Exact two-sided p-values: of the images that only one of two models is right on, each is as likely.

    Args:
        first, second: how many images only the one, or only the other, is right on; of any shape.

    Example:
        >>> mcnemar(np.array([8]), np.array([1])).round(4)
        array([0.0391])
    """
    from scipy.stats import binom

    few, all_of_them = np.minimum(first, second), first + second
    p: NDArray[np.float64] = np.minimum(1.0, 2 * binom.cdf(few, all_of_them, 0.5))
    return p


def holm(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Adjusted p-values by Holm's step-down (1979); no assumption about how the tests depend on each other.

    Example:
        >>> holm(np.array([0.01, 0.04, 0.03])).round(2)
        array([0.03, 0.06, 0.06])
    """
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1.0, stepped)
    return adjusted
