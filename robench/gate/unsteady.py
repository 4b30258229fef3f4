"""Images that flip by themselves: their outcome differs between runs of the same attack on the same weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd

from robench.gate.cells import Cell, Flags, cell_from


def with_unsteady(cell: Cell, runs: Sequence[pd.DataFrame]) -> Cell:
    """The cell with the images marked whose outcome is not that of all runs, and with how many flip from one run to the next.

    Args:
        runs: records of the same images, attacked again with other seeds or in other batches.
    """
    again = [cell_from(cell.identity, records) for records in runs]
    outcomes = np.stack([cell.robust, *(one.robust[one.at(cell.images)] for one in again)])
    unsteady: Flags = np.logical_and(outcomes.any(0), ~outcomes.all(0))
    pairs = [float((first != second).mean()) for first, second in combinations(outcomes, 2)]
    return replace(cell, unsteady=unsteady, flips=round(float(np.mean(pairs)) / 2, 6))
