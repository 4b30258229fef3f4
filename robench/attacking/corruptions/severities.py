"""Severity tables: the published ones for ImageNet (224 pixels) and for CIFAR (32 pixels), severities 1 to 5.

The rule for other sizes: up to 64 pixels on the shorter side those for 32 pixels, else those for 224. Lengths in pixels are
used as they are published, whatever the size.
"""

from __future__ import annotations

from typing import TypeVar

from torch import Tensor

from robench.benchmarks import SMALL_SIDE

Value = TypeVar("Value")


def severe(inputs: Tensor, severity: int, large: tuple[Value, ...], small: tuple[Value, ...]) -> Value:
    """The value of a severity from 1 to 5: of the table for small images, else of that for large ones."""
    return (small if is_small(inputs) else large)[severity - 1]


def is_small(inputs: Tensor) -> bool:
    """Whether images are to be corrupted as CIFAR's are."""
    return min(inputs.shape[-2:]) <= SMALL_SIDE
