"""Attacks what a cell of a table lacks, and reads its records."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from robench.console import Reporter, Work
from robench.data.splits import Split
from robench.leases.taking import LeaseLost
from robench.records.schema import WITHOUT_PIXELS
from robench.records.store import Store
from robench.records.unit import Measured, Unit
from robench.running.conditions import Condition
from robench.running.keeping import Keeping
from robench.running.natural import batch_of
from robench.running.rows import Measurement
from robench.running.settings import Settings
from robench.running.workers import complete
from robench.training.given import Given

log = logging.getLogger(__name__)
PICTURES = 8
"""The adversarial pixels of so many images are always kept, for the report's pictures."""


def measure(
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
    keep = to_keep(split, settings, measurement.condition)
    cell = _Cell(measurement, settings, store, reporter, measured_batch, shared, keep)
    problems = list[str]()
    found = unit.table(problems.append, pixels=True)
    if len(missing_places(split, found, keep)) or problems or not unit.named():
        while True:
            try:
                with unit.lease(reporter.say) as owned:
                    cell.fill(owned)
                break
            except LeaseLost as lost:
                reporter.say(f"{lost}; looking again at what is missing")
        found = unit.table()
    else:
        log.info("%s: in the store, %s", measurement.label, unit.folder)
        if shared:
            shared.advance(len(split))
        if store.replaced(unit):
            with unit.lease(reporter.say) as owned:
                owned.refresh()
    asked = pc.is_in(found["image"], value_set=pa.array(split.image_ids().tolist(), pa.string()))
    return Measured(unit.stored(), found.filter(asked).select(WITHOUT_PIXELS))


@dataclass
class _Cell:
    """What attacks the missing images of a unit; see `measure`."""

    measurement: Measurement
    settings: Settings
    store: Store
    reporter: Reporter
    measured_batch: Callable[[], int]
    shared: Work | None
    keep: set[str]
    counted: int = 0

    def fill(self, unit: Unit) -> None:
        """Attack what is missing, of a unit whose lease this process holds."""
        subject, split = self.measurement.subject, self.measurement.row.data.split
        unit.mend(self.reporter.say)
        have = unit.table(pixels=True)
        missing = missing_places(split, have, self.keep)
        if not len(missing):
            return
        given = isinstance(self.measurement.row.checkpoint, Given)  # another model of its class is no change of it
        why = self.store.why_again(unit) if not len(have) and not given else None
        if why:
            self.reporter.say(f"{self.measurement.label} is run again: {why}")
        split.select(missing).verify()
        started = time.perf_counter()
        chosen = self.settings.batch_size
        batch = chosen if chosen != "auto" else suited(self.measurement, self.measured_batch)
        done = len(split) - len(missing)
        work = self.shared or self.reporter.work(self.measurement.label, unit="image", total=len(split), done=done)
        if self.shared:
            self.shared.advance(max(0, done - self.counted))
            self.counted = done
        try:
            complete(
                Keeping.of(unit, subject, self.measurement.condition, self.keep),
                subject,
                self.measurement.attack,
                self.settings.seed,
                missing,
                self.keep,
                workers=self.settings.worker_count(subject.device),
                batch=batch,
                done=self._advance(work),
            )
        finally:
            if not self.shared:
                work.close()
        seconds = time.perf_counter() - started
        log.info("%s: %d images in batches of %d, %.1f s", self.measurement.label, len(missing), batch, seconds)

    def _advance(self, work: Work) -> Callable[[int], None]:
        def advance(images: int) -> None:
            self.counted += images
            work.advance(images)

        return advance


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


def missing_places(split: Split, records: pa.Table, keep: set[str]) -> NDArray[np.int64]:
    """Places of the split's images that have no records, or none with the pixels that are to be kept."""
    ids = split.image_ids()
    have = set(records["image"].to_pylist())
    kept = set(records.filter(records["adversarial"].is_valid())["image"].to_pylist())
    return np.array(
        [place for place, i in enumerate(ids.tolist()) if i not in have or (i in keep and i not in kept)],
        dtype=np.int64,
    )
