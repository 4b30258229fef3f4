"""Normalisers: what a baseline model does on a benchmark, by which metrics are divided. The published ones are data, in reports/published.

A user's table is a CSV in UTF-8 with a header; lines that begin with # are comments, and the first of them is the table's title.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

from robench.benchmarks import PERTURBATION_VALIDATION, PERTURBATIONS, SEVERITIES, CorruptionName
from robench.entries.modules import built_in_folder
from robench.errors import DataError, did_you_mean
from robench.files import read_bytes

Array = NDArray[np.float64]
PUBLISHED = built_in_folder("reports") / "published"
_STATUS = ("verified", "unverified")
_LARGEST = {"flip_probability": 1, "top5_distance": 15}


@dataclass(frozen=True)
class CorruptionBaseline:
    """A baseline's top-1 errors.

    Attributes:
        title: as a caption says it.
        errors: shares, (5,) of each corruption.
        clean: a share; None where the table does not say it, which relative errors need.
    """

    title: str
    errors: dict[str, Array]
    clean: float | None


@dataclass(frozen=True)
class SequenceBaseline:
    """What a baseline does on clips, by perturbation.

    Attributes:
        title: as a caption says it.
        flip_probability: shares; empty where the table has none.
        top5_distance: from 0 to 15; empty where the table has none.
        verified: whether all values have a source. A caption must say where they have none.
    """

    title: str
    flip_probability: dict[str, float]
    top5_distance: dict[str, float]
    verified: bool


def corruption_baseline(path: Path = PUBLISHED / "alexnet_imagenet_c.csv") -> CorruptionBaseline:
    """A baseline's errors from a CSV with the columns corruption, severity, error; AlexNet's published ones on ImageNet-C.

    Errors are shares, severities 1 to 5; a line `clean,0,…` says the error without a corruption. It need not have all corruptions, but
    of each all severities.

    Raises:
        DataError: it cannot be read, or a line is not of this form.
    """
    table = _table(path, ("corruption", "severity", "error"))
    found: dict[tuple[str, int], float] = {}
    for line in table.lines:
        name = line.name("corruption", ("clean", *get_args(CorruptionName)))
        severity = int(line.name("severity", ["0"] if name == "clean" else [*map(str, SEVERITIES)]))
        if (name, severity) in found:
            raise DataError(f"{line.where} says {name} at severity {severity} a second time; take one away")
        found[name, severity] = line.number("error", 1)
    clean = found.pop(("clean", 0), None)
    errors: dict[str, Array] = {}
    for name in dict.fromkeys(name for name, _ in found):
        if lacking := [severity for severity in SEVERITIES if (name, severity) not in found]:
            raise DataError(f"{path} has {name} but not at severity {lacking[0]}; add a line, or take {name} away")
        errors[name] = np.array([found[name, severity] for severity in SEVERITIES])
    return CorruptionBaseline(table.title, errors, clean)


def sequence_baseline(path: Path = PUBLISHED / "alexnet_imagenet_p.csv") -> SequenceBaseline:
    """A baseline's figures from a CSV with the columns perturbation and flip_probability or top5_distance, or both.

    Without a path they are AlexNet's on ImageNet-P at difficulty 1, recalled and without a source: not verified. A column `status`
    says verified or unverified of each line; a table without it is taken as verified. A user's table is the way to other values, to
    other difficulties and to mT5D.

    Raises:
        DataError: it cannot be read, or a line is not of this form.
    """
    table = _table(path, ("perturbation",))
    given = [column for column in _LARGEST if column in table.header]
    if not given:
        raise DataError(
            f"{path} has the columns {', '.join(table.header)}; flip_probability or top5_distance is wanted"
        )
    found: dict[str, dict[str, float]] = {column: {} for column in _LARGEST}
    unverified = 0
    for line in table.lines:
        name = line.name("perturbation", (*PERTURBATIONS, *PERTURBATION_VALIDATION))
        if name in found[given[0]]:
            raise DataError(f"{line.where} says {name} a second time; take one away")
        for column in given:
            found[column][name] = line.number(column, _LARGEST[column])
        unverified += "status" in line.cells and line.name("status", _STATUS) == "unverified"
    return SequenceBaseline(table.title, found["flip_probability"], found["top5_distance"], not unverified)


Baseline = CorruptionBaseline | SequenceBaseline
Only = TypeVar("Only", CorruptionBaseline, SequenceBaseline)


def suited(found: Baseline | None, kind: type[Only], named: str) -> tuple[Only | None, str]:
    """The baseline that a set's figures may be divided by, and what a caption says where it is not the one that was given.

    A figure over a published baseline bears the benchmark's name, and is printed for the benchmark's own files alone.

    Args:
        found: that was given; None: the published one of the set, if it has one.
        kind: of the figures.
        named: the set's own published baseline; empty where it has none, as images that were corrupted here.
    """
    if found is None and named:
        found = baseline(PUBLISHED / f"{named}.csv")
    if not isinstance(found, kind):
        return None, ""
    for path in sorted(PUBLISHED.glob("alexnet_*.csv")):
        if path.stem != named and _alike(found, baseline(path)):
            return None, (
                f"Not divided by {found.title}: those are figures of the benchmark's published files, and these images are others. "
                "Give a baseline that was measured on them, or name a row with --base."
            )
    return found, ""


def _alike(first: Baseline, second: Baseline) -> bool:
    """Whether two tables say the same."""
    if isinstance(first, CorruptionBaseline) and isinstance(second, CorruptionBaseline):
        own, other = first.errors, second.errors
        return own.keys() == other.keys() and all(np.array_equal(own[name], other[name]) for name in own)
    if isinstance(first, SequenceBaseline) and isinstance(second, SequenceBaseline):
        return first.flip_probability == second.flip_probability and first.top5_distance == second.top5_distance
    return False


def baseline(path: Path) -> Baseline:
    """A baseline from a CSV: of sequences where it has a column `perturbation`, else of corruptions.

    Raises:
        DataError: it cannot be read, or a line is not of this form.
    """
    return sequence_baseline(path) if "perturbation" in _table(path, ()).header else corruption_baseline(path)


@dataclass(frozen=True)
class _Line:
    """A line of a table: its cells by column, and where it is, as a message says it."""

    where: str
    cells: dict[str, str]

    def name(self, column: str, known: Sequence[str]) -> str:
        """What the line says in a column, one of a few words."""
        if (given := self.cells[column]) not in known:
            near = did_you_mean(given, known)
            raise DataError(f"{self.where} says {given[:60]!r} for {column}{near}")
        return given

    def number(self, column: str, largest: float) -> float:
        """A number from 0 to the largest that there can be."""
        try:
            value = float(self.cells[column])
        except ValueError:
            value = float("nan")
        if not 0 <= value <= largest:
            percent = ", not percent" if largest == 1 else ""
            raise DataError(
                f"{self.where} says {self.cells[column][:60]!r} for {column}; a number from 0 to {largest} is wanted{percent}"
            )
        return value


@dataclass(frozen=True)
class _Table:
    title: str
    header: list[str]
    lines: list[_Line]


def _table(path: Path, wanted: Sequence[str]) -> _Table:
    """The lines of a CSV that has these columns."""
    form = f"a CSV in UTF-8 whose header has {', '.join(wanted) or 'corruption or perturbation'} is wanted"
    try:
        text = read_bytes(path).decode("utf-8-sig")
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read ({error}); {form}") from error
    every = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    comments = [line.lstrip("# ") for _, line in every if line.startswith("#")]
    rows = [(number, _cells(line)) for number, line in every if not line.startswith("#")]
    header = [cell.lower() for cell in rows[0][1]] if rows else []
    if lacking := [column for column in wanted if column not in header]:
        raise DataError(f"{path} has the columns {', '.join(header)[:80] or 'none'}, but not {lacking[0]}; {form}")
    lines = []
    for number, cells in rows[1:]:
        if len(cells) != len(header):
            raise DataError(f"{path}, line {number} has {len(cells)} values; the header has {len(header)} columns")
        lines.append(_Line(f"{path}, line {number}", dict(zip(header, cells, strict=True))))
    if not lines:
        raise DataError(f"{path} has no line below its header; {form}")
    return _Table(comments[0] if comments else path.name, header, lines)


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in next(csv.reader([line], skipinitialspace=True))]
