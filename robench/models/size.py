"""How large a model is: parameters, and multiply-accumulates of one image."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook
from torch.overrides import TorchFunctionMode

LARGE, MOST = 100_000_000, 2_000_000_000
"""Parameters from which a model is measured before it is built, and that it may have."""
_counts: list[int] = []


class Large(BaseException):
    """A model that is being built has become large; not to be caught by what builds it."""


@dataclass(frozen=True)
class Size:
    """Attributes: parameters, all of them; macs, multiply-accumulates of a forward pass of one image.

    Papers print such a number as "FLOPs"; a multiplication and an addition count as one here, as there. Counted are matrix
    products, convolutions and attention; what is done element by element is not.
    """

    parameters: int
    macs: int


def size_of(model: nn.Module, shape: tuple[int, int, int]) -> Size:
    """The size of a model, on whatever device it is (on "meta" nothing is computed).

    Args:
        shape: (C, H, W) of an image.
    """
    from torch.utils.flop_counter import FlopCounterMode

    parameters = list(model.parameters())
    device = parameters[0].device if parameters else torch.device("cpu")
    modes = [(part, part.training) for part in model.modules()]  # a wrapper's own says nothing of what it wraps
    model.eval()
    counter = FlopCounterMode(display=False)
    with torch.enable_grad():  # some models differentiate inside; torch does not count to a leaf
        image = torch.zeros(1, *shape, device=device).requires_grad_().clone()
        with counter:
            model(image)
    for part, mode in modes:
        part.training = mode
    return Size(sum(p.numel() for p in parameters), counter.get_total_flops() // 2)


class _NumbersOnCpu(TorchFunctionMode):
    """timm 1.0.9 reads numbers from `torch.linspace` while it builds, which a tensor without storage cannot give."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = dict(kwargs or {})
        if func is torch.linspace:
            given["device"] = "cpu"
        return func(*args, **given)


@contextmanager
def weightless() -> Iterator[None]:
    """Models that are built within have shapes but no weights: ViT-H takes no memory."""
    with torch.device("meta"), _NumbersOnCpu():
        yield


@contextmanager
def stopped_if_large() -> Iterator[None]:
    """Raises `Large` when the models that are built within, but for those within an inner one of these, have become large."""

    def count(module: nn.Module, name: str, parameter: Any) -> None:
        if parameter is not None and not parameter.is_meta and len(_counts) == depth:
            _counts[-1] += parameter.numel()
            if _counts[-1] > LARGE:
                raise Large

    _counts.append(0)
    depth = len(_counts)
    hook = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        hook.remove()
        _counts.pop()
