"""What a defense returns: an untrained model, what its training minimises, and the schedule of that training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from robench.data.splits import Split
from robench.entries.calls import Call


@dataclass(frozen=True)
class Task:
    """What a defense is told about the data that it will be trained on.

    Attributes:
        shape: (C, H, W) of an image.
        mean, std: per channel, of the training images in [0, 1].
        epochs: how long a plain training of a small model sensibly is on this set.
        crop: padding in pixels for random crops, 0 for none.
        flip: whether a mirrored image is still one of its class.
        held_out: images of the validation split.

    Example:
        >>> Task(shape=(3, 32, 32), classes=10, train_size=45_000, mean=(0.5,) * 3, std=(0.25,) * 3).flip
        False
    """

    shape: tuple[int, int, int]
    classes: int
    train_size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    epochs: int = 30
    crop: int = 0
    flip: bool = False
    held_out: int = 0


class Progress(NamedTuple):
    """How far a training is: `step` of `steps` optimiser steps have been made, `epoch` epochs have been finished.

    Attributes:
        seed: of the training.

    Example:
        >>> Progress(step=5, steps=100, epoch=0, seed=2).draws
        2000011
    """

    step: int
    steps: int
    epoch: int
    seed: int = 0

    @property
    def draws(self) -> int:
        """A seed for the random numbers of this step."""
        return self.seed * 1_000_003 + self.step

    def grown(self, ramp: float) -> float:
        """The share of its full size that something has which grows evenly in the first share `ramp` of a training.

        Example:
            >>> Progress(step=4, steps=100, epoch=0).grown(0.5), Progress(step=4, steps=100, epoch=0).grown(0.0)
            (0.1, 1.0)
        """
        return min(1.0, (self.step + 1) / max(1.0, ramp * self.steps))


class Batch(NamedTuple):
    """A training batch.

    Attributes:
        inputs: (N, C, H, W) in [0, 1], augmented.
        labels: (N,).
        ids: places of the images in the split.
        soft: probabilities of the classes to learn, (N, classes), where labels are mixed or smoothed.

    Example:
        >>> Batch(torch.rand(4, 1, 8, 8), torch.arange(4), torch.arange(4)).part(slice(0, 2)).labels
        tensor([0, 1])
    """

    inputs: Tensor
    labels: Tensor
    ids: Tensor
    soft: Tensor | None = None

    def part(self, rows: slice) -> Batch:
        """Some of the batch."""
        return Batch(
            self.inputs[rows], self.labels[rows], self.ids[rows], None if self.soft is None else self.soft[rows]
        )

    def names(self) -> list[str]:
        """The ids as words, which random numbers are drawn by."""
        return [str(i) for i in self.ids.tolist()]


class Objective:
    """What a training minimises: cross-entropy here; subclasses add penalties, attacks or an adversary.

    One is made for each training and may keep state. A subclass that owns an adversary (a module that ascends while
    the model descends) gets its gradients from the same backward pass and steps it in `after_step`.

    Example:
        >>> class Smooth(Objective):
        ...     def loss(self, model, batch, progress):
        ...         return nn.functional.cross_entropy(model(batch.inputs), batch.labels, label_smoothing=0.1)
    """

    def to(self, device: torch.device) -> None:
        """Move what it owns beside the model to the training's device; called once, before a saved state is loaded."""

    def examples(self, model: nn.Module, train: Split, held_out: Split, epoch: int) -> Split:
        """What an epoch is trained on, asked for before it: the training split here."""
        return train

    def loss(self, model: nn.Module, batch: Batch, progress: Progress) -> Tensor:
        """The scalar to minimise; the model is in training mode."""
        return classification_loss(model(batch.inputs), batch)

    def after_step(self, model: nn.Module, progress: Progress) -> None:
        """Called after each optimiser step."""

    def report(self) -> dict[str, float]:
        """Numbers for the training log, asked for at the end of each epoch."""
        return {}

    def state_dict(self) -> dict[str, Tensor]:
        """What a resumed training needs."""
        return {}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Put back what `state_dict` returned."""


def classification_loss(logits: Tensor, batch: Batch) -> Tensor:
    """Mean cross-entropy of logits, (N, classes), to a batch's labels, or to its soft ones.

    Example:
        >>> batch = Batch(torch.rand(1, 1, 2, 2), torch.tensor([0]), torch.arange(1), soft=torch.tensor([[0.5, 0.5]]))
        >>> classification_loss(torch.zeros(1, 2), batch)
        tensor(0.6931)
    """
    return F.cross_entropy(logits, batch.labels if batch.soft is None else batch.soft)


class WrappedObjective(Objective):
    """An objective around another, to which it passes on all that it does not do itself.

    Example:
        >>> class Darker(WrappedObjective):
        ...     def loss(self, model, batch, progress):
        ...         return self.base.loss(model, batch._replace(inputs=batch.inputs / 2), progress)
        >>> Darker(Objective()).report()
        {}
    """

    def __init__(self, base: Objective) -> None:
        self.base = base

    def to(self, device: torch.device) -> None:
        self.base.to(device)

    def examples(self, model: nn.Module, train: Split, held_out: Split, epoch: int) -> Split:
        return self.base.examples(model, train, held_out, epoch)

    def loss(self, model: nn.Module, batch: Batch, progress: Progress) -> Tensor:
        return self.base.loss(model, batch, progress)

    def loss_and_logits(self, model: nn.Module, batch: Batch, progress: Progress) -> tuple[Tensor, Tensor]:
        """The wrapped objective's loss and the model's logits of the batch, in one pass where plain cross-entropy is wrapped."""
        if type(self.base) is Objective:
            logits = model(batch.inputs)
            return classification_loss(logits, batch), logits
        return self.base.loss(model, batch, progress), model(batch.inputs)

    def after_step(self, model: nn.Module, progress: Progress) -> None:
        self.base.after_step(model, progress)

    def report(self) -> dict[str, float]:
        return self.base.report()

    def state_dict(self) -> dict[str, Tensor]:
        return self.base.state_dict()

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.base.load_state_dict(state)


Decay = Literal["cosine", "steps", "none"]


@dataclass(frozen=True)
class Schedule:
    """How long and how fast: linear warm-up, then a decay; gradients clipped to a norm.

    Attributes:
        steps: optimiser steps in all; epochs follow from it and the batch size.
        lr: at its peak.
        warmup: share of the steps.
        crop, flip: augmentation, as in `Task`.
        decay: a cosine that ends at zero; a tenth after half and again after three quarters of the steps; or none.
        optimizer: AdamW, or SGD with Nesterov momentum of 0.9.
        clip: largest norm of the gradients.
        accumulate: parts that a batch is passed through the model in, where it does not fit at once.
        average: decay of a moving average of the weights, which is what is kept; 0: none.
        half: pass in bfloat16 on a GPU.
        own_epochs: how many epochs there are, where the objective chooses what an epoch is trained on.

    Example:
        >>> Schedule(steps=400, batch_size=128).epochs(train_size=1280)
        40
    """

    steps: int
    batch_size: int = 128
    lr: float = 1e-3
    weight_decay: float = 0.05
    warmup: float = 0.1
    crop: int = 0
    flip: bool = False
    decay: Decay = "cosine"
    optimizer: Literal["adamw", "sgd"] = "adamw"
    clip: float = 1.0
    accumulate: int = 1
    average: float = 0.0
    half: bool = False
    own_epochs: int | None = None

    @classmethod
    def of(cls, task: Task, epochs: int | None, batch_size: int, lr: float, **rest: Any) -> Schedule:
        """So many epochs of a task's data (None: as many as suit it), augmented as suits it.

        Batches are small where there are few images: not below 32, and 40 of them an epoch.
        """
        size = min(batch_size, max(32, task.train_size // 40))
        steps = (task.epochs if epochs is None else epochs) * steps_per_epoch(task.train_size, size)
        return cls(steps, size, lr, **{"crop": task.crop, "flip": task.flip, **rest})

    def epochs(self, train_size: int) -> int:
        """Epochs begun, the last of which may be cut short."""
        return self.own_epochs or -(-self.steps // steps_per_epoch(train_size, self.batch_size))


def steps_per_epoch(train_size: int, batch_size: int) -> int:
    """Minibatches in an epoch; a last partial one is left out unless it is the only one.

    Example:
        >>> steps_per_epoch(1000, 128)
        7
    """
    return max(1, train_size // batch_size)


@dataclass(frozen=True)
class Recipe:
    """An untrained model in [0, 1] → logits form and how to train it. It is not trained here.

    Attributes:
        selection: an attack; the weights of the epoch whose validation accuracy under it is highest are kept (robust
            overfitting: Rice, Wong & Kolter, 2020). None: those of the last epoch.
        note: what a run says of the model beside its name.

    Example:
        >>> recipe = Recipe(nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), Schedule(steps=400, lr=3e-3))
        >>> recipe.selection is None
        True
    """

    model: nn.Module
    schedule: Schedule
    objective: Objective = field(default_factory=Objective)
    selection: Call | None = None
    note: str = ""

    @property
    def learns(self) -> bool:
        """Whether there is anything to train."""
        return any(p.requires_grad for p in self.model.parameters()) and self.schedule.steps > 0


Layers = list[int] | Literal["all"]


def layer_indices(layers: Layers, depth: int) -> Sequence[int]:
    """Zero-based indices of layers that are counted from 1, as the papers count them.

    Example:
        >>> list(layer_indices([1, 3], 6)), list(layer_indices("all", 3))
        ([0, 2], [0, 1, 2])
    """
    return range(depth) if layers == "all" else [layer - 1 for layer in layers]
