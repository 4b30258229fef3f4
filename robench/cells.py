"""Rows and cells: a defense on a data set, and one attack at one condition on it, with the unit that its records go to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch

from robench.checkpoints import Checkpoint, Trained
from robench.diagnostics import probe_digest
from robench.images import Split
from robench.patches import realised_share
from robench.plan import Condition, Data, identity, spec
from robench.shards import Precision, Subject
from robench.store import Store, Unit


@dataclass(frozen=True)
class Row:
    """A defense on a data set, not yet trained perhaps."""

    checkpoint: Checkpoint
    data: Data
    split: Split
    conditions: list[Condition]

    @property
    def name(self) -> str:
        return self.checkpoint.entry.shown(self.checkpoint.call)

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
        """The trained model on its device, with its clean logits."""
        return self.unasked(trained, device, precision).asked()

    def unasked(self, trained: Trained, device: torch.device, precision: Precision = "float32") -> Subject:
        """The same without the clean logits."""
        classes = self.data.splits.classes
        return Subject(self.name, trained.attacked(device), classes, device, self.split, precision=precision)


@dataclass(frozen=True)
class Cell:
    """A condition on a trained row, with the trained models that the attack needs, by the options that name them."""

    row: Row
    trained: Trained
    subject: Subject
    condition: Condition
    sources: dict[str, Trained]

    @property
    def attack(self) -> Condition:
        """The condition as the attack is run: with models in place of the names of its sources."""
        return self.condition.given({n: source.attacked(self.subject.device) for n, source in self.sources.items()})

    def unit(self, seed: int, store: Store) -> Unit:
        """The stored unit of the cell's records."""
        row, condition, subject = self.row, self.condition, self.subject
        facts: dict[str, Any] = {
            "norm": condition.norm, "goal": condition.goal, "knowledge": condition.knowledge, "eps": condition.eps,
            "targets": condition.targets, "attack": condition.call.name, "weights": self.trained.weights,
            "classes": subject.classes, "shape": row.split.shape, "source": row.data.splits.source,
            "device": subject.device.type, "precision": subject.precision, "torch": torch.__version__,
        }  # fmt: skip
        if condition.card.confined:
            asked = condition.call.options["share"]
            facts["share"] = [asked, realised_share(row.split.shape, condition.call.options["patch"], asked)]
        determined = identity(
            row.data, row.checkpoint.identity, self.trained.weights, probe_digest(subject, row.data.splits.test), condition,
            seed, {name: source.weights for name, source in self.sources.items()}, subject.precision,
        )  # fmt: skip
        return store.unit(spec(row.name, condition, row.data, seed), determined, facts)
