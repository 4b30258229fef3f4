"""`robench report`: reads a store; loads no entry and no torch."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated

import typer

from robench.cli.app import app, clean_exit, example
from robench.cli.options import EverythingOption, OnlyDatasetOption, StoreOption
from robench.cli.streams import signs_for
from robench.console import colored, columns
from robench.errors import UsageError
from robench.places import home


class Format(StrEnum):
    text = "text"
    markdown = "markdown"
    csv = "csv"
    latex = "latex"
    json = "json"
    html = "html"
    parquet = "parquet"


@app.command(
    epilog=example(
        "robench report",
        "robench report --format markdown --out table.md",
        "robench report --format parquet --out records.parquet",
        "robench report --format text --base vit --sizes",
    )
)
def report(
    store: StoreOption = "results",
    form: Annotated[Format, typer.Option("--format", help="What to write.")] = Format.html,
    out: Annotated[
        str | None,
        typer.Option(
            metavar="PATH",
            help="File to write; text, Markdown, CSV, LaTeX and JSON go to the terminal without it. Parquet, which holds the "
            "records themselves, needs one.",
        ),
    ] = None,
    dataset: OnlyDatasetOption = None,
    everything: EverythingOption = False,
    base: Annotated[
        str | None,
        typer.Option(metavar="DEFENSE", help="The row that the others' differences to are shown, in brackets: vit."),
    ] = None,
    sizes: Annotated[
        bool, typer.Option("--sizes", help="Show parameters and multiply-accumulates beside accuracy.")
    ] = False,
    normaliser: Annotated[
        str | None,
        typer.Option(
            metavar="PATH",
            help="CSV of a baseline: corruption,severity,error for an mCE; perturbation,flip_probability,top5_distance for mFR, mT5D.",
        ),
    ] = None,
) -> None:
    """Render what is in the store."""
    with clean_exit():
        from robench.reporting.exported import write_records
        from robench.reporting.pages import render, stored, write_report

        if form is Format.parquet and out is None:
            raise UsageError("--format parquet is no text for a terminal; name a file with --out records.parquet")

        root = home(store, "the store")
        found, notes = stored(root, dataset or [], everything=everything)
        of = home(normaliser, "--normaliser") if normaliser else None
        result = found.against(base, sizes=sizes, normaliser=of)
        if form in (Format.csv, Format.latex):  # which have no place for them
            print("\n".join(f"note: {note}" for note in notes), end="\n" if notes else "", file=sys.stderr)
        if form is Format.parquet:
            print(write_records(result, home(str(out), "the file to write")))
            return
        if out is None and form is not Format.html:
            color, width = colored(sys.stdout), columns(sys.stdout)
            print(render(result, form.value, notes, color=color, width=width, signs=signs_for(sys.stdout)))
            return
        print(write_report(result, home(out, "the file to write") if out else root / "report.html", form.value, notes))
