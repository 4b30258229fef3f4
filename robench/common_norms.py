"""Norms of perturbations on the images that an attack broke in both rows, so that failing flatters neither."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from robench.comparisons import by_dataset, norm_column
from robench.harness import Measured
from robench.statistics import paired_ratio_difference
from robench.tables import Cell, Column, Table

NORMS = ("l1", "l2", "linf")


def norms_on_common(measured: Sequence[Measured]) -> list[Table]:
    """For each data set with several defenses: norms on the (image, target) pairs that are broken in both rows.

    The first defense is what the others are compared with; both means are over the same pairs.
    """
    tables = []
    for group in by_dataset(measured):
        first, *others = dict.fromkeys(o.unit.spec["defense"] for o in group)
        minimal = list(dict.fromkeys(o.unit.spec["attack"] for o in group if o.unit.facts["goal"] == "minimal"))
        if not others or not minimal:
            continue
        records = {(o.unit.spec["defense"], o.unit.spec["attack"]): o.records for o in group}
        columns = [norm_column(attack, norm) for attack in minimal for norm in NORMS]
        rows = []
        for other in others:
            both = [_broken_in_both(records.get((first, a)), records.get((other, a))) for a in minimal]
            pairs = [_pair(column, both[place // len(NORMS)]) for place, column in enumerate(columns)]
            counts = ", ".join(f"{len(b):,}" for b in both)
            rows += [(f"{first} (both: {counts})", [own for own, _ in pairs]), (other, [rival for _, rival in pairs])]
        caption = [
            f"Means over the (image, target) pairs that the attack broke in both rows of a pair, so that neither is flattered by failing; rows are compared with {first}.",
            "Marked: the larger mean of the pair, and both where the 95 % interval of their difference (paired bootstrap over images) holds zero.",
        ]
        title = f"Norms on images broken in both rows, {group[0].unit.spec['dataset']}"
        tables.append(Table(title, columns, rows, caption))
    return tables


def _broken_in_both(first: pd.DataFrame | None, second: pd.DataFrame | None) -> pd.DataFrame:
    """Norms of both rows (L2_1, L2_2 …), a row for each (image, target) that is broken in both."""
    if first is None or second is None:
        return pd.DataFrame()
    return _broken(first).add_suffix("_1").join(_broken(second).add_suffix("_2"), how="inner")


def _broken(records: pd.DataFrame) -> pd.DataFrame:
    hit = records[records["correct"].astype(bool) & records["success"].astype(bool)]
    named = hit.assign(image=hit["image"].astype(str), target=hit["target"].astype("Int64").fillna(-1))
    norms = named.set_index(["image", "target"])[list(NORMS)]
    return norms.rename(columns=dict(zip(NORMS, ("L1", "L2", "L∞"), strict=True)))


def _pair(column: Column, both: pd.DataFrame) -> tuple[Cell, Cell]:
    """The cells of two rows in one norm, the larger marked, or both where they cannot be told apart."""
    if both.empty:
        return column.cell(math.nan), column.cell(math.nan)
    images = both.groupby(level="image")
    count = np.asarray(images.size(), dtype=np.float64)
    sums = [np.asarray(images[f"{column.name}_{row}"].sum(), dtype=np.float64) for row in (1, 2)]
    ends = paired_ratio_difference((sums[0], count), (sums[1], count))
    tied = ends.low <= 0 <= ends.high
    means = [float(s.sum() / count.sum()) for s in sums]
    first, second = (column.cell(mean) for mean in means)
    return replace(first, best=tied or means[0] > means[1]), replace(second, best=tied or means[1] > means[0])
