"""What the architectures of this folder share."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from timm.layers import to_2tuple, trunc_normal_
from torch import nn

LayerNorm = partial(nn.LayerNorm, eps=1e-6)


def sides_of(img_size: int | Sequence[int], multiple: int, name: str) -> tuple[int, int]:
    """Height and width of the images that a model is built for.

    Raises:
        AssertionError: a side is no multiple of what the architecture needs; timm's own models raise the same.
    """
    height, width = to_2tuple(img_size)
    if height % multiple or width % multiple or min(height, width) < multiple:
        raise AssertionError(f"{name} needs sides that are multiples of {multiple}, not {height} x {width}")
    return height, width


def init_linear(module: nn.Module) -> None:
    """Truncated normal weights with a deviation of 0.02 and zero biases, for `Module.apply`; other layers keep theirs."""
    if isinstance(module, nn.Linear):
        trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def drop_rates(last: float, depth: int) -> list[float]:
    """Rates of stochastic depth that rise evenly from 0 at the first block to the one given at the last."""
    return [last * i / max(depth - 1, 1) for i in range(depth)]
