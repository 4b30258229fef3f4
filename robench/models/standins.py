"""Backward passes for what has no useful slope (BPDA; Athalye, Carlini & Wagner, 2018, section 4.1)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor

_uses: ContextVar[list[torch.Size] | None] = ContextVar("uses", default=None)


def straight_through(exact: Tensor, smooth: Tensor) -> Tensor:
    """The value of `exact` with the gradient of `smooth`, a differentiable stand-in of the same shape.

    A defense that rounds, cuts or compresses uses it in its forward pass, so that a white-box attack sees past the step:
    `straight_through(jpeg(x), x)`.

    Example:
        >>> x = torch.tensor([0.3], requires_grad=True)
        >>> straight_through(x.round(), x).backward()
        >>> x.grad
        tensor([1.])
    """
    uses = _uses.get()
    if uses is not None:
        uses.append(exact.shape)
    return smooth + (exact - smooth).detach()


@contextmanager
def stand_ins() -> Iterator[list[torch.Size]]:
    """Collect the shapes that `straight_through` is called with within, in this thread: none where all slopes are a model's own."""
    found: list[torch.Size] = []
    before = _uses.set(found)
    try:
        yield found
    finally:
        _uses.reset(before)
