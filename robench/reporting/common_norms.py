"""Norms of perturbations on the images that an attack broke in both rows, so that failing flatters neither."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd

from robench.reporting.columns import norm_column
from robench.reporting.evidence import no_rank
from robench.reporting.groups import Group, Threat
from robench.reporting.statistics import paired_ratio_difference
from robench.reporting.tables import About, Cell, Column, Table
from robench.reporting.ties import FEWEST

COMPARED = ("l1", "l2", "linf")


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
        both = [_broken_in_both(_records(group, first, t), _records(group, other, t)) for t in minimal]
        without = [no_rank(group.of(model)) for model in (first, other)]
        remarks += without
        pairs = [
            _pair(column, both[place // len(COMPARED)], not any(without), (name, label))
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


def _records(group: Group, model: str, threat: Threat) -> pd.DataFrame | None:
    found = group.find(model, threat)
    return found.records if found else None


def _broken_in_both(first: pd.DataFrame | None, second: pd.DataFrame | None) -> pd.DataFrame:
    """Norms of both rows (L2_1, L2_2 …), a row for each (image, target) that is broken in both."""
    if first is None or second is None:
        return pd.DataFrame()
    return _broken(first).add_suffix("_1").join(_broken(second).add_suffix("_2"), how="inner")


def _broken(records: pd.DataFrame) -> pd.DataFrame:
    hit = records[records["correct"].astype(bool) & records["success"].astype(bool)]
    named = hit.assign(image=hit["image"].astype(str), target=hit["target"].astype("Int64").fillna(-1))
    norms = named.set_index(["image", "target"])[list(COMPARED)]
    return norms.rename(columns=dict(zip(COMPARED, ("L1", "L2", "L∞"), strict=True)))


def _pair(column: Column, both: pd.DataFrame, ranked: bool, names: tuple[str, str]) -> tuple[Cell, Cell]:
    """The cells of two rows in one norm, the larger marked, or both where they cannot be told apart, if both have a rank."""
    if both.empty:
        return column.cell(math.nan), column.cell(math.nan)
    images = both.groupby(level="image")
    count = np.asarray(images.size(), dtype=np.float64)
    sums = [np.asarray(images[f"{column.name}_{row}"].sum(), dtype=np.float64) for row in (1, 2)]
    ends = paired_ratio_difference((sums[0], count), (sums[1], count))
    tied = ends.low <= 0 <= ends.high
    ranked = ranked and len(count) >= FEWEST
    means = [float(s.sum() / count.sum()) for s in sums]
    note = f"of {len(both):,} (image, target) pairs that are broken in both rows: {names[0]}, {names[1]}"
    first, second = (replace(column.cell(mean), n=len(count), note=note) for mean in means)
    return replace(first, best=ranked and (tied or means[0] > means[1])), replace(
        second, best=ranked and (tied or means[1] > means[0])
    )
