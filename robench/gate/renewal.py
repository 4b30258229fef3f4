"""A baseline that is renewed: what is better is taken over, never what is worse; and what is accepted for a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import NamedTuple

import numpy as np

from robench.errors import UsageError
from robench.gate.baseline import Acceptance, Baseline
from robench.gate.cells import Cell
from robench.gate.sources import Side
from robench.gate.verdicts import Verdict


class Renewed(NamedTuple):
    """A baseline that is proposed.

    Attributes:
        better: cells that replace those of the baseline; `added` are new.
    """

    baseline: Baseline
    better: list[Cell]
    added: list[Cell]


def renewed(before: Side, after: Side, verdicts: Sequence[Verdict]) -> Renewed:
    """The baseline with what is significantly better, and with what is new.

    A cell is taken over only if it belongs to no number that regressed and holds no fewer images than it did.
    """
    worse = {id(cell) for one in verdicts if one.kind in ("regressed", "warn") for cell in one.subject.before}
    newer: dict[int, Cell] = {}
    for verdict in verdicts:
        if verdict.kind != "improved" or verdict.pooled:
            continue
        for old, new in zip(verdict.subject.before, verdict.subject.after, strict=True):
            held = new.robust[new.at(old.images)].sum() >= old.robust.sum()
            if id(old) not in worse and (held or verdict.gate.max_rise is not None):
                newer[id(old)] = _as_unsteady_as(old, new)
    known = {cell.name for cell in before.cells}
    added = [cell for cell in after.sound() if cell.name not in known]
    cells = [newer.get(id(cell), cell) for cell in before.cells]
    return Renewed(Baseline([*cells, *added], before.accepted), [*newer.values()], added)


def accepting(known: Baseline, verdicts: Sequence[Verdict], gate: str, reason: str, expires: date) -> Baseline:
    """The baseline with the regressions of a gate accepted as they are; an acceptance of the same gate is replaced.

    Raises:
        UsageError: nothing of the gate regressed.
    """
    cells: dict[object, Cell] = {}
    for verdict in verdicts:
        if verdict.gate.id == gate and verdict.kind == "regressed":
            cells |= {cell.name: cell for cell in verdict.subject.after or verdict.subject.current}
    if not cells:
        raise UsageError(f"nothing of the gate {gate!r} regressed; there is nothing to accept")
    others = [one for one in known.accepted if one.gate != gate]
    return Baseline(known.cells, [*others, Acceptance(gate, reason, expires, [*cells.values()])])


def _as_unsteady_as(old: Cell, new: Cell) -> Cell:
    """The new cell with what is known of its images that flip by themselves."""
    if old.unsteady is None:
        return new
    return replace(new, unsteady=np.isin(new.images, old.images[old.unsteady]), flips=old.flips)
