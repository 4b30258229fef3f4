"""Paired comparisons of outcomes on the same images: was anything lost, how much, and what could so many images have shown?

Of two runs an image may be *lost* (robust before, fooled now) or *won* (fooled before, robust now); the others tell nothing.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from robench.reporting.statistics import Interval, Z

POWER = 0.8
"""A drop is one that n images can show where they show it so often."""
MOST_FLIPS = 2_000_000
"""Beyond so many net flips in all, the sum over images is taken as normal."""
MOST_IMAGES = 10**7


def lost_p(lost: int, won: int) -> float:
    """McNemar's exact test, one-sided: as many lost or more, where each image that flipped is as likely lost as won.

    Example:
        >>> lost_p(7, 0)
        0.0078125
    """
    from scipy.stats import binom

    return float(binom.sf(lost - 1, lost + won, 0.5)) if lost else 1.0


def change_interval(lost: int, won: int, images: int) -> Interval:
    """95 % interval of the change of a share, (won - lost) / images, of pairs.

    The adjusted Wald interval of Bonett & Price (2012): one image more is lost and one more won than were, of two more. It
    is no point where nothing flipped.

    Example:
        >>> low, high = change_interval(0, 0, 98); round(low, 3), round(high, 3)
        (-0.028, 0.028)
    """
    up, down = (won + 1) / (images + 2), (lost + 1) / (images + 2)
    reach = Z * math.sqrt((up + down - (up - down) ** 2) / (images + 2))
    return Interval(max(-1.0, up - down - reach), min(1.0, up - down + reach))


def flipped_p(net: NDArray[np.int64]) -> float:
    """One-sided p-value of many cells at once: for each image its before and its after are exchanged in all cells together.

    What an image adds to the sum is ± its net losses, so that cells which share images need not be independent. The
    distribution of the sum is computed, not drawn.

    Args:
        net: for each image, in how many cells it was lost, less in how many it was won.

    Example:
        >>> flipped_p(np.array([1, 1, 1, 0])), flipped_p(np.array([3, -1]))
        (0.125, 0.5)
    """
    sizes, total = np.abs(net[net != 0]), int(net.sum())
    if not len(sizes):
        return 1.0
    reach = int(sizes.sum())
    if reach > MOST_FLIPS:
        from scipy.stats import norm

        return float(norm.sf(total / math.sqrt(float((sizes.astype(np.float64) ** 2).sum()))))
    angles = 2 * np.pi * np.arange(2 * reach + 1) / (2 * reach + 1)
    transform = np.ones(len(angles))  # of a sum of ± v: the product of cos(v θ)
    for size, count in zip(*np.unique(sizes, return_counts=True), strict=True):
        transform *= np.cos(size * angles) ** int(count)
    chances = np.fft.ifft(transform).real  # of the sums 0, 1, …, reach, -reach, …, -1
    sums = np.concatenate([np.arange(reach + 1), np.arange(-reach, 0)])
    return float(np.clip(chances[sums >= total].sum(), 2.0 ** -len(sizes), 1.0))


def power(images: int, drop: float, flips: float, alpha: float) -> float:
    """How often so many images show a drop by McNemar's one-sided test.

    Args:
        drop: share of the images that are lost besides.
        flips: share of the images that flip by themselves, each way.

    Example:
        >>> round(power(1000, 0.02, 0.005, 0.01), 2), round(power(256, 0.02, 0.005, 0.01), 2)
        (0.91, 0.18)
    """
    from scipy.stats import binom

    flipping = min(1.0, 2 * flips + drop)
    if flipping <= 0:
        return 0.0
    middle, spread = images * flipping, math.sqrt(images * flipping * (1 - flipping))
    counts = np.arange(max(0, int(middle - 8 * spread) - 8), min(images, int(middle + 8 * spread) + 8) + 1)
    least = binom.isf(alpha, counts, 0.5) + 1  # the smallest number of lost ones that is significant
    seen = binom.sf(least - 1, counts, (flips + drop) / flipping)
    return float((binom.pmf(counts, images, flipping) * np.where(least > counts, 0.0, seen)).sum())


@lru_cache(maxsize=4096)
def smallest_drop(images: int, flips: float, alpha: float) -> float:
    """The smallest drop, a share, that so many images show in 80 of 100 cases; infinite where they can show none.

    Example:
        >>> round(smallest_drop(1000, 0.0, 0.01), 4)
        0.0091
    """
    low, high = 0.0, 1 - 2 * min(flips, 0.5)
    if power(images, high, flips, alpha) < POWER:
        return math.inf
    while high - low > 1e-4 * high:
        middle = (low + high) / 2
        low, high = (low, middle) if power(images, middle, flips, alpha) >= POWER else (middle, high)
    return high


@lru_cache(maxsize=4096)
def images_needed(drop: float, flips: float, alpha: float) -> int:
    """How many images show this drop in 80 of 100 cases, rounded up to two digits.

    Example:
        >>> images_needed(0.01, 0.005, 0.01)
        2600
    """
    high = 8
    while power(high, drop, flips, alpha) < POWER:
        high *= 2
        if high > MOST_IMAGES:
            return MOST_IMAGES
    low = high // 2
    while high - low > max(1, high // 200):
        middle = (low + high) // 2
        low, high = (low, middle) if power(middle, drop, flips, alpha) >= POWER else (middle, high)
    return rounded_up(high)


def rounded_up(number: float) -> int:
    """To two digits.

    Example:
        >>> rounded_up(1234), rounded_up(7)
        (1300, 7)
    """
    unit: int = 10 ** max(0, math.ceil(math.log10(number)) - 2)
    return math.ceil(number / unit) * unit
