"""What all fault scripts have in common: a small run, what must be the same after it, and how often it was not."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from robench.records.store import Store

RUN = (
    *("run", "--defense", "vit(depth=1, dim=8, heads=1, epochs=2)", "--dataset", "digits", "--n", "12"),
    *(
        "--attack",
        "fgsm(eps=0.1)",
        "--attack",
        "pgd_linf(eps=0.1, steps=2)",
        "--batch-size",
        "6",
        "--workers",
        "1",
        "--quiet",
    ),
)
"""A training and two cells of two parts each: a few seconds."""
GOALS = ("lost", "doubled", "different", "silent", "tracebacks", "hangs", "bugs", "ran code", "left behind")
"""Of each there must be none."""
NO_NUMBERS = ["seconds"]
"""Columns that another run of the same may have otherwise."""


@dataclass
class Tally:
    """How many were tried, and how each went wrong that did."""

    what: str
    tried: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    def count(self, outcome: str, about: str = "") -> None:
        """One more of an outcome; what must not be is kept in words."""
        self.counts[outcome] += 1
        if outcome in GOALS:
            self.problems.append(f"{outcome}: {about}")

    def line(self) -> str:
        """As it is printed."""
        other = {name: n for name, n in self.counts.items() if name not in GOALS}
        said = ", ".join(f"{name} {self.counts[name]}" for name in GOALS)
        return f"{self.what}: tried {self.tried:,}; {said}; " + ", ".join(f"{name} {n:,}" for name, n in other.items())

    def print(self) -> None:
        """The line, and what must not be."""
        print(self.line(), *self.problems, sep="\n  ", flush=True)


@dataclass(frozen=True)
class Held:
    """What a store holds: of each unit the rows that are read, and how many rows its parts have in all."""

    rows: dict[str, list[tuple[Any, ...]]]
    stored: dict[str, int]


def held(store: Path) -> Held:
    """What is in a store now."""
    rows, stored = {}, {}
    for unit in Store(store).units():
        frame = unit.read().drop(columns=NO_NUMBERS)
        plain = frame.astype(object).where(frame.notna(), None)
        rows[unit.folder.name] = sorted(map(tuple, plain.map(str).to_numpy().tolist()))
        stored[unit.folder.name] = sum(pq.read_metadata(part).num_rows for part in unit.folder.glob("part-*.parquet"))
    return Held(rows, stored)


def compare(tally: Tally, found: Held, expected: Held, about: str) -> None:
    """Count what is lost, doubled or different."""
    for unit, rows in expected.rows.items():
        there = found.rows.get(unit, [])
        if len(there) < len(rows):
            tally.count("lost", f"{about}: {len(rows) - len(there)} rows of {unit}")
        elif there != rows:
            tally.count("different", f"{about}: {unit}")
        if found.stored.get(unit, 0) > expected.stored[unit]:
            tally.count("doubled", f"{about}: {found.stored[unit]} rows of {unit}")
    if other := sorted(set(found.rows) - set(expected.rows)):
        tally.count("different", f"{about}: other weights or data gave {other[0]}")


def told_badly(tally: Tally, status: int, said: str, about: str) -> bool:
    """Count what a person must not see: tracebacks, bugs, hangs."""
    last = (said.strip().splitlines() or [""])[-1][:160]
    if status in (-14, 124):
        tally.count("hangs", about)
    elif "Traceback (most recent call last)" in said:
        tally.count("tracebacks", f"{about}: {last}")
    elif status == 70 or "a bug of robench's own" in said:
        tally.count("bugs", f"{about}: {last}")
    else:
        return False
    return True


LEFT = re.compile(r"\.part$|^lease|^staging|^state-|^\.decoding")


def left_behind(folder: Path) -> list[str]:
    """What a run that ended well leaves none of."""
    return [str(path.relative_to(folder)) for path in folder.rglob("*") if LEFT.search(path.name)]
