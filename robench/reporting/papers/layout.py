"""Lays a report's table out: for each row what was measured here, what was published, and the difference."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from robench.reporting.papers.cells import Cells, Measured
from robench.reporting.papers.metrics import METRICS, Metric
from robench.reporting.papers.report import Part, Planned, Report
from robench.reporting.published import Published
from robench.reporting.tables import About, Cell, Column, Table, letter
from robench.reporting.writing.raised import raised

PUBLISHED, DIFFERENCE = "published", "difference"
"""Heads of the lines below a row's own."""
MEASURED = (
    "Where a row has several lines, the first was measured here; ± is the sample standard deviation over trainings that differ in "
    "their seed, of one training half of its 95 % interval over test images. Below it stand the published number and the difference "
    "(here − published), ± as above: a published number comes without an interval."
)


def tables_of(report: Report, cells: Cells) -> list[Table]:
    """A report's tables, a dash where nothing is there."""
    return [_table(report, planned, cells) for planned in report.tables]


def measured_in(planned: Planned, cells: Cells) -> dict[tuple[int, int], Measured]:
    """What is there of a table's cells, by the places of row and column."""
    return {(i, j): cells.measure(ask, planned.bases.get(j)) for (i, j), ask in planned.asks.items()}


def _table(report: Report, planned: Planned, cells: Cells) -> Table:
    found = measured_in(planned, cells)
    columns = [_column(planned, place) for place in range(len(planned.columns))]
    heads = len(Table(planned.title, columns, []).letters)
    letters = {text: letter(place) for place, text in enumerate(_footnotes(planned), heads)}
    rows, of, quiet = list[tuple[str, list[Cell]]](), list[About](), set[int]()

    def add(label: str, line: list[Cell], about: str, *, back: bool) -> None:
        if back:
            quiet.add(len(rows))
        rows.append((label, line))
        of.append(About(defense=about))

    def mark(row: Part, column: Part | None) -> str:
        """Letters of the notes of a row, or of one of its cells."""
        own = [note for note in planned.notes if note.row == row.name]
        own = [n for n in own if (n.column and n.column in (column.name, column.group) if column else not n.column)]
        return raised("".join(letters[note.text] for note in own))

    for i, row in enumerate(planned.rows):
        published = [report.published_of(planned, row, column) for column in planned.columns]
        own = [found.get((i, j)) for j in range(len(columns))]
        marks = [mark(row, column) for column in planned.columns]
        label = row.name + mark(row, None)
        if any(own):
            line = [_own(column, one) for column, one in zip(columns, own, strict=True)]
            add(label, [*map(_marked, line, marks)], row.name, back=False)
        if any(published):
            line = [_given(column, one) for column, one in zip(columns, published, strict=True)]
            alone = f"{label} ({PUBLISHED})"
            about = f"{row.name}, {PUBLISHED}"
            add(
                f"  {PUBLISHED}" if any(own) else alone,
                line if any(own) else [*map(_marked, line, marks)],
                about,
                back=True,
            )
        if any(published) and any(one and one.trainings for one in own):
            line = [_gap(*each) for each in zip(columns, own, published, strict=True)]
            add(f"  {DIFFERENCE}", line, f"{row.name}, {DIFFERENCE}", back=True)
    caption = [*_caption(report, planned, found), *(f"{raised(mark)} {text}" for text, mark in letters.items())]
    title = planned.title
    return Table(title, columns, rows, caption, head=planned.head, of=of, name=title, quiet=frozenset(quiet))


def _column(planned: Planned, place: int) -> Column:
    """The column as tables have it; its note is what was run, where all its cells are of one attack."""
    part = planned.columns[place]
    asks = [ask for (_, j), ask in planned.asks.items() if j == place]
    metrics = {ask.metric for ask in asks} or {part.given.get("metric", "")}
    metric = METRICS.get(next(iter(metrics)), Metric(part.name, None)) if len(metrics) == 1 else Metric(part.name, None)
    attacks = {str(ask.attack) for ask in asks if ask.attack is not None}
    attack = attacks.pop() if len(attacks) == 1 else ""
    about = About(attack=attack, metric=next(iter(metrics)) if len(metrics) == 1 else "")
    return Column(
        part.group or (attack and f" {attack}"),
        part.name,
        metric.higher_is_better,
        metric.digits,
        metric.percent,
        short=part.group,
        note=attack,
        of=about,
    )


def _footnotes(planned: Planned) -> list[str]:
    """What cells, rows and columns must be read with, each text once, in the order in which they are met."""
    return [*dict.fromkeys(note.text for note in planned.notes if note.row)]


def _marked(cell: Cell, mark: str) -> Cell:
    return replace(cell, text=cell.text + mark) if mark else cell


def _own(column: Column, one: Measured | None) -> Cell:
    if one is None or math.isnan(one.value):
        return Cell("–")
    cell = column.cell(one.value, one.interval, one.reach)
    return replace(cell, n=one.n)


def _given(column: Column, one: Published | None) -> Cell:
    if one is None:
        return Cell("–")
    coarse = replace(column, digits=min(column.digits, one.digits))
    return replace(coarse.cell(one.value), merit=math.nan, note=f"{one.source}; {one.protocol}")


def _gap(column: Column, own: Measured | None, published: Published | None) -> Cell:
    if own is None or math.isnan(own.value) or published is None:
        return Cell("–")
    gap = own.value - published.value
    text = column.shown(gap, "+")
    text = text.replace("-", "+") if float(text) == 0 else text
    if own.reach is not None:
        text += f" ± {column.shown(own.reach)}"
    return Cell(text, gap)


def _caption(report: Report, planned: Planned, found: dict[tuple[int, int], Measured]) -> Iterator[str]:
    """What a reader must know of a table: of what it is, of how many images and trainings, where the published numbers are from."""
    yield from planned.caption or []
    datasets = dict.fromkeys(str(ask.dataset) for ask in planned.asks.values())
    known = [one for one in found.values() if one.n]
    if known:
        ns = _span({count for one in known for count in (one.n, one.least)})
        trainings = _span({one.trainings for one in known})
        yield f"Measured on {', '.join(datasets)}: n = {ns} test images, {trainings} training{'' if trainings == '1' else 's'} a row."
    missing = sum(not one.trainings for one in found.values())
    if missing:
        yield f"–: {missing:,} of {len(found):,} numbers are not measured yet; `robench reproduce {report.name}` does it."
    pairs = [(row, column) for row in planned.rows for column in planned.columns]
    if published := [one for pair in pairs if (one := report.published_of(planned, *pair))]:
        yield MEASURED
        yield f"Published: {'; '.join(dict.fromkeys(one.source for one in published))}."
        if protocols := [*dict.fromkeys(one.protocol for one in published if one.protocol)]:
            yield f"Their protocol: {'; '.join(protocols)}."
    yield from (f"{note.column}: {note.text}" for note in planned.notes if not note.row)
    if report.paper:
        yield f"After {report.paper}."
    yield from report.about


def _span(counts: set[int]) -> str:
    ends: Sequence[int] = sorted(counts)
    return f"{ends[0]:,}" if len(ends) == 1 else f"{ends[0]:,} to {ends[-1]:,}"
