"""Tables for a terminal: as they are where there is room, else with rows and columns changed about, else in parts."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from robench.console import clipped, one_line
from robench.reporting.tables import Cell, Table
from robench.reporting.writing.raised import raised

SHORTEST = 8
"""A label that is cut keeps so many signs at least."""


class _Grid(NamedTuple):
    """What is drawn.

    Attributes:
        tops: above the columns: a name and how many of them it is of.
        foot: lines below the rows.
    """

    head: str
    tops: list[tuple[str, int]]
    heads: list[str]
    rows: list[tuple[str, list[Cell]]]
    foot: list[tuple[str, list[str]]]


def as_text(
    table: Table, *, color: bool = False, width: int | None = None, signs: Mapping[str, str] | None = None
) -> str:
    """A table for a terminal; the best of a column is marked with an asterisk, or bold with color.

    Args:
        width: signs in a line; None: as many as it takes.
        signs: what stands for those that the terminal does not have; they may be wider, so that this comes before the layout.
    """
    spelling = str.maketrans(dict(signs or {}))
    grids, legend = _fitted(_spelled(_grid(table), spelling), width, "…".translate(spelling))
    parts = ["\n".join(_drawn(grid, color)) for grid in grids]
    labels = [one_line(one.label).translate(spelling) for one in table.failures]
    first = max(map(len, labels), default=0)
    lost = [f"{label.ljust(first)}  {one_line(one.text)}" for label, one in zip(labels, table.failures, strict=True)]
    notes = [f"{raised(letter)} {note}" for note, letter in table.letters.items()]
    below = [line.translate(spelling) for line in [*legend, *notes, *table.caption]]
    return "\n".join(
        [
            *_wrapped([table.title.translate(spelling)], width),
            "\n\n".join(parts),
            *_wrapped([line.translate(spelling) for line in lost], width),
            "",
            *_wrapped(below, width),
        ]
    )


def _wrapped(lines: Sequence[str], width: int | None) -> Iterator[str]:
    for line in map(one_line, lines):
        yield from textwrap.wrap(line, width, subsequent_indent="  ", break_on_hyphens=False) if width else [line]


def _grid(table: Table) -> _Grid:
    tops = [(one_line(head.name) + raised(head.letter), head.span) for head in table.heads()]
    rows = [(one_line(label), cells) for label, cells in table.said()]
    return _Grid(table.head, tops, [column.header for column in table.columns], rows, table.foot())


def _spelled(grid: _Grid, spelling: dict[int, str]) -> _Grid:
    """The same in other signs."""
    rows = [
        (label.translate(spelling), [replace(cell, text=cell.text.translate(spelling)) for cell in cells])
        for label, cells in grid.rows
    ]
    return _Grid(
        grid.head,
        [(name.translate(spelling), span) for name, span in grid.tops],
        [head.translate(spelling) for head in grid.heads],
        rows,
        [(label.translate(spelling), texts) for label, texts in grid.foot],
    )


def _fitted(grid: _Grid, width: int | None, gap: str) -> tuple[list[_Grid], list[str]]:
    """What is drawn so that it fits, and what shortened labels stand for. Labels are shortened, numbers never are."""
    if width is None or _width(grid) <= width:
        return [grid], []
    turned = _turned(grid)
    for limit in range(max(map(len, turned.heads), default=0), SHORTEST - 1, -1):
        short = _shortened(turned.heads, limit, gap)
        if _width(own := turned._replace(heads=short)) <= width:
            return [own], _legend(turned.heads, short)
    names = [label for label, _ in grid.rows]
    short = _shortened(names, max(SHORTEST, width // 3), gap)
    grid = grid._replace(rows=[(label, cells) for label, (_, cells) in zip(short, grid.rows, strict=True)])
    tops = _shortened([name for name, _ in grid.tops], max(SHORTEST, width - _first(grid) - 2), gap)
    grid = grid._replace(tops=[(name, span) for name, (_, span) in zip(tops, grid.tops, strict=True)])
    parts = list[list[int]]()
    for place in range(len(grid.heads)):
        if parts and _width(_columns(grid, [*parts[-1], place])) <= width:
            parts[-1].append(place)
        else:
            parts.append([place])
    return [_columns(grid, part) for part in parts], _legend(names, short)


def _turned(grid: _Grid) -> _Grid:
    """Rows for columns."""
    tops = [name for name, span in grid.tops for _ in range(span)]
    labels = [" ".join(filter(None, pair)) for pair in zip(tops, grid.heads, strict=True)]
    rows = [
        (label, [*(cells[place] for _, cells in grid.rows), *(Cell(texts[place]) for _, texts in grid.foot)])
        for place, label in enumerate(labels)
    ]
    heads = [*(label for label, _ in grid.rows), *(name for name, _ in grid.foot)]
    return _Grid("", [("", len(heads))], heads, rows, [])


def _columns(grid: _Grid, places: Sequence[int]) -> _Grid:
    """Some of the columns."""
    of = [place for place, (_, span) in enumerate(grid.tops) for _ in range(span)]
    tops = list[tuple[str, int]]()
    for count, place in enumerate(places):
        if count and of[places[count - 1]] == of[place]:
            tops[-1] = (tops[-1][0], tops[-1][1] + 1)
        else:
            tops.append((grid.tops[of[place]][0], 1))
    rows = [(label, [cells[place] for place in places]) for label, cells in grid.rows]
    foot = [(label, [texts[place] for place in places]) for label, texts in grid.foot]
    return _Grid(grid.head, tops, [grid.heads[place] for place in places], rows, foot)


def _shortened(labels: Sequence[str], limit: int, gap: str) -> list[str]:
    """Labels of so many signs at most, no two of them alike that were not."""
    found = list[str]()
    for place, label in enumerate(labels):
        own = clipped(label, limit, gap)
        if own in found and label != labels[found.index(own)]:
            number = str(place + 1)
            own = f"{label[: limit - len(gap) - len(number)]}{gap}{number}"
        found.append(own)
    return found


def _legend(labels: Sequence[str], short: Sequence[str]) -> list[str]:
    return [f"{own}: {label}" for own, label in dict.fromkeys(zip(short, labels, strict=True)) if own != label]


def _first(grid: _Grid) -> int:
    return max(map(len, [grid.head, *(label for label, _ in grid.rows), *(label for label, _ in grid.foot)]))


def _widths(grid: _Grid, color: bool) -> list[int]:
    widths = [
        max(
            [
                len(head),
                *(len(cells[i].text) + (not color) for _, cells in grid.rows),
                *(len(texts[i]) + (not color) for _, texts in grid.foot),
            ]
        )
        for i, head in enumerate(grid.heads)
    ]
    place = 0
    for name, span in grid.tops:
        width = sum(widths[place : place + span]) + 2 * (span - 1)
        widths[place + span - 1] += max(0, len(name) - width)
        place += span
    return widths


def _width(grid: _Grid) -> int:
    return _first(grid) + sum(2 + width for width in _widths(grid, color=False))


def _drawn(grid: _Grid, color: bool) -> Iterator[str]:
    first, widths = _first(grid), _widths(grid, color)
    place, top = 0, " " * first
    for name, span in grid.tops:
        top += "  " + name.center(sum(widths[place : place + span]) + 2 * (span - 1))
        place += span
    if top.strip():
        yield top.rstrip()
    head = grid.head.ljust(first) + "".join("  " + name.rjust(w) for name, w in zip(grid.heads, widths, strict=True))
    yield head
    yield "─" * len(head)

    def line(label: str, cells: Sequence[Cell]) -> str:
        shown = (
            " " * (w - len(c.text) - (not color))
            + (f"\x1b[1m{c.text}\x1b[0m" if c.best and color else c.text + ("" if color else " *"[c.best]))
            for c, w in zip(cells, widths, strict=True)
        )
        return (label.ljust(first) + "".join("  " + each for each in shown)).rstrip()

    for label, cells in grid.rows:
        yield line(label, cells)
    if grid.foot:
        yield "─" * len(head)
    for label, texts in grid.foot:
        yield line(label, [Cell(text) for text in texts])
