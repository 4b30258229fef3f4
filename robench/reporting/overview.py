"""One table over all that a model was tested on, in the style of the RSPC study's: clean, L∞, C, P, A, patches, size."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

from robench.benchmarks import CORRUPTIONS, NOISES, PERTURBATIONS, SEVERITIES
from robench.entries.calls import written_float
from robench.records.cards import ModelCard
from robench.records.unit import Measured
from robench.reporting.columns import NORM_NAMES
from robench.reporting.corrupted import Corrupted, of_corruptions
from robench.reporting.detection import of_unseen
from robench.reporting.evidence import bearing, on_board, required
from robench.reporting.groups import Group
from robench.reporting.metrics import attack_success_rate_all, clean_accuracy
from robench.reporting.resampling import bootstrap
from robench.reporting.robustness import worst_cell
from robench.reporting.sequences import Steadiness, of_sequences
from robench.reporting.short_names import short_name
from robench.reporting.statistics import Interval
from robench.reporting.tables import About, Cell, Column, Table

Made = Callable[[list[Measured]], Cell | None]
"""From a model's units on a data set to a cell; None where they have nothing of it."""


def overview(groups: Sequence[Group], cards: Mapping[str, ModelCard]) -> Table | None:
    """Rows models, columns what they were tested on; None where no natural threat was met.

    Cells are not marked: each column has its own images, and the tables of the data sets say what is significant.
    """
    labels: dict[str, str] = {}
    for group in groups:
        for one in group.units:
            labels.setdefault(one.unit.identity.trained, group.label(one))
    if not any(one.unit.facts.goal == "natural" for group in groups for one in group.units):
        return None
    columns, rows = [], [list[Cell]() for _ in labels]
    for group in groups:
        for column, make in _kinds(group):
            cells = [make([o for o in group.units if o.unit.identity.trained == model]) for model in labels]
            if any(cells):
                columns.append(column)
                for row, cell in zip(rows, cells, strict=True):
                    row.append(cell or column.cell(math.nan))
    if len(columns) < 2:
        return None
    largest = max((card.macs for card in cards.values()), default=0)
    unit, size_of = ("G", 1e9) if largest >= 1e9 else ("M", 1e6)
    sizes: dict[str, Callable[[ModelCard], float]] = {
        f"MACs ({unit})": lambda card: card.macs / size_of,
        "Parameters (M)": lambda card: card.parameters / 1e6,
    }
    own = {
        one.unit.identity.trained: card
        for group in groups
        for one in group.units
        if (card := cards.get(one.unit.identity.model))
    }
    for name, size in sizes.items():
        column = Column("", name, None, digits=2)
        columns.append(column)
        for row, model in zip(rows, labels, strict=True):
            card = own.get(model)
            row.append(column.cell(size(card)) if card else column.cell(math.nan))
    caption = [
        "Accuracy, errors (C) and flip probabilities (P) in %.",
        "Clean, L∞ and patches: accuracy in %; C: mean error in % over 15 corruptions at 5 severities, w/o noise over the 12 others; P: mean flip probability in "
        "% over 10 perturbations.",
        "The tables of the data sets say of which images, with which intervals, and how they were made.",
    ]
    return Table("Overview", columns, [*zip(labels.values(), rows, strict=True)], caption, name="overview")


def _kinds(group: Group) -> Iterator[tuple[Column, Made]]:
    """What is printed of a data set's units."""
    group = group.where(lambda unit: not of_unseen(unit))
    if not group.units:
        return
    if not any(one.unit.facts.family for one in group.units):  # published corrupted: there are no clean images
        yield _shares(group, "Clean", True), partial(_clean, _shares(group, "Clean", True))
    norms = sorted({(o.unit.facts.norm, o.unit.facts.eps) for o in group.units if on_board(o) and o.unit.facts.eps})
    for norm in dict.fromkeys(norm for norm, _ in norms):
        eps = min(eps for own, eps in norms if own == norm and eps is not None)
        column = _shares(group, f"{NORM_NAMES[norm]} {written_float(eps)}", True)
        near = {threat.key for threat in bearing(group, norm, eps)}
        yield column, partial(_robust, column, norm, eps, near, required(group, norm, eps))
    without = [name for name in CORRUPTIONS if name not in NOISES]
    for name, members in (("C", CORRUPTIONS), ("C w/o noise", without)):
        column = _shares(group, name, False)
        yield column, partial(_corrupted, column, members)
    column = _shares(group, "P", False)
    yield column, partial(_steady, column)
    patches = {str(o.unit.spec.attack): o for o in group.units if o.unit.facts.share and o.unit.facts.goal == "natural"}
    heads = {text: f"{short_name(o.unit.spec.attack.name)} {_asked(o)}" for text, o in patches.items()}
    for text, head in heads.items():
        column = _shares(group, head if [*heads.values()].count(head) == 1 else text, True)
        yield column, partial(_patched, column, text)


def _asked(one: Measured) -> str:
    """The share of the patches that an attack was asked to touch."""
    share = one.unit.facts.share
    return f"{100 * share[0]:.3g} %" if share else ""


def _shares(group: Group, name: str, higher_is_better: bool) -> Column:
    return Column(group.name, name, higher_is_better, percent=True, of=About(dataset=group.name, attack=name))


def _clean(column: Column, units: list[Measured]) -> Cell | None:
    if not units:
        return None
    rate = clean_accuracy(max((one.arrays for one in units), key=len))
    return replace(column.cell(rate.value, rate.interval), n=rate.total)


def _robust(
    column: Column, norm: str, eps: float, near: set[str], wanted: set[str], units: list[Measured]
) -> Cell | None:
    """The worst case over the attacks that may reach eps, "≤" where other rows were attacked with more."""
    own = [one for one in units if one.unit.identity.threat in near]
    return worst_cell(column, norm, eps, wanted, own)[0] if own else None


def _corrupted(column: Column, names: Sequence[str], units: list[Measured]) -> Cell | None:
    own = [one for one in units if of_corruptions(one.unit)]
    if not own or not (row := Corrupted(own)).has(names):
        return None
    value, interval = row.estimate([(name, severity) for name in names for severity in SEVERITIES])
    return column.cell(value, interval)


def _steady(column: Column, units: list[Measured]) -> Cell | None:
    own = [one for one in units if of_sequences(one.unit)]
    if not own or not set(PERTURBATIONS) <= set((row := Steadiness(own)).flips):
        return None
    value, interval = bootstrap(lambda means: float(means.mean()), row.flips[[*PERTURBATIONS]].to_numpy())
    return column.cell(value, interval)


def _patched(column: Column, attack: str, units: list[Measured]) -> Cell | None:
    found = next((one for one in units if str(one.unit.spec.attack) == attack), None)
    if found is None:
        return None
    rate, share = attack_success_rate_all(found.arrays), found.unit.facts.share
    cell = column.cell(1 - rate.value, Interval(1 - rate.interval.high, 1 - rate.interval.low))
    return replace(cell, note=f"{100 * share[1]:.3g} % of the patches") if share else cell
