"""Ranks that mean something: who is significantly better than whom, over the images that both were tested on.

Every pair is compared by McNemar's exact test, and Holm's correction is over all pairs, so that with many rows there is a 5 %
chance of any false difference at all.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from robench.reporting.statistics import holm, mcnemar

Flags = NDArray[np.bool_]
ALPHA = 0.05
SPLITS = 50
"""Half splits of the images, for how often the first row stays first."""


def better(right: Flags, wrong: Flags) -> Flags:
    """Which row is significantly better than which.

    Args:
        right, wrong: (rows, images), whether a row is right, or wrong, on an image; neither where it was not tested on it.

    Returns:
        (rows, rows): [i, j] is whether row i is better than row j, on the images that both have.
    """
    count = len(right)
    found = np.zeros((count, count), dtype=bool)
    if count < 2:
        return found
    only = (right.astype(np.float64) @ wrong.astype(np.float64).T).round().astype(np.int64)
    first, second = np.triu_indices(count, 1)
    more, less = only[first, second], only[second, first]
    apart = holm(mcnemar(more, less)) < ALPHA
    found[first[apart & (more > less)], second[apart & (more > less)]] = True
    found[second[apart & (more < less)], first[apart & (more < less)]] = True
    return found


def ranks(better_than: Flags) -> list[int]:
    """1 + the number of rows that are significantly better: rows that none can be told from share a rank."""
    return [1 + int(better_than[:, row].sum()) for row in range(len(better_than))]


def separable(better_than: Flags) -> int:
    """How many pairs of neighbours, in the order of the rows, can be told apart."""
    return sum(bool(better_than[i, i + 1] or better_than[i + 1, i]) for i in range(len(better_than) - 1))


def stays_first(right: Flags, wrong: Flags, splits: int = SPLITS) -> int:
    """In how many of so many random halves of the images the first row is still first, ties counted as staying.

    Each row is taken on what it has of a half; halves are the same in every call.

    Args:
        right, wrong: as of `better`.
    """
    images, random = right.shape[1], np.random.default_rng(0)
    halves = np.zeros((images, splits))
    for split in range(splits):
        halves[random.permutation(images)[: max(1, images // 2)], split] = 1.0
    hits, misses = right @ halves, wrong @ halves
    shares = np.where(hits + misses > 0, hits / np.maximum(1, hits + misses), -1.0)
    return int((shares[0] >= shares.max(0)).sum())
