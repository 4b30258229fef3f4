"""Descents: how far ahead the goal seems to lie, and the projected loop that PGD, its momentum and its patch form share."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from robench.attacking.classifier import Classifier
from robench.attacking.losses import cross_entropy, goal_margin, picked
from robench.attacking.norms import into_ball, l2

Start = Callable[[int, Tensor], Tensor]
"""(restart, rows) → the perturbations that these images begin with."""
Step = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(gradient of the loss to climb, images, rows) → what to add to the images."""

Climbed = Callable[[Tensor, Tensor], Tensor]
"""(logits, rows) → what to climb, for each of these images."""


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
    slack: int = 0,
    loss: Climbed | None = None,
) -> Tensor:
    """Climb the cross-entropy (or descend that of the targets) in a ball within the box. Solved images leave the batch.

    Args:
        inputs: images in [0, 1], (N, C, H, W).
        eps, norm: the ball; "linf", "l2" or "l1".
        start: where a run begins; None: at the inputs, once.
        until_success: leave an image alone once it is fooled; not done where the model is random.
        slack: further steps on an image that was found fooled.
        loss: to climb instead.

    Example:
        >>> net = nn.Sequential(nn.Flatten(), nn.Linear(4, 3))
        >>> model, inputs = Classifier(net, 3, ["a", "b"]), torch.rand(2, 1, 2, 2)
        >>> signs = lambda gradient, images, rows: 0.05 * gradient.sign()
        >>> found = descend(model, inputs, net(inputs).argmax(1), None, eps=0.1, norm="linf", steps=5, step=signs)
        >>> bool(((found - inputs).abs() <= 0.1 + 1e-6).all())
        True
    """
    until_success = until_success and not model.random
    adversarial = inputs.clone()
    left = torch.arange(len(inputs), device=inputs.device)
    patience = torch.full((len(inputs),), slack, device=inputs.device)
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
                fooled = model.reached(logits.detach(), labels[rows], picked(targets, rows), rows)
                going = ~fooled | (patience[rows] > 0)
                patience[rows] -= fooled.long()
                if not going.any():
                    break
            climbed = loss(logits, rows) if loss else cross_entropy(logits, labels[rows], picked(targets, rows))
            gradient = model.gradient(probe, climbed)
            change = step(gradient, probe.detach(), rows)
            delta = into_ball(probe.detach() + change - inputs[rows], eps, norm)
            moved = (inputs[rows] + delta).clamp(0, 1)
            rows = rows[going]
            adversarial[rows] = moved[going]
        if restart + 1 < restarts:
            with torch.no_grad():
                logits = model(adversarial[left], left)
            fooled = model.reached(logits, labels[left], picked(targets, left), left)
            left = left[~fooled]
            if not len(left):
                break
    return adversarial


def linear_distance(model: Classifier, inputs: Tensor, labels: Tensor, targets: Tensor | None) -> Tensor:
    """How far away in L2 the goal lies, as the slope of its margin at the image has it, (N,): a first guess.

    Costs a forward and a backward pass.

    Example:
        >>> net = nn.Linear(2, 2, bias=False)
        >>> net.weight.data = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
        >>> linear_distance(Classifier(net, 2, ["a"]), torch.tensor([[0.3, 0.5]]), torch.tensor([0]), None)
        tensor([0.3001])
    """
    probe = inputs.clone().requires_grad_()
    found = goal_margin(model(probe), labels, targets)
    slope = l2(model.gradient(probe, found)).clamp_min(1e-12)
    return (model.stop_margin(inputs) - found.detach()).relu() / slope
