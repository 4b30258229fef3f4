"""The momentum iterative method (Dong et al., 2018)."""

from __future__ import annotations

import torch
from torch import Tensor

from robench import Above0, Classifier, NotNegative, Positive, Radius, attack, descend, rowwise


@attack(
    paper="arXiv:1710.06081",
    norm="linf",
    goal="budget",
    complete=True,
    monotone=True,
    presets={"art": {"steps": 100, "step_size": 0.1}, "quick": {"steps": 10}},
)
def mim(
    model: Classifier,
    inputs: Tensor,
    labels: Tensor,
    *,
    eps: Radius,
    targets: Tensor | None = None,
    steps: Positive = 40,
    step_size: Above0 | None = None,
    decay: NotNegative = 1.0,
    until_success: bool = True,
) -> Tensor:
    """Momentum iterative method: sign steps along a running sum of normalised gradients; it transfers well.

    Args:
        inputs: images in [0, 1], (N, C, H, W).
        eps: radius of the L∞ ball, for pixels in [0, 1].
        targets: classes to be taken for, (N,); None to leave the label.
        step_size: 2.5 eps / steps where it is None.
        decay: μ, what remains of the earlier gradients at each step.
        until_success: leave an image alone once it is fooled; turn it off where the images are to fool another model.
    """
    size = step_size or 2.5 * eps / steps
    momentum = torch.zeros_like(inputs)

    def step(gradient: Tensor, at: Tensor, rows: Tensor) -> Tensor:
        mean = gradient.flatten(1).abs().mean(1).clamp_min(1e-30)
        momentum[rows] = decay * momentum[rows] + gradient / rowwise(mean, gradient)
        return size * momentum[rows].sign()

    return descend(
        model, inputs, labels, targets, eps=eps, norm="linf", steps=steps, step=step, until_success=until_success
    )
