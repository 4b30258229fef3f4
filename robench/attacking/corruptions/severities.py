"""Severity tables: the published ones for ImageNet (224 pixels) and for CIFAR (32 pixels), severities 1 to 5."""

from __future__ import annotations

from typing import TypeVar

from torch import Tensor

Value = TypeVar("Value")


def severe(inputs: Tensor, severity: int, large: tuple[Value, ...], small: tuple[Value, ...]) -> Value:
    """The value of a severity from 1 to 5: of the table for small images up to 64 pixels, else of that for large ones."""
    return (small if inputs.shape[-2] <= 64 else large)[severity - 1]
