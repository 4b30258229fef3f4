"""What a run would do and cost, from what is in the store and a few measured passes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from robench.places import Places
from robench.records.store import Store
from robench.running.conditions import Condition
from robench.running.rows import Measurement, Row
from robench.running.settings import Settings
from robench.running.shards import attack_shard
from robench.running.subject import Subject
from robench.running.workers import best_batch, one_intra_op_thread
from robench.training.checkpoints import Trained
from robench.training.duration import training_seconds


@dataclass(frozen=True)
class UnitPlan:
    """What `robench plan` says of a unit.

    Attributes:
        missing: images that are not in the store, of `n`.
        why: why they are missing.
        passes, seconds: predicted for the missing images from a measured probe; None where the defense is not trained.
    """

    defense: str
    attack: str
    dataset: str
    n: int
    missing: int
    why: str
    passes: float | None
    seconds: float | None


@dataclass(frozen=True)
class TrainingPlan:
    """A training that is needed, and how long it would take, from a few measured steps."""

    defense: str
    dataset: str
    epochs: int
    steps: int
    seconds: float


def plan_rows(rows: Sequence[Row], settings: Settings, places: Places) -> tuple[list[TrainingPlan], list[UnitPlan]]:
    """What a run would do: the trainings that are needed, and for each unit what is missing, why, and what it costs."""
    device, store = settings.torch_device(), Store(places.store)
    store.check()
    trainings: dict[Path, TrainingPlan] = {}
    units = []
    for row in rows:
        if row.refused:
            for condition in row.conditions:
                why, count = f"refused: {row.refused}", len(row.data.split)
                units.append(UnitPlan(row.name, condition.text, row.data.name, count, count, why, None, None))
            continue
        trained = row.checkpoint.load()
        _plan_training(row, trained, device, trainings)
        subject = row.subject(trained, device, settings.precision).with_clean_logits() if trained else None
        for condition in row.conditions:
            loaded = {name: (source, source.checkpoint.load()) for name, source in row.sources(condition).items()}
            for source, found in loaded.values():
                _plan_training(source, found, device, trainings)
            ready = {name: found for name, (_, found) in loaded.items() if found}
            if trained is None or subject is None or len(ready) < len(loaded):
                why = "not trained" if trained is None else "its source is not trained"
                count = len(row.data.split)
                units.append(UnitPlan(row.name, condition.text, row.data.name, count, count, why, None, None))
            else:
                units.append(_plan_unit(Measurement(row, trained, subject, condition, ready), settings, store))
    return list(trainings.values()), units


def _plan_training(
    row: Row, trained: Trained | None, device: torch.device, trainings: dict[Path, TrainingPlan]
) -> None:
    """Adds a training that is needed, once, after those of the models that it is made with."""
    for source in row.checkpoint.sources.values():
        _plan_training(row.of(source), source.load(), device, trainings)
    folder = row.checkpoint.folder
    if trained is not None or folder in trainings:
        return
    recipe = row.checkpoint.recipe()
    epochs = recipe.schedule.epochs(len(row.data.splits.train))
    seconds = training_seconds(row.checkpoint, recipe, device)
    trainings[folder] = TrainingPlan(row.name, row.data.name, epochs, recipe.schedule.steps, seconds)


def _plan_unit(measurement: Measurement, settings: Settings, store: Store) -> UnitPlan:
    row, subject, split = measurement.row, measurement.subject, measurement.row.data.split
    unit, count = measurement.unit(settings.seed, store), len(split)
    names = (row.name, measurement.condition.text, row.data.name)
    records = unit.read()
    missing = len(set(split.image_ids().tolist()) - set(records["image"]))
    if not missing:
        return UnitPlan(*names, count, 0, "in the store", 0.0, 0.0)
    there = f"{count - missing} of {count} images are there" if len(records) else None
    why = there or store.why_again(unit) or "not run yet"
    passes, seconds = probe_cost(subject, measurement.attack, settings.seed)
    workers = settings.worker_count(subject.device)
    return UnitPlan(*names, count, missing, why, passes * missing, seconds * missing / workers)


def probe_cost(subject: Subject, condition: Condition, seed: int, images: int = 8) -> tuple[float, float]:
    """Passes (forward and backward) and worker seconds for each image, from attacking a few.

    The seconds are the probe's passes at the cost of a pass in the best batch, since a few images alone cost more.
    """
    with one_intra_op_thread():
        frame = attack_shard(subject, condition, seed, np.arange(min(images, len(subject.split))), set())
        pair = best_batch(subject)[1]
    forwards, backwards = float(frame["forwards"].sum()), float(frame["backwards"].sum())
    count = frame["image"].nunique()
    return (forwards + backwards) / count, max(forwards, backwards) * pair / count
