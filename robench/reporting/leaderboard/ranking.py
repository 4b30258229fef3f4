"""Ranks that mean something: who is significantly better than whom, over the images that both were tested on.

Every pair is compared by McNemar's exact test, and Holm's correction is over all pairs, so that with many rows there is a 5 %
chance of any false difference at all.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Flags = NDArray[np.bool_]
ALPHA = 0.05
SPLITS = 50
"""Half splits of the images, for how often the first row stays first."""


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


def better(outcomes: Sequence[pd.Series]) -> Flags:
    """Which row is significantly better than which.

    Args:
        outcomes: for each row, whether it is right on each image (index); rows may be of different images.

    Returns:
        (rows, rows): [i, j] is whether row i is better than row j, on the images that both have.
    """
    count = len(outcomes)
    found = np.zeros((count, count), dtype=bool)
    if count < 2:
        return found
    right, wrong = _matrices(outcomes)
    only = (right @ wrong.T).round().astype(np.int64)
    upper = np.triu_indices(count, 1)
    p = holm(mcnemar(only[upper], only.T[upper]))
    for i, j, value in zip(*upper, p, strict=True):
        if value < ALPHA:
            winner, loser = (i, j) if only[i, j] > only[j, i] else (j, i)
            found[winner, loser] = True
    return found


def ranks(better_than: Flags) -> list[int]:
    """1 + the number of rows that are significantly better: rows that none can be told from share a rank."""
    return [1 + int(better_than[:, row].sum()) for row in range(len(better_than))]


def separable(better_than: Flags) -> int:
    """How many pairs of neighbours, in the order of the rows, can be told apart."""
    return sum(bool(better_than[i, i + 1] or better_than[i + 1, i]) for i in range(len(better_than) - 1))


def stays_first(outcomes: Sequence[pd.Series], splits: int = SPLITS) -> int:
    """In how many of so many random halves of the images the first row is still first, ties counted as staying.

    Each row is taken on what it has of a half; halves are the same in every call.
    """
    right, wrong = _matrices(outcomes)
    images, random, stayed = right.shape[1], np.random.default_rng(0), 0
    for _ in range(splits):
        half = np.zeros(images)
        half[random.permutation(images)[: max(1, images // 2)]] = 1.0
        hits, misses = right @ half, wrong @ half
        shares = np.where(hits + misses > 0, hits / np.maximum(1, hits + misses), -1.0)
        stayed += bool(shares[0] >= shares.max())
    return stayed


def _matrices(outcomes: Sequence[pd.Series]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Whether each row is right, and whether it is wrong, on each image of any row; neither where it has none."""
    table = pd.concat([one.astype(float) for one in outcomes], axis=1).to_numpy(dtype=np.float64).T
    return (table == 1.0).astype(np.float64), (table == 0.0).astype(np.float64)
