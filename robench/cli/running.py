"""`robench run`, `plan` and `train`: what computes."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from robench.cli.app import app, clean_exit, example
from robench.cli.options import (
    AttackOption,
    BatchSizeOption,
    DataOption,
    DatasetOption,
    DefenseOption,
    Device,
    DeviceOption,
    DiagonalOption,
    JsonOption,
    KeepImagesOption,
    MatrixOption,
    NOption,
    Precision,
    PrecisionOption,
    QuietOption,
    SeedOption,
    StoreOption,
    SuiteOption,
    WorkersOption,
)
from robench.cli.streams import found_otherwise, signs_for
from robench.console import colored, columns, reporter
from robench.errors import RobenchError, StoreError, UsageError
from robench.places import Places

if TYPE_CHECKING:
    from robench.entries.calls import Name
    from robench.running.settings import Settings


def _settings(
    n: int | None,
    seed: int,
    device: Device,
    workers: int | None,
    batch_size: str,
    keep_images: bool = False,
    precision: Precision = Precision.float32,
    diagonal: bool = False,
) -> Settings:
    from robench.running.settings import Settings

    if batch_size != "auto" and not (batch_size.isdecimal() and len(batch_size) < 10 and int(batch_size) > 0):
        raise UsageError(f"--batch-size {batch_size[:40]!r} is neither a whole number of at least 1 nor auto")
    size: int | Literal["auto"] = "auto" if batch_size == "auto" else int(batch_size)
    return Settings(n, seed, device.value, workers, size, keep_images, precision.value, diagonal)


def _attacks(attack: list[str] | None, suite: list[str] | None) -> list[Name]:
    """What is asked for, by name and by suite."""
    from robench.reporting.leaderboard.suites import attacks_of

    found: list[Name] = [*(attack or []), *(call for text in suite or [] for call in attacks_of(text))]
    if not found:
        raise UsageError(
            "no attack was named; give one with --attack 'pgd_linf(eps=8/255)', or those of a board with --suite linf"
        )
    return found


@app.command(
    epilog=example(
        'robench run --defense vit --defense ksa --attack "pgd_linf(eps=[1/255, 4/255])" \\',
        "    --attack cw_l2 --dataset cifar10 --n 1000",
        'robench run --defense vit --suite "linf(eps=8/255)" --dataset cifar10 --n 1000',
        "robench run --config robench.toml",
    )
)
def run(
    defense: DefenseOption,
    dataset: DatasetOption,
    attack: AttackOption = None,
    suite: SuiteOption = None,
    n: NOption = None,
    seed: SeedOption = 0,
    device: DeviceOption = Device.auto,
    workers: WorkersOption = None,
    batch_size: BatchSizeOption = "auto",
    keep_images: KeepImagesOption = False,
    precision: PrecisionOption = Precision.float32,
    diagonal: DiagonalOption = False,
    data: DataOption = None,
    store: StoreOption = "results",
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    config: MatrixOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done, as `robench plan` does.")
    ] = False,
) -> None:
    """Train, attack, judge; print the table and write the HTML report."""
    if dry_run:
        plan(
            defense,
            dataset,
            attack,
            suite,
            n,
            seed,
            device,
            workers,
            batch_size,
            keep_images,
            precision,
            diagonal,
            data,
            store,
            as_json,
        )
        return
    with clean_exit():
        from robench.records.store import Store
        from robench.reporting.pages import render
        from robench.reporting.result import Result
        from robench.running.costs import announce
        from robench.running.harness import run_rows
        from robench.running.rows import rows_of

        settings = _settings(n, seed, device, workers, batch_size, keep_images, precision, diagonal)
        places, told = Places.of(data, store), reporter(quiet=quiet)
        rows = rows_of([*defense], _attacks(attack, suite), [*dataset], settings, places)
        if n is None and not quiet:
            announce([row for row in rows if not row.refused], settings, places, told)
        measured, refused = run_rows(rows, settings, places, told)
        found_otherwise("what was measured is in the store, and `robench report` shows it")
        result = Result.of(measured, Store(places.store), refused.found)
        try:
            form = "json" if as_json else "text"
            print(
                render(result, form, color=colored(sys.stdout), width=columns(sys.stdout), signs=signs_for(sys.stdout)),
                flush=True,
            )
        finally:
            page = _write_page(places.store)
        if not as_json:
            print(f"\nreport: {page}")
        elif not quiet:
            print(f"report: {page}", file=sys.stderr)
        if refused.found:
            raise typer.Exit(5)


def _write_page(store: Path) -> Path:
    """Write the HTML report of all that is in the store.

    Raises:
        StoreError: it cannot be written; what was measured is in the store all the same.
    """
    from robench.reporting.pages import stored, write_report

    try:
        everything, notes = stored(store)
        return write_report(everything, store / "report.html", "html", notes)
    except (RobenchError, OSError) as error:
        again = f"robench report --store {shlex.quote(str(store))} --out report.html"
        raise StoreError(
            f"the page could not be written ({error}); what was measured is in the store: `{again}` writes it elsewhere"
        ) from error


@app.command(epilog=example("robench plan --defense ksa --attack cw_l2 --dataset cifar10 --n 1000"))
def plan(
    defense: DefenseOption,
    dataset: DatasetOption,
    attack: AttackOption = None,
    suite: SuiteOption = None,
    n: NOption = None,
    seed: SeedOption = 0,
    device: DeviceOption = Device.auto,
    workers: WorkersOption = None,
    batch_size: BatchSizeOption = "auto",
    keep_images: KeepImagesOption = False,
    precision: PrecisionOption = Precision.float32,
    diagonal: DiagonalOption = False,
    data: DataOption = None,
    store: StoreOption = "results",
    as_json: JsonOption = False,
    config: MatrixOption = None,
) -> None:
    """Say what a run would do: trainings, cells, what is stored and why the rest is not, predicted passes and seconds."""
    with clean_exit():
        from robench.running.costs import plan_lines
        from robench.running.plan import plan_rows
        from robench.running.rows import rows_of

        settings = _settings(n, seed, device, workers, batch_size, keep_images, precision, diagonal)
        places = Places.of(data, store)
        rows = rows_of([*defense], _attacks(attack, suite), [*dataset], settings, places)
        trainings, units = plan_rows(rows, settings, places)
        if as_json:
            plain = {"trainings": [asdict(t) for t in trainings], "cells": [asdict(u) for u in units]}
            print(json.dumps(plain, indent=1))
            return
        print("\n".join(plan_lines(trainings, units)))


@app.command(epilog=example('robench train --defense "vit(epochs=10)" --dataset mnist'))
def train(
    defense: DefenseOption,
    dataset: DatasetOption,
    device: DeviceOption = Device.auto,
    workers: WorkersOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Train defenses into the cache, without attacking them."""
    with clean_exit():
        from robench.running.harness import train_rows
        from robench.running.rows import rows_of

        settings, places = _settings(None, 0, device, workers, "auto"), Places.of(data)
        lines = train_rows(rows_of([*defense], [], [*dataset], settings, places), settings, reporter(quiet=quiet))
        if as_json:
            print(json.dumps([asdict(line) for line in lines], indent=1))
            return
        for line in lines:
            validation = "–" if line.validation_accuracy is None else f"{100 * line.validation_accuracy:.1f} %"
            print(
                f"{line.defense} on {line.dataset}: test accuracy {100 * line.test_accuracy:.2f} % (n = {line.n}), "
                f"validation {validation}, {line.epochs} epochs in {line.seconds:.0f} s\n  {line.weights}"
            )
