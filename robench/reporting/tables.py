"""Tables: one model of cells, which the terminal, Markdown, LaTeX, HTML, CSV and JSON are written from (see `writing`)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import NamedTuple

from robench.reporting.statistics import Interval

MOST_COLUMNS = 8
"""A table has no more; what has more is several tables."""


@dataclass(frozen=True)
class About:
    """What numbers are of, for who reads a table by machine; empty: it is not said here.

    Attributes:
        metric: as a word: "asr", "clean_accuracy".
        weights, data: their digests.
        seed: of the attacks.
    """

    dataset: str = ""
    defense: str = ""
    attack: str = ""
    norm: str = ""
    eps: float | None = None
    seed: int | None = None
    metric: str = ""
    weights: str = ""
    data: str = ""

    def over(self, other: About) -> About:
        """The same, and what the other says where this one says nothing."""
        own = {each.name: getattr(self, each.name) for each in fields(self)}
        return replace(other, **{name: value for name, value in own.items() if value not in ("", None)})


@dataclass(frozen=True)
class Column:
    """A column of numbers.

    Attributes:
        group: which group it stands in: an attack in full, as it is called.
        higher_is_better: for the defender; None: neither is.
        digits, percent: how its numbers are printed.
        short: what the group is headed with; empty: the group itself.
        note: what the heading stands for, said in a note below; empty: it says all.
        family: the table that it stands in where one would have too many columns; empty: the first.
        of: what its numbers are of.
    """

    group: str
    name: str
    higher_is_better: bool | None
    digits: int = 1
    percent: bool = False
    short: str = ""
    note: str = ""
    family: str = ""
    of: About = About()

    @property
    def header(self) -> str:
        return self.name if self.higher_is_better is None else f"{self.name} {'↑' if self.higher_is_better else '↓'}"

    def shown(self, number: float, sign: str = "") -> str:
        """A number of this column, without what it is of; sign: "+" to have one before it in any case."""
        return f"{number * (100 if self.percent else 1):{sign}.{self.digits}f}"

    def cell(
        self, value: float, interval: Interval | None = None, spread: float | None = None, *, at_most: bool = False
    ) -> Cell:
        """The cell of a value (NaN: there is none), printed with its spread where it has one.

        Args:
            at_most: more attacks could only lower it.
        """
        if math.isnan(value):
            return Cell("–")
        shown = [self.shown(number) for number in (value, spread or 0.0)]
        text = shown[0] if spread is None else " ± ".join(shown)
        merit = math.nan if self.higher_is_better is None else value if self.higher_is_better else -value
        return Cell(
            f"{'≤ ' if at_most else ''}{text}", value, interval, merit=math.nan if at_most else merit, at_most=at_most
        )


@dataclass(frozen=True)
class Cell:
    """A number as it is printed.

    Attributes:
        best: it is the column's best, or not significantly different from it.
        merit: what the column's marks are decided by, more is better for the defender; NaN: it has no rank.
        at_most: more attacks could only lower it.
        n: images that it is of; 0 where that does not apply.
        images: names the set of these images.
        counted: of a share, what was counted, of how many; None where it is no share.
        note: what must be read with it.
    """

    text: str
    value: float = math.nan
    interval: Interval | None = None
    best: bool = False
    merit: float = math.nan
    at_most: bool = False
    n: int = 0
    images: str = ""
    counted: tuple[int, int] | None = None
    note: str = ""

    def saying(self, note: str) -> Cell:
        """The same with something in brackets behind its number."""
        return replace(self, text=f"{self.text} ({note})", note="; ".join(filter(None, [self.note, note])))


class Failure(NamedTuple):
    """A row, or of a row one attack, that has no numbers.

    Attributes:
        attack: empty where the whole row is refused.
    """

    label: str
    attack: str
    reason: str
    dataset: str = ""

    @property
    def text(self) -> str:
        return f"broken under {self.attack}: {self.reason}" if self.attack else f"refused: {self.reason}"


class Head(NamedTuple):
    """Adjacent columns of the same group.

    Attributes:
        letter: of the note that says what the name stands for; empty where the name says all.
    """

    name: str
    letter: str
    span: int


@dataclass(frozen=True)
class Table:
    """A table with its caption; every writer reads only this.

    Attributes:
        caption: first what its numbers are of, then how they are to be read, then what else must be known of rows and cells.
        remarks: for each row what must be read with all of it, such as its n where rows differ; none at all: [].
        failures: rows below the others, without numbers.
        head: what the rows are.
        of: what the numbers of each row are of; none at all: [].
        name: of the table for who reads it by machine, the same for all parts of one; empty: the title.
        quiet: places of the rows that stand back beside the others: what was not measured here, but published.
    """

    title: str
    columns: list[Column]
    rows: list[tuple[str, list[Cell]]]
    caption: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    head: str = "Defense"
    of: Sequence[About] = ()
    name: str = ""
    quiet: frozenset[int] = frozenset()

    def said(self) -> list[tuple[str, list[Cell]]]:
        """The rows, their labels with what must be read with them."""
        remarks = self.remarks or [""] * len(self.rows)
        return [
            (" · ".join(filter(None, [label, remark])), cells)
            for (label, cells), remark in zip(self.rows, remarks, strict=True)
        ]

    @property
    def letters(self) -> dict[str, str]:
        """What headings stand for, each with the letter of its note."""
        notes = dict.fromkeys(column.note for column in self.columns if column.note)
        return {note: letter(place) for place, note in enumerate(notes)}

    def heads(self) -> list[Head]:
        """What stands above the columns' own heads."""
        found: list[Head] = []
        last, letters = None, self.letters
        for column in self.columns:
            if found and last == column.group:
                found[-1] = found[-1]._replace(span=found[-1].span + 1)
            else:
                found.append(Head(column.short or column.group, letters.get(column.note, ""), 1))
            last = column.group
        return found

    def foot(self) -> list[tuple[str, list[str]]]:
        """Below each column: of how many images it is, and half of its widest interval."""
        cells = [[row[place] for _, row in self.rows] for place in range(len(self.columns))]
        lines = {
            "n": [_span(sorted({cell.n for cell in own if cell.n})) for own in cells],
            "95 % ±, at most": [
                column.shown(reach) if (reach := _widest(own)) else ""
                for column, own in zip(self.columns, cells, strict=True)
            ],
        }
        return [(name, texts) for name, texts in lines.items() if any(texts)]

    def pieces(self) -> list[Table]:
        """The same as tables of a few columns each: those of one family, cut between two groups where they are many."""
        if len(self.columns) <= MOST_COLUMNS:
            return [self]
        families: dict[str, list[int]] = {}
        for place, column in enumerate(self.columns):
            families.setdefault(column.family, []).append(place)
        found = list[Table]()
        for family, places in families.items():
            cuts = _cut(self.columns, places)
            for count, own in enumerate(cuts, 1):
                which = f"{count} of {len(cuts)}" if len(cuts) > 1 else ""
                told = ": ".join(filter(None, [self.title, ", ".join(filter(None, [family, which]))]))
                found.append(self._part(told, own, first=not found))
        return found

    def _part(self, title: str, places: Sequence[int], *, first: bool) -> Table:
        more = len(self.caption) > 2
        rest = ["What else must be known of rows and cells stands below the first part."] if more else []
        return replace(
            self,
            title=title,
            columns=[self.columns[place] for place in places],
            rows=[(label, [cells[place] for place in places]) for label, cells in self.rows],
            caption=self.caption if first else [*self.caption[:2], *rest],
            failures=self.failures if first else [],
        )


def letter(place: int) -> str:
    """a, b, …, and aa after z; no q, which has no raised form.

    Example:
        >>> letter(0), letter(24), letter(25), letter(650)
        ('a', 'z', 'aa', 'aaa')
    """
    letters = "abcdefghijklmnoprstuvwxyz"
    before, place = divmod(place, len(letters))
    return (letter(before - 1) if before else "") + letters[place]


def _span(counts: Sequence[int]) -> str:
    return "" if not counts else f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"


def _widest(cells: Sequence[Cell]) -> float:
    """Half of the widest interval; the farther end where its value is not in the middle."""
    known = [(cell.value, cell.interval) for cell in cells if cell.interval is not None]
    reach = [max(ends.high - value, value - ends.low) for value, ends in known]
    return max([each for each in reach if math.isfinite(each)], default=0.0)


def _cut(columns: Sequence[Column], places: Sequence[int]) -> list[list[int]]:
    """Columns in parts of few, a group in one part where it fits."""
    groups = list[list[int]]()
    for place in places:
        together = groups and columns[groups[-1][-1]].group == columns[place].group and columns[place].group
        if together and len(groups[-1]) < MOST_COLUMNS:
            groups[-1].append(place)
        else:
            groups.append([place])
    parts = list[list[int]]()
    for group in groups:
        if parts and len(parts[-1]) + len(group) <= MOST_COLUMNS:
            parts[-1] += group
        else:
            parts.append(list(group))
    return parts
