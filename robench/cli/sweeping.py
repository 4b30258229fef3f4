"""`robench sweep`: options are chosen on the validation split."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from robench.cli.app import app, clean_exit, example
from robench.cli.completion import entries
from robench.cli.options import DataOption, DatasetOption, Device, DeviceOption, JsonOption, QuietOption, WorkersOption
from robench.console import reporter
from robench.errors import UsageError
from robench.places import Places

if TYPE_CHECKING:
    from robench.running.sweep import Tried


@app.command(
    epilog=example(
        "robench sweep \"ksa(mu=[500, 5000], attention=['softmax', 'sparsemax'])\" --dataset mnist \\",
        '    --metric clean --constraint "mass>=0.85"',
    )
)
def sweep(
    defense: Annotated[
        list[str],
        typer.Argument(
            help='Calls with lists where one value is wanted: "ksa(k=[4, 8], mu=[500, 5000])"; each choice is trained.',
            autocompletion=entries("defense"),
        ),
    ],
    dataset: DatasetOption,
    metric: Annotated[
        str,
        typer.Option(
            help="What the choice is made by, the highest: clean (accuracy), mass (of attention in the K largest weights, in the "
            "layer that has least), or a number of the training's log."
        ),
    ] = "clean",
    constraint: Annotated[
        list[str] | None, typer.Option(help='What must hold, such as "mass>=0.85". May be repeated.')
    ] = None,
    device: DeviceOption = Device.auto,
    workers: WorkersOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Train every choice of a defense's options, and choose among them on the validation split; no test image is looked at."""
    with clean_exit():
        from robench.running.rows import rows_of
        from robench.running.settings import Settings
        from robench.running.sweep import Constraint, refuse_lacking
        from robench.running.sweep import sweep as tried_of

        wanted = [Constraint.of(text) for text in constraint or []]
        settings, places = Settings(device=device.value, workers=workers), Places.of(data)
        names, found = [metric, *(one.name for one in wanted)], []
        for name in dataset:
            rows = rows_of([*defense], [], [name], settings, places)
            found += tried_of(rows, metric, wanted, settings, reporter(quiet=quiet))
        if as_json:
            print(json.dumps([asdict(one) for one in found], indent=1))
        else:
            print("\n".join(lines(found, names)))
        refuse_lacking(found, names)
        if wanted and not all(any(t.met for t in found if t.dataset == one.dataset) for one in found):
            raise UsageError(
                f"nothing that was tried meets {' and '.join(constraint or [])}; try further values, or ask for less"
            )


def lines(found: list[Tried], names: list[str]) -> list[str]:
    """A table of what was tried, the choice marked with an asterisk."""
    shown = [*dict.fromkeys(names)]
    shown += [name for name in ("clean", "mass") if name not in shown and any(name in t.figures for t in found)]
    rows = [[*shown, "Defense", "Data set"]]
    for tried in found:
        figures = [_figure(tried.figures.get(name)) for name in shown]
        mark = "*" if tried.chosen else " " if tried.met else "-"
        rows.append([*figures, f"{mark} {tried.defense}", tried.dataset])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    table = [
        "  ".join(
            c.rjust(w) if i < len(shown) else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    counts = " and ".join(dict.fromkeys(f"{one.n:,} of {one.dataset}" for one in found))
    said = f"On validation images ({counts}). *: the choice; -: a constraint is not met. One training each."
    return [*(line.rstrip() for line in table), "", said]


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"
