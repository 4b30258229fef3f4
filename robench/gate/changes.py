"""How the number of a gate changed, over the images of both runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from robench.benchmarks import CORRUPTIONS
from robench.errors import UsageError
from robench.gate.cells import Cell, Flags, size_of
from robench.gate.paired import change_interval
from robench.gate.policy import Gate
from robench.gate.subjects import Subject
from robench.reporting.corruption_metrics import by_corruption, mean_corruption_error, mean_error
from robench.reporting.normalisers import CorruptionBaseline, baseline, suited
from robench.reporting.resampling import Statistic, bootstrap, paired_bootstrap
from robench.reporting.statistics import Interval, Z, paired_ratio_difference

FEWEST = 10
"""Images that a distance is compared on at least: with fewer, Student's t is wrong too often."""


class Change(NamedTuple):
    """How a number changed.

    Attributes:
        before, after: in points, or in a distance's unit; before is NaN where there is none.
        points: after less before; of a distance, in percent of before.
        interval: 95 %, of points; None where there is nothing to compare.
        error: the standard error of points, where no images are counted.
        images: that it is of.
        was, now: of metrics that count images, for each of them.
    """

    before: float
    after: float
    points: float = math.nan
    interval: Interval | None = None
    error: float = math.nan
    images: NDArray[np.str_] = np.zeros(0, dtype=np.str_)
    was: Flags | None = None
    now: Flags | None = None


def change_of(gate: Gate, subject: Subject) -> Change:
    """How the number of a subject that can be compared changed; of a new one, what it is.

    Raises:
        UsageError: of an mCE: there is nothing to divide by, or corruptions are missing.
    """
    return _measured(gate, subject, subject.before, subject.after)


def value_now(gate: Gate, subject: Subject) -> float:
    """The number as it is now, of all its cells and images, as a floor is judged by; NaN where there is none."""
    return _measured(gate, subject, [], subject.current).after if subject.current else math.nan


def _measured(gate: Gate, subject: Subject, before: Sequence[Cell], after: Sequence[Cell]) -> Change:
    measure: Callable[[Sequence[Cell], Sequence[Cell]], Change]
    if gate.metric in ("mce", "mean_corruption_error"):
        measure = partial(_corruptions, _statistic(gate, subject))
    elif gate.metric == "mean_distance":
        measure = _distances
    else:
        measure = partial(_flipped, lambda cells, images: _right(gate, cells, images, exactly=not before))
    return measure(before, after)


def _right(gate: Gate, cells: Sequence[Cell], images: NDArray[np.str_], *, exactly: bool) -> Flags:
    """Whether the defender is right on each image, against all of these cells."""
    if gate.metric == "clean_accuracy":
        return cells[0].correct[cells[0].at(images)]
    eps = {cell.identity.eps for cell in cells if cell.identity.goal != "minimal"}
    radius = gate.eps if gate.eps is not None else max((e for e in eps if e is not None), default=None)
    against: Flags = np.logical_and.reduce(
        [cell.robust_within(radius, exactly=exactly)[cell.at(images)] for cell in cells]
    )
    return against


def _common(cells: Sequence[Cell]) -> NDArray[np.str_]:
    """The images of all of these cells."""
    images = cells[0].images
    for cell in cells[1:]:
        images = np.intersect1d(images, cell.images)
    return images


def _flipped(
    right: Callable[[Sequence[Cell], NDArray[np.str_]], Flags], before: Sequence[Cell], after: Sequence[Cell]
) -> Change:
    images = _common(before or after)
    now = right(after, images)
    if not len(images):
        return Change(math.nan, math.nan)
    if not before:
        return Change(math.nan, _share(now), images=images, now=now)
    return recounted(Change(math.nan, math.nan, images=images, was=right(before, images)), now)


def recounted(change: Change, now: Flags) -> Change:
    """A change with other outcomes of now."""
    was, images = change.was, len(change.images)
    assert was is not None
    lost, won = int((was & ~now).sum()), int((now & ~was).sum())
    ends = change_interval(lost, won, images)
    interval = Interval(100 * ends.low, 100 * ends.high)
    return Change(
        _share(was), _share(now), 100 * (won - lost) / images, interval, images=change.images, was=was, now=now
    )


def _share(flags: Flags) -> float:
    """In points; a count times 100 before it is divided, so that 29 of 100 are 29."""
    return 100 * int(flags.sum()) / len(flags)


def _distances(before: Sequence[Cell], after: Sequence[Cell]) -> Change:
    """Over the images that were right before the attack and are broken in both runs, so that both means are of the same."""
    new = _broken(after[0], exactly=not before)
    if not before:
        return Change(math.nan, float(np.mean([*new.values()])) if new else math.nan, images=np.array([*new]))
    old = _broken(before[0], exactly=False)
    images = [image for image in old if image in new]
    if len(images) < FEWEST:
        return Change(math.nan, math.nan)
    was, now = (np.array([sizes[image] for image in images]) for sizes in (old, new))
    ones = np.ones(len(images))
    scale = 100 / float(was.mean())
    ends = paired_ratio_difference((now, ones), (was, ones))
    means = float(was.mean()), float(now.mean())
    points = scale * (means[1] - means[0])
    least = scale * float(was.std()) / len(images)
    interval = _widened(points, Interval(scale * ends.low, scale * ends.high), least)
    error = math.hypot(scale * float((now - was).std(ddof=1)) / math.sqrt(len(images)), least)
    return Change(*means, points, interval, error, np.array(images))


def _widened(points: float, interval: Interval, least: float) -> Interval:
    """An interval with the error that a single image could have made besides, so that where nothing changed it is no point.

    Args:
        least: that error, in points.
    """
    low, high = (math.hypot(end - points, Z * least) for end in interval)
    return Interval(points - low, points + high)


def _broken(cell: Cell, *, exactly: bool) -> dict[str, float]:
    """Sizes of the perturbations of images that were right and were broken."""
    if cell.sizes is None:
        return {}
    sizes = cell.distances if exactly and cell.distances is not None else size_of(cell.sizes)
    hit = cell.correct & np.isfinite(sizes)
    return dict(zip(cell.images[hit].tolist(), sizes[hit].tolist(), strict=True))


def _statistic(gate: Gate, subject: Subject) -> tuple[Statistic, list[tuple[str, int]]]:
    """Of the mean error of each condition; the conditions in their order."""
    one = (subject.before or subject.after)[0].identity
    conditions = sorted(
        {(str(c.identity.corruption), int(c.identity.severity or 0)) for c in subject.before or subject.after}
    )
    if lacking := sorted({(name, s) for name in CORRUPTIONS for s in range(1, 6)} - set(conditions)):
        raise UsageError(
            f"the gate {gate.id!r} asks for {gate.metric} of {one.defense}, which is over 15 corruptions at 5 severities; "
            f"{len(lacking)} of them are missing, the first {lacking[0][0]} at {lacking[0][1]}"
        )
    if gate.metric == "mean_corruption_error":
        return (lambda means: 100 * mean_error(by_corruption(means, conditions))), conditions
    given = None if gate.normaliser is None else baseline(gate.normaliser)
    over, why_not = suited(given, CorruptionBaseline, one.normaliser)
    if over is None:
        raise UsageError(
            f"the gate {gate.id!r} asks for mce of {one.defense} on {one.dataset}: "
            f"{why_not or 'no published errors divide its errors.'} Name a baseline that was measured on these images, "
            'normaliser = "errors.csv", or take metric = "mean_corruption_error"'
        )
    return (lambda means: mean_corruption_error(by_corruption(means, conditions), over.errors)), conditions


def _corruptions(
    statistic: tuple[Statistic, list[tuple[str, int]]], before: Sequence[Cell], after: Sequence[Cell]
) -> Change:
    of, conditions = statistic
    tables = [_errors(cells, conditions) for cells in (before, after) if cells]
    if not before:
        found = bootstrap(of, tables[0].to_numpy())
        return Change(math.nan, found.value, images=tables[0].index.to_numpy(dtype=np.str_))
    images = tables[0].index.intersection(tables[1].index)
    was, now = (table.loc[images].to_numpy() for table in tables)
    change = paired_bootstrap(of, now, was)
    names, means = images.to_numpy(dtype=np.str_), was.mean(0)
    least = of(np.minimum(1.0, means + 1 / len(was))) - of(means)  # of an image that is wrong under all conditions
    interval = _widened(change.value, change.interval, abs(least))
    error = (interval.high - interval.low) / (2 * Z)
    return Change(of(means), of(now.mean(0)), change.value, interval, error, names)


def _errors(cells: Sequence[Cell], conditions: Sequence[tuple[str, int]]) -> pd.DataFrame:
    """Whether each image is wrong under each condition."""
    known: Mapping[tuple[str, int], Cell] = {
        (str(c.identity.corruption), int(c.identity.severity or 0)): c for c in cells
    }
    images = _common(cells)
    wrong = {condition: ~known[condition].robust[known[condition].at(images)] for condition in conditions}
    return pd.DataFrame({place: wrong[name] for place, name in enumerate(conditions)}, index=images).astype(float)
