"""Which cells of a column are its best: the best itself, and all that a paired bootstrap cannot tell from it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from robench.reporting.statistics import paired_ratio_differences
from robench.reporting.tables import Cell

FEWEST = 30
"""Rows on different images are compared on their common ones; a row that shares fewer than so many is compared with none."""


@dataclass(frozen=True)
class Terms:
    """What a cell's merit is a ratio of, over the same images: Σa / Σb.

    Attributes:
        images: ids, each once, sorted.
        a, b: numerator and denominator of each image.
    """

    images: NDArray[np.str_]
    a: NDArray[np.float64]
    b: NDArray[np.float64]

    @classmethod
    def of(cls, frame: pd.DataFrame) -> Terms:
        """Of a table by image, with columns a and b."""
        ordered = frame.sort_index()
        a, b = (ordered[name].to_numpy(dtype=np.float64) for name in ("a", "b"))
        return cls(ordered.index.to_numpy(dtype=np.str_), a, b)

    def on(self, images: NDArray[np.str_]) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        """Numerators and denominators of these images; None where it lacks one."""
        if np.array_equal(self.images, images):
            return self.a, self.b
        if not np.isin(images, self.images).all():
            return None
        places = np.searchsorted(self.images, images)
        return self.a[places], self.b[places]


def marked(cells: Sequence[Cell], terms: Sequence[Terms | None]) -> list[Cell]:
    """The cells of a column, the best for the defender and its statistical ties marked; nothing where there is no rival.

    Cells without a merit have no rank. Rows on different images are compared on those that all of them share.

    Args:
        terms: what the merit of each cell is a ratio of.
    """
    ranked = {
        i: term for i, (cell, term) in enumerate(zip(cells, terms, strict=True)) if _has_rank(cell) and term is not None
    }
    shared = common(list(ranked.values()))
    on_shared = {i: own for i, term in ranked.items() if (own := term.on(shared)) is not None and own[1].sum() > 0}
    merits = {i: float(a.sum() / b.sum()) for i, (a, b) in on_shared.items()}
    if len(merits) < 2:
        return list(cells)
    best = max(merits, key=lambda place: merits[place])
    rivals = [place for place in merits if place != best]
    ends = paired_ratio_differences(on_shared[best], [on_shared[place] for place in rivals])
    tied = {best, *(place for place, end in zip(rivals, ends, strict=True) if end.low <= 0 <= end.high)}
    return [replace(cell, best=place in tied) for place, cell in enumerate(cells)]


def common(terms: Sequence[Terms]) -> NDArray[np.str_]:
    """The images that a comparison is made on: those of the largest row that all others have, too small rows left aside."""
    images = sorted((term.images for term in terms), key=len, reverse=True)
    shared = images[0] if images else np.empty(0, dtype=np.str_)
    for other in images[1:]:
        if np.array_equal(other, shared):
            continue
        both = shared[np.isin(shared, other)]
        if len(both) == len(shared) or len(both) >= FEWEST:
            shared = both
    return shared


def _has_rank(cell: Cell) -> bool:
    return not math.isnan(cell.value) and not math.isnan(cell.merit)
