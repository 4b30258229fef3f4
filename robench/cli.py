"""The command line. Nothing heavy is imported here: `robench --help` must answer at once."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from robench.console import reporter
from robench.errors import RobenchError, UsageError
from robench.places import Places

if TYPE_CHECKING:
    from robench.cells import Row
    from robench.harness import Settings


class Device(StrEnum):
    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


class Precision(StrEnum):
    float32 = "float32"
    bfloat16 = "bfloat16"


class Format(StrEnum):
    text = "text"
    markdown = "markdown"
    csv = "csv"
    latex = "latex"
    json = "json"
    html = "html"


class Kind(StrEnum):
    defenses = "defenses"
    attacks = "attacks"
    datasets = "datasets"


app = typer.Typer(
    help="How robust is this defense, really, under this threat model?",
    epilog='Begin with: robench run --defense vit --attack "pgd_linf(eps=0.1)" --dataset digits',
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None,
)  # fmt: skip

Defense = Annotated[
    list[str],
    typer.Option(
        help='A defense, as a name or a call: ksa, "ksa(k=4, layers=[1])", ./mine.py; of a list where one value is wanted, '
        'such as "vit(seed=[0, 1, 2])", one row each. May be repeated.'
    ),
]
Attack = Annotated[list[str], typer.Option(help='An attack: cw_l2, "pgd_linf(eps=[2/255, 8/255])". May be repeated.')]
Dataset = Annotated[
    list[str], typer.Option(help="A data set: digits, cifar10, \"folder(path='photos')\". May be repeated.")
]
N = Annotated[
    int | None,
    typer.Option(help="Test images: the pinned, class-balanced subset of this size; all of them by default."),
]
Seed = Annotated[int, typer.Option(help="Of the attacks; a training's seed is an option of its defense.")]
DeviceOption = Annotated[Device, typer.Option(help="auto takes the GPU if there is one.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Threads that attack; one a core by default.")]
BatchSize = Annotated[str, typer.Option(help="Images in a batch: a number, or auto to measure. It changes no result.")]
PrecisionOption = Annotated[
    Precision,
    typer.Option(help="Of the attacks' passes; the judge's are float32, and the table says which attacks had another."),
]
Data = Annotated[Path | None, typer.Option(help="Folder of data sets; ROBENCH_DATA by default.")]
StoreOption = Annotated[Path, typer.Option(help="Folder of records.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
KeepImages = Annotated[bool, typer.Option(help="Keep all adversarial images in the records (the first 8 always are).")]


@contextmanager
def told() -> Iterator[None]:
    """Errors of robench's own become one line and an exit status; Ctrl-C says what is safe."""
    try:
        yield
    except RobenchError as error:
        print(f"robench: {error}", file=sys.stderr)
        raise typer.Exit(error.exit_status) from None
    except KeyboardInterrupt:
        print("\nrobench: stopped. What was finished is stored; the same command goes on from there", file=sys.stderr)
        raise typer.Exit(130) from None


def _settings(
    n: int | None, seed: int, device: Device, workers: int | None, batch_size: str, keep_images: bool = False,
    precision: Precision = Precision.float32,
) -> Settings:  # fmt: skip
    from robench.harness import Settings

    if batch_size != "auto" and not (batch_size.isdecimal() and int(batch_size) > 0):
        raise UsageError(f"--batch-size {batch_size!r} is neither a whole number of at least 1 nor auto")
    size: int | Literal["auto"] = "auto" if batch_size == "auto" else int(batch_size)
    return Settings(n, seed, device.value, workers, size, keep_images, precision.value)


def _rows(defense: list[str], attack: list[str], dataset: list[str], settings: Settings, places: Places) -> list[Row]:
    from robench.harness import rows_of

    return rows_of(list(defense), list(attack), list(dataset), settings, places)


@app.command(
    epilog='robench run --defense vit --defense ksa --attack "pgd_linf(eps=[1/255, 4/255])" --attack cw_l2 --dataset cifar10 --n 1000'
)
def run(
    defense: Defense, attack: Attack, dataset: Dataset, n: N = None, seed: Seed = 0, device: DeviceOption = Device.auto, workers: Workers = None,
    batch_size: BatchSize = "auto", keep_images: KeepImages = False, precision: PrecisionOption = Precision.float32, data: Data = None,
    store: StoreOption = Path("results"), as_json: Json = False,
    dry_run: Annotated[bool, typer.Option(help="Only say what would be done, as `robench plan` does.")] = False,
) -> None:  # fmt: skip
    """Train, attack, judge; print the table and write the HTML report."""
    if dry_run:
        plan(defense, attack, dataset, n, seed, device, workers, batch_size, precision, data, store, as_json)
        return
    with told():
        from robench.api import Result
        from robench.harness import run_rows
        from robench.pages import render, stored, write_report
        from robench.store import Store

        settings, places, shown = (
            _settings(n, seed, device, workers, batch_size, keep_images, precision),
            Places.of(data, store),
            reporter(),
        )
        measured = run_rows(_rows(defense, attack, dataset, settings, places), settings, places, shown)
        models = Store(places.store).models()
        used = {one.unit.facts["weights"] for one in measured}
        result = Result(measured, {weights: card for weights, card in models.items() if weights in used})
        print(render(result, "json" if as_json else "text", places, color=sys.stdout.isatty()))
        everything, notes = stored(places)
        path = write_report(everything, places.store / "report.html", "html", places, notes)
        print(f"\nreport: {path}", file=sys.stderr if as_json else sys.stdout)


@app.command(epilog="robench plan --defense ksa --attack cw_l2 --dataset cifar10 --n 1000")
def plan(
    defense: Defense, attack: Attack, dataset: Dataset, n: N = None, seed: Seed = 0, device: DeviceOption = Device.auto, workers: Workers = None,
    batch_size: BatchSize = "auto", precision: PrecisionOption = Precision.float32, data: Data = None,
    store: StoreOption = Path("results"), as_json: Json = False,
) -> None:  # fmt: skip
    """Say what a run would do: trainings, cells, what is stored and why the rest is not, predicted passes and seconds."""
    with told():
        from robench.duration import spell_seconds
        from robench.forecast import plan_rows

        settings, places = _settings(n, seed, device, workers, batch_size, False, precision), Places.of(data, store)
        trainings, cells = plan_rows(_rows(defense, attack, dataset, settings, places), settings, places)
        if as_json:
            print(
                json.dumps({"trainings": [asdict(t) for t in trainings], "cells": [asdict(c) for c in cells]}, indent=1)
            )
            return
        for training in trainings:
            print(
                f"train {training.defense} on {training.dataset}: {training.epochs} epochs, {training.steps} steps, about {spell_seconds(training.seconds)}"
            )
        for cell in cells:
            cost = (
                ""
                if not cell.missing
                else "; cost known once it is trained"
                if cell.seconds is None
                else f"; about {cell.passes:,.0f} passes, {spell_seconds(cell.seconds)}"
            )
            print(
                f"{cell.defense} under {cell.attack} on {cell.dataset}: {cell.missing} of {cell.n} images to attack ({cell.why}){cost}"
            )
        known = sum(t.seconds for t in trainings) + sum(c.seconds or 0 for c in cells)
        print(
            f"in all about {spell_seconds(known)}, plus the attacks on what is not trained yet"
            if trainings
            else f"in all about {spell_seconds(known)}"
        )


@app.command(epilog='robench train --defense "vit(epochs=10)" --dataset mnist')
def train(
    defense: Defense, dataset: Dataset, device: DeviceOption = Device.auto, workers: Workers = None, data: Data = None, as_json: Json = False,
) -> None:  # fmt: skip
    """Train defenses into the cache, without attacking them."""
    with told():
        from robench.harness import train_rows

        settings, places = _settings(None, 0, device, workers, "auto"), Places.of(data)
        lines = train_rows(_rows(defense, [], dataset, settings, places), settings, reporter())
        if as_json:
            print(json.dumps(lines, indent=1))
        for line in [] if as_json else lines:
            validation = "–" if line["validation_accuracy"] is None else f"{100 * line['validation_accuracy']:.1f} %"
            print(
                f"{line['defense']} on {line['dataset']}: test accuracy {100 * line['test_accuracy']:.2f} % (n = {line['n']}), "
                f"validation {validation}, {line['epochs']} epochs in {line['seconds']:.0f} s\n  {line['weights']}"
            )


@app.command("list")
def list_entries(
    kind: Annotated[Kind | None, typer.Argument(help="Only these.")] = None, as_json: Json = False
) -> None:
    """List the defenses, attacks and data sets."""
    with told():
        from robench.listing import entry_facts, listing
        from robench.registry import REGISTRIES

        chosen = {name: registry for name, registry in REGISTRIES.items() if kind is None or name == kind.value}
        found = {name: [entry_facts(registry[e]) for e in registry] for name, registry in chosen.items()}
        if as_json:
            print(json.dumps(found, indent=1))
            return
        print("\n".join(listing(found)))


@app.command(epilog="robench show ksa")
def show(
    entry: Annotated[
        str,
        typer.Argument(help='A defense, an attack or a data set; a call of a defense for its size: "vit(depth=12)".'),
    ],
    as_json: Json = False,
) -> None:
    """Show an entry: its card, its options with types and defaults, its documentation."""
    with told():
        from robench.listing import card, entries_named, entry_facts, option_facts, sized, sizes

        found = entries_named(entry)
        large = sizes(entry) if any(kind == "defenses" for kind, _ in found) else []
        if as_json:
            facts = [{"kind": kind, **entry_facts(e), "options": option_facts(e)} for kind, e in found]
            print(
                json.dumps([one | ({"sizes": large} if one["kind"] == "defenses" else {}) for one in facts], indent=1)
            )
        else:
            print("\n\n".join("\n".join(card(kind, e)) for kind, e in found))
            print("\n".join(["", *map(sized, large)]) if large else "", end="\n" if large else "")


@app.command(epilog="robench report --format markdown --out table.md")
def report(
    store: StoreOption = Path("results"),
    form: Annotated[Format, typer.Option("--format", help="What to write.")] = Format.html,
    out: Annotated[
        Path | None,
        typer.Option(help="File to write; text, Markdown, CSV, LaTeX and JSON go to the terminal without it."),
    ] = None,
    dataset: Annotated[list[str] | None, typer.Option(help="Only this data set. May be repeated.")] = None,
    data: Data = None,
) -> None:
    """Render what is in the store."""
    with told():
        from robench.pages import render, stored, write_report

        places = Places.of(data, store)
        result, notes = stored(places, dataset or [])
        if out is None and form is not Format.html:
            print(render(result, form.value, places, notes, color=sys.stdout.isatty() and form is Format.text))
            return
        print(write_report(result, out or places.store / "report.html", form.value, places, notes))


@app.command()
def doctor(data: Data = None, store: StoreOption = Path("results"), as_json: Json = False) -> None:
    """Look at versions, torch and torchvision, GPU, data and disk; exit status 2 if something is wrong."""
    with told():
        from robench.doctor import findings

        found = list(findings(Places.of(data, store)))
        if as_json:
            print(json.dumps([f._asdict() for f in found], indent=1))
        else:
            width = max(len(f.about) for f in found)
            for f in found:
                print(f"{f.state:<8} {f.about:<{width}}  {f.text}")
        if any(f.state == "problem" for f in found):
            raise typer.Exit(2)


def main() -> None:
    """Entry point of the `robench` command."""
    # torch and timm warn about each other's deprecations; a user of robench can do nothing about them.
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"torch\.|timm\.")
    warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"torch\.|timm\.")
    app()
