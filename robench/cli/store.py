"""`robench store ls`, `rm`, `gc` and `repair`: what a store holds, and mending it; loads no entry and no torch."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from robench.cli.app import app, clean_exit, example
from robench.cli.options import JsonOption, StoreOption
from robench.console import lines
from robench.errors import UsageError
from robench.places import home

if TYPE_CHECKING:
    from robench.reporting.holdings import Holding

store_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Show and clear what a store holds.",
    epilog=example("robench store ls --store results"),
)
app.add_typer(store_app, name="store")

YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask; needed where there is no terminal to ask.")]


@store_app.command(epilog=example("robench store ls --store results"))
def ls(store: StoreOption = "results", as_json: JsonOption = False) -> None:
    """List the units: what was asked for, rows, bytes, the day, and which are older, damaged, frozen or refused."""
    with clean_exit():
        found = _holdings(home(store, "the store"))
        if as_json:
            print(json.dumps([holding._asdict() for holding in found], indent=1))
            return
        for holding in found:
            print(lines(_line(holding)))
        total = sum(holding.bytes for holding in found)
        units = sum(holding.state != "refused" for holding in found)
        print(f"{units} units, {sum(holding.rows for holding in found):,} rows, {total / 1e6:,.1f} MB")


@store_app.command(epilog=example('robench store rm "vit-pgd_linf-*"'))
def rm(
    names: Annotated[
        list[str], typer.Argument(help="Names of units as `ls` prints them; * and ? stand for any letters.")
    ],
    store: StoreOption = "results",
    yes: YesOption = False,
) -> None:
    """Remove units. A unit that a frozen board names stays."""
    with clean_exit():
        from robench.reporting.holdings import named

        root = home(store, "the store")
        _clear(root, named(_holdings(root), names), [], yes)


@store_app.command(epilog=example("robench store gc --yes"))
def gc(store: StoreOption = "results", yes: YesOption = False) -> None:
    """Remove what no report shows: units measured with code that has changed since, damaged ones, cards of no unit."""
    with clean_exit():
        from robench.reporting.holdings import leftovers

        root = home(store, "the store")
        chosen = [holding for holding in _holdings(root) if holding.state in ("older", "damaged")]
        _clear(root, chosen, leftovers(root, [h for h in chosen if not h.frozen]), yes)


@store_app.command(epilog=example("robench store repair --store results"))
def repair(store: StoreOption = "results") -> None:
    """Write anew the manifests that are missing or damaged, from what the records beside them say; remove nothing."""
    with clean_exit():
        from robench.records.repair import repair as repaired

        root = home(store, "the store")
        if not (root / "records").is_dir():
            raise UsageError(f"there is no store {str(root)!r} (it has no records/); name its folder with --store")
        found = repaired(root, lambda note: print(f"note: {lines(note)}", file=sys.stderr))
        for name in found.mended:
            print(f"{lines(name)}  its manifest is written anew")
        for name in found.lost:
            print(
                f"{lines(name)}  no record in it says what it is of; the run that asks for it attacks its images again"
            )
        print(f"{len(found.sound)} units are sound, {len(found.mended)} mended, {len(found.lost)} lost")


def _holdings(root: Path) -> list[Holding]:
    from robench.reporting.holdings import holdings

    return holdings(root, lambda note: print(f"note: {lines(note)}", file=sys.stderr))


def _clear(root: Path, chosen: list[Holding], files: list[Path], yes: bool) -> None:
    """Remove units and files, if a person or --yes says so."""
    from robench.records.store import Store
    from robench.reporting.holdings import discard, sweep

    Store(root).frozen()  # nothing is removed while it is not known what boards name
    going = [holding for holding in chosen if not holding.frozen]
    for holding in chosen:
        print(f"{lines(_line(holding))}{'  stays: a frozen board names it' if holding.frozen else ''}")
    for path in files:
        print(lines(str(path)))
    if not going and not files:
        print("nothing to remove")
        return
    what = f"{len(going)} units and {len(files)} other files"
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError(f"{what} would be removed; there is no terminal to ask: say --yes")
        if not typer.confirm(f"Remove {what}, {sum(h.bytes for h in going) / 1e6:,.1f} MB?"):
            return
    for holding in going:
        discard(root, holding)
    sweep(files)
    print(f"removed {what}")


def _line(holding: Holding) -> str:
    what = f"{holding.defense} under {holding.attack} on {holding.dataset}" if holding.defense else "cannot be read"
    return f"{holding.name}  {holding.state:<7}  {holding.day}  {holding.rows:>7,} rows  {holding.bytes / 1e6:>8,.2f} MB  {what}"
