"""Tables of sequences of small changes: how often predictions flip from frame to frame, and how far the likeliest classes move."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from robench.benchmarks import PERTURBATION_VALIDATION, PERTURBATIONS
from robench.errors import DataError
from robench.records.unit import Measured, Unit
from robench.reporting.evidence import on_images, without_rank
from robench.reporting.groups import Group
from robench.reporting.normalisers import Baseline, SequenceBaseline, suited
from robench.reporting.resampling import Array, bootstrap
from robench.reporting.sequence_metrics import (
    clips,
    flip_probability,
    is_noise,
    mean_flip_rate,
    mean_top5_distance,
    top5_distance,
)
from robench.reporting.tables import About, Cell, Column, Table
from robench.reporting.ties import Terms, marked

Metric = Callable[..., Array]
Ratio = Callable[[Mapping[str, float], Mapping[str, float]], float]


def of_sequences(unit: Unit) -> bool:
    """Whether a unit is one perturbation, frame by frame."""
    facts = unit.facts
    return facts.goal == "natural" and facts.corruption is not None and facts.severity is None and not facts.share


@dataclass(frozen=True)
class Steadiness:
    """What a model made of clips.

    Attributes:
        units: each one perturbation.
    """

    units: list[Measured]

    @cached_property
    def flips(self) -> pd.DataFrame:
        """Flip probability of each clip (row: the image it is made of) under each perturbation."""
        return self._each(flip_probability)

    @cached_property
    def moves(self) -> pd.DataFrame:
        """Top-5 distance likewise; no columns where the model has fewer than five classes."""
        few = min(one.unit.facts.classes for one in self.units) < 5
        return pd.DataFrame(index=self.flips.index) if few else self._each(top5_distance)

    def _each(self, metric: Metric) -> pd.DataFrame:
        columns = {}
        for one in self.units:
            name = str(one.unit.facts.corruption)
            images, top = clips(one.records)
            columns[name] = pd.Series(metric(top, noise=is_noise(name)), index=images)
        return pd.DataFrame(columns).dropna()


def sequence_tables(group: Group, base: str | None = None, normaliser: Baseline | None = None) -> list[Table]:
    """The tables of a group's sequences; none where it has none.

    Args:
        base: label of the row whose figures the others' are divided by.
        normaliser: a baseline whose figures to divide by; None: the published ones, of a set that is as published.
    """
    own = group.where(of_sequences)
    if not own.units:
        return []
    rows = {label: Steadiness(own.of(model)) for model, label in own.defenses.items()}
    without = {label: why for model, label in own.defenses.items() if (why := without_rank(own.of(model)))}
    over, why_not = suited(normaliser, SequenceBaseline, own.units[0].unit.facts.normaliser)
    summary = _summary(own, rows, base, over, without)
    return [replace(summary, caption=[*summary.caption, *([why_not] if why_not else [])]), _each(own, rows, without)]


def _summary(
    group: Group,
    rows: Mapping[str, Steadiness],
    base: str | None,
    over: SequenceBaseline | None,
    without: Mapping[str, str],
) -> Table:
    columns, filled = [], list[list[Cell]]()
    run = {label: [name for name in PERTURBATIONS if name in row.flips] for label, row in rows.items()}
    names = max(run.values(), key=len) or [*next(iter(rows.values())).flips]
    complete = len(names) == len(PERTURBATIONS)
    of = "" if complete else f" of {len(names)}"
    for name, part, digits in ((f"mFP{of}", "flips", 1), (f"uT5D{of}", "moves", 2)):
        tables = {label: getattr(row, part) for label, row in rows.items()}
        if not any(set(names) <= set(table) for table in tables.values()):
            continue
        column = Column("", name, False, digits=digits, percent=part == "flips")
        cells, terms = [], list[Terms | None]()
        for label, table in tables.items():
            if not set(names) <= set(table):
                cells.append(column.cell(math.nan))
                terms.append(None)
                continue
            value, interval = bootstrap(lambda means: float(means.mean()), table[names].to_numpy())
            cell = on_images(column.cell(value, interval), table.index)
            cells.append(replace(cell, merit=math.nan) if label in without else cell)
            terms.append(Terms.of(pd.DataFrame({"a": -table[names].sum(axis=1), "b": float(len(names))})))
        columns.append(column)
        filled.append(marked(cells, terms))
        known = {} if over is None else over.flip_probability if part == "flips" else over.top5_distance
        mean = mean_flip_rate if part == "flips" else mean_top5_distance
        if complete and set(PERTURBATIONS) <= set(known):
            published = Column("", "mFR" if part == "flips" else "mT5D", False, digits=1)
            columns.append(published)
            filled.append([_normalised(published, mean, table, known) for table in tables.values()])
        if base is not None and base in tables and complete and set(names) <= set(tables[base]):
            ratio = Column(f"over {base}", "mFR" if part == "flips" else "mT5D", False, digits=1)
            columns.append(ratio)
            filled.append([_over(ratio, mean, table, tables[base]) for table in tables.values()])
    unit = group.units[0].unit
    sources = list(dict.fromkeys(one.unit.facts.source.partition(" in ")[0] for one in group.units))
    height, width = unit.facts.shape[1:]
    clips_seen = sorted({len(row.flips) for row in rows.values()})
    made = "from files as they are" if unit.facts.family else "made in memory from test images"
    other = "" if unit.facts.family else " They are not the published files, which are compressed as video."
    caption = [
        f"n = {' to '.join(f'{count:,}' for count in clips_seen)} clips of {height} x {width} pixels, {made} "
        f"({sources[0]}{f' and {len(sources) - 1} more' if len(sources) > 1 else ''}), difficulty 1, attack seed {unit.identity.seed}; the same frames for every defense.{other}",
        f"mFP: share of the pairs of frames, in %, between which the prediction flips, mean of {'the ten' if complete else len(names)} "
        f"perturbation{'' if len(names) == 1 else 's'}; uT5D: how far the five likeliest classes "
        "move. Noise is compared with the clean frame, all else with the frame before. No label is asked for: a constant prediction never flips.",
    ]
    if any(column.group for column in columns):
        caption.append(
            f"mFR and mT5D, in %: over those of {base}, measured here the same way, and not over AlexNet's published ones."
        )
    if over is not None and any(column.name in ("mFR", "mT5D") and not column.group for column in columns):
        doubt = "" if over.verified else ", which are not verified"
        caption.append(f"mFR and mT5D, in %: over those of {over.title}{doubt}.")
    return group.table(f"Sequences of perturbations, {group.name}", "sequences", columns, filled, caption, without)


def _normalised(column: Column, mean: Ratio, own: pd.DataFrame, known: Mapping[str, float]) -> Cell:
    """The mean of the ten perturbations' ratios to a baseline's figures."""
    names = list(PERTURBATIONS)
    if not set(names) <= set(own):
        return column.cell(math.nan)
    value, interval = bootstrap(
        lambda means: mean(dict(zip(names, means.tolist(), strict=True)), known), own[names].to_numpy()
    )
    return replace(column.cell(value, interval), merit=math.nan)


def _over(column: Column, mean: Ratio, own: pd.DataFrame, base: pd.DataFrame) -> Cell:
    """The mean of the ten perturbations' ratios to the base row's, on the clips that both have."""
    names = list(PERTURBATIONS)
    if not set(names) <= set(own):
        return column.cell(math.nan)
    images = own.index.intersection(base.index)
    both = np.hstack([part.loc[images, names].to_numpy() for part in (own, base)])

    def statistic(means: Array) -> float:
        own_means, base_means = (dict(zip(names, half.tolist(), strict=True)) for half in np.split(means, 2))
        try:
            return mean(own_means, base_means)
        except DataError:  # the base row never flips
            return math.nan

    value, interval = bootstrap(statistic, both)
    return replace(column.cell(value, interval), merit=math.nan)


def _each(group: Group, rows: Mapping[str, Steadiness], without: Mapping[str, str]) -> Table:
    """Rows perturbations, columns defenses: the flip probability."""
    known = [*PERTURBATIONS, *PERTURBATION_VALIDATION]
    names = sorted({str(name) for row in rows.values() for name in row.flips}, key=known.index)
    columns = [
        Column("", label, None, percent=True, of=replace(about, metric="flip_probability"))
        for label, about in zip(rows, group.abouts(), strict=True)
    ]
    lines = []
    for name in names:
        cells, terms = [], list[Terms | None]()
        for column, (label, row) in zip(columns, rows.items(), strict=True):
            if name not in row.flips:
                cells.append(column.cell(math.nan))
                terms.append(None)
                continue
            value, interval = bootstrap(lambda means: float(means.mean()), row.flips[[name]].to_numpy())
            merit = math.nan if label in without else -value
            cells.append(on_images(replace(column.cell(value, interval), merit=merit), row.flips.index))
            terms.append(Terms.of(pd.DataFrame({"a": -row.flips[name], "b": 1.0})))
        lines.append((name, marked(cells, terms)))
    caption = ["Flip probability in %. Marked: the least of each row and its statistical ties."]
    title, of = f"Flip probability by perturbation, {group.name}", [About(attack=name) for name, _ in lines]
    return Table(title, columns, lines, caption, head="Perturbation", of=of, name="flip probability by perturbation")
