"""Rates: shares with their counts and intervals, of the records of one cell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from robench.errors import UsageError
from robench.reporting.statistics import Interval, clustered, wilson


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


def rate(values: NDArray[np.bool_], images: NDArray[np.str_]) -> Rate:
    count, total = int(values.sum()), len(values)
    if total and len(np.unique(images)) < total:
        return Rate(count, total, clustered(values.astype(np.float64), images))
    return Rate(count, total, wilson(count, total))


def rate_of(flags: pd.Series) -> Rate:
    """Of how many images (index, each once) a flag holds, with Wilson's interval."""
    return rate(flags.to_numpy(dtype=bool), flags.index.to_numpy(dtype=np.str_))


def one_cell(records: pd.DataFrame) -> None:
    """Raises UsageError for records of several cells, as `Result.records` has them: a share of them all is of nothing."""
    named = [name for name in ("defense", "attack", "dataset", "seed", "precision") if name in records]
    if named and len(cells := records[named].drop_duplicates()) > 1:
        told = "; ".join(" under ".join(map(str, cell)) for cell in cells[named[:2]].head(3).itertuples(index=False))
        raise UsageError(
            f"a metric is of one cell, and was given the records of {len(cells)} ({told}, …); take one with "
            "records[(records.defense == '…') & (records.attack == '…')], or all with records.groupby(['defense', 'attack'])"
        )


def images_of(records: pd.DataFrame) -> NDArray[np.str_]:
    return records["image"].to_numpy(dtype=np.str_)
