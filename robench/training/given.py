"""Models that are handed over as modules, from Python: they are not trained, and nothing of them goes into the cache."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FunctionType

import torch
from torch import nn

from robench.attacking.stillness import refuse_unmade
from robench.data.splits import Splits
from robench.entries.calls import Call, Json, Name
from robench.entries.cards import DatasetCard, DefenseCard
from robench.entries.entry import Entry
from robench.entries.registry import DEFENSES
from robench.errors import ModelError
from robench.hashing import ENGINE, digest
from robench.training.building import task_of, weights_digest
from robench.training.checkpoints import Checkpoint, Tell
from robench.training.facts import WeightFacts
from robench.training.recipe import Progress, Recipe, Schedule
from robench.training.trained import Trained

Defense = Name | nn.Module
"""What a row can be asked for with."""


@dataclass(frozen=True)
class Given(Checkpoint):
    """A module in the place of a checkpoint. It is a copy, so that the caller's is left as it was.

    Attributes:
        sha: digest of its weights. They name the row, together with the name of its class and its code.
        broken: why it cannot be attacked, where it has no weights yet or cannot be copied.
    """

    module: nn.Module
    sha: str
    broken: ModelError | None = None

    @classmethod
    def of_module(cls, module: nn.Module, splits: Splits, card: DatasetCard, cache: Path) -> Given:
        """A module that maps images in [0, 1], (N, C, H, W), to logits; what is wrong with it is raised when it is rehearsed."""
        name, broken = type(module).__name__, None
        try:
            own = _copy(module, name).to(torch.float32)  # as the judge looks at every model
        except ModelError as error:
            own, broken = nn.Identity(), error
        entry = Entry(name, lambda task: Recipe(own, Schedule(steps=0)), DefenseCard(), "memory", DEFENSES.nested)
        task, weights = task_of(splits, card), weights_digest(own)
        identity = {
            "defense": {"name": name, "options": {}, "given": True, "code": _code_digest(own)},
            "task": json.loads(json.dumps([list(task.shape), task.classes])),
            "engine": ENGINE,
            "initial": weights,
        }
        folder = cache / "weights" / f"{name}-{digest(identity)}"  # which nothing is written to
        return cls(Call(name), entry, task, splits, identity, folder, {}, own, weights, broken)

    def rehearse(self) -> None:
        if self.broken:
            raise self.broken
        super().rehearse()

    def facts(self, tell: Tell = lambda _: None) -> WeightFacts | None:
        return None

    def weights(self) -> str | None:
        return self.sha

    def load(self, tell: Tell = lambda _: None) -> Trained | None:
        return self._at_hand()

    def _at_hand(self) -> Trained:
        return Trained(self.call, self.module.eval(), self.sha, [], 0.0, self.outputs)

    def obtain(
        self,
        device: torch.device,
        *,
        tell: Tell = lambda _: None,
        report: Callable[[Progress], None] = lambda _: None,
        announce: Callable[[Recipe], None] = lambda _: None,
    ) -> Trained:
        return self._at_hand()


def _copy(module: nn.Module, name: str) -> nn.Module:
    refuse_unmade(module, name)
    try:
        with torch.no_grad():  # else the copies of a scripted module's weights would follow from its own
            return deepcopy(module)
    except Exception as error:
        raise ModelError(
            f"{name} cannot be copied ({type(error).__name__}: {error}), which robench does so that yours is left as it is; "
            "give a defense that builds it, or use robench.evaluate"
        ) from error


def _code_digest(module: nn.Module) -> str:
    """Of all that a module does beside its weights: the code of its parts' classes and functions, and their plain attributes.

    Two modules may have the same weights and the same answers, and different gradients.
    """
    found: list[Json] = []
    for name, part in module.named_modules():
        classes = [one for one in type(part).__mro__ if not one.__module__.startswith(("torch.", "builtins"))]
        functions = [f for one in classes for f in vars(one).values()] + [*vars(part).values()]
        code: list[Json] = [[_code(f.__code__), repr(f.__defaults__)] for f in functions if isinstance(f, FunctionType)]
        plain: dict[str, Json] = {
            key: repr(value) for key, value in sorted(vars(part).items()) if _is_plain(value) and key != "training"
        }
        extra = str(getattr(part, "code", "")) if isinstance(part, torch.jit.ScriptModule) else ""
        found.append([name, type(part).__qualname__, code, plain, extra])
    return digest(found)


def _code(code: CodeType) -> Json:
    """What a function does, its nested ones included, wherever it stands in a file."""
    constants = [_code(one) if isinstance(one, CodeType) else repr(one) for one in code.co_consts]
    return [code.co_code.hex(), constants, [*code.co_names]]


def _is_plain(value: object) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, bool | int | float | complex | str | torch.dtype)


def checkpoints(defense: Defense, splits: Splits, card: DatasetCard, cache: Path) -> list[Checkpoint]:
    """The checkpoints of a defense, or of a module, on these splits."""
    if isinstance(defense, nn.Module):
        return [Given.of_module(defense, splits, card, cache)]
    return Checkpoint.each(defense, splits, card, cache)
