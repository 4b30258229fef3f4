"""`robench leaderboard`: reads a store; loads no entry and no torch."""

from __future__ import annotations

from typing import Annotated

import typer

from robench.cli.app import app, clean_exit, example
from robench.cli.options import EverythingOption, OnlyDatasetOption, StoreOption
from robench.errors import UsageError
from robench.places import home


@app.command(
    epilog=example(
        "robench leaderboard --store results --out board.html --out board.md",
        "robench leaderboard --freeze 2026-11",
        "robench leaderboard --frozen 2026-11 --out then.html",
    )
)
def leaderboard(
    store: StoreOption = "results",
    out: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATH",
            help="File to write, .html, .md, .json or .csv. May be repeated. leaderboard.html in the store by default.",
        ),
    ] = None,
    dataset: OnlyDatasetOption = None,
    suite: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="The suite whose attacks every row must have met; that of a board's norm by default."
        ),
    ] = None,
    everything: EverythingOption = False,
    freeze: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Write down which records it is made of, in the store, so that it can be made again."
        ),
    ] = None,
    frozen: Annotated[
        str | None, typer.Option(metavar="NAME", help="Make the leaderboard that was frozen under this name.")
    ] = None,
) -> None:
    """Rank defenses against equal threats, from what is in the store."""
    with clean_exit():
        from robench.reporting.leaderboard.contents import Leaderboard
        from robench.reporting.leaderboard.freezing import freeze as keep
        from robench.reporting.leaderboard.freezing import thawed
        from robench.reporting.leaderboard.page import form_of, write
        from robench.reporting.leaderboard.suites import suite as named
        from robench.reporting.pages import stored

        root = home(store, "the store")
        paths = [home(one, "--out") for one in out or []] or [root / "leaderboard.html"]
        for path in paths:
            form_of(path)
        if frozen and (freeze or dataset or everything or suite):
            raise UsageError("--frozen makes a board as it was; it goes without --freeze, --dataset, --suite and --all")
        only = named(suite) if suite else None
        if frozen:
            result, notes, suite = thawed(root, frozen)
            only = named(suite) if suite else None
        else:
            result, notes = stored(root, dataset or [], everything=everything)
        found = Leaderboard.of(result.groups(), result.cards, notes, only)
        if not found.boards:
            raise UsageError(
                f"the store {root} has nothing for a board: no defense was attacked with any of a suite's attacks at a radius; "
                "begin with `robench run --suite linf --defense vit --dataset digits`"
            )
        for path in paths:
            print(write(found, path))
        if freeze:
            print(keep(root, freeze, result, suite))
