"""Runs what a command asks for: trains what is not trained, attacks what is not in the store."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch

from robench.console import Reporter, spell_seconds
from robench.files import check_writable
from robench.places import Places
from robench.records.orders import write_order
from robench.records.store import Store
from robench.records.unit import Measured
from robench.running.diagnostics import About, model_card, probe_digest
from robench.running.families import Families
from robench.running.measuring import measure
from robench.running.overall import Overall
from robench.running.preflight import preflight
from robench.running.refused import Refused
from robench.running.rows import Measurement, Row
from robench.running.settings import Settings, usable_cores
from robench.running.subject import Subject
from robench.running.workers import best_batch, one_intra_op_thread
from robench.training.duration import training_seconds
from robench.training.recipe import Progress, Recipe
from robench.training.trained import Trained

log = logging.getLogger(__name__)


def run_rows(
    rows: Sequence[Row], settings: Settings, places: Places, reporter: Reporter
) -> tuple[list[Measured], Refused]:
    """Train what is not trained, attack what is not in the store.

    A model that is refused and an attack that breaks down stop no other row and no other cell.

    Returns:
        (the records of all that was asked for, what of it has none and why).
    """
    device, store = settings.torch_device(), Store(places.store)
    store.check()
    check_writable(places.store)
    measured: list[Measured] = []
    refused = Refused(store.root, settings, reporter)
    log.info("store %s, cache %s, data %s, device %s", places.store, places.cache, places.data, device)
    _say_classes(rows, reporter)
    overall = Overall(rows, reporter)
    for row in rows:
        with refused.unless(row, None):
            if row.refused:
                raise row.refused
            with overall.training(row):
                trained = obtain(row, settings, reporter)
            log.info("%s on %s: weights %s in %s", row.name, row.data.name, trained.weights, row.checkpoint.folder)
            subject = row.subject(trained, device, settings.precision).with_clean_logits()
            model = _write_card(row, trained, subject, store)
            preflight(subject, gradients=any(c.knowledge == "white-box" for c in row.conditions))
        if refused.last:
            overall.skip([condition.text for condition in row.conditions if not row.refused])
            continue
        if settings.keep_images:
            write_order(store.root, row.data.fingerprint, row.data.splits.test.image_ids().tolist())
        measured_batch = cache(lambda subject=subject: best_batch(subject)[0])
        families = Families(row, reporter)
        for condition in row.conditions:
            with refused.unless(row, condition, model), overall.cell(condition.text), families.of(condition) as work:
                sources = {}
                for name, source in row.sources(condition).items():
                    source.checkpoint.rehearse()
                    sources[name] = obtain(source, settings, reporter)
                    preflight(source.subject(sources[name], device), gradients=condition.knowledge == "transfer")
                with one_intra_op_thread():
                    measurement = Measurement(row, trained, subject, condition, sources)
                    measured.append(measure(measurement, settings, store, reporter, measured_batch, work))
    return measured, refused


def _say_classes(rows: Sequence[Row], reporter: Reporter) -> None:
    """Which class is which, once for each data set, and which outputs of a wider model they are."""
    kept = [row for row in rows if not row.refused]
    said = [line for row in kept for line in (row.data.classes_said, row.checkpoint.outputs.said(row.name))]
    for line in dict.fromkeys(filter(None, said)):
        reporter.say(line)


def _write_card(row: Row, trained: Trained, subject: Subject, store: Store) -> str:
    """Write the model's card; its name."""
    logits = probe_digest(subject, row.data.splits.test)
    about = About(
        model=row.model(trained.weights, logits),
        defense=row.call,
        dataset=row.data.call,
        weights=trained.weights,
        data=row.data.fingerprint,
        seconds=trained.seconds,
        epochs=len(trained.log),
        differentiable=row.checkpoint.differentiable,
        note=trained.note,
    )
    store.write_card(model_card(subject, about))
    return about.model


def obtain(row: Row, settings: Settings, reporter: Reporter) -> Trained:
    """The row's trained defense, and before it those it is made with; a training shows its estimate and its progress."""
    for source in row.checkpoint.sources.values():
        obtain(row.of(source), settings, reporter)
    device = settings.torch_device()
    work = reporter.work(f"train {row.name} on {row.data.name}", unit="step")
    try:

        def announce(recipe: Recipe) -> None:
            epochs = recipe.schedule.epochs(len(row.data.splits.train))
            seconds = training_seconds(row.checkpoint, row.checkpoint.recipe(), device)
            reporter.say(
                f"training {row.name} on {row.data.name}: {epochs} epochs, {recipe.schedule.steps} steps, about {spell_seconds(seconds)}"
            )

        def report(progress: Progress) -> None:
            work.update(progress.step, progress.steps)

        with training_threads(settings):
            trained = row.checkpoint.obtain(device, tell=reporter.say, report=report, announce=announce)
    finally:
        work.close()
    if trained.note:
        reporter.say(f"{row.name} on {row.data.name}: {trained.note}")
    return trained


@contextmanager
def training_threads(settings: Settings) -> Iterator[None]:
    """A training has all cores for itself."""
    before = torch.get_num_threads()
    torch.set_num_threads(settings.workers or usable_cores())
    try:
        yield
    finally:
        torch.set_num_threads(before)


@dataclass(frozen=True)
class TrainedLine:
    """What `robench train` says of a defense.

    Attributes:
        validation_accuracy: after the last epoch; None where there was no training, or no look.
        n: test images that `test_accuracy` is of.
        seconds: of the training.
        weights: the file.
    """

    defense: str
    dataset: str
    validation_accuracy: float | None
    test_accuracy: float
    n: int
    epochs: int
    seconds: float
    weights: str


def train_rows(rows: Sequence[Row], settings: Settings, reporter: Reporter) -> list[TrainedLine]:
    """Train each row's defense, if it is not; what `robench train` says of them."""
    lines = []
    _say_classes(rows, reporter)
    for row in rows:
        if row.refused:
            raise row.refused
        trained, split = obtain(row, settings, reporter), row.data.split
        clean = row.subject(trained, settings.torch_device()).with_clean_logits().clean
        right = int((clean.argmax(1) == split.targets()).sum())
        last = trained.log[-1].get("validation_accuracy") if trained.log else None
        weights = str(Path(row.checkpoint.folder) / "weights.safetensors")
        lines.append(
            TrainedLine(
                row.name,
                row.data.name,
                last,
                right / len(split),
                len(split),
                len(trained.log),
                trained.seconds,
                weights,
            )
        )
    return lines
