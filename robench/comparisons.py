"""The papers' comparisons as tables: rows defenses, columns attacks; and norms on images broken in both rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from robench.calls import Call, parse, written_float
from robench.harness import Measured
from robench.metrics import attack_success_rate, clean_accuracy, distances, fooled_within, worst_case
from robench.plan import variant
from robench.statistics import paired_ratio_difference
from robench.tables import Cell, Column, Table

Terms = Callable[[pd.DataFrame], pd.DataFrame]
NORM_NAMES = {"l0": "L0", "l1": "L1", "l2": "L2", "linf": "L∞"}


def robustness_tables(measured: Sequence[Measured], models: dict[str, dict[str, Any]]) -> list[Table]:
    """For each data set and seed a table in the style of the KSA paper's Table 1: rows defenses, columns attacks."""
    return [_robustness(group, models) for group in by_dataset(measured)]


def by_dataset(measured: Sequence[Measured]) -> list[list[Measured]]:
    """Units that may stand in one table: the same data and the same attack seed."""
    groups: dict[tuple[Any, ...], list[Measured]] = {}
    for one in measured:
        groups.setdefault((one.unit.spec["dataset"], one.unit.identity["data"], one.unit.spec["seed"]), []).append(one)
    return list(groups.values())


def attack_label(attack: str) -> str:
    """An attack without its eps, which stands in the column's name."""
    call = parse(attack)
    return str(Call(call.name, {k: v for k, v in call.options.items() if k != "eps"}))


def _robustness(group: list[Measured], models: dict[str, dict[str, Any]]) -> Table:
    defenses = list(dict.fromkeys(one.unit.spec["defense"] for one in group))
    cells: dict[tuple[str, str], Measured] = {(one.unit.spec["defense"], one.unit.spec["attack"]): one for one in group}
    attacks = list(dict.fromkeys(one.unit.spec["attack"] for one in group))
    order = {
        label: place for place, label in enumerate(dict.fromkeys(attack_label(o.unit.spec["attack"]) for o in group))
    }
    facts = {one.unit.spec["attack"]: one.unit.facts for one in group}
    attacks.sort(key=lambda a: (order[attack_label(a)], facts[a]["eps"] or 0))
    columns, filled = [], []

    def add(
        column: Column, frames: list[pd.DataFrame | None], terms: Terms, shown: Callable[[pd.DataFrame], Cell]
    ) -> None:
        columns.append(column)
        filled.append(_column(frames, terms, shown, column.higher_is_better))

    union = [pd.concat([o.records for o in group if o.unit.spec["defense"] == d]) for d in defenses]
    add(Column("", "Clean", True), list(union), _clean_terms, lambda r: _share_cell(clean_accuracy(r)))
    for attack in attacks:
        found = [cells[d, attack].records if (d, attack) in cells else None for d in defenses]
        label, eps = attack_label(attack), facts[attack]["eps"]
        name = f"ASR {written_float(eps)}" if eps is not None else "ASR"
        add(Column(label, name, False), found, _success_terms, lambda r: _share_cell(attack_success_rate(r)))
        if facts[attack]["goal"] == "minimal":
            for norm in ("l1", "l2", "linf"):
                add(Column(label, NORM_NAMES[norm], True), found, _norm_terms(norm), partial(_norm_cell, norm=norm))
    for norm, eps in _thresholds(group):
        frames = [_worst(group, d, norm, eps) for d in defenses]
        if len({attack_label(o.unit.spec["attack"]) for o in group if o.unit.facts["norm"] == norm}) > 1:
            column = Column("Worst case, robust accuracy", f"{NORM_NAMES[norm]} {written_float(eps)}", True)
            columns.append(column)
            filled.append([_share_cell(worst_case(f, norm, eps)) if f else Cell("–") for f in frames])
            filled[-1] = _mark_shares(filled[-1], frames, norm, eps)
    rows = [(d, [column[place] for column in filled]) for place, d in enumerate(defenses)]
    return Table(_title(group), columns, rows, _caption(group, models, defenses))


def _worst(group: list[Measured], defense: str, norm: str, eps: float) -> list[pd.DataFrame]:
    """The records of a defense's attacks that may reach eps in a norm."""
    own = [o for o in group if o.unit.spec["defense"] == defense and o.unit.facts["norm"] == norm]
    return [o.records for o in own if o.unit.facts["eps"] is None or o.unit.facts["eps"] <= eps * (1 + 1e-9)]


def _thresholds(group: list[Measured]) -> list[tuple[str, float]]:
    return sorted({(o.unit.facts["norm"], o.unit.facts["eps"]) for o in group if o.unit.facts["eps"] is not None})


def _column(
    frames: list[pd.DataFrame | None], terms: Terms, shown: Callable[[pd.DataFrame], Cell], higher: bool
) -> list[Cell]:
    """The cells of a column, with the best and its statistical ties marked by a paired bootstrap over images."""
    cells = [shown(frame) if frame is not None and len(frame) else Cell("–") for frame in frames]
    values = [cell.value if not math.isnan(cell.value) else (-math.inf if higher else math.inf) for cell in cells]
    present = [place for place, cell in enumerate(cells) if not math.isnan(cell.value)]
    if len(present) < 2:
        return cells
    best = max(present, key=lambda p: values[p] if higher else -values[p])
    per_image = {place: terms(frames[place]) for place in present}  # type: ignore[arg-type]
    marked = list(cells)
    for place in present:
        if place == best or _tied(per_image[best], per_image[place]):
            marked[place] = Cell(cells[place].text, cells[place].value, cells[place].interval, True)
    return marked


def _tied(first: pd.DataFrame, second: pd.DataFrame) -> bool:
    both = first.join(second, how="inner", lsuffix="_1", rsuffix="_2")
    if both.empty:
        return False
    a1, b1, a2, b2 = (both[name].to_numpy(dtype=np.float64) for name in ("a_1", "b_1", "a_2", "b_2"))
    ends = paired_ratio_difference((a1, b1), (a2, b2))
    return ends.low <= 0 <= ends.high


def _mark_shares(cells: list[Cell], frames: list[list[pd.DataFrame]], norm: str, eps: float) -> list[Cell]:
    def terms(parts: list[pd.DataFrame]) -> pd.DataFrame:
        fooled = pd.concat([fooled_within(p, norm, eps) for p in parts], axis=1, join="inner").any(axis=1)
        return pd.DataFrame({"a": ~fooled, "b": 1.0})

    present = [place for place, cell in enumerate(cells) if not math.isnan(cell.value)]
    if len(present) < 2:
        return cells
    best = max(present, key=lambda p: cells[p].value)
    per_image = {place: terms(frames[place]) for place in present}
    tied = {place for place in present if place == best or _tied(per_image[best], per_image[place])}
    return [Cell(c.text, c.value, c.interval, place in tied) for place, c in enumerate(cells)]


def _clean_terms(records: pd.DataFrame) -> pd.DataFrame:
    correct = records.drop_duplicates("image").set_index(records.drop_duplicates("image")["image"].astype(str))[
        "correct"
    ]
    return pd.DataFrame({"a": correct.astype(float), "b": 1.0})


def _success_terms(records: pd.DataFrame) -> pd.DataFrame:
    attacked = records["correct"].astype(float)
    grouped = pd.DataFrame(
        {"image": records["image"].astype(str), "a": attacked * records["success"].astype(float), "b": attacked}
    )
    return grouped.groupby("image").sum()


def _norm_terms(norm: str) -> Terms:
    def terms(records: pd.DataFrame) -> pd.DataFrame:
        hit = records["correct"].astype(float) * records["success"].astype(float)
        grouped = pd.DataFrame(
            {"image": records["image"].astype(str), "a": hit * records[norm].astype(float), "b": hit}
        )
        return grouped.groupby("image").sum()

    return terms


def _share_cell(share: Any) -> Cell:
    if not share.total:
        return Cell("–")
    return Cell(f"{100 * share.value:.1f}", share.value, share.interval)


def _norm_cell(records: pd.DataFrame, norm: str) -> Cell:
    size = distances(records, norm)
    return Cell("–") if math.isnan(size.mean) else Cell(_digits(size.mean, norm), size.mean)


def _digits(value: float, norm: str) -> str:
    return f"{value:.4f}" if norm == "linf" else f"{value:.2f}" if norm == "l1" else f"{value:.3f}"


def _title(group: list[Measured]) -> str:
    return f"Robustness on {group[0].unit.spec['dataset']}"


def _caption(group: list[Measured], models: dict[str, dict[str, Any]], defenses: list[str]) -> list[str]:
    counts = sorted({int(o.records["image"].nunique()) for o in group})
    n = f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"
    facts, spec = group[0].unit.facts, group[0].unit.spec
    widest = max((_half_width(o) for o in group), default=0.0)
    lines = [
        f"n = {n} test images ({variant(spec['dataset'], group[0].unit.identity['data'])}; {facts['source'].partition(' in ')[0]}), attack seed {spec['seed']}. "
        "Clean: accuracy in %. ASR: successes in % of the correctly classified images"
        + (" and their targets" if any(o.unit.facts["targets"] == "all" for o in group) else "")
        + ".",
        "L1, L2, L∞: mean over successes, pixels in [0, 1]; a stronger attack adds harder images to them, so compare them on images broken in both rows.",
        f"95 % intervals are at most ±{100 * widest:.1f} points wide for ASR (Wilson; clustered by image where rows share one); they cover test images, not training seeds.",
        "Marked: the best for the defender in each column and its statistical ties (paired bootstrap over images).",
    ]
    if any(o.unit.facts["targets"] for o in group):
        lines.append(
            "Targets: "
            + ", ".join(sorted({str(o.unit.facts["targets"]) for o in group if o.unit.facts["targets"]}))
            + "."
        )
    for defense in defenses:
        weights = next(o.unit.facts["weights"] for o in group if o.unit.spec["defense"] == defense)
        card = models.get(weights)
        if card and card["attention"]:
            shares = ", ".join(f"{100 * layer[min(4, len(layer)) - 1]:.0f}" for layer in card["attention"])
            lines.append(
                f"{defense}: the 4 largest weights of a row hold {shares} % of the attention in layers 1 to {len(card['attention'])}."
            )
    return lines


def _half_width(one: Measured) -> float:
    share = attack_success_rate(one.records)
    return 0.0 if not share.total else max(share.interval.high - share.value, share.value - share.interval.low)


def norms_on_common(measured: Sequence[Measured]) -> list[Table]:
    """For each data set with several defenses: norms on the (image, target) pairs that are broken in both rows.

    The first defense is what the others are compared with; both means are over the same pairs.
    """
    tables = []
    for group in by_dataset(measured):
        defenses = list(dict.fromkeys(o.unit.spec["defense"] for o in group))
        minimal = list(dict.fromkeys(o.unit.spec["attack"] for o in group if o.unit.facts["goal"] == "minimal"))
        if len(defenses) < 2 or not minimal:
            continue
        cells = {(o.unit.spec["defense"], o.unit.spec["attack"]): o.records for o in group}
        columns = [Column(a, NORM_NAMES[norm], True) for a in minimal for norm in ("l1", "l2", "linf")]
        rows = []
        for other in defenses[1:]:
            pair: tuple[list[Cell], list[Cell]] = ([], [])
            pairs = []
            for attack in minimal:
                if (defenses[0], attack) not in cells or (other, attack) not in cells:
                    for side in pair:
                        side.extend([Cell("–")] * 3)
                    continue
                both = _broken(cells[defenses[0], attack]).join(
                    _broken(cells[other, attack]), how="inner", lsuffix="_1", rsuffix="_2"
                )
                pairs.append(str(len(both)))
                for norm in ("l1", "l2", "linf"):
                    _add_pair(pair, both, norm)
            rows += [(f"{defenses[0]} (both: {', '.join(pairs)})", pair[0]), (other, pair[1])]
        caption = [
            f"Means over the (image, target) pairs that the attack broke in both rows of a pair, so that neither is flattered by failing; rows are compared with {defenses[0]}.",
            "Marked: the larger mean of the pair, and both where the 95 % interval of their difference (paired bootstrap) holds zero.",
        ]
        tables.append(
            Table(f"Norms on images broken in both rows, {group[0].unit.spec['dataset']}", columns, rows, caption)
        )
    return tables


def _broken(records: pd.DataFrame) -> pd.DataFrame:
    hit = records[records["correct"].astype(bool) & records["success"].astype(bool)]
    return hit.assign(image=hit["image"].astype(str), target=hit["target"].astype("Int64").fillna(-1)).set_index(
        ["image", "target"]
    )[["l1", "l2", "linf"]]


def _add_pair(pair: tuple[list[Cell], list[Cell]], both: pd.DataFrame, norm: str) -> None:
    if both.empty:
        for side in pair:
            side.append(Cell("–"))
        return
    first, second = (both[f"{norm}_{i}"].to_numpy(dtype=np.float64) for i in (1, 2))
    ones = np.ones(len(first))
    ends = paired_ratio_difference((first, ones), (second, ones))
    tied = ends.low <= 0 <= ends.high
    for side, own, other in ((pair[0], first, second), (pair[1], second, first)):
        side.append(Cell(_digits(own.mean(), norm), float(own.mean()), None, tied or own.mean() > other.mean()))
