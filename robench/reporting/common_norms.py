"""Norms of perturbations on the images that an attack broke in both rows, so that failing flatters neither."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from robench.records.arrays import Arrays
from robench.records.unit import Measured
from robench.reporting.columns import norm_column
from robench.reporting.evidence import no_rank
from robench.reporting.groups import Group
from robench.reporting.statistics import paired_ratio_difference
from robench.reporting.tables import About, Cell, Column, Table
from robench.reporting.ties import FEWEST

COMPARED = ("l1", "l2", "linf")
Sizes = NDArray[np.float64]


def norms_on_common(group: Group) -> Table | None:
    """Norms on the (image, target) pairs that are broken in both rows; None without several defenses and a minimal attack.

    The first defense is what the others are compared with; both means are over the same pairs.
    """
    if not group.units:
        return None
    (first, name), *others = group.defenses.items()
    minimal = [threat for threat in group.threats if threat.first.unit.facts.goal == "minimal"]
    if not others or not minimal:
        return None
    columns = [norm_column(threat, norm) for threat in minimal for norm in COMPARED]
    rows, remarks, of = [], list[str](), list[About]()
    for other, label in others:
        of += [group.about(first), group.about(other)]
        both = [_broken_in_both(group.find(first, t), group.find(other, t)) for t in minimal]
        without = [no_rank(group.of(model)) for model in (first, other)]
        remarks += without
        pairs = [
            _pair(
                column, both[place // len(COMPARED)], COMPARED[place % len(COMPARED)], not any(without), (name, label)
            )
            for place, column in enumerate(columns)
        ]
        counts = ", ".join(f"{len(b):,}" for b in both)
        rows += [(f"{name} (both: {counts})", [own for own, _ in pairs]), (label, [rival for _, rival in pairs])]
    caption = [
        f"Means over (image, target) pairs broken in both rows; rows are compared with {name}.",
        "Neither row is flattered by failing.",
        "Marked: the larger mean of the pair, and both where the 95 % interval of their difference (paired bootstrap over images) holds zero; "
        f"none where fewer than {FEWEST} images were broken in both.",
    ]
    return Table(
        f"Norms on images broken in both rows, {group.name}",
        columns,
        rows,
        caption,
        remarks,
        of=of,
        name="norms on common images",
    )


@dataclass(frozen=True)
class Both:
    """The (image, target) pairs that are broken in two rows.

    Attributes:
        images: the image of each pair.
        sizes: of each pair's perturbation in the first and in the second row, by norm.
    """

    images: list[str]
    sizes: dict[str, tuple[Sizes, Sizes]]

    def __len__(self) -> int:
        return len(self.images)


def _broken_in_both(first: Measured | None, second: Measured | None) -> Both:
    if first is None or second is None:
        return Both([], {})
    own, other = _broken(first.arrays), _broken(second.arrays)
    pairs = [pair for pair in own if pair in other]
    rows = [own[pair] for pair in pairs], [other[pair] for pair in pairs]
    sizes = {norm: (first.arrays.numbers(norm)[rows[0]], second.arrays.numbers(norm)[rows[1]]) for norm in COMPARED}
    return Both([image for image, _ in pairs], sizes)


def _broken(cell: Arrays) -> dict[tuple[str, int], int]:
    """The row of each (image, target) that is broken."""
    rows = np.flatnonzero(cell.flags("correct") & cell.flags("success"))
    images, targets = cell.names[cell.of[rows]].tolist(), cell.classes("target")[rows].tolist()
    return dict(zip(zip(images, targets, strict=True), rows.tolist(), strict=True))


def _pair(column: Column, both: Both, norm: str, ranked: bool, names: tuple[str, str]) -> tuple[Cell, Cell]:
    """The cells of two rows in one norm, the larger marked, or both where they cannot be told apart, if both have a rank."""
    if not len(both):
        return column.cell(math.nan), column.cell(math.nan)
    _, image = np.unique(both.images, return_inverse=True)
    count = np.bincount(image).astype(np.float64)
    sums = [np.bincount(image, size).astype(np.float64) for size in both.sizes[norm]]
    ends = paired_ratio_difference((sums[0], count), (sums[1], count))
    tied = ends.low <= 0 <= ends.high
    ranked = ranked and len(count) >= FEWEST
    means = [float(s.sum() / count.sum()) for s in sums]
    note = f"of {len(both):,} (image, target) pairs that are broken in both rows: {names[0]}, {names[1]}"
    first, second = (replace(column.cell(mean), n=len(count), note=note) for mean in means)
    return replace(first, best=ranked and (tied or means[0] > means[1])), replace(
        second, best=ranked and (tied or means[1] > means[0])
    )
