"""Rows and measurements: a defense on a data set, and one attack at one condition on it, with the unit its records go to."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from robench.attacking.patches import realised_share
from robench.data.loading import Data, data_calls, load_data
from robench.entries.calls import Call, Name, written_float
from robench.entries.cards import Norm
from robench.entries.paths import contents_digest, paths_of
from robench.entries.registry import DATASETS, DEFENSES
from robench.errors import ModelError, UsageError
from robench.hashing import ENGINE
from robench.places import Places
from robench.records.manifest import Facts, Identity, Spec, model_digest
from robench.records.store import Store
from robench.records.unit import Unit
from robench.running.conditions import Condition, conditions
from robench.running.diagnostics import probe_digest
from robench.running.settings import Settings, processor
from robench.running.subject import Precision, Subject
from robench.training.checkpoints import Checkpoint
from robench.training.given import Defense, Given, checkpoints
from robench.training.trained import Trained


@dataclass(frozen=True)
class Row:
    """A defense on a data set, not yet trained perhaps, and what it is to be attacked with.

    Attributes:
        refused: why its model cannot be attacked, as its rehearsal found.
    """

    checkpoint: Checkpoint
    data: Data
    conditions: list[Condition]
    refused: ModelError | None = None

    @property
    def call(self) -> Call:
        """The defense as a person writes it."""
        return self.checkpoint.entry.shown(self.checkpoint.call)

    @property
    def name(self) -> str:
        """For a person; of a module that was handed over with its weights, since others may be of the same class."""
        given = self.checkpoint if isinstance(self.checkpoint, Given) else None
        return f"{self.call} (weights {given.sha[:6]})" if given else str(self.call)

    def sources(self, condition: Condition) -> dict[str, Row]:
        """The defenses on the same data that an attack needs trained, by the options that name them."""
        cache, splits = self.checkpoint.folder.parent.parent, self.data.splits
        return {
            option: self.of(Checkpoint.of(call, splits, self.data.card, cache))
            for option, call in condition.sources(self.checkpoint.call).items()
        }

    def of(self, checkpoint: Checkpoint) -> Row:
        """Another defense on the same data, not attacked."""
        return replace(self, checkpoint=checkpoint, conditions=[])

    def subject(self, trained: Trained, device: torch.device, precision: Precision = "float32") -> Subject:
        """The trained model on its device, its clean logits not asked for yet."""
        module, split, positions = trained.attacked(device), self.data.split, self.positions
        classes = trained.outputs.classes
        published = self.data.splits.corruption, self.data.splits.severity
        return Subject(
            self.name, module, classes, device, split, precision=precision, positions=positions, published=published
        )

    @property
    def positions(self) -> NDArray[np.int64]:
        """Places of the evaluated images in the data set's test split."""
        return positions_of(self.data)

    def model(self, weights: str, logits: str) -> str:
        """The name of the trained model, as `Identity.model` has it."""
        identity = json.loads(json.dumps(self.checkpoint.identity))
        return model_digest(identity, weights, logits, self.data.fingerprint, self.subset)

    @property
    def subset(self) -> list[int] | None:
        """The outputs of the model that are evaluated, where they are not all; as `Identity.subset` has it."""
        chosen = self.checkpoint.outputs.chosen
        return None if chosen is None else list(chosen)


@dataclass(frozen=True)
class Measurement:
    """A condition on a trained row, with the trained models that the attack needs, by the options that name them."""

    row: Row
    trained: Trained
    subject: Subject
    condition: Condition
    sources: dict[str, Trained]

    @property
    def label(self) -> str:
        """What is done, for a person."""
        precision = "" if self.subject.precision == "float32" else f" in {self.subject.precision}"
        return f"{self.row.name} under {self.condition.text}{precision} on {self.row.data.name}"

    @property
    def attack(self) -> Condition:
        """The condition as the attack is run: with models in place of the names of its sources."""
        return self.condition.given({n: source.attacked(self.subject.device) for n, source in self.sources.items()})

    def unit(self, seed: int, store: Store) -> Unit:
        """The stored unit of its records."""
        row = self.row
        return store.unit(
            Spec(row.call, self.condition.shown, row.data.call, seed), self._identity(seed), self._facts()
        )

    def _identity(self, seed: int) -> Identity:
        """As it will be read back: what JSON makes of it."""
        return Identity(
            data=self.row.data.fingerprint,
            subset=self.row.subset,
            defense=json.loads(json.dumps(self.row.checkpoint.identity)),
            weights=self.trained.weights,
            logits=probe_digest(self.subject, self.row.data.splits.test),
            attack=json.loads(json.dumps(self.condition.identity())),
            sources={name: source.weights for name, source in self.sources.items()},
            seed=seed,
            precision=self.subject.precision,
            engine=ENGINE,
        )

    def _facts(self) -> Facts:
        data, condition = self.row.data, self.condition
        corruption, severity = condition.met(self.subject.published)
        share = None
        if condition.card.confined:
            options = condition.on(self.subject.module, self.row.name).call.options
            share = (options["share"], realised_share(data.split.shape, options["patch"], options["share"]))
        return Facts(
            norm=condition.norm,
            goal=condition.goal,
            knowledge=condition.knowledge,
            eps=condition.eps,
            targets=condition.targets,
            classes=self.subject.classes,
            class_names=list(data.splits.names),
            shape=data.split.shape,
            source=data.splits.source,
            variant=data.variant,
            corruption=corruption,
            severity=severity,
            family=data.family if condition.card.as_it_is else "",
            normaliser=data.card.normaliser if condition.card.as_it_is and not data.splits.generated else "",
            unseen=data.splits.unseen,
            share=share,
            device=self.subject.device.type,
            torch=torch.__version__,
            processor=processor(),
            files={path: contents_digest(Path(path)) for path in paths_of([self.row.call, condition.shown, data.call])},
        )


def rows_of(
    defenses: Sequence[Defense], attacks: Sequence[Name], datasets: Sequence[Name], settings: Settings, places: Places
) -> list[Row]:
    """Everything that was asked for, checked: names, options, device and store; then the data, and that recipes can be built.

    A row whose model does not do what a classifier does is refused; the others are not stopped by it.
    """
    if not defenses or not datasets:
        raise UsageError("nothing was asked for: name at least one defense and one data set")
    settings.torch_device()
    Store(places.store).check()
    for defense in defenses:  # names and options come before the data, which may be long to read
        if isinstance(defense, nn.Module):
            continue
        entry, call = DEFENSES.call(defense)
        entry.each(call)
    for dataset in datasets:
        for attack in attacks:
            conditions(attack, DATASETS.call(dataset)[0].card)
    found = []
    for dataset in dict.fromkeys(call for name in datasets for call in data_calls(name)):
        data = load_data(dataset, places, settings.n)
        asked = list({c.text: c for attack in attacks for c in conditions(attack, data.card)}.values())
        for condition in asked:
            condition.images_given(data.split, positions_of(data))
            if data.splits.unseen and not condition.card.as_it_is:
                raise UsageError(
                    f"{condition.text} was asked for on {data.name}, which has images of no class that a model could name: what is "
                    "measured is how well they are told from the others; run it with --attack clean"
                )
        own = [one for defense in defenses for one in checkpoints(defense, data.splits, data.card, places.cache)]
        for checkpoint in {one.folder: one for one in own}.values():  # what is named twice is run once
            met = (
                on_diagonal(asked, checkpoint.call)
                if settings.diagonal and not isinstance(checkpoint, Given)
                else asked
            )
            found.append(Row(checkpoint, data, met, _refused(checkpoint)))
        for condition in asked:
            for source in found[-1].sources(condition).values():
                _refused(source.checkpoint)  # its cells are broken when their turn comes
    return found


def on_diagonal(asked: Sequence[Condition], defense: Call) -> list[Condition]:
    """Those conditions that are at the radius of the ball that the defense is trained in, and those that have no radius or are of
    another kind, such as patches; all of them for a defense that is trained in none.

    Raises:
        UsageError: none is left.
    """
    ball = ball_of(defense)
    if ball is None:
        return [*asked]
    norm, eps = ball
    met = [
        one
        for one in asked
        if one.eps is None or one.card.confined or (one.norm == norm and math.isclose(one.eps, eps, rel_tol=1e-6))
    ]
    if asked and not met:
        radii = ", ".join(dict.fromkeys(f"{one.norm} {written_float(one.eps)}" for one in asked if one.eps is not None))
        raise UsageError(
            f"{defense.name} is trained in {norm} {written_float(eps)}, and --diagonal attacks it there alone, but the attacks "
            f"are at {radii}: add eps={written_float(eps)} to one in {norm}, or leave --diagonal out"
        )
    return met


def ball_of(defense: Call) -> tuple[Norm, float] | None:
    """(norm, radius) of the ball that a defense is trained in, or the model that it trains; None: it is trained in none."""
    entry, call = DEFENSES.find(defense)
    if entry.card.ball:
        ball: tuple[Norm, float] = entry.card.ball(call.options)
        return ball
    model = call.options.get("model")
    return ball_of(model) if isinstance(model, Call) else None


def _refused(checkpoint: Checkpoint) -> ModelError | None:
    """Rehearse a defense, so that what is wrong with it is known before any work."""
    try:
        checkpoint.rehearse()
    except ModelError as error:
        return error
    return None


def positions_of(data: Data) -> NDArray[np.int64]:
    """Places of the evaluated images in the data set's own test split."""
    rows = data.splits.test.rows
    order = np.argsort(rows, kind="stable")
    return order[np.searchsorted(rows, data.split.rows, sorter=order)]
