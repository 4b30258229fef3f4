"""Plans and runs cells: the product of defenses, attacks and data sets that a command names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from robench.calls import Name
from robench.cells import Cell, Row
from robench.checkpoints import Trained
from robench.console import Reporter
from robench.diagnostics import model_card
from robench.duration import spell_seconds, training_seconds
from robench.errors import UsageError
from robench.execution import best_batch, complete, one_intra_op_thread, usable_cores
from robench.images import Split
from robench.places import Places
from robench.plan import checkpoints, conditions, load_data, subset
from robench.preflight import preflight
from robench.recipe import Progress, Recipe
from robench.shards import Precision
from robench.store import Store, Unit
from robench.vit import cuts_attention

PICTURES = 8
"""The adversarial pixels of so many images are always kept, for the report's pictures."""


@dataclass(frozen=True)
class Settings:
    """What a run is told besides the names of its entries."""

    n: int | None = None
    seed: int = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"
    workers: int | None = None
    batch_size: int | Literal["auto"] = "auto"
    keep_images: bool = False
    precision: Precision = "float32"

    def torch_device(self) -> torch.device:
        """The device that is meant.

        Raises:
            UsageError: cuda is wanted and there is none.
        """
        if self.device == "cuda" and not torch.cuda.is_available():
            raise UsageError("--device cuda was asked for, but torch sees no GPU; `robench doctor` shows what it sees")
        return torch.device("cuda" if self.device != "cpu" and torch.cuda.is_available() else "cpu")

    def worker_count(self, device: torch.device) -> int:
        """One worker a core; one on a GPU."""
        return self.workers or (1 if device.type == "cuda" else usable_cores())


@dataclass(frozen=True)
class Measured:
    """A unit and the records of it that were asked for."""

    unit: Unit
    records: pd.DataFrame


def rows_of(
    defenses: Sequence[Name], attacks: Sequence[Name], datasets: Sequence[Name], settings: Settings, places: Places
) -> list[Row]:
    """Everything that was asked for, checked: names, options, data, the size of the subset, that each recipe can be built."""
    found = []
    for dataset in datasets:
        data = load_data(dataset, places)
        asked = [c.at(settings.precision) for attack in attacks for c in conditions(attack, data.card)]
        split = subset(data, settings.n)
        found += [Row(checkpoint, data, split, asked) for checkpoint in checkpoints(defenses, data, places)]
        for condition in asked:
            for source in found[-1].sources(condition).values():
                source.checkpoint.rehearse()
    return found


def run_rows(rows: Sequence[Row], settings: Settings, places: Places, reporter: Reporter) -> list[Measured]:
    """Train what is not trained, attack what is not in the store, and return the records of all that was asked for."""
    device, store = settings.torch_device(), Store(places.store)
    measured: list[Measured] = []
    for row in rows:
        trained = obtain(row, settings, reporter)
        subject = row.subject(trained, device, settings.precision)
        card = model_card(
            subject, trained.weights, row.data.name, row.data.fingerprint, trained.seconds, len(trained.log)
        )
        card["approximate_slopes"] = not row.checkpoint.differentiable or cuts_attention(subject.module)
        store.write_model(card)
        preflight(subject, gradients=any(c.knowledge == "white-box" for c in row.conditions))
        for condition in row.conditions:
            sources = {}
            for name, source in row.sources(condition).items():
                sources[name] = obtain(source, settings, reporter)
                preflight(source.unasked(sources[name], device), gradients=condition.knowledge == "transfer")
            with one_intra_op_thread():
                measured.append(_measure(Cell(row, trained, subject, condition, sources), settings, store, reporter))
    return measured


def obtain(row: Row, settings: Settings, reporter: Reporter) -> Trained:
    """The row's trained defense, and before it those it is made with; a training shows its estimate and its progress."""
    for source in row.checkpoint.sources.values():
        obtain(row.of(source), settings, reporter)
    device = settings.torch_device()
    before = torch.get_num_threads()
    torch.set_num_threads(settings.workers or usable_cores())
    task = reporter.task(f"train {row.name} on {row.data.name}", unit="step")
    try:

        def announce(recipe: Recipe) -> None:
            epochs = recipe.schedule.epochs(len(row.data.splits.train))
            seconds = training_seconds(row.checkpoint, row.checkpoint.recipe(), device)
            reporter.say(
                f"training {row.name} on {row.data.name}: {epochs} epochs, {recipe.schedule.steps} steps, about {spell_seconds(seconds)}"
            )

        def report(progress: Progress) -> None:
            task.update(progress.step, progress.steps)

        return row.checkpoint.obtain(device, tell=reporter.say, report=report, announce=announce)
    finally:
        task.close()
        torch.set_num_threads(before)


def _missing(split: Split, records: pd.DataFrame, keep: set[str]) -> NDArray[np.int64]:
    """Places of the split's images that have no records, or none with the pixels that are to be kept."""
    ids = split.image_ids()
    have = set(records["image"])
    kept = set(records.loc[records["adversarial"].notna() | ~records["correct"].astype(bool), "image"])
    return np.array(
        [place for place, i in enumerate(ids.tolist()) if i not in have or (i in keep and i not in kept)],
        dtype=np.int64,
    )


def _measure(cell: Cell, settings: Settings, store: Store, reporter: Reporter) -> Measured:
    row, condition, subject = cell.row, cell.condition, cell.subject
    unit = cell.unit(settings.seed, store)
    ids = row.split.image_ids().tolist()
    keep = set(ids if settings.keep_images else ids[:PICTURES])
    label = f"{row.name} under {condition.text} on {row.data.name}"
    if len(_missing(row.split, unit.read(reporter.say, pixels=True), keep)):
        with unit.lease(reporter.say):
            have = unit.read(pixels=True)
            missing = _missing(row.split, have, keep)
            if len(missing):
                why = store.why_again(unit) if have.empty else None
                if why:
                    reporter.say(f"{label} is run again: {why}")
                row.split.select(missing).verify()
                batch = best_batch(subject)[0] if settings.batch_size == "auto" else settings.batch_size
                task = reporter.task(label, unit="image", total=len(row.split), done=len(row.split) - len(missing))
                try:
                    complete(
                        unit, subject, cell.attack, settings.seed, missing, keep,
                        workers=settings.worker_count(subject.device), batch=batch, done=task.advance,
                    )  # fmt: skip
                finally:
                    task.close()
    records = unit.read()
    return Measured(unit, records[records["image"].isin(ids)].reset_index(drop=True))


def train_rows(rows: Sequence[Row], settings: Settings, reporter: Reporter) -> list[dict[str, Any]]:
    """Train each row's defense, if it is not; what `robench train` says of them."""
    lines = []
    for row in rows:
        trained = obtain(row, settings, reporter)
        clean = row.subject(trained, settings.torch_device()).clean
        right = int((clean.argmax(1) == row.split.targets()).sum())
        last = trained.log[-1] if trained.log else {}
        lines.append(
            {
                "defense": row.name, "dataset": row.data.name, "validation_accuracy": last.get("validation_accuracy"),
                "test_accuracy": right / len(row.split), "n": len(row.split), "epochs": len(trained.log), "seconds": trained.seconds,
                "weights": str(Path(row.checkpoint.folder) / "weights.safetensors"),
            }
        )  # fmt: skip
    return lines
