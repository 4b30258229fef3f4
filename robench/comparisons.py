"""The papers' comparisons as tables: rows defenses, columns attacks."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pandas as pd

from robench.calls import Call, parse, written_float
from robench.harness import Measured
from robench.metrics import Share, attack_success_rate, clean_accuracy, confidence, distances, fooled_within, worst_case
from robench.plan import variant
from robench.statistics import Interval
from robench.tables import Column, Table
from robench.ties import marked

Records = pd.DataFrame | list[pd.DataFrame]
Measure = Callable[[Any], tuple[float] | tuple[float, Interval]]
Terms = Callable[[Any], pd.DataFrame]
NORM_NAMES = {"l0": "L0", "l1": "L1", "l2": "L2", "linf": "L∞"}


def share_column(group: str, name: str, higher_is_better: bool) -> Column:
    """A column of shares, printed in %."""
    return Column(group, name, higher_is_better, digits=1, percent=True)


def norm_column(group: str, norm: str) -> Column:
    """A column of perturbation sizes, printed with the digits that suit the norm."""
    return Column(group, NORM_NAMES[norm], True, digits={"l1": 2, "linf": 4}.get(norm, 3))


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

    def add(column: Column, parts: Sequence[Records | None], measure: Measure, terms: Terms) -> None:
        """A column, from what each defense's cell is made of (None: it was not measured)."""
        cells = [column.cell(math.nan) if part is None else column.cell(*measure(part)) for part in parts]
        columns.append(column)
        filled.append(marked(cells, [None if p is None else terms(p) for p in parts], column.higher_is_better))

    union = [pd.concat([o.records for o in group if o.unit.spec["defense"] == d]) for d in defenses]
    add(share_column("", "Clean", True), union, lambda r: _ends(clean_accuracy(r)), _clean_terms)
    for attack in attacks:
        found = [cells[d, attack].records if (d, attack) in cells else None for d in defenses]
        label, eps = attack_label(attack), facts[attack]["eps"]
        name = f"ASR {written_float(eps)}" if eps is not None else "ASR"
        add(share_column(label, name, False), found, lambda r: _ends(attack_success_rate(r)), _success_terms)
        if "share" in facts[attack]:
            add(share_column(label, "True class", True), found, lambda r: (confidence(r),), _confidence_terms)
        if facts[attack]["goal"] == "minimal":
            for norm in ("l1", "l2", "linf"):
                add(norm_column(label, norm), found, partial(_mean_norm, norm=norm), partial(_norm_terms, norm=norm))
    board = [one for one in group if on_board(one)]
    for norm, eps in _thresholds(board):
        if len({attack_label(o.unit.spec["attack"]) for o in board if o.unit.facts["norm"] == norm}) > 1:
            reaching = [_worst(board, d, norm, eps) or None for d in defenses]
            column = share_column("Worst case, robust accuracy", f"{NORM_NAMES[norm]} {written_float(eps)}", True)
            add(
                column, reaching,
                partial(_worst_share, norm=norm, eps=eps),
                partial(_worst_terms, norm=norm, eps=eps),
            )  # fmt: skip
    rows = [(d, [column[place] for column in filled]) for place, d in enumerate(defenses)]
    return Table(_title(group), columns, rows, _caption(group, models, defenses))


def on_board(one: Measured) -> bool:
    """Whether a unit belongs to the worst case over a ball: not if no attacker chose it, nor if only patches may change."""
    return one.unit.facts["goal"] != "natural" and "share" not in one.unit.facts


def _worst(group: list[Measured], defense: str, norm: str, eps: float) -> list[pd.DataFrame]:
    """The records of a defense's attacks that may reach eps in a norm."""
    own = [o for o in group if o.unit.spec["defense"] == defense and o.unit.facts["norm"] == norm]
    return [o.records for o in own if o.unit.facts["eps"] is None or o.unit.facts["eps"] <= eps * (1 + 1e-9)]


def _thresholds(group: list[Measured]) -> list[tuple[str, float]]:
    return sorted({(o.unit.facts["norm"], o.unit.facts["eps"]) for o in group if o.unit.facts["eps"] is not None})


def _clean_terms(records: pd.DataFrame) -> pd.DataFrame:
    images = records.drop_duplicates("image")
    return pd.DataFrame({"a": images["correct"].astype(float).to_numpy(), "b": 1.0}, index=images["image"].astype(str))


def _success_terms(records: pd.DataFrame) -> pd.DataFrame:
    attacked = records["correct"].astype(float)
    grouped = pd.DataFrame(
        {"image": records["image"].astype(str), "a": attacked * records["success"].astype(float), "b": attacked}
    )
    return grouped.groupby("image").sum()


def _confidence_terms(records: pd.DataFrame) -> pd.DataFrame:
    attacked = records["correct"].astype(float)
    grouped = pd.DataFrame(
        {"image": records["image"].astype(str), "a": attacked * records["confidence"].astype(float), "b": attacked}
    )
    return grouped.groupby("image").sum()


def _norm_terms(records: pd.DataFrame, norm: str) -> pd.DataFrame:
    hit = records["correct"].astype(float) * records["success"].astype(float)
    grouped = pd.DataFrame({"image": records["image"].astype(str), "a": hit * records[norm].astype(float), "b": hit})
    return grouped.groupby("image").sum()


def _worst_terms(parts: list[pd.DataFrame], norm: str, eps: float) -> pd.DataFrame:
    fooled = pd.concat([fooled_within(p, norm, eps) for p in parts], axis=1, join="inner").any(axis=1)
    return pd.DataFrame({"a": (~fooled).astype(float), "b": 1.0})


def _ends(share: Share) -> tuple[float, Interval]:
    return share.value, share.interval


def _mean_norm(records: pd.DataFrame, norm: str) -> tuple[float]:
    return (distances(records, norm).mean,)


def _worst_share(parts: list[pd.DataFrame], norm: str, eps: float) -> tuple[float, Interval]:
    return _ends(worst_case(parts, norm, eps))


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
    touched = {attack_label(o.unit.spec["attack"]): o.unit.facts["share"] for o in group if "share" in o.unit.facts}
    for label, (asked, real) in touched.items():
        lines.append(
            f"{label} touches {100 * real:.3g} % of the patches of each image ({100 * asked:.3g} % were asked for). "
            "True class: its mean confidence there, in %, over the correctly classified images."
        )
    for defense in defenses:
        weights = next(o.unit.facts["weights"] for o in group if o.unit.spec["defense"] == defense)
        card = models.get(weights)
        if card and card["approximate_slopes"]:
            lines.append(
                f"{defense} is declared not differentiable: white-box attacks follow slopes that stand in for its own, and may miss some."
            )
        if card and card["attention"]:
            shares = ", ".join(f"{100 * layer[min(4, len(layer)) - 1]:.0f}" for layer in card["attention"])
            lines.append(
                f"{defense}: the 4 largest weights of a row hold {shares} % of the attention in layers 1 to {len(card['attention'])}."
            )
    return lines


def _half_width(one: Measured) -> float:
    share = attack_success_rate(one.records)
    return 0.0 if not share.total else max(share.interval.high - share.value, share.value - share.interval.low)
