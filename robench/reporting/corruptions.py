"""Tables of common corruptions: what is over all of them, each corruption, and for each defense all five severities."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from robench.benchmarks import (
    CIFAR10_C_BAR,
    CORRUPTION_VALIDATION,
    CORRUPTIONS,
    GROUPS,
    IMAGENET_C_BAR,
    NOISES,
    SEVERITIES,
)
from robench.errors import DataError
from robench.records.cards import ModelCard
from robench.reporting.captions import corruptions_said
from robench.reporting.corrupted import Corrupted, of_corruptions
from robench.reporting.corruption_metrics import (
    CLEAN,
    Errors,
    breaking_severity,
    by_corruption,
    mce_without_noise,
    mean_corruption_error,
    on_common_images,
    relative_mean_corruption_error,
)
from robench.reporting.evidence import on_images, without_rank
from robench.reporting.groups import Group
from robench.reporting.normalisers import Baseline, CorruptionBaseline, suited
from robench.reporting.resampling import Array, bootstrap, paired_bootstrap
from robench.reporting.tables import About, Cell, Column, Table
from robench.reporting.ties import Terms, marked

SETS: dict[str, tuple[str, ...]] = {
    "Mean error": CORRUPTIONS,
    "without noise": tuple(name for name in CORRUPTIONS if name not in NOISES),
    **{f"{name} ({len(members)})": members for name, members in GROUPS.items()},
    "Validation (4)": CORRUPTION_VALIDATION,
    "ImageNet-C-bar (10)": IMAGENET_C_BAR,
    "CIFAR-10-C-bar (10)": CIFAR10_C_BAR,
}
"""Means that are printed where all of their corruptions were run at all severities."""


def corruption_tables(
    group: Group, cards: Mapping[str, ModelCard], base: str | None = None, normaliser: Baseline | None = None
) -> list[Table]:
    """The tables of a group's corruptions; none where it has none.

    Args:
        cards: by the names of the models.
        base: label of the row whose errors the others' are divided by.
        normaliser: a baseline whose errors to divide by; None: the published ones, of a set that is as published.
    """
    own = group.where(of_corruptions)
    if not own.units:
        return []
    rows = {label: Corrupted(own.of(model)) for model, label in own.defenses.items()}
    without = {label: why for model, label in own.defenses.items() if (why := without_rank(own.of(model)))}
    facts = own.units[0].unit.facts
    over, why_not = suited(normaliser, CorruptionBaseline, facts.normaliser)
    tables = [_summary(own, rows, base, over, without), _each(own, rows, without)]
    tables += [_severities(about, row) for about, row in zip(own.abouts(), rows.values(), strict=True)]
    notes = [
        f"{label}: {card.note}." for model, label in own.defenses.items() if (card := cards.get(model)) and card.note
    ]
    notes += [why_not] if why_not else []
    tables[0] = replace(tables[0], caption=[*corruptions_said(own, facts, rows), *tables[0].caption, *notes])
    return tables


def _summary(
    group: Group,
    rows: Mapping[str, Corrupted],
    base: str | None,
    over: CorruptionBaseline | None,
    without: Mapping[str, str],
) -> Table:
    """Rows defenses; the clean error, means over sets of corruptions, and what is divided by the base row's errors."""
    columns, filled, caption = [], list[list[Cell]](), list[str]()

    def add(name: str, conditions: Mapping[str, Sequence[tuple[str, int]]]) -> None:
        column = Column("", name, False, percent=True)
        cells, terms = [], list[Terms | None]()
        for label, row in rows.items():
            if not (wanted := conditions.get(label)):
                cells.append(column.cell(math.nan))
                terms.append(None)
                continue
            value, interval = row.estimate(wanted)
            terms.append(row.terms(wanted))
            cell = on_images(column.cell(value, interval), row.wrong.index)
            cells.append(replace(cell, merit=math.nan) if label in without else cell)
        columns.append(column)
        filled.append(marked(cells, terms))

    if any(row.clean is not None for row in rows.values()):
        add("Clean error", {label: [CLEAN] for label, row in rows.items() if row.clean is not None})
    complete = {name: [label for label, row in rows.items() if row.has(members)] for name, members in SETS.items()}
    for name, labels in complete.items():
        if labels:
            add(name, {label: [(c, s) for c in SETS[name] for s in SEVERITIES] for label in labels})
    if over and any(row.has(CORRUPTIONS) for row in rows.values()):
        for name, mean in (("mCE", mean_corruption_error), ("mCE without noise", mce_without_noise)):
            column = Column("", name, False, digits=1)
            columns.append(column)
            filled.append([_published(column, row, mean, over.errors) for row in rows.values()])
        caption.append(f"mCE, in %: errors over those of {over.title}.")
    if not any(complete.values()):
        run = {label: row.conditions for label, row in rows.items()}
        count = max(map(len, run.values()))
        add(
            f"Mean error of {count} condition{'s' if count > 1 else ''}",
            {k: v for k, v in run.items() if len(v) == count},
        )
    if base is not None and base in rows and rows[base].has(CORRUPTIONS):
        column = Column(f"to {base}", "difference", False, percent=True)
        columns.append(column)
        filled.append([_apart(column, row, rows[base]) for row in rows.values()])
        for name in ("mCE", *(["relative mCE"] if rows[base].clean is not None else [])):
            column = Column(f"over {base}", name, False, digits=1)
            columns.append(column)
            filled.append([_over(column, row, rows[base], relative=name != "mCE") for row in rows.values()])
        if all(math.isnan(cell.value) for cell in filled[-1]) and columns[-1].name != "mCE":
            caption.append(f"There is no relative mCE where {base} is as good under a corruption as without it.")
        caption.append(
            f"Difference: of the mean error, in points, with its 95 % interval over the images that both have. mCE and relative mCE, in %: errors over those of {base}, measured here the same way, and not over AlexNet's "
            "published ones, which were of other images stored as JPEG."
        )
    return group.table(f"Common corruptions, {group.name}", "corruptions", columns, filled, caption, without)


def _published(
    column: Column, row: Corrupted, mean: Callable[[Mapping[str, Array], Mapping[str, Array]], float], errors: Errors
) -> Cell:
    """A mean over published errors of a baseline, with its interval over images."""
    if not row.has(CORRUPTIONS):
        return column.cell(math.nan)
    conditions = [(name, severity) for name in CORRUPTIONS for severity in SEVERITIES]
    value, interval = bootstrap(
        lambda means: mean(by_corruption(means, conditions), errors), row.wrong[conditions].to_numpy()
    )
    return on_images(column.cell(value, interval), row.wrong.index)


def _apart(column: Column, row: Corrupted, base: Corrupted) -> Cell:
    """The paired difference of the mean errors, with its interval."""
    if row is base or not row.has(CORRUPTIONS):
        return column.cell(math.nan)
    conditions = [(name, severity) for name in CORRUPTIONS for severity in SEVERITIES]
    own, other = on_common_images(row.wrong[conditions], base.wrong[conditions])
    value, interval = paired_bootstrap(lambda means: float(means.mean()), own.to_numpy(), other.to_numpy())
    low, high = (column.shown(end, "+") for end in interval)
    text = f"{column.shown(value, '+')} ({low} to {high})"
    return replace(column.cell(value, interval), text=text, merit=math.nan)


def _over(column: Column, row: Corrupted, base: Corrupted, *, relative: bool) -> Cell:
    """A ratio of sums of errors over the base row's, on the images that both have; its interval draws those again."""
    if not row.has(CORRUPTIONS):
        return column.cell(math.nan)
    conditions = [CLEAN, *((name, severity) for name in CORRUPTIONS for severity in SEVERITIES)]
    both = np.hstack(
        [part.to_numpy(dtype=float) for part in on_common_images(row.wrong[conditions], base.wrong[conditions])]
    )

    def statistic(means: Array) -> float:
        (own, own_clean), (other, other_clean) = (
            (by_corruption(half, conditions), float(half[0])) for half in np.split(means, 2)
        )
        try:
            if relative:
                return relative_mean_corruption_error(own, own_clean, other, other_clean)
            return mean_corruption_error(own, other)
        except DataError:  # the base row makes no errors
            return math.nan

    value, interval = bootstrap(statistic, both)
    return replace(column.cell(value, interval), merit=math.nan)


def _each(group: Group, rows: Mapping[str, Corrupted], without: Mapping[str, str]) -> Table:
    """Rows corruptions, columns defenses: the mean error over the severities that were run."""
    names = list(dict.fromkeys(name for row in rows.values() for name, _ in row.conditions))
    known = [name for name in dict.fromkeys([*CORRUPTIONS, *CORRUPTION_VALIDATION, *IMAGENET_C_BAR, *CIFAR10_C_BAR])]
    columns = [
        Column("", label, None, percent=True, of=replace(about, metric="error"))
        for label, about in zip(rows, group.abouts(), strict=True)
    ]
    lines, of = [], list[About]()
    for name in sorted(names, key=known.index):
        severities = max(
            ([s for s in SEVERITIES if (name, s) in row.wrong] for row in rows.values()), key=lambda own: len(own)
        )
        cells, terms = [], list[Terms | None]()
        for column, (label, row) in zip(columns, rows.items(), strict=True):
            wanted = [(name, s) for s in severities]
            if any(condition not in row.wrong for condition in wanted):
                cells.append(column.cell(math.nan))
                terms.append(None)
                continue
            value, interval = row.estimate(wanted)
            terms.append(row.terms(wanted))
            merit = math.nan if label in without else -value
            cells.append(on_images(replace(column.cell(value, interval), merit=merit), row.wrong.index))
        told = "" if len(severities) == len(SEVERITIES) else f", severity {', '.join(map(str, severities))}"
        lines.append((name + told, marked(cells, terms)))
        of.append(About(attack=name + told))
    caption = [
        "Error in %, mean over the severities.",
        "Of the images and corruptions of the table before. Marked: the least error of each row and its statistical ties.",
    ]
    return Table(
        f"Error by corruption, {group.name}",
        columns,
        lines,
        caption,
        head="Corruption",
        of=of,
        name="error by corruption",
    )


def _severities(about: About, row: Corrupted) -> Table:
    """Rows corruptions, columns severities, of one defense."""
    columns = [
        *(
            Column("severity", str(severity), None, percent=True, of=About(metric=f"error at severity {severity}"))
            for severity in SEVERITIES
        ),
        Column("", "mean", None, percent=True, of=About(metric="error")),
        Column("", "below half at", None, digits=0),
    ]
    conditions = row.conditions
    clean = row.clean
    lines = []
    for name, errors in by_corruption(row.wrong[conditions].mean().to_numpy(dtype=float), conditions).items():
        cells = []
        for column, severity in zip(columns, SEVERITIES, strict=False):
            there = (name, severity) in row.wrong
            value, interval = row.estimate([(name, severity)]) if there else (math.nan, None)
            cells.append(column.cell(value, interval))
        complete = bool(np.isfinite(errors).all())
        cells.append(columns[-2].cell(float(errors.mean())))
        if clean is not None:
            at = breaking_severity(errors, clean) if complete else None
            cells.append(columns[-1].cell(float(at)) if at else Cell("none" if complete else "–"))
        lines.append((name, cells))
    caption = ["Error in %, of the same images and corruptions."]
    if clean is None:
        columns = columns[:-1]
    else:
        caption[0] += (
            " Below half at: the first severity at which the accuracy is below half of the clean accuracy, "
            f"{100 * (1 - clean):.1f} %."
        )
    of = [replace(about, attack=name) for name, _ in lines]
    title = f"{about.defense}: error by corruption and severity, {about.dataset}"
    return Table(title, columns, lines, caption, head="Corruption", of=of, name="error by corruption and severity")
