"""Norms of perturbations, projections onto balls, and the differentiable pieces that attacks share."""

from __future__ import annotations

import torch
from torch import Tensor

NORMS = ("l0", "l1", "l2", "linf")


def lengths(delta: Tensor) -> dict[str, Tensor]:
    """L0, L1, L2 and L∞ of each perturbation, float64, (N,); for pixels in [0, 1].

    L0 counts the elements (pixel and channel) that change by more than half a grey level, |δ| > 1/510.
    """
    flat = delta.double().flatten(1).abs()
    return {
        "l0": (flat > 1 / 510).sum(1).double(),
        "l1": flat.sum(1),
        "l2": flat.square().sum(1).sqrt(),
        "linf": flat.amax(1),
    }


def rowwise(values: Tensor, like: Tensor) -> Tensor:
    """(N,) values shaped so that they broadcast over images (N, C, H, W)."""
    return values.reshape(-1, *[1] * (like.ndim - 1))


def l2(delta: Tensor) -> Tensor:
    """L2 norm of each row of (N, ...), differentiable away from 0."""
    return delta.flatten(1).square().sum(1).sqrt()


def scale_to_l2(delta: Tensor, radius: float) -> Tensor:
    """Each perturbation shrunk to the L2 ball of this radius where it is outside."""
    length = l2(delta)
    return delta * rowwise((radius / length.clamp_min(radius)) if radius else torch.zeros_like(length), delta)


def margin(logits: Tensor, classes: Tensor) -> Tensor:
    """Logit of the given class minus the largest other logit, (N,): positive where that class is predicted."""
    chosen = logits.gather(1, classes[:, None]).squeeze(1)
    others = logits.scatter(1, classes[:, None], -torch.inf).amax(1)
    return chosen - others
