"""From a defense's call to its recipe: the task it is told, its function called, the recipes that it wraps."""

from __future__ import annotations

import hashlib
from typing import Any

import torch
from torch import nn

from robench.data.splits import Splits
from robench.entries.calls import Call
from robench.entries.cards import DatasetCard, DefenseCard
from robench.entries.entry import Entry
from robench.entries.registry import ATTACKS, DEFENSES
from robench.errors import DataError, RobenchError, UsageError, ran_out
from robench.hashing import tensor_bytes
from robench.models.size import MOST, Large, Size, size_of, stopped_if_large, weightless
from robench.training.recipe import Recipe, Task


def build(entry: Entry, call: Call, task: Task) -> Recipe:
    """Call a defense's function.

    Raises:
        UsageError: it raised, or did not return a recipe.
    """
    try:
        recipe = _within_reason(entry, call, task)
    except (UsageError, DataError):
        raise
    except Exception as error:
        if ran_out(error):
            raise UsageError(f"{call} on images of shape {task.shape} does not fit into memory") from error
        raise UsageError(
            f"{call} could not be built for images of shape {task.shape}: {type(error).__name__}: {error}"
        ) from error
    if not isinstance(recipe, Recipe):
        raise UsageError(
            f"{call} returned {type(recipe).__name__}; a defense returns a robench.Recipe(model, schedule, objective)"
        )
    if recipe.selection is not None:
        ATTACKS.find(recipe.selection)
    return recipe


def _within_reason(entry: Entry, call: Call, task: Task) -> Any:
    """What a defense's function returns; a large model is measured first, so that no slip of a key fills the memory."""
    state = torch.get_rng_state()
    try:
        with stopped_if_large():
            return entry.function(task, **call.options)
    except Large:
        with weightless():
            try:
                count = sum(p.numel() for p in entry.function(task, **call.options).model.parameters())
            except Exception:  # it reads numbers of its weights, and cannot be measured
                count = 0
    if count > MOST:
        raise UsageError(f"{call} has {count:,} parameters on these images; {MOST:,} are the most that is built")
    torch.set_rng_state(state)
    return entry.function(task, **call.options)


def recipe_of(model: str | Call, task: Task) -> Recipe:
    """The recipe of another defense, for defenses that wrap one.

    Its initial weights are drawn from the sum of its own seed and the outer one, so that either changes them.

    Example:
        >>> task = Task((1, 8, 8), 10, 1000, (0.5,), (0.2,))
        >>> recipe_of("vit(depth=2)", task).model(torch.rand(2, 1, 8, 8)).shape
        torch.Size([2, 10])
    """
    entry, call = DEFENSES.find(model)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed((torch.initial_seed() + int(call.options.get("seed", 0))) % 2**63)
        return build(entry, call, task)


def task_of(splits: Splits, card: DatasetCard) -> Task:
    """What a defense is told about the data."""
    shown = splits.train if len(splits.train) else splits.test
    mean, std = shown.moments
    return Task(
        shown.shape,
        splits.classes,
        len(splits.train),
        tuple(round(m, 4) for m in mean),
        tuple(max(round(s, 4), 1e-4) for s in std),
        card.epochs,
        card.crop,
        card.flip,
        len(splits.validation),
    )


def size_at(entry: Entry, call: Call, shape: tuple[int, int, int], classes: int) -> Size | None:
    """What a defense's model has of parameters and multiply-accumulates on images of a shape; its weights are not made.

    None where it cannot be built for them.
    """
    task = Task(shape, classes, 50_000, (0.5,) * shape[0], (0.25,) * shape[0])
    try:
        with weightless():
            return size_of(build(entry, call, task).model, shape)
    except (RobenchError, RuntimeError):
        return None


def declared(call: Call, entry: Entry | None = None) -> list[DefenseCard]:
    """The cards of a defense and of those nested in its options to be wrapped by it."""
    return [one.card for one in _wrapped(call, entry or DEFENSES[call.name])]


def built_in(call: Call, entry: Entry) -> bool:
    """Whether a defense and those that it wraps are robench's own."""
    return all(one.function.__module__.startswith("robench.") for one in _wrapped(call, entry))


def _wrapped(call: Call, entry: Entry) -> list[Entry]:
    """The entry of a defense and those nested in its options to be wrapped by it."""
    nested = [
        value
        for name, value in call.options.items()
        if isinstance(value, Call) and name in entry.options and not entry.options[name].kind
    ]
    return [entry, *(one for inner in nested for one in _wrapped(inner, DEFENSES[inner.name]))]


def weights_digest(model: nn.Module) -> str:
    """Of a model's parameters and buffers, by their names."""
    found = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        if isinstance(tensor, torch.Tensor):
            found.update(f"{name} {tensor.dtype} {[*tensor.shape]}".encode())
            found.update(tensor_bytes(tensor))
    return found.hexdigest()[:16]
