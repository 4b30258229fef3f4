"""Bootstrap over images of any statistic of many conditions, each measured on the same images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robench.errors import DataError
from robench.reporting.statistics import Interval, draws

Array = NDArray[np.float64]
Statistic = Callable[[Array], float]
"""From the mean of each condition over the images, (conditions,), to a number."""


class Estimate(NamedTuple):
    """A statistic of all images, and its 95 % interval."""

    value: float
    interval: Interval


def bootstrap(statistic: Statistic, outcomes: NDArray[Any], resamples: int = 2000) -> Estimate:
    """A statistic with a percentile interval; whole images are drawn again, with all their conditions.

    Args:
        outcomes: of an image (a clip) under a condition, (images, conditions): whether it is wrong, or any finite number.

    Raises:
        DataError: there are no images, or one lacks a condition.
    """
    rows = _rows(outcomes)
    return _estimate(statistic(rows.mean(0)), [statistic(means) for (means,) in _resampled([rows], resamples)])


def paired_bootstrap(
    statistic: Statistic, first: NDArray[Any], second: NDArray[Any], resamples: int = 2000
) -> Estimate:
    """statistic(first) − statistic(second), with an interval for which both meet the same images in every draw.

    Args:
        first, second: outcomes of two models on the same images in the same order, as of `bootstrap`.

    Raises:
        DataError: as of `bootstrap`, or they differ in their shape.
    """
    rows = [_rows(first), _rows(second)]
    if rows[0].shape != rows[1].shape:
        raise DataError(
            f"outcomes of {rows[0].shape} and of {rows[1].shape} (images, conditions) are no pairs; "
            "take the images and the conditions that both have"
        )
    differences = [statistic(one) - statistic(other) for one, other in _resampled(rows, resamples)]
    return _estimate(statistic(rows[0].mean(0)) - statistic(rows[1].mean(0)), differences)


def _rows(outcomes: NDArray[Any]) -> Array:
    rows = np.asarray(outcomes, dtype=np.float64)
    if rows.ndim != 2 or not rows.size:
        raise DataError(f"outcomes of the shape {rows.shape} cannot be resampled; (images, conditions) is wanted")
    if len(lacking := np.flatnonzero(~np.isfinite(rows).all(1))):
        raise DataError(
            f"{len(lacking)} of {len(rows)} images lack a condition, the first of them in row {lacking[0]}; "
            "all conditions must be measured on the same images"
        )
    return rows


def _resampled(tables: list[Array], resamples: int) -> Iterator[list[Array]]:
    """The means of every table's conditions over images drawn with replacement, the same ones for all tables."""
    images = len(tables[0])
    for weights in draws(images, resamples):
        yield from map(list, zip(*(weights @ table / images for table in tables), strict=True))


def _estimate(value: float, draws: list[float]) -> Estimate:
    """Draws for which the statistic is not defined (NaN), as a ratio to no errors at all is not, are left out."""
    if not (known := [draw for draw in draws if not np.isnan(draw)]):
        return Estimate(value, Interval(float("nan"), float("nan")))
    low, high = np.quantile(known, [0.025, 0.975])
    return Estimate(value, Interval(float(low), float(high)))
