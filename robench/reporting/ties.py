"""Which cells of a column are its best: the best itself, and all that a paired bootstrap cannot tell from it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from robench.reporting.statistics import paired_ratio_difference
from robench.reporting.tables import Cell

FEWEST = 30
"""Rows on different images are compared on their common ones; a row that shares fewer than so many is compared with none."""


def marked(cells: Sequence[Cell], terms: Sequence[pd.DataFrame | None]) -> list[Cell]:
    """The cells of a column, the best for the defender and its statistical ties marked; nothing where there is no rival.

    Cells without a merit have no rank. Rows on different images are compared on those that all of them share.

    Args:
        terms: for each cell, the numerator `a` and denominator `b` of its merit for each image (index).
    """
    ranked = {
        i: term for i, (cell, term) in enumerate(zip(cells, terms, strict=True)) if _has_rank(cell) and term is not None
    }
    shared = common(list(ranked.values()))
    on_shared = {i: term.loc[shared] for i, term in ranked.items() if shared.isin(term.index).all()}
    merits = {i: _ratio(term) for i, term in on_shared.items() if term["b"].sum() > 0}
    if len(merits) < 2:
        return list(cells)
    best = max(merits, key=lambda place: merits[place])
    tied = {place for place in merits if place == best or _tied(on_shared[best], on_shared[place])}
    return [replace(cell, best=place in tied) for place, cell in enumerate(cells)]


def common(terms: Sequence[pd.DataFrame]) -> pd.Index:
    """The images that a comparison is made on: those of the largest row that all others have, too small rows left aside."""
    images = sorted((term.index for term in terms), key=len, reverse=True)
    shared = images[0] if images else pd.Index([])
    for other in images[1:]:
        both = shared[shared.isin(other)]
        if len(both) == len(shared) or len(both) >= FEWEST:
            shared = both
    return shared


def _has_rank(cell: Cell) -> bool:
    return not math.isnan(cell.value) and not math.isnan(cell.merit)


def _ratio(term: pd.DataFrame) -> float:
    return float(term["a"].sum() / term["b"].sum())


def _tied(first: pd.DataFrame, second: pd.DataFrame) -> bool:
    a1, b1, a2, b2 = (own[name].to_numpy(dtype=np.float64) for own in (first, second) for name in ("a", "b"))
    ends = paired_ratio_difference((a1, b1), (a2, b2))
    return ends.low <= 0 <= ends.high
