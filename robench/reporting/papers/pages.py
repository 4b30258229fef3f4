"""Reports as text, Markdown, CSV, LaTeX, JSON and a page, and the figures that go with them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from urllib.parse import quote

from robench.console import one_line
from robench.errors import UsageError
from robench.files import atomic_path
from robench.reporting import escaping
from robench.reporting.papers.beside import published_in
from robench.reporting.papers.cells import Cells
from robench.reporting.papers.figures import figures_of
from robench.reporting.papers.layout import measured_in, tables_of
from robench.reporting.papers.report import Report
from robench.reporting.templates import rendered
from robench.reporting.writing.markup import as_latex, as_markdown
from robench.reporting.writing.terminal import as_text
from robench.reporting.writing.tidy import comma_separated

Line = dict[str, str | float | int | None]
COLUMNS = (
    *(
        "table",
        "row",
        "column",
        "metric",
        "defense",
        "attack",
        "dataset",
        "n",
        "trainings",
        "value",
        "spread",
        "low",
        "high",
    ),
    *("published", "difference", "source", "protocol", "note"),
)


def render(
    report: Report,
    cells: Cells,
    form: str,
    notes: Sequence[str] = (),
    *,
    color: bool = False,
    width: int | None = None,
    signs: Mapping[str, str] | None = None,
) -> str:
    """A report in one of the formats: text, markdown, csv, latex, json, html.

    Args:
        color, width, signs: of a terminal; see `writing.terminal.as_text`.

    Raises:
        UsageError: it is another format.
    """
    if form == "csv":
        return _csv(report, cells)
    if form == "json":
        told = {"report": report.name, "title": report.title, "cells": [*lines_of(report, cells)], "notes": [*notes]}
        return json.dumps(told, indent=1)
    tables = [piece for table in tables_of(report, cells) for piece in table.pieces()]
    if form == "text":
        told_tables = [as_text(table, color=color, width=width, signs=signs) for table in tables]
        return "\n\n".join([*told_tables, *(f"note: {one_line(note)}" for note in notes)])
    if form == "markdown":
        said = [escaping.markdown(f"Note: {note}") for note in notes]
        return "\n\n".join([*map(as_markdown, tables), *said]) + "\n"
    if form == "latex":
        return as_latex(tables)
    if form != "html":
        raise UsageError(f"a report of a paper is written as text, markdown, csv, latex, json or html, not {form}")
    return _page(report, cells, notes)


def write(report: Report, cells: Cells, path: Path, form: str, notes: Sequence[str] = ()) -> list[Path]:
    """Write a report to a file, whole or not at all; beside Markdown its figures too, which it shows.

    Returns:
        The files that were written.
    """
    text, files = render(report, cells, form, notes), dict[Path, str]()
    if form == "markdown":
        figures = [figure for planned in report.tables for figure in figures_of(planned, cells)]
        for place, figure in enumerate(figures, 1):
            name = f"{path.stem}-{place}.svg" if len(figures) > 1 else f"{path.stem}.svg"
            files[path.with_name(name)] = figure
            text += f"\n![{escaping.markdown(report.title)}, figure {place}]({quote(name)})\n"
    files[path] = text
    with ExitStack() as stack:  # the text, opened last, takes its place first: where it cannot, no figure does
        for file, content in files.items():
            temporary = stack.enter_context(atomic_path(file))
            temporary.write_text(content, encoding="utf-8", errors="backslashreplace")
    return [path, *(file for file in files if file != path)]


def _page(report: Report, cells: Cells, notes: Sequence[str]) -> str:
    tables = tables_of(report, cells)
    sections = [
        (piece, figures_of(planned, cells) if place == 0 else [])
        for planned, table in zip(report.tables, tables, strict=True)
        for place, piece in enumerate(table.pieces())
    ]
    made = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return rendered(
        "paper.html.j2",
        title=report.title,
        lead=f"After {report.paper}." if report.paper else "",
        sections=sections,
        notes=notes,
        version=version("robench"),
        made=made,
    )


def _csv(report: Report, cells: Cells) -> str:
    return comma_separated(COLUMNS, lines_of(report, cells))


def lines_of(report: Report, cells: Cells) -> Iterator[Line]:
    """Every number, as plain values: shares as shares."""
    for planned in report.tables:
        found = measured_in(planned, cells)
        beside = published_in(report, planned, found)
        for i, row in enumerate(planned.rows):
            for j, column in enumerate(planned.columns):
                ask, one = planned.asks.get((i, j)), found.get((i, j))
                published = beside.get((i, j))
                if ask is None and published is None:
                    continue
                low, high = (one.interval if one else None) or (math.nan, math.nan)
                value = one.value if one else math.nan
                yield {
                    "table": planned.title,
                    "row": row.name,
                    "column": " / ".join(filter(None, [column.group, column.name])),
                    "metric": ask.metric if ask else "",
                    "defense": str(ask.defense) if ask else "",
                    "attack": str(ask.attack) if ask and ask.attack else "",
                    "dataset": str(ask.dataset) if ask else "",
                    "n": one.n if one and one.n else None,
                    "trainings": one.numbers if one else 0,
                    "value": _finite(value),
                    "spread": one.spread if one else None,
                    "low": _finite(low),
                    "high": _finite(high),
                    "published": published.value if published else None,
                    "difference": _finite(value - published.value) if published else None,
                    "source": published.source if published else "",
                    "protocol": published.protocol if published else "",
                    "note": "; ".join(dict.fromkeys(note.text for note in planned.notes if note.of(row, column))),
                }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
