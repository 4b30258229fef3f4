"""Patch threats over many masks: the accuracy under each mask, and how it is spread (the RSPC study's box plots)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from robench.records.unit import Measured
from robench.reporting.groups import Group
from robench.reporting.rates import Records, arrays_of
from robench.reporting.tables import About, Column, Table

ENDS = {"least": 0.0, "lower quartile": 0.25, "median": 0.5, "upper quartile": 0.75, "largest": 1.0}


def accuracies(records: Records) -> NDArray[np.float64]:
    """Accuracy under each mask of a unit; empty where each image has a mask of its own."""
    cell = arrays_of(records)
    draw = cell.classes("draw")
    masks, mask = np.unique(draw[draw >= 0], return_inverse=True)
    right = np.bincount(mask, ~cell.flags("fooled")[draw >= 0], len(masks))
    return np.asarray(right / np.bincount(mask, minlength=len(masks)), dtype=np.float64)


def over_masks(group: Group) -> list[tuple[str, str, NDArray[np.float64]]]:
    """(defense, attack, accuracies) of each unit that has several masks, those of one attack side by side."""
    return [(group.label(one), group.attack_in_full(one), values) for one, values in _over_masks(group)]


def _over_masks(group: Group) -> list[tuple[Measured, NDArray[np.float64]]]:
    found = [(one, accuracies(one.arrays)) for one in group.units]
    return sorted((each for each in found if len(each[1]) > 1), key=lambda each: group.attack_in_full(each[0]))


def mask_table(group: Group) -> Table | None:
    """Rows (attack, defense), columns the spread of the accuracy over masks; None where there are no masks."""
    found = _over_masks(group)
    if not found:
        return None
    columns = [
        *(Column("accuracy over masks", name, None, percent=True) for name in ENDS),
        Column("", "mean", None, percent=True),
        Column("", "masks", None, digits=0),
    ]
    rows, of = [], list[About]()
    for one, values in found:
        label, attack = group.label(one), group.attack_in_full(one)
        of.append(replace(group.about(one.unit.row), attack=attack))
        numbers = [*np.quantile(values, [*ENDS.values()]), values.mean(), len(values)]
        rows.append((f"{attack} · {label}", [c.cell(float(value)) for c, value in zip(columns, numbers, strict=True)]))
    caption = [
        "Accuracy in %, over all images, under each mask; a mask is the same for all images and all defenses. The spread is over masks, and no interval."
    ]
    return Table(
        f"Patch threats over masks, {group.name}",
        columns,
        rows,
        caption,
        head="Attack and defense",
        of=of,
        name="masks",
    )
