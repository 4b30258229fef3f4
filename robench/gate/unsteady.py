"""Images that flip by themselves: their outcome differs between runs of the same attack on the same weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd

from robench.gate.cells import Cell, Flags, cell_from


def with_unsteady(cell: Cell, runs: Sequence[tuple[int, pd.DataFrame]]) -> Cell:
    """The cell with the images marked whose outcome is not that of all runs, and with how many flip from one seed to the next.

    Args:
        runs: seeds and records of the same images, attacked again; with the cell's own seed in other batches.
    """
    again = [cell_from(cell.identity, records) for _, records in runs]
    outcomes = np.stack([cell.robust, *(one.robust[one.at(cell.images)] for one in again)])
    unsteady: Flags = np.logical_and(outcomes.any(0), ~outcomes.all(0))
    seeds = [cell.identity.seed, *(seed for seed, _ in runs)]
    pairs = [
        float((outcomes[i] != outcomes[j]).mean())
        for i, j in combinations(range(len(seeds)), 2)
        if seeds[i] != seeds[j]
    ]
    return replace(cell, unsteady=unsteady, flips=round(float(np.mean(pairs)) / 2, 6) if pairs else 0.0)
