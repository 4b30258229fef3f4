"""What a gate compares: which cells make one number, and which of them belong together before and after."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from robench.entries.calls import written_float
from robench.errors import UsageError
from robench.gate.cells import Cell
from robench.gate.policy import Gate
from robench.gate.sources import Side
from robench.reporting.printed import Printed


class Problem(NamedTuple):
    """Why two runs cannot be compared: "missing" or "incomparable", and the part."""

    kind: str
    part: str


@dataclass(frozen=True, eq=False)
class Subject:
    """One number of a gate: the cells that it is made of.

    Attributes:
        text: as a table has it.
        before, after: cells, the same in the same order where it can be compared; before is empty of what is new.
        current: all cells of now that belong to it, which floors are judged by.
        problem: why it cannot be compared.
    """

    text: str
    before: list[Cell]
    after: list[Cell]
    problem: Problem | None = None
    current: list[Cell] = field(default_factory=list)

    def changed(self) -> list[str]:
        """What may differ and does: weights, code, engine, versions."""
        found = list[str]()
        for name in ("weights", "code", "engine", "torch", "device", "processor", "threads"):
            pairs = {
                (getattr(b.identity, name), getattr(a.identity, name))
                for b, a in zip(self.before, self.after, strict=True)
            }
            differing = [(b, a) for b, a in sorted(pairs, key=str) if b != a and b not in ("", 0)]
            if differing:
                short = [f"{str(b)[:32]} → {str(a)[:32]}" for b, a in differing]
                found.append(f"{name} {short[0]}" if len(short) == 1 and name != "code" else name)
        return found


def subjects(gate: Gate, before: Side | None, after: Side) -> list[Subject]:
    """The numbers that a gate looks at, those of the baseline first.

    Raises:
        UsageError: it selects nothing.
    """
    named = {
        side: _by_number(gate, cells.cells if cells else []) for side, cells in (("before", before), ("after", after))
    }
    found = [
        _subject(text, cells, gate, after, named["after"].get(text, [])) for text, cells in named["before"].items()
    ]
    for text, cells in named["after"].items():
        if text not in named["before"]:
            broken = [cell.refused for cell in cells if cell.refused]
            problem = Problem("missing", f"it broke down: {broken[0]}") if broken else None
            found.append(Subject(text, [], cells, problem, cells))
    if not found and not gate.default:
        every = [*(before.cells if before else []), *after.cells]
        there = "; ".join(sorted({cell.identity.text for cell in every})[:3])
        raise UsageError(
            f"the gate {gate.id!r} selects nothing: no cell has a {gate.metric} and is of {gate.selection}; there are {there}"
            f"{', …' if len(every) > 3 else ''}"
        )
    return found


def _by_number(gate: Gate, cells: Sequence[Cell]) -> dict[str, list[Cell]]:
    """The cells that each number is made of, by its text; of what was attacked with several seeds or precisions a number each."""
    of: dict[str, list[Cell]] = {}
    for cell in cells:
        if gate.chooses(cell.identity) and (text := _text(gate, cell.identity)):
            of.setdefault(text, []).append(cell)
    found: dict[str, list[Cell]] = {}
    for text, own in of.items():
        if gate.metric == "clean_accuracy":
            # Which no attack changes: one cell of the newest weights, with the most images.
            sound = [cell for cell in own if not cell.refused]
            alike = [cell for cell in sound if cell.identity.weights == sound[0].identity.weights]
            found |= {text: [max(alike, key=lambda cell: len(cell.images))]} if alike else {}
            continue
        usual = min((cell.identity.seed, cell.identity.precision != "float32") for cell in own)
        for cell in own:
            seed, precision = cell.identity.seed, cell.identity.precision
            more = [f"attack seed {seed}"] if seed != usual[0] else []
            more += [precision] if precision != "float32" and not usual[1] else []
            found.setdefault(", ".join([text, *more]), []).append(cell)
    return found


def _text(gate: Gate, one: Printed) -> str:
    """The number that a cell belongs to; empty: none of this metric's."""
    minimal = one.goal == "minimal"
    within = gate.eps if minimal else one.eps
    row = f"{one.defense} on {one.dataset}"
    match gate.metric:
        case "robust_accuracy" if gate.at_any_distance:
            return f"{one.text}, at any distance" if minimal else ""
        case "robust_accuracy":
            near = f" within {written_float(gate.eps)}" if minimal and gate.eps else ""
            return "" if minimal and gate.eps is None else f"{one.text}{near}"
        case "mean_distance":
            return one.text if minimal else ""
        case "clean_accuracy":
            return row
        case "worst_case":
            at = gate.eps is None or (within is not None and math.isclose(within, gate.eps, rel_tol=1e-6))
            known = one.goal != "natural" and within is not None and at
            return f"{row}, worst case within {one.norm} {written_float(within)}" if known and within else ""
        case _:
            return f"{one.defense} on {one.family or one.dataset}" if one.of_corruption else ""


def _subject(text: str, before: list[Cell], gate: Gate, after: Side, current: list[Cell]) -> Subject:
    """The same cells of now, or why there are none."""
    partners, problems = list[Cell](), list[Problem]()
    for cell in before:
        there = current if gate.metric == "clean_accuracy" else after.of(cell.identity.key)
        partner, problem = _partner(cell, gate, there)
        if problem:
            problems.append(problem)
        if partner is not None:
            partners.append(partner)
    problems += [Problem("missing", f"it broke down: {one.refused}") for one in current if one.refused]
    if not problems:
        return Subject(text, before, partners, None, current)
    worst = min(problems, key=lambda one: ("incomparable", "missing").index(one.kind))
    parts = list(dict.fromkeys(one.part for one in problems if one.kind == worst.kind))
    more = f" (and {len(parts) - 1} more)" if len(parts) > 1 else ""
    return Subject(text, before, partners, Problem(worst.kind, parts[0] + more), current)


def _partner(cell: Cell, gate: Gate, there: Sequence[Cell]) -> tuple[Cell | None, Problem | None]:
    """What stands for a cell of the baseline now: the newest of its name, and no other.

    Args:
        there: the cells of now of the same call.
    """
    own = cell.identity
    named = [one for one in there if one.name[1:] == cell.name[1:]] or list(there)
    if not named:
        return None, Problem("missing", f"{own.text} is not there")
    partner = named[0]
    if partner.refused:
        return None, Problem("missing", f"it broke down: {partner.refused}")
    if differing := _differences(own, partner.identity, gate):
        return None, Problem("incomparable", ", ".join(differing))
    kept = len(np.intersect1d(partner.images, cell.images))
    if kept < len(cell.images):
        return None, Problem("incomparable", f"images: {kept:,} of the baseline's {len(cell.images):,} are there")
    return partner, None


def _differences(before: Printed, after: Printed, gate: Gate) -> list[str]:
    """What must be the same and is not."""
    named = {"attack seed": "seed", "precision": "precision", "data": "data", "classes": "subset"}
    if gate.metric == "clean_accuracy":
        named = {"data": "data", "classes": "subset"}
    if gate.max_rise is not None:
        named["weights of the reference"] = "weights"
    found = []
    for words, name in named.items():
        old, new = getattr(before, name), getattr(after, name)
        if old != new:
            found.append(f"{words} {'all' if old is None else old} → {'all' if new is None else new}")
    return found
