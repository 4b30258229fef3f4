"""`robench baseline write`, `diff` and `accept`: the file that `robench check` compares with."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Annotated

import typer

from robench.cli.app import app, clean_exit, example
from robench.cli.gating import gates_of, terminal
from robench.cli.options import AllowOption, ConfigOption, DataOption, QuietOption, StoreOption, WorkersOption
from robench.console import lines, reporter
from robench.errors import UsageError, did_you_mean
from robench.places import Places, home

if TYPE_CHECKING:
    from robench.gate.cells import Cell
    from robench.gate.sources import Side

SMALL_BATCH = 5
"""Images in a batch, to see which outcomes a batch changes."""
baseline_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Write, renew and amend the file that `robench check` compares with.",
    epilog=example("robench baseline write --store results --out baseline.json"),
)
app.add_typer(baseline_app, name="baseline")

FileOption = Annotated[str, typer.Option("--baseline", metavar="PATH", help="The baseline.")]


@baseline_app.command(
    epilog=example(
        "robench baseline write --store results --out baseline.json",
        "robench baseline write --store results --out baseline.json --seeds 3",
    )
)
def write(
    store: StoreOption = "results",
    out: Annotated[str, typer.Option(metavar="PATH", help="The file to write, to be committed.")] = "baseline.json",
    seeds: Annotated[
        int,
        typer.Option(
            min=1,
            help="Attack all images again with further seeds, so many in all, and in smaller batches, and mark those that flip by "
            "themselves; natural threats are left out. It takes what the run took, for each.",
        ),
    ] = 1,
    allow: AllowOption = None,
    data: DataOption = None,
    workers: WorkersOption = None,
    quiet: QuietOption = False,
) -> None:
    """Write what became of each image of a store, cell by cell, in one small JSON file."""
    with clean_exit():
        from robench.gate.baseline import Baseline
        from robench.gate.sources import opened

        path, side = home(out, "--out"), opened(home(store, "the store"))
        if path.suffix != ".json":
            raise UsageError(f"--out {out}: a baseline is JSON; name a file that ends in .json")
        cells = side.sound()
        if not cells:
            raise UsageError(f"{side.name} has no cell that a baseline could hold")
        for note in side.notes:
            print(f"note: {lines(note)}", file=sys.stderr)
        if seeds > 1:
            cells = [_examined(cell, side, seeds, store, data, workers, quiet, allow or []) for cell in cells]
        if path.exists() and (dropped := Baseline.read(path).accepted):
            print(f"note: {len(dropped)} acceptances of {path} are not taken over", file=sys.stderr)
        print(f"{Baseline(cells).write(path)}: {len(cells)} cells, {path.stat().st_size / 1000:,.1f} kB")


@baseline_app.command(
    name="diff",
    epilog=example(
        "robench baseline diff --baseline baseline.json",
        "robench baseline diff --baseline baseline.json --out baseline.json",
    ),
)
def proposed(
    baseline: FileOption,
    store: StoreOption = "results",
    config: ConfigOption = None,
    out: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="Write the baseline that is proposed; nothing is written without it."),
    ] = None,
) -> None:
    """Show what a new baseline would change, and propose it: what is significantly better is taken over, what is new is added.

    What is worse stays as it was: for that there is `robench baseline accept`, or a new `robench baseline write`.
    """
    with clean_exit():
        from robench.gate.judging import judged
        from robench.gate.renewal import renewed
        from robench.gate.sources import opened
        from robench.gate.tables import verdict_table
        from robench.reporting.writing.terminal import as_text

        _, gates = gates_of(config, None, None)
        before, after = opened(home(baseline, "--baseline")), opened(home(store, "the store"))
        verdicts = judged(gates, before, after)
        print(as_text(verdict_table(verdicts, f"What {after.name} would change of {before.name}"), **terminal()))
        found = renewed(before, after, verdicts)
        print(f"\n{len(found.better)} cells are better than their baseline, {len(found.added)} are new.")
        if out:
            print(found.baseline.write(home(out, "--out")))
        elif found.better or found.added:
            print(f"To take them over: robench baseline diff --baseline {baseline} --store {store} --out {baseline}")


@baseline_app.command(
    epilog=example(
        "robench baseline accept --baseline baseline.json --gate madry \\",
        '    --reason "half the training time, agreed in #12" --expires 2027-01-31',
    )
)
def accept(
    baseline: FileOption,
    gate: Annotated[str, typer.Option(metavar="ID", help="The gate whose regressions are accepted.")],
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; every check prints it.")],
    expires: Annotated[str, typer.Option(metavar="DATE", help="The last day, as 2027-01-31.")],
    store: StoreOption = "results",
    config: ConfigOption = None,
) -> None:
    """Accept what regressed of a gate, as far as it did, for a time; it is written in the baseline, and reviewed with it."""
    with clean_exit():
        from robench.gate.baseline import Baseline
        from robench.gate.judging import judged
        from robench.gate.renewal import accepting
        from robench.gate.sources import opened

        path, (_, gates) = home(baseline, "--baseline"), gates_of(config, None, None)
        ids = [one.id for one in gates]
        if gate not in ids:
            raise UsageError(f"no gate is called {gate!r}{did_you_mean(gate, ids)}")
        if not reason.strip():
            raise UsageError("--reason is empty; say why, since every check prints it")
        try:
            day = date.fromisoformat(expires)
        except ValueError as error:
            raise UsageError(f"--expires {expires} is no day; write it as 2027-01-31") from error
        if day < date.today():
            raise UsageError(f"--expires {expires} is over; name a day to come")
        known, after = Baseline.read(path), opened(home(store, "the store"))
        strict = [replace(one, severity="error") for one in gates]  # what a gate only warns of is accepted likewise
        found = accepting(known, judged(strict, opened(path).without(gate), after), gate, reason, day)
        found.write(path)
        print(f"{path}: {len(found.accepted[-1].cells)} cells of {gate!r} are accepted as they are until {day}")


def _examined(
    cell: Cell, side: Side, seeds: int, store: str, data: str | None, workers: int | None, quiet: bool, allow: list[str]
) -> Cell:
    """A cell, its images that flip by themselves marked."""
    from robench.gate.unsteady import with_unsteady
    from robench.running.again import Once, attacked_again
    from robench.running.settings import Settings

    one = cell.measured
    if one is None:
        raise UsageError(f"--seeds attacks again, which takes a store; {side.name} is none")
    if cell.identity.goal == "natural":
        return cell
    own = cell.identity.seed
    times = [*(Once(own + further) for further in range(1, seeds)), Once(own, SMALL_BATCH)]
    settings, places = Settings(workers=workers), Places.of(data, store)
    runs = attacked_again(one.unit, cell.images.tolist(), times, settings, places, reporter(quiet=quiet), allow)
    return with_unsteady(cell, [(once.seed, records) for once, records in zip(times, runs, strict=True)])
