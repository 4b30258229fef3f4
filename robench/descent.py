"""Projected descent: the loop that PGD, its momentum form and its patch form share."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from robench.classifier import Classifier
from robench.goal import reached, taken
from robench.losses import cross_entropy
from robench.norms import into_ball

Start = Callable[[int, Tensor], Tensor]
"""(restart, rows) → the perturbations that these images begin with."""
Step = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(gradient of the loss to climb, images, rows) → what to add to the images."""


def descend(
    model: Classifier,
    inputs: Tensor,
    labels: Tensor,
    targets: Tensor | None,
    *,
    eps: float,
    norm: str,
    steps: int,
    step: Step,
    start: Start | None = None,
    restarts: int = 1,
    until_success: bool = True,
) -> Tensor:
    """Climb the cross-entropy (or descend that of the targets) in a ball within the box. Solved images leave the batch.

    Args:
        inputs: images in [0, 1], (N, C, H, W).
        eps, norm: the ball; "linf", "l2" or "l1".
        start: where a run begins; None: at the inputs, once.
        until_success: leave an image alone once it is fooled; not done where the model is random.
    """
    until_success = until_success and not model.random
    adversarial = inputs.clone()
    left = torch.arange(len(inputs), device=inputs.device)
    for restart in range(restarts if start else 1):
        rows = left
        if start:
            begin = into_ball(start(restart, rows).to(inputs), eps, norm)
            adversarial[rows] = (inputs[rows] + begin).clamp(0, 1)
        for _ in range(steps):
            probe = adversarial[rows].requires_grad_()
            logits = model(probe, rows)
            going = torch.ones_like(rows, dtype=torch.bool)
            if until_success:
                going = ~reached(logits.detach(), labels[rows], taken(targets, rows))
                if not going.any():
                    break
            gradient = model.gradient(probe, cross_entropy(logits, labels[rows], taken(targets, rows)))
            change = step(gradient, probe.detach(), rows)
            delta = into_ball(probe.detach() + change - inputs[rows], eps, norm)
            moved = (inputs[rows] + delta).clamp(0, 1)
            rows = rows[going]
            adversarial[rows] = moved[going]
        if restart + 1 < restarts:
            fooled = reached(model(adversarial[left], left).detach(), labels[left], taken(targets, left))
            left = left[~fooled]
            if not len(left):
                break
    return adversarial
