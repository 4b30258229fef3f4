"""`robench reproduce` and what `robench report NAME` shares with it: the papers' tables."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from robench.cli.app import app, clean_exit, example
from robench.cli.options import (
    DataOption,
    Device,
    DeviceOption,
    QuietOption,
    StoreOption,
    WorkersOption,
)
from robench.cli.streams import found_otherwise, signs_for
from robench.console import colored, columns, reporter, spell_seconds
from robench.errors import UsageError
from robench.places import Places, home

PATIENCE = 120.0
"""Seconds of measuring in a dry run, after which the attacks that are left are not measured."""
if TYPE_CHECKING:
    from robench.reporting.papers.report import Report

SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="Another value of a variable of the report's file, such as its model or its data set. May be repeated.",
    ),
]
SeedsOption = Annotated[
    int | None, typer.Option(min=1, help="The first so many of the report's training seeds; all by default.")
]
ImagesOption = Annotated[
    int | None,
    typer.Option(
        "--n", help="Test images: the pinned, class-balanced subset of this size; the report's own by default."
    ),
]
SUFFIXES = {".md": "markdown", ".html": "html", ".tex": "latex", ".csv": "csv", ".json": "json", ".txt": "text"}


def report_of(name: str, given: Sequence[str] | None, n: int | None = None, seeds: int | None = None) -> Report:
    """A report by its name or the path of its file, with variables as they are given.

    Raises:
        UsageError: there is none, or it is not understood.
    """
    from robench.reporting.papers.reading import named, read_report

    values = {}
    for one in given or []:
        variable, sign, value = one.partition("=")
        if not sign or not variable.strip():
            raise UsageError(f"--set {one!r} gives no variable a value; write it as --set 'model=vit(epochs=1)'")
        values[variable.strip()] = value.strip()
    return read_report(named(name), values).smaller(n, seeds)


def show(report: Report, source: Path, form: str, out: str | None) -> None:
    """Print a report, or write it to a file."""
    from robench.reporting.papers.cells import cells_in
    from robench.reporting.papers.naming import refuse_unknown
    from robench.reporting.papers.pages import render, write

    refuse_unknown(report)
    cells, notes = cells_in(source)
    if out is not None:
        for path in write(report, cells, home(out, "the file to write"), form, notes):
            print(path)
        return
    color, width = colored(sys.stdout), columns(sys.stdout)
    print(render(report, cells, form, notes, color=color, width=width, signs=signs_for(sys.stdout)))


@app.command(
    epilog=example(
        "robench reproduce ksa_table1 --dry-run",
        "robench reproduce ksa_table1 --n 100 --seeds 1 --store results/ksa",
        "robench reproduce ksa_table1 --set data=digits --set training=epochs=2 --n 20",
        "robench report ksa_table1 --store results/ksa --format markdown --out ksa_table1.md",
    )
)
def reproduce(
    name: Annotated[str, typer.Argument(metavar="NAME|FILE.toml", help="A paper's report: ksa_table1, ./mine.toml.")],
    given: SetOption = None,
    n: ImagesOption = None,
    seeds: SeedsOption = None,
    device: DeviceOption = Device.auto,
    workers: WorkersOption = None,
    data: DataOption = None,
    store: StoreOption = "results",
    quiet: QuietOption = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done, and what it would take.")
    ] = False,
) -> None:
    """Make a paper's table or figure: train, attack and judge what is missing; print it beside what was published."""
    with clean_exit():
        report = report_of(name, given, n, seeds)
        from robench.running.costs import plan_lines
        from robench.running.reproducing import job_of, plans, reproduce
        from robench.running.settings import Settings

        settings, places = Settings(n=n, device=device.value, workers=workers), Places.of(data, store)
        job = job_of(report, settings, places)
        told = reporter(quiet=quiet)
        for line in job.left_out:
            told.say(line)
        if dry_run:
            told.say(f"measuring a few steps and passes of each, for {spell_seconds(PATIENCE)} at most")
            both = [*plans(job, places, PATIENCE)]
            trainings = list({(t.defense, t.dataset): t for found, _ in both for t in found}.values())
            sized = [f"size {call}, a few seconds" for call in job.architectures]
            print("\n".join([*sized, *plan_lines(trainings, [unit for _, units in both for unit in units])]))
            return
        refused = reproduce(job, places, told)
        found_otherwise(f"what was measured is in the store, and `robench report {report.asked}` shows it")
        show(report, places.store, "text", None)
        page = places.store / f"{report.name}.html"
        show(report, places.store, "html", str(page))
        if job.left_out or any(one.found for one in refused):
            raise typer.Exit(5)
