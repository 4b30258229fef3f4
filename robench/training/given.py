"""Models that are handed over as modules, from Python: they are not trained, and nothing of them goes into the cache."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from robench.attacking.stillness import refuse_unmade
from robench.data.splits import Splits
from robench.entries.calls import Call, Name
from robench.entries.cards import DatasetCard, DefenseCard
from robench.entries.entry import Entry
from robench.entries.registry import DEFENSES
from robench.errors import ModelError
from robench.hashing import ENGINE
from robench.training.building import task_of, weights_digest
from robench.training.checkpoints import Checkpoint, Tell, Trained
from robench.training.facts import WeightFacts
from robench.training.recipe import Progress, Recipe, Schedule

Defense = Name | nn.Module
"""What a row can be asked for with."""


@dataclass(frozen=True)
class Given(Checkpoint):
    """A module in the place of a checkpoint. It is a copy, so that the caller's is left as it was.

    Attributes:
        digest: of its weights, which name the row together with the name of its class.
    """

    module: nn.Module
    digest: str

    @classmethod
    def of_module(cls, module: nn.Module, splits: Splits, card: DatasetCard, cache: Path) -> Given:
        """A module that maps images in [0, 1], (N, C, H, W), to logits.

        Raises:
            ModelError: it has no weights yet, or cannot be copied.
        """
        name = type(module).__name__
        refuse_unmade(module, name)
        try:
            own = deepcopy(module)
        except Exception as error:
            raise ModelError(
                f"{name} cannot be copied ({type(error).__name__}: {error}), which robench does so that yours is left as it is; "
                "give a defense that builds it, or use robench.evaluate"
            ) from error
        call, weights = Call(name), weights_digest(own)
        entry = Entry(name, lambda task: Recipe(own, Schedule(steps=0)), DefenseCard(), "memory", DEFENSES.nested)
        task = task_of(splits, card)
        told = json.loads(json.dumps([list(task.shape), task.classes]))
        identity = {
            "defense": {"name": name, "options": {}, "given": True},
            "task": told,
            "engine": ENGINE,
            "initial": weights,
        }
        return cls(call, entry, task, splits, identity, cache / "weights" / name, {}, own, weights)

    def recipe(self) -> Recipe:
        return Recipe(self.module, Schedule(steps=0))

    def facts(self) -> WeightFacts | None:
        return None

    def weights(self) -> str | None:
        return self.digest

    def load(self, tell: Tell = lambda _: None) -> Trained | None:
        return Trained(self.call, self.module.eval(), self.digest, [], 0.0, self.outputs)

    def obtain(
        self,
        device: torch.device,
        *,
        tell: Tell = lambda _: None,
        report: Callable[[Progress], None] = lambda _: None,
        announce: Callable[[Recipe], None] = lambda _: None,
    ) -> Trained:
        found = self.load()
        assert found is not None
        return found


def checkpoints(defense: Defense, splits: Splits, card: DatasetCard, cache: Path) -> list[Checkpoint]:
    """The checkpoints of a defense, or of a module, on these splits."""
    if isinstance(defense, nn.Module):
        return [Given.of_module(defense, splits, card, cache)]
    return Checkpoint.each(defense, splits, card, cache)
