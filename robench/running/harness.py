"""Runs what a command asks for: trains what is not trained, attacks what is not in the store."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from robench.console import Reporter, Work, spell_seconds
from robench.data.splits import Split
from robench.files import check_writable
from robench.places import Places
from robench.records.orders import write_order
from robench.records.store import Measured, Store
from robench.running.conditions import Condition
from robench.running.diagnostics import About, model_card, probe_digest
from robench.running.families import Families
from robench.running.keeping import Keeping
from robench.running.natural import batch_of
from robench.running.overall import Overall
from robench.running.preflight import preflight
from robench.running.refused import Refused
from robench.running.rows import Measurement, Row
from robench.running.settings import Settings, usable_cores
from robench.running.subject import Subject
from robench.running.workers import best_batch, complete, one_intra_op_thread
from robench.training.checkpoints import Trained
from robench.training.duration import training_seconds
from robench.training.given import Given
from robench.training.recipe import Progress, Recipe

log = logging.getLogger(__name__)
PICTURES = 8
"""The adversarial pixels of so many images are always kept, for the report's pictures."""


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
                    measured.append(_measure(measurement, settings, store, reporter, measured_batch, work))
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


def to_keep(split: Split, settings: Settings, condition: Condition) -> set[str]:
    """The images whose adversarial pixels go into the records.

    Of a threat that is a list of many, such as 15 corruptions at 5 severities, none: its images can be made again without a model.
    """
    ids = split.image_ids().tolist()
    return set(ids if settings.keep_images else ids[: 0 if condition.card.each else PICTURES])


def suited(measurement: Measurement, measured_batch: Callable[[], int]) -> int:
    """How many images a shard holds; of natural threats, whose cost is a pass and no gradient, as many as go through at once."""
    natural = measurement.condition.goal == "natural"
    return batch_of(measurement.row.data.split.shape) if natural else measured_batch()


def missing_places(split: Split, records: pd.DataFrame, keep: set[str]) -> NDArray[np.int64]:
    """Places of the split's images that have no records, or none with the pixels that are to be kept."""
    ids = split.image_ids()
    have = set(records["image"])
    kept = set(records.loc[records["adversarial"].notna(), "image"])
    return np.array(
        [place for place, i in enumerate(ids.tolist()) if i not in have or (i in keep and i not in kept)],
        dtype=np.int64,
    )


def _measure(
    measurement: Measurement,
    settings: Settings,
    store: Store,
    reporter: Reporter,
    measured_batch: Callable[[], int],
    shared: Work | None,
) -> Measured:
    """The records of a cell, its missing images attacked.

    Args:
        measured_batch: the batch size that suits the model, measured when it is first asked for.
        shared: progress that several cells share; None: it is this one's.
    """
    subject, split = measurement.subject, measurement.row.data.split
    unit = measurement.unit(settings.seed, store)
    unit = replace(unit, facts=replace(unit.facts, threads=settings.worker_count(subject.device)))
    ids = split.image_ids().tolist()
    keep = to_keep(split, settings, measurement.condition)
    if len(missing_places(split, unit.read(pixels=True), keep)) or not unit.sound():
        with unit.lease(reporter.say):
            unit.mend(reporter.say)
            have = unit.read(pixels=True)
            missing = missing_places(split, have, keep)
            if len(missing):
                given = isinstance(measurement.row.checkpoint, Given)  # another model of its class is no change of it
                why = store.why_again(unit) if have.empty and not given else None
                if why:
                    reporter.say(f"{measurement.label} is run again: {why}")
                split.select(missing).verify()
                started = time.perf_counter()
                batch = settings.batch_size if settings.batch_size != "auto" else suited(measurement, measured_batch)
                done = len(split) - len(missing)
                work = shared or reporter.work(measurement.label, unit="image", total=len(split), done=done)
                if shared:
                    shared.advance(done)
                try:
                    complete(
                        Keeping.of(unit, subject, measurement.condition, keep),
                        subject,
                        measurement.attack,
                        settings.seed,
                        missing,
                        keep,
                        workers=settings.worker_count(subject.device),
                        batch=batch,
                        done=work.advance,
                    )
                finally:
                    if not shared:
                        work.close()
                seconds = time.perf_counter() - started
                log.info("%s: %d images in batches of %d, %.1f s", measurement.label, len(missing), batch, seconds)
    else:
        log.info("%s: in the store, %s", measurement.label, unit.folder)
        if shared:
            shared.advance(len(split))
        if store.replaced(unit):
            with unit.lease(reporter.say):
                unit.refresh()
    records = unit.read()
    return Measured(unit.stored(), records[records["image"].isin(ids)].reset_index(drop=True))


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
