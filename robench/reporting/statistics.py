"""Intervals and paired tests. All cover the sampling of test images, not of training seeds."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Z = 1.959963984540054
"""The standard normal's quantile at 97.5 %."""
CELLS = 4_000_000
"""Draws of images that are held at a time, 32 MB of them."""


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


def clustered(values: Array, images: NDArray[Any], resamples: int = 2000) -> Interval:
    """Bootstrap interval for a mean over rows of which several share an image: whole images are drawn again."""
    _, image = np.unique(images, return_inverse=True)
    sums, counts = (np.bincount(image, weights).astype(np.float64) for weights in (values, None))
    return ratio_interval(sums, counts, resamples)


def ratio_interval(above: Array, below: Array, resamples: int = 2000) -> Interval:
    """Bootstrap interval, over images, of Σa/Σb.

    Args:
        above, below: numerators and denominators, one an image.
    """
    drawn = [(weights @ above) / (weights @ below) for weights in draws(len(above), resamples)]
    low, high = np.quantile(np.concatenate(drawn), [0.025, 0.975])
    return Interval(float(low), float(high))


def paired_ratio_difference(first: tuple[Array, Array], second: tuple[Array, Array], resamples: int = 2000) -> Interval:
    """Bootstrap interval, over images, of Σa₁/Σb₁ − Σa₂/Σb₂: two rates or means with denominators of their own.

    Args:
        first, second: numerators and denominators, one an image, of the same images in the same order.
    """
    return paired_ratio_differences(first, [second], resamples)[0]


def paired_ratio_differences(
    first: tuple[Array, Array], others: Sequence[tuple[Array, Array]], resamples: int = 2000
) -> list[Interval]:
    """The same of one against each of several, all of them on the images of the same draws."""
    above, below = (np.stack([pair[part] for pair in (first, *others)], axis=1) for part in (0, 1))
    images = len(above)
    rates = bool((below == 1).all())  # whose denominators are as many images in every draw
    with np.errstate(invalid="ignore", divide="ignore"):
        drawn = [(weights @ above) / (images if rates else weights @ below) for weights in draws(images, resamples)]
    ratios = np.concatenate(drawn)
    differences = ratios[:, :1] - ratios[:, 1:]
    # Equal columns of a product of matrices differ in their last bits; what is equal must be a tie.
    differences[np.abs(differences) <= 1e-12 * np.abs(ratios[:, :1])] = 0.0
    differences[~np.isfinite(differences)] = np.nan  # of a draw without any of the images that a ratio is of
    known = np.flatnonzero(np.isfinite(differences).any(axis=0))
    ends = np.full((2, len(others)), [[-math.inf], [math.inf]])
    ends[:, known] = _quantiles(differences[:, known])
    return [Interval(float(low), float(high)) for low, high in ends.T]


def _quantiles(draws: Array) -> Array:
    """The ends of 95 % of the draws (first axis) that are known."""
    quantile = np.nanquantile if np.isnan(draws).any() else np.quantile
    return np.asarray(quantile(draws, [0.025, 0.975], axis=0), dtype=np.float64)


def draws(images: int, resamples: int) -> Iterator[Array]:
    """How often each image is in each of many draws with replacement: (draws, images), as many draws at a time as memory allows.

    A sum over the images of a draw is then a row of a product of matrices. They are the same draws every time.
    """
    if images * resamples <= CELLS:
        yield _draws(images, resamples)
        return
    random, step = np.random.default_rng(0), max(1, CELLS // images)
    for start in range(0, resamples, step):
        yield _weights(random, images, min(step, resamples - start))


@lru_cache(maxsize=1)
def _draws(images: int, resamples: int) -> Array:
    """Those of few images, kept: all columns of a table are of the same ones."""
    return _weights(np.random.default_rng(0), images, resamples)


def _weights(random: np.random.Generator, images: int, resamples: int) -> Array:
    picks = random.integers(0, images, (resamples, images)) + images * np.arange(resamples)[:, None]
    return np.bincount(picks.ravel(), minlength=resamples * images).reshape(resamples, images).astype(np.float64)


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
