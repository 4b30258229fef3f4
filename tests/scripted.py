"""Models whose answers are written down, call by call, so that an attack's next image can be worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from robench import ATTACKS, Classifier


class Scripted(nn.Module):
    """Of class 0 and 1; at each call the margin of class 1 is the next of a list, and its slope too.

    Args:
        margins: the last one stays.
        slopes: of one pixel each, or of all pixels of an image; likewise.

    Attributes:
        seen: what it was given.
        gradients: of which of that a gradient could be asked.
    """

    def __init__(self, margins: Sequence[float], slopes: Sequence[Any] = (1.0,)) -> None:
        super().__init__()
        self.margins, self.slopes = margins, slopes
        self.seen, self.gradients = list[Tensor](), list[Tensor]()

    def forward(self, inputs: Tensor) -> Tensor:
        call = len(self.seen)
        self.seen.append(inputs.detach())
        if inputs.requires_grad:
            self.gradients.append(inputs.detach())
        margin = self.margins[min(call, len(self.margins) - 1)]
        slope = torch.tensor(self.slopes[min(call, len(self.slopes) - 1)], dtype=torch.float64).to(inputs)
        flat = inputs.flatten(1)
        value = margin + ((flat - flat.detach()) * slope).sum(1)
        return torch.stack([torch.zeros_like(value), value], 1)


class Noted(Classifier):
    """Keeps the losses whose gradients are asked."""

    losses: list[float]

    def gradient(self, inputs: Tensor, loss: Tensor, *, again: bool = False) -> Tensor:
        self.losses.append(loss.sum().item())
        return super().gradient(inputs, loss, again=again)


def attacked(
    name: str, model: nn.Module, inputs: Tensor, *, spread: float = 10.0, classes: int = 2, **options: Any
) -> tuple[Tensor, list[float]]:
    """What an attack finds for images of class 0, and the losses that it climbed or descended on the way.

    Args:
        spread: of the logits: success needs a ten-thousandth of it, and the constants of Carlini & Wagner are as given at 10.
    """
    count = len(inputs)
    noted = Noted(
        model, classes, [f"image {i}" for i in range(count)], spread=torch.full((count,), spread, dtype=torch.float64)
    )
    noted.losses = []
    found: Tensor = ATTACKS[name].function(noted, inputs, torch.zeros(count, dtype=torch.int64), **options)
    return found, noted.losses


def grey(*shape: int) -> Tensor:
    """One image of mid-grey, float64."""
    return torch.full((1, 1, *(shape or (1, 1))), 0.5, dtype=torch.float64)


def levels(images: list[Tensor]) -> list[float]:
    """The pixels of images of one pixel."""
    return [image.item() for image in images]


class Spy(nn.Module):
    """A model that keeps what it is given, and of what gradients can be asked."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model, self.seen, self.gradients = model, list[Tensor](), list[Tensor]()

    def forward(self, inputs: Tensor) -> Tensor:
        (self.gradients if inputs.requires_grad else self.seen).append(inputs.detach())
        logits: Tensor = self.model(inputs)
        return logits
