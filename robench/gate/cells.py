"""Cells as the gate compares them: one attack at one condition on one trained defense, and what became of each image."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from robench.attacking.balls import largest_inside
from robench.records.unit import Measured
from robench.reporting.printed import Printed, printed
from robench.reporting.sequences import of_sequences

Flags = NDArray[np.bool_]
Sizes = NDArray[np.float64]
STEPS = 64
"""Steps of a size to its double: 1.1 %. Sizes before and after are rounded alike, so that what did not change does not."""
FAILED = 4095
"""Code of a size that is infinite; 0 is that of 0."""


@dataclass(frozen=True, eq=False)
class Cell:
    """A cell and, for each of its images, in the order of their ids, what became of it.

    Attributes:
        images: ids, sorted, (N,).
        correct: classified correctly before the attack, (N,).
        robust: still classified correctly under the attack, whatever its size, (N,).
        sizes: of a minimal attack, codes of the smallest perturbation that fools the model, (N,); see `size_codes`.
        unsteady: images that are known to flip by themselves, (N,); None: it is not known which.
        flips: share of the images that flip by themselves from one run to the next, each way, where that is known.
        refused: why there are no numbers; all images are left out then.
        distances: the sizes themselves, where they are known; a baseline has codes alone.
        measured: the unit, where there is a store.
    """

    identity: Printed
    images: NDArray[np.str_]
    correct: Flags
    robust: Flags
    sizes: NDArray[np.uint16] | None = None
    unsteady: Flags | None = None
    flips: float = 0.0
    refused: str = ""
    distances: Sizes | None = None
    measured: Measured | None = None

    @property
    def name(self) -> tuple[tuple[str, str, str], int, str]:
        """What a person asked for, with which seed and in which precision."""
        return self.identity.key, self.identity.seed, self.identity.precision

    def robust_within(self, eps: float | None, *, exactly: bool = False) -> Flags:
        """Still classified correctly against perturbations of at most eps; None: of the cell's own radius, or any.

        Args:
            exactly: by the sizes themselves, where they are known, and not by their codes, which both sides of a comparison have.
        """
        if eps is None or self.sizes is None:
            return self.robust
        radius = largest_inside(self.identity.norm, eps)
        if exactly and self.distances is not None:
            return np.asarray(self.distances > radius, dtype=bool)
        return np.asarray(self.sizes > size_codes(np.array([radius]))[0], dtype=bool)

    def at(self, images: NDArray[np.str_]) -> NDArray[np.int64]:
        """The places of these images, all of which it has."""
        return np.searchsorted(self.images, images)


def size_codes(sizes: Sizes) -> NDArray[np.uint16]:
    """Sizes in 12 bits each, rounded down on a fixed grid of powers of 2^(1/64) from 2^-32 on; failures are infinite.

    Example:
        >>> size_of(size_codes(np.array([0.0, 0.5, np.inf]))).tolist()
        [0.0, 0.5, inf]
    """
    with np.errstate(divide="ignore"):
        steps = np.floor(STEPS * (np.log2(sizes) + 32) + 1e-9)
    inner = np.clip(np.nan_to_num(steps, nan=1, posinf=FAILED - 1, neginf=1), 1, FAILED - 1)
    codes = np.where(sizes <= 0, 0, np.where(np.isinf(sizes), FAILED, inner))
    return codes.astype(np.uint16)


def size_of(codes: NDArray[np.uint16]) -> Sizes:
    """The sizes that codes stand for."""
    sizes = 2.0 ** (codes.astype(np.float64) / STEPS - 32)
    return np.where(codes == 0, 0.0, np.where(codes == FAILED, np.inf, sizes))


def cell_of(one: Measured) -> Cell | None:
    """The cell of a unit; None for frames of sequences and for unseen classes, whose metrics are not of single images."""
    facts = one.unit.facts
    if of_sequences(one.unit) or facts.unseen:
        return None
    return replace(cell_from(printed(one), one.records), measured=one)


def cell_from(identity: Printed, records: pd.DataFrame) -> Cell:
    """A cell from its records; of several rows of an image (targets, masks) the one that is worst for the defender counts."""
    by_image = pd.DataFrame(
        {
            "image": records["image"].astype(str),
            "correct": records["correct"].astype(bool),
            "fooled": records["fooled"].astype(bool),
            "size": records[identity.norm].astype(float).where(records["fooled"].astype(bool), np.inf),
        }
    ).groupby("image")
    frame = by_image.agg({"correct": "first", "fooled": "any", "size": "min"}).sort_index()
    sizes = frame["size"].to_numpy(dtype=np.float64)
    return Cell(
        identity,
        frame.index.to_numpy(dtype=np.str_),
        frame["correct"].to_numpy(dtype=bool),
        ~frame["fooled"].to_numpy(dtype=bool),
        size_codes(sizes) if identity.goal == "minimal" else None,
        distances=sizes if identity.goal == "minimal" else None,
    )
