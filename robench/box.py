"""A change of variable that takes any real numbers to pixels in [0, 1], so that a descent needs no projection."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

Variable = Literal["sine", "tanh"]
"""tanh is Carlini & Wagner's. It is exponentially flat at its ends, where black and white pixels lie, so that a few
hundred steps leave them where they are; the sine is not (measured in CONTRIBUTING.md)."""

INSIDE = 0.999999
"""Images begin this far inside the box: at its very faces both functions have no slope."""


def to_box(point: Tensor, variable: Variable) -> Tensor:
    """Pixels in [0, 1] from real numbers."""
    return (1 + (torch.sin(point) if variable == "sine" else torch.tanh(point))) / 2


def from_box(inputs: Tensor, variable: Variable) -> Tensor:
    """Real numbers that `to_box` takes to these pixels, to within 5e-7."""
    centred = (2 * inputs - 1) * INSIDE
    return torch.asin(centred) if variable == "sine" else torch.atanh(centred)
