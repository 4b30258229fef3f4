"""Small models and images whose exact answers are known."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

import robench
from robench.attacking.classifier import Classifier


class Linear(nn.Module):
    """A linear classifier, whose closest adversarial examples are known in closed form."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.layer = nn.Linear(weight.shape[1], weight.shape[0]).to(weight.dtype)
        self.layer.weight.data, self.layer.bias.data = weight.clone(), bias.clone()

    def forward(self, inputs: Tensor) -> Tensor:
        return self.layer(inputs.flatten(1))  # type: ignore[no-any-return]


def linear_case(count: int = 24, dtype: torch.dtype = torch.float64) -> tuple[Linear, Tensor, Tensor]:
    """A two-class linear model on 1 x 4 x 4 images near mid-grey, classified correctly with small margins."""
    generator = torch.Generator().manual_seed(3)
    direction = torch.randn(16, generator=generator, dtype=torch.float64)
    model = Linear(torch.stack([direction, -direction]).to(dtype), torch.zeros(2, dtype=dtype))
    inputs = 0.5 + 0.1 * torch.randn(count, 1, 4, 4, generator=generator, dtype=torch.float64)
    model.layer.bias.data[:] = torch.tensor(
        [-(0.5 * direction.sum()).item(), (0.5 * direction.sum()).item()], dtype=dtype
    )
    inputs = inputs.to(dtype)
    return model.requires_grad_(False).eval(), inputs, model(inputs).argmax(1)


def wrapped(model: nn.Module, count: int, classes: int = 2, seed: int = 0) -> Classifier:
    """A model as an attack is given it."""
    return Classifier(model, classes, [f"image {i}" for i in range(count)], seed=seed)


def split_of(count: int = 20, side: int = 4, classes: int = 2) -> robench.Split:
    """Random images with labels."""
    random = np.random.default_rng(0)
    return robench.Split.of(
        "test", random.integers(0, 256, (count, 1, side, side), dtype=np.uint8), np.arange(count) % classes
    )
