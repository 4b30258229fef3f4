"""What the architectures of this folder share."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from timm.layers import to_2tuple, trunc_normal_
from timm.models import build_model_with_cfg, register_model
from torch import Tensor, nn

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


def check_size(inputs: Tensor, built_for: tuple[int, int], name: str) -> None:
    """Raises AssertionError if images are not of the size that a model was built for."""
    if inputs.shape[2:] != built_for:
        height, width = inputs.shape[2:]
        raise AssertionError(f"this {name} was built for images of {built_for}, not {height} x {width}")


def register(kind: type[nn.Module], shapes: dict[str, dict[str, Any]]) -> None:
    """Make an architecture known to timm: `timm.create_model(name)` for every shape, from the module that defines it.

    Args:
        shapes: the arguments of each name.
    """
    for name, shape in shapes.items():
        register_model(_entry(kind, name, shape))


def _entry(kind: type[nn.Module], name: str, shape: dict[str, Any]) -> Any:
    def create(pretrained: bool = False, **options: Any) -> nn.Module:
        model: nn.Module = build_model_with_cfg(kind, name, pretrained, **shape, **options)
        return model

    # timm reads both: what the model is called, and which module's default_cfgs it belongs to.
    create.__name__, create.__module__ = name, kind.__module__
    return create
