"""What tests of objectives share: parts of an entry's file, a step half-way, objectives and models that only watch."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from cases import Linear, linear_case
from torch import Tensor, nn

from robench import DATASETS, DEFENSES, Batch, Objective, Places, Progress, Split, Task
from robench.training.building import task_of

HALF = Progress(50, 100, 0)
SQUARES = Task((1, 4, 4), 2, 1000, (0.5,), (0.2,))
"""Two classes of 4 x 4 images, such as those of `cases.linear_case`."""


def own(name: str, *parts: str) -> Any:
    """What else is in a defense's file."""
    found = [DEFENSES[name].function.__globals__[part] for part in parts]
    return found[0] if len(found) == 1 else found


def digits_task() -> Task:
    return task_of(DATASETS["digits"].function(Places.of()), DATASETS["digits"].card)


def batch_of(inputs: Tensor, labels: Tensor | None = None) -> Batch:
    """A batch of these images; of class 0 where no labels are given."""
    wanted = torch.zeros(len(inputs), dtype=torch.int64) if labels is None else labels
    return Batch(inputs, wanted, torch.arange(len(inputs)))


def linear_batch() -> tuple[Linear, Batch, float]:
    """A linear model, 16 images that it classifies correctly, and the L1 norm of the slope of its margin."""
    model, inputs, labels = linear_case(count=16, dtype=torch.float32)
    slope = (model.layer.weight[0] - model.layer.weight[1]).abs().sum()
    return model, Batch(inputs, labels, torch.arange(16)), float(slope)


def at_distance(distances: Tensor) -> tuple[Linear, Batch, float]:
    """The same model, and images of class 0 at these exact L∞ distances from its boundary: mid-grey, moved by them."""
    model, _, slope = linear_batch()
    sign = (model.layer.weight[0] - model.layer.weight[1]).sign().view(1, 4, 4)
    return model, batch_of(0.5 + distances[:, None, None, None] * sign), slope


def margins(model: nn.Module, batch: Batch) -> Tensor:
    """By how much the logit of its label is above the other, of each image."""
    logits = model(batch.inputs)
    own = logits.gather(1, batch.labels[:, None]).squeeze(1)
    return own - logits.gather(1, 1 - batch.labels[:, None]).squeeze(1)


class Watch(Objective):
    """In place of the objective that another wraps: keeps the batches that it is given; its loss is one number."""

    def __init__(self, value: float = 0.0) -> None:
        self.seen: list[Batch] = []
        self.value = value

    def loss(self, model: nn.Module, batch: Batch, progress: Progress) -> Tensor:
        self.seen.append(batch)
        model(batch.inputs)
        return torch.tensor(self.value)


CPU = torch.device("cpu")


def squares(count: int) -> Split:
    """Random 4 x 4 images of two classes."""
    pixels = np.random.default_rng(0).integers(0, 256, (count, 1, 4, 4), dtype=np.uint8)
    return Split.of("train", pixels, np.arange(count) % 2)


NONE = squares(1).select(np.array([], dtype=np.int64))


def linear() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 2))
