"""Verdicts: what a gate says of one of its numbers, and what a check ends with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from robench.gate.changes import Change
from robench.gate.policy import ERRORS, Gate
from robench.gate.subjects import Subject

Kind = Literal["regressed", "incomparable", "missing", "inconclusive", "warn", "improved", "pass"]
ORDER: tuple[Kind, ...] = ("regressed", "incomparable", "missing", "inconclusive", "warn", "improved", "pass")


@dataclass(frozen=True, eq=False)
class Verdict:
    """What is said of one number.

    Attributes:
        p: of the test that decides, after Holm's correction; NaN where there is none.
        raw_p: the same before it.
        current: the number as it is now, of all its cells and images, which floors are judged by.
        smallest: the smallest drop, in points, that so many images show in 80 of 100 cases, after the correction.
        needed: how many images would settle it; 0: it is settled, or none would.
        lost, won: images; -1 of a metric that does not count them.
        unsteady: of those lost and of those won, how many are known to flip by themselves; None: it is not known.
        notes: what must be read with it: a floor, what changed, an acceptance.
        pooled: it is of all numbers of the gate together.
        weaker: an attack got weaker.
    """

    gate: Gate
    subject: Subject
    change: Change
    kind: Kind = "pass"
    p: float = math.nan
    raw_p: float = math.nan
    current: float = math.nan
    smallest: float = math.nan
    needed: int = 0
    lost: int = -1
    won: int = -1
    unsteady: tuple[int, int] | None = None
    notes: tuple[str, ...] = ()
    pooled: bool = False
    weaker: bool = False

    @property
    def worse(self) -> float:
        """Points that it is worse by for the defender."""
        return self.change.points * (1 if self.gate.metric in ERRORS else -1)

    @property
    def lost_images(self) -> NDArray[np.str_]:
        """Ids of the images that were right and are not."""
        if self.change.was is None or self.change.now is None:
            return np.zeros(0, dtype=np.str_)
        return self.change.images[self.change.was & ~self.change.now]

    def saying(self, kind: Kind, *notes: str) -> Verdict:
        return replace(self, kind=kind, notes=(*self.notes, *filter(None, notes)))


def exit_status(verdicts: Sequence[Verdict], *, strict: bool = False) -> int:
    """0: fine; 1: a regression; 3: missing or incomparable; 4: inconclusive, where that matters."""
    kinds = {verdict.kind for verdict in verdicts if verdict.gate.severity == "error"}
    if "regressed" in kinds:
        return 1
    if kinds & {"missing", "incomparable"}:
        return 3
    return 4 if strict and "inconclusive" in kinds else 0
