"""`robench run`, `plan` and `train`: what computes."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from robench.cli.app import app, clean_exit
from robench.cli.options import (
    AttackOption,
    BatchSizeOption,
    DataOption,
    DatasetOption,
    DefenseOption,
    Device,
    DeviceOption,
    JsonOption,
    KeepImagesOption,
    NOption,
    Precision,
    PrecisionOption,
    SeedOption,
    StoreOption,
    WorkersOption,
)
from robench.console import reporter, spell_seconds
from robench.errors import UsageError
from robench.places import Places

if TYPE_CHECKING:
    from robench.running.plan import TrainingPlan, UnitPlan
    from robench.running.settings import Settings


def _settings(
    n: int | None,
    seed: int,
    device: Device,
    workers: int | None,
    batch_size: str,
    keep_images: bool = False,
    precision: Precision = Precision.float32,
) -> Settings:
    from robench.running.settings import Settings

    if batch_size != "auto" and not (batch_size.isdecimal() and int(batch_size) > 0):
        raise UsageError(f"--batch-size {batch_size!r} is neither a whole number of at least 1 nor auto")
    size: int | Literal["auto"] = "auto" if batch_size == "auto" else int(batch_size)
    return Settings(n, seed, device.value, workers, size, keep_images, precision.value)


@app.command(
    epilog='robench run --defense vit --defense ksa --attack "pgd_linf(eps=[1/255, 4/255])" --attack cw_l2 --dataset cifar10 --n 1000'
)
def run(
    defense: DefenseOption,
    attack: AttackOption,
    dataset: DatasetOption,
    n: NOption = None,
    seed: SeedOption = 0,
    device: DeviceOption = Device.auto,
    workers: WorkersOption = None,
    batch_size: BatchSizeOption = "auto",
    keep_images: KeepImagesOption = False,
    precision: PrecisionOption = Precision.float32,
    data: DataOption = None,
    store: StoreOption = Path("results"),
    as_json: JsonOption = False,
    dry_run: Annotated[bool, typer.Option(help="Only say what would be done, as `robench plan` does.")] = False,
) -> None:
    """Train, attack, judge; print the table and write the HTML report."""
    if dry_run:
        plan(defense, attack, dataset, n, seed, device, workers, batch_size, precision, data, store, as_json)
        return
    with clean_exit():
        from robench.records.store import Store
        from robench.reporting.pages import render, stored, write_report
        from robench.reporting.result import Result
        from robench.running.harness import run_rows
        from robench.running.rows import rows_of

        settings = _settings(n, seed, device, workers, batch_size, keep_images, precision)
        places = Places.of(data, store)
        rows = rows_of([*defense], [*attack], [*dataset], settings, places)
        measured, refused = run_rows(rows, settings, places, reporter())
        result = Result.of(measured, Store(places.store), refused.found)
        print(render(result, "json" if as_json else "text", color=sys.stdout.isatty()))
        everything, notes = stored(places.store)
        path = write_report(everything, places.store / "report.html", "html", notes)
        print(f"\nreport: {path}", file=sys.stderr if as_json else sys.stdout)
        if refused.found:
            raise typer.Exit(5)


@app.command(epilog="robench plan --defense ksa --attack cw_l2 --dataset cifar10 --n 1000")
def plan(
    defense: DefenseOption,
    attack: AttackOption,
    dataset: DatasetOption,
    n: NOption = None,
    seed: SeedOption = 0,
    device: DeviceOption = Device.auto,
    workers: WorkersOption = None,
    batch_size: BatchSizeOption = "auto",
    precision: PrecisionOption = Precision.float32,
    data: DataOption = None,
    store: StoreOption = Path("results"),
    as_json: JsonOption = False,
) -> None:
    """Say what a run would do: trainings, cells, what is stored and why the rest is not, predicted passes and seconds."""
    with clean_exit():
        from robench.running.plan import plan_rows
        from robench.running.rows import rows_of

        settings = _settings(n, seed, device, workers, batch_size, False, precision)
        places = Places.of(data, store)
        rows = rows_of([*defense], [*attack], [*dataset], settings, places)
        trainings, units = plan_rows(rows, settings, places)
        if as_json:
            plain = {"trainings": [asdict(t) for t in trainings], "cells": [asdict(u) for u in units]}
            print(json.dumps(plain, indent=1))
            return
        for line in [*map(_training_line, trainings), *map(_unit_line, units)]:
            print(line)
        known = sum(t.seconds for t in trainings) + sum(u.seconds or 0 for u in units)
        rest = ", plus the attacks on what is not trained yet" if trainings else ""
        print(f"in all about {spell_seconds(known)}{rest}")


def _training_line(training: TrainingPlan) -> str:
    return (
        f"train {training.defense} on {training.dataset}: {training.epochs} epochs, {training.steps} steps, "
        f"about {spell_seconds(training.seconds)}"
    )


def _unit_line(unit: UnitPlan) -> str:
    about = f"{unit.defense} under {unit.attack} on {unit.dataset}: {unit.missing} of {unit.n} images to attack ({unit.why})"
    if not unit.missing:
        return about
    if unit.seconds is None:
        return f"{about}; cost known once it is trained"
    return f"{about}; about {unit.passes:,.0f} passes, {spell_seconds(unit.seconds)}"


@app.command(epilog='robench train --defense "vit(epochs=10)" --dataset mnist')
def train(
    defense: DefenseOption,
    dataset: DatasetOption,
    device: DeviceOption = Device.auto,
    workers: WorkersOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train defenses into the cache, without attacking them."""
    with clean_exit():
        from robench.running.harness import train_rows
        from robench.running.rows import rows_of

        settings, places = _settings(None, 0, device, workers, "auto"), Places.of(data)
        lines = train_rows(rows_of([*defense], [], [*dataset], settings, places), settings, reporter())
        if as_json:
            print(json.dumps([asdict(line) for line in lines], indent=1))
            return
        for line in lines:
            validation = "–" if line.validation_accuracy is None else f"{100 * line.validation_accuracy:.1f} %"
            print(
                f"{line.defense} on {line.dataset}: test accuracy {100 * line.test_accuracy:.2f} % (n = {line.n}), "
                f"validation {validation}, {line.epochs} epochs in {line.seconds:.0f} s\n  {line.weights}"
            )
