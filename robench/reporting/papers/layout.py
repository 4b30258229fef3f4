"""Lays a report's table out: for each row what was measured here, what was published, and the difference."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from robench.reporting.papers.beside import Places, published_in
from robench.reporting.papers.cells import Cells, Measured
from robench.reporting.papers.metrics import METRICS, Metric
from robench.reporting.papers.report import Planned, Report
from robench.reporting.published import Published
from robench.reporting.tables import About, Cell, Column, Table, letter
from robench.reporting.writing.raised import raised

MOST_MODELS = 20
PUBLISHED, DIFFERENCE = "published", "difference"
"""Heads of the lines below a row's own."""
REACH = "±: the farther end of a 95 % interval over test images."
REACH_OVER_TRAININGS = (
    "±: the farther end of a 95 % interval: over test images, and where there are several trainings, which differ in their seed, over "
    "these too (Student's t), both added in quadrature. Of two or three trainings it is wide."
)
DIFFERENCES = (
    "Where a row has several lines, the first was measured here, and below it stand the published number and the difference "
    "(here - published), ± as of ours: what a published number's own error is does not enter."
)


class Letters:
    """The letters of notes, in the order in which they are met."""

    def __init__(self) -> None:
        self.of = dict[str, str]()

    def mark(self, texts: Iterable[str]) -> str:
        """The raised letters of these notes."""
        for text in texts:
            self.of.setdefault(text, letter(len(self.of)))
        return raised("".join(self.of[text] for text in dict.fromkeys(texts)))


def tables_of(report: Report, cells: Cells) -> list[Table]:
    """A report's tables, a dash where nothing is there."""
    return [_table(report, planned, cells) for planned in report.tables]


def measured_in(planned: Planned, cells: Cells) -> dict[tuple[int, int], Measured]:
    """What is there of a table's cells, by the places of row and column."""
    return {(i, j): cells.measure(ask, planned.bases.get(j), planned.n) for (i, j), ask in planned.asks.items()}


def _table(report: Report, planned: Planned, cells: Cells) -> Table:
    found, letters = measured_in(planned, cells), Letters()
    beside = published_in(report, planned, found)
    columns = _columns(planned, letters)
    rows, of, quiet = list[tuple[str, list[Cell]]](), list[About](), set[int]()

    def add(label: str, line: list[Cell], about: str, *, back: bool) -> None:
        if back:
            quiet.add(len(rows))
        rows.append((label, line))
        of.append(About(defense=about))

    for i, row in enumerate(planned.rows):
        published = [beside.get((i, j)) for j in range(len(columns))]
        own = [found.get((i, j)) for j in range(len(columns))]
        told = [] if any(column.of.attack for column in columns) else _attacks(planned, row=i)
        label = row.name + letters.mark([*(told if len(told) == 1 else []), *planned.notes_of(row=row.name)])
        marks = [
            letters.mark(
                [text for name in (column.name, column.group) if name for text in planned.notes_of(row.name, name)]
            )
            for column in planned.columns
        ]
        if any(own):
            line = [_own(column, one, planned.n) for column, one in zip(columns, own, strict=True)]
            add(label, [*map(_marked, line, marks)], row.name, back=False)
        if any(published):
            line = [_given(column, one) for column, one in zip(columns, published, strict=True)]
            about = f"{row.name}, {PUBLISHED}"
            if any(own):
                add(f"  {PUBLISHED}", line, about, back=True)
            else:
                add(f"{label} ({PUBLISHED})", [*map(_marked, line, marks)], about, back=True)
        if any(published) and any(one and one.trainings for one in own):
            line = [_gap(*each) for each in zip(columns, own, published, strict=True)]
            add(f"  {DIFFERENCE}", line, f"{row.name}, {DIFFERENCE}", back=True)
    caption = [
        *_caption(report, planned, found, beside),
        *(f"{raised(mark)} {text}" for text, mark in letters.of.items()),
    ]
    title = planned.title
    return Table(title, columns, rows, caption, head=planned.head, of=of, name=title, quiet=frozenset(quiet))


def _columns(planned: Planned, letters: Letters) -> list[Column]:
    """The columns as tables have them; a letter says which attack they are of, on the group where it is one."""
    own_attacks = [_attacks(planned, column=place) for place in range(len(planned.columns))]
    attacks = [own[0] if len(own) == 1 else "" for own in own_attacks]
    found = []
    for place, part in enumerate(planned.columns):
        of_group = {
            one for one, other in zip(attacks, planned.columns, strict=True) if other.group == part.group and one
        }
        together = bool(part.group) and len(of_group) == 1
        group_notes = [*(of_group if together else ()), *planned.notes_of(column=part.group)] if part.group else []
        own = [] if together or not attacks[place] else [attacks[place]]
        metrics = {ask.metric for (_, j), ask in planned.asks.items() if j == place} or {part.given.get("metric", "")}
        metric = (
            METRICS.get(next(iter(metrics)), Metric(part.name, None)) if len(metrics) == 1 else Metric(part.name, None)
        )
        group = part.group + letters.mark(group_notes)
        found.append(
            Column(
                group,
                part.name + letters.mark([*own, *planned.notes_of(column=part.name)]),
                metric.higher_is_better,
                metric.digits,
                metric.percent,
                of=About(attack=attacks[place], metric=next(iter(metrics)) if len(metrics) == 1 else ""),
            )
        )
    return found


def _attacks(planned: Planned, row: int | None = None, column: int | None = None) -> list[str]:
    """The attacks that a row's or a column's numbers are of, but for those of the model alone."""
    asks = [ask for (i, j), ask in planned.asks.items() if row in (None, i) and column in (None, j)]
    found = [str(ask.attack) for ask in asks if ask.attack is not None and not METRICS[ask.metric].of_model]
    return [*dict.fromkeys(found)]


def _marked(cell: Cell, mark: str) -> Cell:
    return replace(cell, text=cell.text + mark) if mark else cell


def _own(column: Column, one: Measured | None, n: int | None) -> Cell:
    if one is None or math.isnan(one.value):
        return Cell("–")
    cell = replace(column.cell(one.value, one.interval, one.reach), n=one.n)
    if one.numbers < one.wanted:
        cell = cell.saying(f"{one.numbers} of {one.wanted}")
    return cell.saying(f"{min(one.seen):,} of {n:,} images") if one.short else cell


def _given(column: Column, one: Published | None) -> Cell:
    if one is None:
        return Cell("–")
    printed = replace(column, digits=one.digits)
    return replace(printed.cell(one.value), merit=math.nan, note=f"{one.source}; {one.protocol}")


def _gap(column: Column, own: Measured | None, published: Published | None) -> Cell:
    if own is None or math.isnan(own.value) or published is None:
        return Cell("–")
    gap = own.value - published.value
    text = column.shown(gap, "+")
    text = text.replace("-", "+") if float(text) == 0 else text
    if own.reach is not None:
        text += f" ± {column.shown(own.reach)}"
    return Cell(text, gap)


def _caption(report: Report, planned: Planned, found: dict[tuple[int, int], Measured], beside: Places) -> Iterator[str]:
    """What a reader must know of a table: of what it is, of how many images and trainings, where the published numbers are from."""
    yield from planned.caption or []
    known = [one for one in found.values() if one.n]
    if known:
        ns = _span({count for one in known for count in one.seen})
        trainings = _span({one.numbers for one in known})
        yield f"Measured on {_datasets(planned, known)}: n = {ns} test images, {trainings} training{'' if trainings == '1' else 's'} a row."
        yield f"Models: {_models(planned)}."
    missing = sum(one.trainings < one.wanted or one.short > 0 for one in found.values())
    if missing:
        yield (
            f"– and numbers in brackets: of {missing:,} of {len(found):,} numbers all or some trainings or images are not measured yet; "
            f"`robench reproduce {report.asked}` does it."
        )
    if any(one.reach is not None for one in found.values()):
        yield REACH_OVER_TRAININGS if any(one.spread is not None for one in found.values()) else REACH
    published: dict[str, list[str]] = {}
    sources = dict[str, None]()
    for (_, j), one in beside.items():
        column = planned.columns[j]
        sources[one.source] = None
        own = published.setdefault(one.protocol, [])
        if (name := column.group or column.name) not in own:
            own.append(name)
    if sources:
        yield DIFFERENCES
        yield f"Published: {'; '.join(sources)}."
        yield from (f"Published {', '.join(names)}: {protocol}." for protocol, names in published.items() if protocol)
    if report.paper:
        yield f"After {report.paper}."
    yield from report.about


def _datasets(planned: Planned, known: Sequence[Measured]) -> str:
    """The data sets, each with the copy of it that was used, where its card knows the copy."""
    copies = {one.printed.dataset: one.printed.variant for measured in known for one in measured.found}
    asked = dict.fromkeys(str(ask.dataset) for ask in planned.asks.values())
    return ", ".join(f"{name} ({copies[name]})" if copies.get(name) else name for name in asked)


def _models(planned: Planned) -> str:
    """The calls that rows stand for."""
    calls = [*dict.fromkeys(str(ask.defense) for ask in planned.asks.values())]
    return "; ".join(calls[:MOST_MODELS]) + (
        f" and {len(calls) - MOST_MODELS} more" if len(calls) > MOST_MODELS else ""
    )


def _span(counts: set[int]) -> str:
    ends: Sequence[int] = sorted(counts)
    return f"{ends[0]:,}" if len(ends) == 1 else f"{ends[0]:,} to {ends[-1]:,}"
