"""Which cells of a column are its best: the best itself, and all that a paired bootstrap cannot tell from it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from robench.reporting.statistics import paired_ratio_difference
from robench.reporting.tables import Cell


def marked(cells: Sequence[Cell], terms: Sequence[pd.DataFrame | None], higher_is_better: bool) -> list[Cell]:
    """The cells of a column, the best for the defender and its statistical ties marked; nothing where there is no rival.

    Args:
        terms: for each cell, its numerator `a` and denominator `b` for each image (index); the cell's value is Σa / Σb.
    """
    present = [place for place, cell in enumerate(cells) if not math.isnan(cell.value)]
    if len(present) < 2:
        return list(cells)
    best = max(present, key=lambda place: cells[place].value if higher_is_better else -cells[place].value)
    tied = {place for place in present if place == best or _tied(terms[best], terms[place])}
    return [replace(cell, best=place in tied) for place, cell in enumerate(cells)]


def _tied(first: pd.DataFrame | None, second: pd.DataFrame | None) -> bool:
    if first is None or second is None:
        return False
    both = first.add_suffix("_1").join(second.add_suffix("_2"), how="inner")
    if both.empty:
        return False
    a1, b1, a2, b2 = (both[name].to_numpy(dtype=np.float64) for name in ("a_1", "b_1", "a_2", "b_2"))
    ends = paired_ratio_difference((a1, b1), (a2, b2))
    return ends.low <= 0 <= ends.high
