"""Published numbers: what others measured, with its source and the protocol that it was measured under."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import dataclass
from pathlib import Path

from robench.errors import UsageError, did_you_mean

UNITS = {"%": 0.01, "share": 1.0, "": 1.0}
"""What a printed number is multiplied by."""
COLUMNS = ("table", "row", "column", "value", "unit", "what", "attack", "budget", "n", "eps", "norm", "source")


@dataclass(frozen=True)
class Published:
    """A number that others published.

    Attributes:
        value: shares as shares, whatever they were printed as.
        digits: decimals that were printed, of a share those of its percentage.
        what: in words: "attack success rate".
        source: where it can be read.
        attack, budget, n, eps, norm: the protocol, as far as it is stated; "none" of what does not apply.
    """

    value: float
    what: str
    source: str
    attack: str = ""
    budget: str = ""
    n: str = ""
    eps: str = ""
    norm: str = ""
    digits: int = 4

    @property
    def protocol(self) -> str:
        """How it was measured, in words."""
        said = {"": self.attack, "budget ": self.budget, "n = ": self.n, "ε = ": self.eps, "in ": self.norm}
        return ", ".join(f"{word}{text}" for word, text in said.items() if text not in ("", "none"))


def lines(path: Path, wanted: tuple[str, ...]) -> list[tuple[int, dict[str, str]]]:
    """The lines of a CSV with their numbers; those that begin with # are remarks.

    Raises:
        UsageError: it cannot be read, or lacks a column.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error
    kept = [(place, line) for place, line in enumerate(text.splitlines(), 1) if line.strip() and line[0] != "#"]
    reader = csv.DictReader(io.StringIO("\n".join(line for _, line in kept)))
    header = reader.fieldnames or []
    for name in wanted:
        if name not in header:
            raise UsageError(
                f"{path} has no column {name!r}; it has {', '.join(header) or 'none'}{did_you_mean(name, header)}"
            )
    found = []
    for (place, _), row in zip(kept[1:], reader, strict=False):
        if None in row or None in row.values():
            raise UsageError(f"{path}, line {place}: {len(header)} values are wanted, one a column")
        found.append((place, row))
    return found


def number(text: str, where: str) -> float:
    """A printed number.

    Raises:
        UsageError: it is none.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UsageError(f"{where}: {text!r} is no number")
    return value


def read_published(path: Path) -> dict[tuple[str, str, str], Published]:
    """The numbers of a paper's tables, by table, row and column.

    Raises:
        UsageError: it cannot be read, lacks a column, or has a number twice or one that is none; the message names the line.
    """
    found: dict[tuple[str, str, str], Published] = {}
    for line, row in lines(path, COLUMNS):
        where = f"{path}, line {line}"
        if row["unit"] not in UNITS:
            raise UsageError(f"{where}: the unit is {row['unit']!r}; %, share or nothing is wanted")
        if not row["source"]:
            raise UsageError(f"{where}: there is no source; a published number says where it can be read")
        key = row["table"], row["row"], row["column"]
        if key in found:
            raise UsageError(f"{where}: {' / '.join(filter(None, key))} stands there twice")
        value = number(row["value"], where) * UNITS[row["unit"]]
        decimals = len(row["value"].partition(".")[2]) - (2 if row["unit"] == "share" else 0)
        found[key] = Published(
            value,
            row["what"],
            row["source"],
            attack=row["attack"],
            budget=row["budget"],
            n=row["n"],
            eps=row["eps"],
            norm=row["norm"],
            digits=max(0, decimals),
        )
    return found
