"""Backward passes for what has no useful slope (BPDA; Athalye, Carlini & Wagner, 2018, section 4.1)."""

from __future__ import annotations

from torch import Tensor


def straight_through(exact: Tensor, smooth: Tensor) -> Tensor:
    """The value of `exact` with the gradient of `smooth`, a differentiable stand-in of the same shape.

    A defense that rounds, cuts or compresses uses it in its forward pass, so that a white-box attack sees past the step:
    `straight_through(jpeg(x), x)`.
    """
    return smooth + (exact - smooth).detach()
