"""`robench report`: reads a store; loads no entry and no torch."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated

import typer

from robench.cli.app import app, clean_exit, example
from robench.cli.options import EverythingOption, OnlyDatasetOption, StoreOption
from robench.cli.papers import SUFFIXES, SetOption, report_of, show
from robench.cli.streams import signs_for
from robench.console import colored, columns, lines
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
        "robench report --format parquet --merge laptop.parquet --out both.parquet",
        "robench report --format text --base vit --sizes",
        "robench report ksa_table1",
    )
)
def report(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME|FILE.toml]", help="A paper's report, such as ksa_table1; all of the store without it."
        ),
    ] = None,
    store: StoreOption = "results",
    form: Annotated[
        Format | None,
        typer.Option("--format", help="What to write; html without a NAME, text with one.", show_default=False),
    ] = None,
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
    merge: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATH",
            help="With --format parquet: records that were exported before, kept beside the store's; of the same cell the newest, or the one of more images.",
        ),
    ] = None,
    given: SetOption = None,
) -> None:
    """Render what is in the store; by the name of a paper's report, that one, the published numbers beside ours."""
    with clean_exit():
        if name is not None:
            _of_paper(name, given, store, form, out, [dataset, everything, base, sizes, normaliser, merge])
            return
        if given:
            raise UsageError("--set is for the variables of a paper's report; name one, such as ksa_table1")
        if out == "":
            raise UsageError("--out names no file; leave it out, or name one")
        form = form or Format.html
        from robench.reporting.exported import exported_cells, merged, read_records, write_records
        from robench.reporting.pages import render, stored, write_report

        if form is Format.parquet and out is None:
            raise UsageError("--format parquet is no text for a terminal; name a file with --out records.parquet")
        if merge and form is not Format.parquet:
            raise UsageError("--merge puts records together in one file; give --format parquet and --out with it")

        root = home(store, "the store")
        found, notes = stored(root, dataset or [], everything=everything)
        of = home(normaliser, "--normaliser") if normaliser else None
        result = found.against(base, sizes=sizes, normaliser=of)
        if form in (Format.csv, Format.latex):  # which have no place for them
            print("\n".join(f"note: {lines(note)}" for note in notes), end="\n" if notes else "", file=sys.stderr)
        if form is Format.parquet:
            others = [read_records(home(path, "--merge")) for path in merge or []]
            cells = merged(exported_cells(result), *(cells for cells, _ in others))
            cards = [*(card for _, own in others for card in own), *result.cards.values()]
            architectures = [card for card in cards if not card.weights]
            print(write_records(cells, architectures, home(str(out), "the file to write")))
            return
        if out is None and form is not Format.html:
            color, width = colored(sys.stdout), columns(sys.stdout)
            print(render(result, form.value, notes, color=color, width=width, signs=signs_for(sys.stdout)))
            return
        print(write_report(result, home(out, "the file to write") if out else root / "report.html", form.value, notes))


def _of_paper(
    name: str, given: list[str] | None, store: str, form: Format | None, out: str | None, others: list[object]
) -> None:
    """A paper's report from what is in a store or in records in Parquet."""
    if any(others):
        raise UsageError(
            f"the report {name} says itself what it shows; leave --dataset, --all, --base, --sizes, --normaliser and --merge out"
        )
    suffix = home(out, "the file to write").suffix if out else ".txt"
    if form is None and suffix not in SUFFIXES:
        raise UsageError(
            f"no format is known by the suffix {suffix!r} of {out}; give --format, or one of {', '.join(SUFFIXES)}"
        )
    shown = form.value if form else SUFFIXES[suffix]
    show(report_of(name, given), home(store, "the store"), shown, out)
