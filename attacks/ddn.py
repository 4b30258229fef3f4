"""Decoupled direction and norm (Rony et al., 2019)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from robench import (
    Above0,
    Classifier,
    Nearest,
    Positive,
    Share,
    attack,
    cross_entropy,
    l2,
    linear_distance,
    one_a_row,
    rowwise,
)


@attack(
    paper="arXiv:1811.09600",
    norm="l2",
    goal="minimal",
    complete=True,
    monotone=True,
    presets={"quick": {"steps": 30}},
)
def ddn(
    model: Classifier,
    inputs: Tensor,
    labels: Tensor,
    *,
    targets: Tensor | None = None,
    steps: Positive = 100,
    initial_norm: Above0 | None = None,
    gamma: Share = 0.05,
    lr: Above0 = 1.0,
) -> Tensor:
    """Decoupled direction and norm: gradient steps on a sphere that shrinks after a success and grows after a failure.

    A fast minimal L2 attack: one gradient a step, and no constant to search for.

    Args:
        inputs: images in [0, 1], (N, C, H, W).
        targets: classes to be taken for, (N,); None to leave the label.
        initial_norm: radius of the first sphere, for every image; None: the distance to the boundary, as the slope at
            each image has it (what it changes: docs/measurements/attacks.md). The authors' is 1.
        gamma: share by which the sphere shrinks or grows.
        lr: length of the first step, in radii of the first sphere; a cosine takes it to a hundredth.

    Returns:
        The nearest adversarial images that were found; the input itself where there was none.
    """
    nearest, rows = Nearest(inputs), torch.arange(len(inputs), device=inputs.device)
    delta = torch.zeros_like(inputs)
    if initial_norm is None:
        radius = linear_distance(model, inputs, labels, targets).clamp(1e-4, inputs[0].numel() ** 0.5)
    else:
        radius = one_a_row(inputs, initial_norm)
    first = radius
    for step in range(steps + 1):
        point = (inputs + delta).requires_grad_()
        logits = model(point)
        hit, size = model.reached(logits.detach(), labels, targets), l2(delta)
        nearest.offer(rows, point.detach(), size, hit)
        if step == steps:
            break
        gradient = model.gradient(point, cross_entropy(logits, labels, targets))
        rate = lr * (0.01 + 0.99 * (1 + math.cos(math.pi * step / steps)) / 2)
        moved = delta + gradient * rowwise(rate * first / l2(gradient).clamp_min(1e-12), gradient)
        radius = torch.where(hit, radius * (1 - gamma), radius * (1 + gamma))
        moved = moved * rowwise(radius / l2(moved).clamp_min(1e-12), moved)
        delta = (inputs + moved).clamp(0, 1) - inputs
    return nearest.images
