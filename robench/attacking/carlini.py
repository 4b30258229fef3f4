"""What Carlini & Wagner's attacks are made of: a change of variable that keeps pixels in [0, 1], and Adam with a state a row."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from robench.attacking.losses import USUAL_SPREAD
from robench.attacking.norms import rowwise

BoxVariable = Literal["sine", "tanh"]
"""tanh is Carlini & Wagner's. It is exponentially flat at its ends, where black and white pixels lie, so that a few
hundred steps leave them where they are; the sine is not (docs/measurements/attacks.md)."""

INSIDE = 0.999999
"""Images begin this far inside the box: at its very faces both functions have no slope."""


def to_box(point: Tensor, variable: BoxVariable) -> Tensor:
    """Pixels in [0, 1] from real numbers.

    Example:
        >>> to_box(torch.tensor([0.0, 100.0]), "tanh")
        tensor([0.5000, 1.0000])
    """
    return (1 + (torch.sin(point) if variable == "sine" else torch.tanh(point))) / 2


def from_box(inputs: Tensor, variable: BoxVariable) -> Tensor:
    """Real numbers that `to_box` takes to these pixels, to within 5e-7.

    Example:
        >>> to_box(from_box(torch.tensor([0.25]), "sine"), "sine")
        tensor([0.2500])
    """
    centred = (2 * inputs - 1) * INSIDE
    return torch.asin(centred) if variable == "sine" else torch.atanh(centred)


def weight_scale(spread: Tensor) -> Tensor:
    """By what the constants c are multiplied, (N,): they weigh the goal, in logits, against pixels; 1 for a spread of 10.

    Example:
        >>> weight_scale(torch.tensor([10.0, 1e-5]))
        tensor([1.0000e+00, 1.0000e+06])
    """
    return USUAL_SPREAD / spread.clamp_min(1e-12)


class RowAdam:
    """Adam (Kingma & Ba, 2015) over the rows of a tensor; each row counts its own steps.

    Args:
        like: the tensor to optimise, (N, ...).
        lr: learning rate.

    Example:
        >>> point = torch.zeros(2, 3)
        >>> adam = RowAdam(point, lr=0.1)
        >>> adam.step(torch.ones(2, 3))
        tensor([[0.1000, 0.1000, 0.1000],
                [0.1000, 0.1000, 0.1000]])
    """

    def __init__(self, like: Tensor, lr: float) -> None:
        self._lr = lr
        self._mean = torch.zeros_like(like)
        self._square = torch.zeros_like(like)
        self._steps = torch.zeros(len(like), device=like.device, dtype=like.dtype)

    def step(self, gradient: Tensor, factor: Tensor | float = 1.0) -> Tensor:
        """What to subtract after seeing this gradient, with the learning rate times a factor, (N,) or one number."""
        self._steps += 1
        self._mean.lerp_(gradient, 0.1)
        self._square.mul_(0.999).addcmul_(gradient, gradient, value=0.001)
        size = rowwise(factor * self._lr * (1 - 0.999**self._steps).sqrt() / (1 - 0.9**self._steps), gradient)
        slack = rowwise(1e-8 * (1 - 0.999**self._steps).sqrt(), gradient)
        return size * self._mean / (self._square.sqrt() + slack)

    def reset(self, rows: Tensor) -> None:
        """Forget what the rows marked True have seen."""
        for state in (self._mean, self._square, self._steps):
            state[rows] = 0

    def keep(self, rows: Tensor) -> None:
        """Drop all rows but those marked True."""
        self._mean, self._square, self._steps = self._mean[rows], self._square[rows], self._steps[rows]
