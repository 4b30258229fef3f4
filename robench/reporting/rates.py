"""Rates: shares with their counts and intervals, of the records of one cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from robench.errors import UsageError
from robench.records.arrays import Arrays
from robench.reporting.statistics import Interval, clustered, wilson

Records = pd.DataFrame | Arrays
"""The records of one cell, as a person has them or as reports do."""


@dataclass(frozen=True)
class Rate:
    """A share of rows or images: `count` of `total`, with its 95 % interval.

    Example:
        >>> Rate(1, 4, (0.05, 0.70)).value
        0.25
    """

    count: int
    total: int
    interval: Interval

    @property
    def value(self) -> float:
        return self.count / self.total if self.total else float("nan")


def rate(values: NDArray[np.bool_], images: NDArray[Any]) -> Rate:
    """Of how many rows a flag holds.

    Args:
        images: what names the image of each row; where rows share one the interval is clustered, else it is Wilson's.
    """
    count, total = int(values.sum()), len(values)
    if total and len(np.unique(images)) < total:
        return Rate(count, total, clustered(values.astype(np.float64), images))
    return Rate(count, total, wilson(count, total))


def rate_of(flags: NDArray[np.bool_]) -> Rate:
    """Of how many images a flag holds, with Wilson's interval."""
    count, total = int(flags.sum()), len(flags)
    return Rate(count, total, wilson(count, total))


def arrays_of(records: Records) -> Arrays:
    """The records of one cell as arrays. Raises UsageError: see `one_cell`."""
    if isinstance(records, Arrays):
        return records
    one_cell(records)
    return Arrays(records)


def one_cell(records: pd.DataFrame) -> None:
    """Raises UsageError for records of several cells, as `Result.records` has them: a share of them all is of nothing."""
    named = [name for name in ("defense", "attack", "dataset", "seed", "precision") if name in records]
    if named and len(cells := records[named].drop_duplicates()) > 1:
        told = "; ".join(" under ".join(map(str, cell)) for cell in cells[named[:2]].head(3).itertuples(index=False))
        raise UsageError(
            f"a metric is of one cell, and was given the records of {len(cells)} ({told}, …); take one with "
            "records[(records.defense == '…') & (records.attack == '…')], or all with records.groupby(['defense', 'attack'])"
        )
