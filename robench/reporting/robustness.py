"""The papers' comparisons as tables: rows defenses, columns attacks."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robench.entries.calls import written_float
from robench.records.arrays import Arrays
from robench.records.cards import ModelCard
from robench.records.unit import Measured
from robench.reporting.captions import caption_of
from robench.reporting.columns import NORM_NAMES, about_threat, family, norm_column, share_column
from robench.reporting.evidence import bearing, in_full, no_rank, on_board, on_images, required, told_apart
from robench.reporting.groups import Group, Threat
from robench.reporting.metrics import (
    attack_success_rate,
    attacked_images,
    confidence,
    distances,
    first_right,
    fooled_by_any,
    fooled_within,
    on_the_boundary,
)
from robench.reporting.normalisers import Baseline
from robench.reporting.rates import Rate, rate_of
from robench.reporting.statistics import Interval, clustered
from robench.reporting.tables import Cell, Column, Failure, Table
from robench.reporting.ties import Terms, marked

log = logging.getLogger(__name__)
Made = tuple[Cell, Terms | None]
"""A cell, and the terms of its merit."""
BROKEN = Cell("broken")
_SIZES: dict[str, Callable[[ModelCard], float]] = {
    "Parameters (M)": lambda card: card.parameters / 1e6,
    "MACs (M)": lambda card: card.macs / 1e6,
}
"""Columns from a model's card; multiply-accumulates of one image, which papers print as FLOPs."""


@dataclass(frozen=True)
class Layout:
    """What a table shows besides.

    Attributes:
        base: label of the row that the others' differences to are shown, in brackets; None: none are.
        sizes: the models' parameters and multiply-accumulates, beside their accuracy.
        normaliser: what a baseline does, that corruptions or sequences are divided by; None: none, but for published files.
    """

    base: str | None = None
    sizes: bool = False
    normaliser: Baseline | None = None


PLAIN = Layout()


def robustness_table(group: Group, cards: Mapping[str, ModelCard], layout: Layout = PLAIN) -> Table:
    """A table in the style of the KSA paper's Table 1: rows defenses, columns attacks.

    Robust accuracy decides the marks of columns of success rates, so that being right on few images is no merit.

    Args:
        cards: by the names of the models.
    """
    columns, keys, filled, odd = list[Column](), list[str](), list[list[Cell]](), list[str]()
    units = {model: group.of(model) for model in group.defenses}
    reasons = {model: no_rank(own) for model, own in units.items()}

    def add(column: Column, parts: Sequence[Any], made: Callable[[Any], Made], key: str = "") -> None:
        """A column, from what each defense's cell is made of (None: it was not measured), of a threat of this key."""
        cells, terms = [], []
        for part, model in zip(parts, group.defenses, strict=True):
            cell, term = column.cell(math.nan), None
            if part is not None:
                try:
                    cell, term = made(part)
                except Exception as error:  # one odd cell must not take the others away
                    log.exception("%s, %s", column.group, column.name)
                    cell = replace(BROKEN, note=f"{type(error).__name__}: {error}")
                    odd.append(f"{group.defenses[model]}, {column.group} {column.name}: broken ({cell.note}).")
            if term is not None:
                cell = on_images(replace(cell, merit=math.nan) if reasons[model] else cell, term.images.tolist())
            cells.append(cell)
            terms.append(term)
        columns.append(column)
        keys.append(key)
        filled.append(marked(cells, terms))

    def of_threat(threat: Threat, name: str, higher_is_better: bool, metric: str, made: Callable[..., Made]) -> None:
        near = "" if threat.eps is None else f" {written_float(threat.eps)}"
        about = replace(about_threat(threat), metric=metric)
        column = Column(
            *(threat.label, f"{name}{near}", higher_is_better),
            percent=True,
            short=threat.short,
            note=threat.note,
            family=family(threat),
            of=about,
        )
        add(column, [group.find(model, threat) for model in group.defenses], partial(made, column), threat.key)

    column = share_column("", "Clean", True, "clean_accuracy")
    add(column, list(units.values()), partial(_clean, column))
    for name, size in _SIZES.items() if layout.sizes else ():
        column = Column("", name, None, digits=2)
        add(column, [cards.get(model) for model in group.defenses], partial(_size, column, size))
    several = set[str]()
    for norm, eps in _thresholds(group):
        threats = bearing(group, norm, eps)
        rows = [[one for one in (group.find(model, t) for t in threats) if one] for model in group.defenses]
        board = [one for one in group.units if on_board(one) and one.unit.facts.norm == norm]
        many = len({group.threat(one).label for one in board}) > 1
        several |= {norm} if many else set()
        name = "Worst case, robust accuracy" if many else "Robust accuracy"
        wanted = required(group, norm, eps)
        if not many:  # a row that was attacked at this radius alone lacks nothing; one that was not is not shown
            wanted = {max(threats, key=lambda threat: threat.eps or 0).key}
            rows = [own if any(one.unit.identity.threat in wanted for one in own) else [] for own in rows]
        metric = "worst_case" if many else "robust_accuracy"
        column = share_column(name, f"{NORM_NAMES[norm]} {written_float(eps)}", True, metric, norm=norm, eps=eps)
        add(column, [own or None for own in rows], partial(worst_cell, column, norm, eps, wanted))
    for threat in group.threats:
        facts = threat.first.unit.facts
        if facts.goal != "minimal" and (facts.norm in several or not on_board(threat.first)):
            of_threat(threat, "Robust", True, "robust_accuracy", _robust)
        of_threat(threat, "ASR", False, "asr", _success)
        if facts.share:
            column = replace(columns[-1], name="True class", higher_is_better=True)
            column = replace(column, of=replace(column.of, metric="confidence"))
            found = [group.find(model, threat) for model in group.defenses]
            add(column, found, partial(_confidence, column), threat.key)
        if facts.goal == "minimal":
            for norm in ("l1", "l2", "linf"):
                column = norm_column(threat, norm)
                found = [group.find(model, threat) for model in group.defenses]
                add(column, found, partial(_norm, column, norm), threat.key)
    broken, failures = _failures(group)
    for cells, key in zip(filled, keys, strict=True):
        for row, model in enumerate(group.defenses):
            if (model, key) in broken and math.isnan(cells[row].value):
                cells[row] = replace(BROKEN, note=broken[model, key])
    shown, said = told_apart([[column[place] for column in filled] for place in range(len(group.defenses))])
    remarks = [" · ".join(filter(None, pair)) for pair in zip(said, reasons.values(), strict=True)]
    labels = list(group.defenses.values())
    if layout.base in labels:
        shown = _against(shown, shown[labels.index(layout.base)], columns)
    table_rows = list(zip(labels, shown, strict=True))
    caption = (
        caption_of(group, cards, different_images=any(said), marked=any(cell.best for row in shown for cell in row))
        if group.units
        else []
    )
    if layout.base in labels:
        caption.append(
            f"In brackets with a sign: the difference to {layout.base}, in the column's own unit; no test of it."
        )
    told = [*caption, *odd]
    return Table(
        f"Robustness on {group.name}",
        columns,
        table_rows,
        told,
        remarks,
        failures,
        of=group.abouts(),
        name="robustness",
    )


def _against(rows: Sequence[Sequence[Cell]], base: Sequence[Cell], columns: Sequence[Column]) -> list[list[Cell]]:
    """The rows of a table, with each cell's difference to the base row's, where both are of the same images and in full."""

    def against(cell: Cell, other: Cell, column: Column) -> Cell:
        known = not (math.isnan(cell.value) or math.isnan(other.value) or cell.at_most or other.at_most)
        if cell is other or not known or cell.images != other.images or column.higher_is_better is None:
            return cell
        return replace(cell, text=f"{cell.text} ({column.shown(cell.value - other.value, '+')})")

    return [[against(*each) for each in zip(cells, base, columns, strict=True)] for cells in rows]


def _failures(group: Group) -> tuple[dict[tuple[str, str], str], list[Failure]]:
    """What is broken in the cells, by row and column, and what has a line of its own below the rows."""
    broken, lines = {}, []
    for refusal in group.refused:
        label = group.defenses.get(refusal.model, str(refusal.defense))
        if refusal.attack is None:
            lines.append(Failure(label, "", refusal.reason, group.name))
            continue
        attack = str(refusal.attack) + ("" if refusal.precision == "float32" else f" · {refusal.precision}")
        lines.append(Failure(label, attack, refusal.reason, group.name))
        for threat in group.threats:
            asked = threat.first.unit
            if (asked.spec.attack, asked.identity.precision) == (refusal.attack, refusal.precision):
                broken[refusal.model, threat.key] = refusal.reason
    return broken, lines


def _thresholds(group: Group) -> list[tuple[str, float]]:
    facts = [one.unit.facts for one in group.units if on_board(one)]
    return sorted({(f.norm, f.eps) for f in facts if f.eps is not None})


def _clean(column: Column, units: list[Measured]) -> Made:
    images, right = first_right([one.arrays for one in units])
    return _share(column, rate_of(right)), _shares(images, right)


def _shares(images: NDArray[np.str_], right: NDArray[np.bool_]) -> Terms:
    """Of how many images something holds."""
    return Terms(images, right.astype(np.float64), np.ones(len(images)))


def _size(column: Column, size: Callable[[ModelCard], float], card: ModelCard) -> Made:
    return column.cell(size(card)), None


def _robust(column: Column, one: Measured) -> Made:
    fooled = fooled_within(one.arrays, one.unit.facts.norm, None)
    cell = _in_part(_share(column, rate_of(~fooled)), one)
    return cell, _shares(one.arrays.names, ~fooled)


def _in_part(cell: Cell, one: Measured) -> Cell:
    """It has no rank where some of the images were not attacked."""
    if in_full(one):
        return cell
    given, of = attacked_images(one.arrays)
    return replace(cell.saying(f"{given:,} of {of:,} attacked"), merit=math.nan)


def _success(column: Column, one: Measured) -> Made:
    """The success rate; its merit is the robust accuracy that is left."""
    fooled = fooled_within(one.arrays, one.unit.facts.norm, None)
    cell = replace(_share(column, attack_success_rate(one.arrays)), merit=1 - float(fooled.mean()))
    cell = _in_part(cell, one)
    if thin := on_the_boundary(one.arrays):
        cell = replace(cell, note="; ".join(filter(None, [cell.note, f"{thin:,} on the boundary"])))
    return cell, _shares(one.arrays.names, ~fooled)


def _confidence(column: Column, one: Measured) -> Made:
    right, said = one.arrays.flags("correct"), np.nan_to_num(one.arrays.numbers("confidence"))
    return column.cell(confidence(one.arrays), _interval(said, right, one.arrays)), _terms(said, right, one.arrays)


def _norm(column: Column, norm: str, one: Measured) -> Made:
    hit, size = one.arrays.flags("correct") & one.arrays.flags("success"), one.arrays.numbers(norm)
    cell = column.cell(distances(one.arrays, norm).mean, _interval(size, hit, one.arrays))
    cell = cell if in_full(one) else replace(cell, merit=math.nan)
    return cell, _terms(size, hit, one.arrays)


def _interval(values: NDArray[np.float64], among: NDArray[np.bool_], cell: Arrays) -> Interval | None:
    """Of a mean over some of the records; images are drawn again, since several may share one. None where there are few."""
    images = cell.of[among]
    return clustered(values[among], images) if len(np.unique(images)) > 1 else None


def worst_cell(column: Column, norm: str, eps: float, wanted: set[str], units: list[Measured]) -> Made:
    """The worst case; where other rows were attacked with more, it says of how many, and has no rank.

    Args:
        wanted: the attacks that some row was attacked with.
    """
    have = {one.unit.identity.threat for one in units if in_full(one)} & wanted
    images, fooled = fooled_by_any([one.arrays for one in units], norm, eps)
    cell = _share(column, rate_of(~fooled), at_most=have != wanted)
    if have != wanted:
        cell = cell.saying(f"{len(have)} of {len(wanted)} attacks")
    return cell, _shares(images, ~fooled)


def _terms(values: NDArray[np.float64], among: NDArray[np.bool_], cell: Arrays) -> Terms:
    """Of a mean of values over some of the rows."""
    return Terms(cell.names, cell.sums(np.where(among, values, 0.0)), cell.sums(among.astype(np.float64)))


def _share(column: Column, share: Rate, *, at_most: bool = False) -> Cell:
    return replace(column.cell(share.value, share.interval, at_most=at_most), counted=(share.count, share.total))
