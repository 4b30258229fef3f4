"""The papers' comparisons as tables: rows defenses, columns attacks."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import pandas as pd

from robench.entries.calls import written_float
from robench.records.cards import ModelCard
from robench.records.store import Measured
from robench.reporting.groups import Group
from robench.reporting.metrics import (
    Rate,
    attack_success_rate,
    clean_accuracy,
    confidence,
    distances,
    fooled_within,
    worst_case,
)
from robench.reporting.statistics import Interval
from robench.reporting.tables import Column, Table
from robench.reporting.ties import marked

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


def robustness_table(group: Group, cards: Mapping[str, ModelCard]) -> Table:
    """A table in the style of the KSA paper's Table 1: rows defenses, columns attacks.

    Args:
        cards: by the names of the models.
    """
    columns, filled = [], []

    def add(column: Column, parts: Sequence[Records | None], measure: Measure, terms: Terms) -> None:
        """A column, from what each defense's cell is made of (None: it was not measured)."""
        cells = [column.cell(math.nan) if part is None else column.cell(*measure(part)) for part in parts]
        columns.append(column)
        filled.append(marked(cells, [None if p is None else terms(p) for p in parts], column.higher_is_better))

    union = [pd.concat([one.records for one in group.of(model)]) for model in group.defenses]
    add(share_column("", "Clean", True), union, lambda r: _ends(clean_accuracy(r)), _clean_terms)
    for threat in group.threats:
        units = [group.find(model, threat) for model in group.defenses]
        found = [one.records if one else None for one in units]
        facts = threat.first.unit.facts
        name = f"ASR {written_float(threat.eps)}" if threat.eps is not None else "ASR"
        add(share_column(threat.label, name, False), found, lambda r: _ends(attack_success_rate(r)), _success_terms)
        if facts.share:
            add(share_column(threat.label, "True class", True), found, lambda r: (confidence(r),), _confidence_terms)
        if facts.goal == "minimal":
            for norm in ("l1", "l2", "linf"):
                column = norm_column(threat.label, norm)
                add(column, found, partial(_mean_norm, norm=norm), partial(_norm_terms, norm=norm))
    for norm, eps in _thresholds(group):
        board = [one for one in group.units if on_board(one) and one.unit.facts.norm == norm]
        if len({group.threat(one).label for one in board}) > 1:
            reaching = [_worst(group.of(model), norm, eps) or None for model in group.defenses]
            column = share_column("Worst case, robust accuracy", f"{NORM_NAMES[norm]} {written_float(eps)}", True)
            add(column, reaching, partial(_worst_share, norm=norm, eps=eps), partial(_worst_terms, norm=norm, eps=eps))
    rows = [(label, [column[place] for column in filled]) for place, label in enumerate(group.defenses.values())]
    return Table(f"Robustness on {group.name}", columns, rows, _caption(group, cards))


def on_board(one: Measured) -> bool:
    """Whether a unit belongs to the worst case over a ball: not if no attacker chose it, nor if only patches may change."""
    return one.unit.facts.goal != "natural" and one.unit.facts.share is None


def _worst(units: list[Measured], norm: str, eps: float) -> list[pd.DataFrame]:
    """The records of a defense's attacks that may reach eps in a norm."""
    own = [one for one in units if on_board(one) and one.unit.facts.norm == norm]
    return [o.records for o in own if o.unit.facts.eps is None or o.unit.facts.eps <= eps * (1 + 1e-9)]


def _thresholds(group: Group) -> list[tuple[str, float]]:
    facts = [one.unit.facts for one in group.units if on_board(one)]
    return sorted({(f.norm, f.eps) for f in facts if f.eps is not None})


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


def _ends(share: Rate) -> tuple[float, Interval]:
    return share.value, share.interval


def _mean_norm(records: pd.DataFrame, norm: str) -> tuple[float]:
    return (distances(records, norm).mean,)


def _worst_share(parts: list[pd.DataFrame], norm: str, eps: float) -> tuple[float, Interval]:
    return _ends(worst_case(parts, norm, eps))


def _caption(group: Group, cards: Mapping[str, ModelCard]) -> list[str]:
    facts = [one.unit.facts for one in group.units]
    targets = sorted({fact.targets for fact in facts if fact.targets})
    lines = [
        f"n = {_counts(group)} test images ({_copy(group)}; {facts[0].source.partition(' in ')[0]}), "
        f"attack seed {group.units[0].unit.identity.seed}. "
        "Clean: accuracy in %. ASR: successes in % of the correctly classified images"
        + (" and their targets" if "all" in targets else "")
        + ".",
        "L1, L2, L∞: mean over successes, pixels in [0, 1]; a stronger attack adds harder images to them, so compare them on images broken in both rows.",
        f"95 % intervals are at most ±{100 * max(map(_half_width, group.units)):.1f} points wide for ASR (Wilson; clustered by image where rows share one); they cover test images, not training seeds.",
        "Marked: the best for the defender in each column and its statistical ties (paired bootstrap over images).",
    ]
    if targets:
        lines.append(f"Targets: {', '.join(targets)}.")
    for threat in group.threats:
        if share := threat.first.unit.facts.share:
            lines.append(
                f"{threat.label} touches {100 * share[1]:.3g} % of the patches of each image ({100 * share[0]:.3g} % were asked for). "
                "True class: its mean confidence there, in %, over the correctly classified images."
            )
    for model, label in group.defenses.items():
        if card := cards.get(model):
            lines += _about(card, label)
    return list(dict.fromkeys(lines))


def _counts(group: Group) -> str:
    counts = sorted({int(one.records["image"].nunique()) for one in group.units})
    return f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"


def _copy(group: Group) -> str:
    """Which copy of the data set it is: its name where the card knows it."""
    unit = group.units[0].unit
    name, fingerprint = unit.facts.variant, unit.identity.data
    return f"{name}, fingerprint {fingerprint}" if name else f"test fingerprint {fingerprint}"


def _about(card: ModelCard, label: str) -> list[str]:
    """What a reader must know of a model beside its numbers."""
    lines = []
    if card.approximate_slopes:
        lines.append(
            f"{label} is not differentiable everywhere: white-box attacks follow slopes that stand in for its own, and may miss some."
        )
    if card.attention:
        shares = ", ".join(f"{100 * layer[min(4, len(layer)) - 1]:.0f}" for layer in card.attention)
        lines.append(
            f"{label}: the 4 largest weights of a row hold {shares} % of the attention in layers 1 to {len(card.attention)}."
        )
    return lines


def _half_width(one: Measured) -> float:
    share = attack_success_rate(one.records)
    return 0.0 if not share.total else max(share.interval.high - share.value, share.value - share.interval.low)
