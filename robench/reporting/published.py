"""Published numbers: what others measured, with its source and the protocol that it was measured under."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import dataclass
from pathlib import Path

from robench.errors import UsageError, did_you_mean
from robench.files import read_bytes

UNITS = {"%": 0.01, "share": 1.0, "": 1.0}
"""What a printed number is multiplied by."""
MOST = {"%": 200.0, "share": 1.0}
"""What a number may be at most; errors over a baseline's, such as an mCE, may be above 100 %."""
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
    """The rows of a CSV, each with the number of its line; lines that begin with # are remarks.

    Raises:
        UsageError: it cannot be read, or lacks a column.
    """
    try:
        text = read_bytes(path).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error
    plain = text.split("\n")
    before = next((place for place, line in enumerate(plain) if line.strip() and line[0] != "#"), len(plain))
    reader = csv.reader(io.StringIO("\n".join(plain[before:])))
    header, found = list[str](), []
    try:
        for values in reader:
            if not values or values[0].startswith("#"):
                continue
            if not header:
                header = values
                for name in wanted:
                    if name not in header:
                        raise UsageError(
                            f"{path} has no column {name!r}; it has {', '.join(header)}{did_you_mean(name, header)}"
                        )
                continue
            line = before + reader.line_num
            if len(values) != len(header):
                raise UsageError(f"{path}, line {line}: {len(header)} values are wanted, one a column")
            found.append((line, dict(zip(header, values, strict=True))))
    except csv.Error as error:
        raise UsageError(f"{path}, line {before + reader.line_num} is no CSV: {error}") from error
    if not header:
        raise UsageError(f"{path} is empty; its first line names the columns: {', '.join(wanted)}")
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
        if not row["source"].strip():
            raise UsageError(f"{where}: there is no source; a published number says where it can be read")
        key = row["table"], row["row"], row["column"]
        if key in found:
            raise UsageError(f"{where}: {' / '.join(filter(None, key))} stands there twice")
        value = number(row["value"], where)
        if row["unit"] and not 0 <= value <= MOST[row["unit"]]:
            raise UsageError(f"{where}: {row['value']} is given as {row['unit']}; 0 to {MOST[row['unit']]:g} is wanted")
        value *= UNITS[row["unit"]]
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
