"""What a run would do and cost, from what is in the store and a few measured passes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from robench.checkpoints import Trained
from robench.duration import training_seconds
from robench.execution import Subject, attack_shard, best_batch, one_intra_op_thread
from robench.harness import Row, Settings, subject_of, unit_of
from robench.places import Places
from robench.plan import Condition
from robench.store import Store


@dataclass(frozen=True)
class CellPlan:
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


def plan_rows(rows: Sequence[Row], settings: Settings, places: Places) -> tuple[list[TrainingPlan], list[CellPlan]]:
    """What a run would do: the trainings that are needed, and for each unit what is missing, why, and what it costs."""
    device, store = settings.torch_device(), Store(places.store)
    trainings, cells = [], []
    for row in rows:
        trained = row.checkpoint.load()
        if trained is None:
            recipe = row.checkpoint.recipe()
            epochs = recipe.schedule.epochs(len(row.data.splits.train))
            trainings.append(
                TrainingPlan(
                    row.name,
                    row.data.name,
                    epochs,
                    recipe.schedule.steps,
                    training_seconds(row.checkpoint, recipe, device),
                )
            )
            cells += [
                CellPlan(row.name, c.text, row.data.name, len(row.split), len(row.split), "not trained", None, None)
                for c in row.conditions
            ]
            continue
        subject = subject_of(row, trained, device)
        for condition in row.conditions:
            cells.append(_plan_cell(row, trained, subject, condition, settings, store))
    return trainings, cells


def _plan_cell(
    row: Row, trained: Trained, subject: Subject, condition: Condition, settings: Settings, store: Store
) -> CellPlan:
    unit = unit_of(row, trained, subject, condition, settings.seed, store)
    records = unit.read()
    missing = len(set(row.split.image_ids().tolist()) - set(records["image"]))
    if not missing:
        return CellPlan(row.name, condition.text, row.data.name, len(row.split), 0, "in the store", 0.0, 0.0)
    why = (
        f"{len(row.split) - missing} of {len(row.split)} images are there"
        if len(records)
        else store.why_again(unit) or "not run yet"
    )
    passes, seconds = probe_cost(subject, condition, settings.seed)
    return CellPlan(
        row.name,
        condition.text,
        row.data.name,
        len(row.split),
        missing,
        why,
        passes * missing,
        seconds * missing / settings.worker_count(subject.device),
    )


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
