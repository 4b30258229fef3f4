"""What a run would do and cost, from what is in the store and a few measured steps and passes."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import inf
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from robench.attacking.classifier import Cancelled
from robench.data.splits import Split
from robench.entries.calls import Call
from robench.errors import RobenchError
from robench.places import Places
from robench.records.store import Store
from robench.running.conditions import Condition
from robench.running.harness import training_threads
from robench.running.measuring import missing_places, to_keep
from robench.running.rows import Measurement, Row
from robench.running.settings import Settings
from robench.running.shards import attack_shard
from robench.running.subject import Subject
from robench.running.workers import best_batch, one_intra_op_thread
from robench.training.checkpoints import Checkpoint
from robench.training.duration import training_seconds
from robench.training.trained import Trained

log = logging.getLogger(__name__)
PROBED = 8
"""Images that are attacked to see what an attack costs."""
PROBE_SECONDS = 30.0
"""A probe that takes longer is stopped; what it has cost by then is the least that the attack costs."""


@dataclass(frozen=True)
class UnitPlan:
    """What `robench plan` says of a unit.

    Attributes:
        missing: images to attack, of `n`: those not in the store, and those that are there without pixels that are to be kept.
        why: why they are missing.
        passes, seconds: predicted for the missing images from a measured probe, of the untrained model where it is not
            trained; None where the probe failed or was not made.
        at_least: the probe was stopped, so that it may be more.
    """

    defense: str
    attack: str
    dataset: str
    n: int
    missing: int
    why: str
    passes: float | None
    seconds: float | None
    at_least: bool = False


@dataclass(frozen=True)
class TrainingPlan:
    """A training that is needed, and how long it would take, from a few measured steps."""

    defense: str
    dataset: str
    epochs: int
    steps: int
    seconds: float


class Cost(NamedTuple):
    """Passes (forward and backward) and worker seconds for each image; at least so many, if the probe was stopped."""

    passes: float
    seconds: float
    at_least: bool


def plan_rows(
    rows: Sequence[Row], settings: Settings, places: Places, *, patience: float = inf
) -> tuple[list[TrainingPlan], list[UnitPlan]]:
    """What a run would do: the trainings that are needed, and for each unit what is missing, why, and what it costs.

    Args:
        patience: seconds after which no further attack is measured.
    """
    device, store, until = settings.torch_device(), Store(places.store), time.monotonic() + patience
    store.check()
    trainings: dict[Path, TrainingPlan] = {}
    costs: dict[tuple[str, str, str], Cost | None] = {}
    units = []
    for row in rows:
        if row.refused:
            for condition in row.conditions:
                why, count = f"refused: {row.refused}", len(row.data.split)
                units.append(UnitPlan(row.name, condition.text, row.data.name, count, count, why, None, None))
            continue
        trained = row.checkpoint.load()
        _plan_training(row, trained, settings, trainings)
        model = trained or stand_in(row.checkpoint)
        subject = row.subject(model, device, settings.precision)
        probe = Probe(subject, settings.seed, trained=trained is not None)
        for condition in row.conditions:
            loaded = {name: (source, source.checkpoint.load()) for name, source in row.sources(condition).items()}
            for source, found in loaded.values():
                _plan_training(source, found, settings, trainings)
            ready = {name: found or stand_in(source.checkpoint) for name, (source, found) in loaded.items()}
            measurement = Measurement(row, model, subject, condition, ready)
            if trained is None:
                missing, why = len(row.data.split), "not trained"
            elif not all(found for _, found in loaded.values()):
                missing, why = len(row.data.split), "its source is not trained"
            else:
                missing, why = _missing(measurement, settings, store)
            alike = _unseeded(row), condition.text, row.data.name  # another seed costs the same
            if missing and alike not in costs and time.monotonic() < until:
                costs[alike] = _cost(probe, measurement)
            cost = costs.get(alike) if missing else Cost(0.0, 0.0, False)
            names, count = (row.name, condition.text, row.data.name), len(row.data.split)
            if cost is None:
                units.append(UnitPlan(*names, count, missing, why, None, None))
                continue
            seconds = cost.seconds * missing / settings.worker_count(device)
            units.append(UnitPlan(*names, count, missing, why, cost.passes * missing, seconds, cost.at_least))
    return list(trainings.values()), units


def _unseeded(row: Row) -> str:
    """A row's defense without the seed of its training."""
    call = row.checkpoint.call
    return str(Call(call.name, {name: value for name, value in call.options.items() if name != "seed"}))


def stand_in(checkpoint: Checkpoint) -> Trained:
    """The defense as it is before its training, for what it costs, not for what it does."""
    model = checkpoint.recipe().model.eval()
    return Trained(checkpoint.call, model, "", [], 0.0, checkpoint.outputs, checkpoint.stochastic)


def _plan_training(row: Row, trained: Trained | None, settings: Settings, trainings: dict[Path, TrainingPlan]) -> None:
    """Adds a training that is needed, once, after those of the models that it is made with."""
    for source in row.checkpoint.sources.values():
        _plan_training(row.of(source), source.load(), settings, trainings)
    folder = row.checkpoint.folder
    if trained is not None or folder in trainings:
        return
    recipe = row.checkpoint.recipe()
    epochs = recipe.schedule.epochs(len(row.data.splits.train))
    with training_threads(settings):
        seconds = training_seconds(row.checkpoint, recipe, settings.torch_device())
    trainings[folder] = TrainingPlan(row.name, row.data.name, epochs, recipe.schedule.steps, seconds)


def _missing(measurement: Measurement, settings: Settings, store: Store) -> tuple[int, str]:
    """How many images a run would attack, and why."""
    split, unit = measurement.row.data.split, measurement.unit(settings.seed, store)
    records = unit.table(pixels=True)
    missing = len(missing_places(split, records, to_keep(split, settings, measurement.condition)))
    if not missing:
        return 0, "in the store"
    absent = len(set(split.image_ids().tolist()) - set(records["image"].to_pylist()))
    there = f"{len(split) - absent} of {len(split)} images are there" if len(records) else None
    if there and missing > absent:
        there += f", {missing - absent} of them without the adversarial images that are to be kept"
    return missing, there or store.why_again(unit) or "not run yet"


def _cost(probe: Probe, measurement: Measurement) -> Cost | None:
    try:
        return probe.cost(measurement.attack)
    except RobenchError as error:
        log.info("%s: its cost could not be measured: %s", measurement.label, error)
        return None


@dataclass(frozen=True)
class Probe:
    """Measures what attacks on a model cost, by attacking a few images.

    Attributes:
        trained: where it is not, a few images are labelled as the model sees them, so that there is something to attack.
    """

    subject: Subject
    seed: int
    trained: bool = True

    @cached_property
    def pair(self) -> float:
        """Seconds of a forward and a backward pass of one image in the best batch: a few images alone cost more."""
        return best_batch(self.subject)[1]

    @cached_property
    def few(self) -> Subject:
        """The model on the images that are attacked."""
        split = self.subject.split.select(np.arange(min(PROBED, len(self.subject.split))))
        subject = replace(self.subject, split=split).with_clean_logits()
        if self.trained:
            return subject
        seen = subject.clean.argmax(1).numpy()
        return replace(subject, split=Split.of(split.name, split.pixels(slice(None)), seen, split.image_ids()))

    def cost(self, condition: Condition) -> Cost:
        """What an attack costs.

        Raises:
            RobenchError: the attack or the model failed.
        """
        few, stop, passed = self.few, threading.Event(), 0

        def count(module: object, given: tuple[torch.Tensor, ...], answer: object) -> None:
            nonlocal passed
            passed += len(given[0])

        timer = threading.Timer(PROBE_SECONDS, stop.set)
        counter = few.module.register_forward_hook(count)
        timer.start()
        try:
            with one_intra_op_thread():
                frame = attack_shard(few, condition, self.seed, np.arange(len(few.split)), set(), stop)
        except Cancelled:
            return Cost(passed / len(few.split), passed * self.pair / len(few.split), True)
        finally:
            timer.cancel()
            counter.remove()
        forwards, backwards = float(frame["forwards"].sum()), float(frame["backwards"].sum())
        images = frame["image"].nunique()
        if condition.goal == "natural":  # its cost is to make the pictures, and the judge's look at each
            return Cost(len(frame) / images, float(frame["seconds"].sum()) / images, False)
        return Cost((forwards + backwards) / images, max(forwards, backwards) * self.pair / images, False)
