"""A paper's table as it is written down: rows, columns, and what each number of them is of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from robench.entries.calls import Call
from robench.reporting.published import Published


@dataclass(frozen=True)
class Ask:
    """What one number is asked of.

    Attributes:
        attack: None: the number is of the model alone, such as its size.
        metric: a name of `metrics.METRICS`.
        eps: radius that minimal attacks are scored at; None: at any distance, or at the attack's own.
        seeds: of the trainings that it is averaged over.
    """

    defense: Call
    dataset: Call
    attack: Call | None
    metric: str
    eps: float | None = None
    seeds: tuple[int, ...] = (0,)

    def trained(self, seed: int) -> Call:
        """The defense with the seed of its training, as it is printed: 0 is the default of all."""
        return Call(self.defense.name, {**self.defense.options, **({"seed": seed} if seed else {})})


@dataclass(frozen=True)
class Part:
    """A row or a column, with what it says of its cells.

    Attributes:
        given: templates, as the file has them: a cell's are filled with the variables of its row and its column.
        published: by which name it stands in the file of published numbers.
        group: what a column stands under.
        note: what must be read with it.
        x: where a column stands in a figure.
    """

    name: str
    given: dict[str, str]
    published: str
    seeds: tuple[int, ...] | None = None
    group: str = ""
    note: str = ""
    x: float | None = None


@dataclass(frozen=True)
class Note:
    """Why a cell must be read with care, or cannot be made again: of a row, a column, or where they cross ("" for all)."""

    text: str
    row: str = ""
    column: str = ""

    def of(self, row: Part, column: Part) -> bool:
        return self.row in ("", row.name) and self.column in ("", column.name, column.group)


@dataclass(frozen=True)
class Planned:
    """One table of a report.

    Attributes:
        name: in the file of published numbers.
        bases: by the place of a column whose numbers are relative to a row, what that row asks for there.
        figure: what is drawn of it besides: curves, boxes, histogram, maps; empty: nothing.
        asks: by the places of row and column; none where nothing is measured.
    """

    title: str
    name: str
    head: str
    rows: list[Part]
    columns: list[Part]
    asks: dict[tuple[int, int], Ask]
    n: int | None = None
    bases: dict[int, Ask] = field(default_factory=dict)
    figure: str = ""
    caption: list[str] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)

    def notes_of(self, row: str = "", column: str = "") -> list[str]:
        """Notes of a row alone, of a column or a group of them alone, or of where both cross."""
        return [note.text for note in self.notes if (note.row, note.column) == (row, column) and (row or column)]


@dataclass(frozen=True)
class Report:
    """A paper's tables.

    Attributes:
        name: as its files are called.
        asked: how it is called on the command line, with the variables that were given.
        published: numbers by table, row and column.
        given: other values of its variables.
    """

    name: str
    title: str
    paper: str
    tables: list[Planned]
    path: Path
    about: list[str] = field(default_factory=list)
    published: dict[tuple[str, str, str], Published] = field(default_factory=dict)
    asked: str = ""
    given: dict[str, str] = field(default_factory=dict)

    def published_of(self, table: Planned, row: Part, column: Part) -> Published | None:
        """The published number that a cell stands beside."""
        return self.published.get((table.name, row.published, column.published))

    def asks(self) -> Iterator[tuple[Planned, Ask]]:
        """All that is asked for."""
        for table in self.tables:
            for ask in (*table.asks.values(), *table.bases.values()):
                yield table, ask

    def smaller(self, n: int | None, seeds: int | None) -> Report:
        """The same with other test images, or with the first so many of its trainings."""
        tables = [
            replace(
                table,
                n=table.n if n is None else n,
                asks={place: replace(ask, seeds=ask.seeds[:seeds]) for place, ask in table.asks.items()},
                bases={place: replace(ask, seeds=ask.seeds[:seeds]) for place, ask in table.bases.items()},
            )
            for table in self.tables
        ]
        return replace(self, tables=tables)
