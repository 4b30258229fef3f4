"""How much stands behind a row and a cell: on which images, against which attacks, and whether it is better than chance."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np

from robench.hashing import digest
from robench.records.manifest import Facts
from robench.records.unit import Measured
from robench.reporting.groups import Group, Threat
from robench.reporting.metrics import attacked_images
from robench.reporting.statistics import wilson
from robench.reporting.tables import Cell


def no_rank(units: Sequence[Measured]) -> str:
    """Why a defense has no rank whatever attacks it, from all that was measured on it; empty where it may have one.

    A classifier that says one class always, or is right no more often than by chance (by saying the commonest class, where
    some are commoner), is broken on few images because it is right on few.
    """
    identity, facts = units[0].unit.identity, units[0].unit.facts
    cells = [one.arrays for one in units]
    largest = max(cells, key=len)
    if all(
        cell is largest or cell.same_rows(largest) for cell in cells
    ):  # the others say nothing more of the clean images
        cells = [largest]
    image = np.concatenate([cell.names[cell.of] for cell in cells])
    correct = np.concatenate([cell.flags("correct") for cell in cells])
    label, said = (np.concatenate([cell.classes(name) for cell in cells]) for name in ("label", "clean_prediction"))
    if said[0] >= 0 and (said == said[0]).all() and (label != label[0]).any():
        return "no rank: it takes all images for one class"
    classes = len(identity.subset) if identity.subset else facts.classes
    first = np.unique(image, return_index=True)[1]
    counts = np.unique(label[first], return_counts=True)[1]
    uneven = len(counts) > 1 and counts.max() > -(-len(first) // classes)
    chance = float(counts.max()) / len(first) if uneven else 1 / classes
    if not wilson(int(correct[first].sum()), len(first)).low > chance:
        return f"no rank: its clean accuracy cannot be told from chance, {100 * chance:.3g} %"
    return ""


def without_rank(units: Sequence[Measured]) -> str:
    """The same of natural threats; of published sequences, which have no labels, nothing is known."""
    facts = units[0].unit.facts
    nameless = bool(facts.family) and facts.severity is None and facts.corruption is not None
    return "" if nameless else no_rank(units)


def bearing(group: Group, norm: str, eps: float) -> list[Threat]:
    """The attacks of a worst case within eps: those that may reach it. An attack at several radii counts at each."""
    return [one for one in group.threats if on_board(one.first) and reaches(one.first.unit.facts, norm, eps)]


def reaches(facts: Facts, norm: str, eps: float) -> bool:
    """Whether an attack's perturbations may lie within eps in a norm."""
    return facts.norm == norm and (facts.eps is None or facts.eps <= eps * (1 + 1e-9))


def required(group: Group, norm: str, eps: float) -> set[str]:
    """Keys of the attacks that a row needs for a worst case within eps: those that some row was attacked with in full."""
    near = {threat.key for threat in bearing(group, norm, eps)}
    return {one.unit.identity.threat for one in group.units if one.unit.identity.threat in near and in_full(one)}


def on_board(one: Measured) -> bool:
    """Whether a unit belongs to the worst case over a ball: not if no attacker chose it, nor if only patches may change."""
    return one.unit.facts.goal != "natural" and one.unit.facts.share is None


def in_full(one: Measured) -> bool:
    """Whether all images that it should have attacked were attacked; a file may hold adversarial images of some."""
    cell = one.arrays
    if (cell.numbers("forwards")[cell.flags("correct")] > 0).all():
        return True
    given, of = attacked_images(cell)
    return given == of


def on_images(cell: Cell, images: Iterable[str]) -> Cell:
    """The cell with the images that it is of, each once."""
    names = tuple(images)
    return replace(cell, n=len(names), images=_named(names))


@lru_cache(maxsize=64)
def _named(images: tuple[str, ...]) -> str:
    """Names a set of images; the cells of a table are mostly of the same ones."""
    return digest(sorted(map(str, images)))


def told_apart(rows: Sequence[Sequence[Cell]]) -> tuple[list[list[Cell]], list[str]]:
    """The rows of a table and what is said of each: on which images, where they are not the same in all of it.

    A row on the same images throughout says n behind its label, others at each cell.
    """
    sets = {cell.images: cell.n for cells in rows for cell in cells if cell.images}
    if len(sets) < 2:
        return [list(cells) for cells in rows], [""] * len(rows)
    counts = list(sets.values())

    def of(cell: Cell) -> str:
        return f"n = {cell.n:,}" + (f", images {cell.images[:4]}" if counts.count(cell.n) > 1 else "")

    told, remarks = [], []
    for cells in rows:
        own = {cell.images: cell for cell in cells if cell.images}
        if len(own) < 2:
            told.append(list(cells))
            remarks += [of(cell) for cell in own.values()] or [""]
        else:
            told.append([cell.saying(of(cell)) if cell.images else cell for cell in cells])
            few, many = min(cell.n for cell in own.values()), max(cell.n for cell in own.values())
            remarks.append(f"n = {few:,} to {many:,}" if few < many else f"n = {few:,}, different images")
    return told, remarks
