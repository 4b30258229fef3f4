"""Attacks images of a stored unit once more, with other seeds or in other batches. Nothing of it is stored or trained."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from robench.console import Reporter
from robench.entries.paths import contents_digest, paths_of
from robench.errors import UsageError
from robench.places import Places
from robench.records.changes import changes
from robench.records.store import Store
from robench.records.unit import Unit
from robench.running.keeping import InMemory, Keeping
from robench.running.measuring import suited
from robench.running.rows import Measurement, Row, rows_of
from robench.running.settings import Settings
from robench.running.workers import best_batch, complete, one_intra_op_thread
from robench.training.trained import Trained


class Once(NamedTuple):
    """One more time.

    Attributes:
        seed: of the attack.
        batch: images in a batch; None: as it suits the model.
    """

    seed: int
    batch: int | None = None


def attacked_again(
    unit: Unit,
    images: Sequence[str],
    times: Sequence[Once],
    settings: Settings,
    places: Places,
    reporter: Reporter,
    allowed: Sequence[str] = (),
) -> list[pd.DataFrame]:
    """The records of some of a unit's images, attacked again as often as is asked for, by the code and the weights of the unit.

    Args:
        allowed: files that may be run; what a store names is run only if it is built in, installed, or one of these.

    Raises:
        UsageError: a file is not allowed; the weights are not in the cache; code or weights are not those of the unit.
    """
    spec = unit.spec
    _check_files(unit, allowed)
    whole = replace(settings, n=None, seed=unit.identity.seed, precision=unit.identity.precision)  # type: ignore[arg-type]
    row = rows_of([spec.defense], [spec.attack], [spec.dataset], whole, places)[0]
    if row.refused:
        raise row.refused
    measurement = _measurement(row, whole)
    same = measurement.unit(unit.identity.seed, Store(places.store)).identity
    if same != unit.identity:
        what = ", ".join(changes(unit.identity, same)) or "something"
        raise UsageError(
            f"{spec.defense} under {spec.attack} is not what was attacked: {what} changed since; `robench run` it again first"
        )
    at = {image: place for place, image in enumerate(row.data.split.image_ids().tolist())}
    chosen = np.array([at[image] for image in images], dtype=np.int64)
    found = []
    for once in times:
        memory, subject = InMemory(), measurement.subject
        label = f"{measurement.label}, seed {once.seed}"
        with (
            closing(reporter.work(label, unit="image", total=len(chosen))) as work,
            one_intra_op_thread(),
        ):
            complete(
                Keeping.of(memory, subject, measurement.condition, set()),
                subject,
                measurement.attack,
                once.seed,
                chosen,
                set(),
                workers=settings.worker_count(subject.device),
                batch=once.batch or suited(measurement, lambda: best_batch(measurement.subject)[0]),
                done=work.advance,
            )
        found.append(pd.concat(memory.frames, ignore_index=True))
    return found


def _measurement(row: Row, settings: Settings) -> Measurement:
    """The row's one condition on its trained model, with the trained models that the attack needs."""
    (condition,) = row.conditions
    trained = _trained(row)
    subject = row.subject(trained, settings.torch_device(), settings.precision).with_clean_logits()
    sources = {name: _trained(source) for name, source in row.sources(condition).items()}
    return Measurement(row, trained, subject, condition, sources)


def _trained(row: Row) -> Trained:
    found = row.checkpoint.load()
    if found is None:
        raise UsageError(
            f"the weights of {row.name} are not in the cache, and none are trained for this: run it first, with this cache"
        )
    return found


def _check_files(unit: Unit, allowed: Sequence[str]) -> None:
    """Before anything of a file is run: it is one that may be, and it is what it was when the unit was measured."""
    spec = unit.spec
    for path in dict.fromkeys(path for call in (spec.defense, spec.attack, spec.dataset) for path in paths_of(call)):
        what = f"{spec.defense} under {spec.attack} is of the file {path}"
        if Path(path).resolve() not in [Path(own).resolve() for own in allowed]:
            raise UsageError(f"{what}, and what a store names is not run by itself: allow it with --allow {path}")
        if unit.facts.files.get(path) != contents_digest(Path(path)):
            raise UsageError(f"{what}, which has changed since; `robench run` it again first")
