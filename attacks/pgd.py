"""Projected gradient descent (Madry et al., 2018) in the L∞, the L2 and the L1 ball."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated

import torch
from torch import Tensor

from robench import Above0, Bounds, Classifier, Positive, Radius, attack
from robench.goal import reached, taken
from robench.losses import cross_entropy
from robench.norms import l2, rowwise, scale_to_l1, scale_to_l2

Step = Callable[[Tensor, Tensor], Tensor]
Project = Callable[[Tensor], Tensor]


@attack(
    paper="arXiv:1706.06083",
    norm="linf",
    goal="budget",
    complete=True,
    monotone=True,
    presets={"art": {"steps": 100, "step_size": 0.1, "random_start": False}, "quick": {"steps": 10}},
)
def pgd_linf(
    model: Classifier,
    inputs: Tensor,
    labels: Tensor,
    *,
    eps: Radius,
    targets: Tensor | None = None,
    steps: Positive = 40,
    step_size: Above0 | None = None,
    restarts: Positive = 1,
    random_start: bool = True,
    until_success: bool = True,
) -> Tensor:
    """Projected gradient descent in the L∞ ball.

    Args:
        inputs: images in [0, 1], (N, C, H, W).
        eps: radius of the ball, for pixels in [0, 1].
        targets: classes to be taken for, (N,); None to leave the label.
        step_size: 2.5 eps / steps where it is None.
        restarts: runs from different random starts; an image that is fooled is not attacked again.
        random_start: begin at a uniform point of the ball.
        until_success: leave an image alone once it is fooled. Success is the same or higher than with all the steps
            (which may walk out of the wrong class again), the perturbation and the number of passes are smaller.
    """
    size = step_size or 2.5 * eps / steps

    def start(restart: int, rows: Tensor) -> Tensor:
        return eps * (2 * model.draws.uniform("start", restart, rows, inputs.shape[1:]) - 1)

    return _descend(
        model, inputs, labels, targets, steps, restarts, start if random_start else None, until_success,
        step=lambda gradient, _: size * gradient.sign(),
        project=lambda delta: delta.clamp(-eps, eps),
    )  # fmt: skip


@attack(
    paper="arXiv:1706.06083",
    norm="l2",
    goal="budget",
    complete=True,
    monotone=True,
    presets={"art": {"steps": 100, "step_size": 0.1, "random_start": False}, "quick": {"steps": 10}},
)
def pgd_l2(
    model: Classifier,
    inputs: Tensor,
    labels: Tensor,
    *,
    eps: Radius,
    targets: Tensor | None = None,
    steps: Positive = 40,
    step_size: Above0 | None = None,
    restarts: Positive = 1,
    random_start: bool = True,
    until_success: bool = True,
) -> Tensor:
    """Projected gradient descent in the L2 ball: steps along the normalised gradient.

    The options are those of `pgd_linf`, with eps the radius of the L2 ball.
    """
    size = step_size or 2.5 * eps / steps
    pixels = inputs[0].numel()

    def start(restart: int, rows: Tensor) -> Tensor:
        direction = model.draws.normal("start", restart, rows, inputs.shape[1:])
        radius = eps * model.draws.uniform("start/radius", restart, rows, (1,)).squeeze(1) ** (1 / pixels)
        return direction * rowwise(radius / l2(direction), direction)

    return _descend(
        model, inputs, labels, targets, steps, restarts, start if random_start else None, until_success,
        step=lambda gradient, _: size * gradient / rowwise(l2(gradient).clamp_min(1e-12), gradient),
        project=lambda delta: scale_to_l2(delta, eps),
    )  # fmt: skip


@attack(
    paper="arXiv:1904.13000",
    norm="l1",
    goal="budget",
    complete=True,
    monotone=True,
    presets={"quick": {"steps": 10}},
)
def pgd_l1(
    model: Classifier,
    inputs: Tensor,
    labels: Tensor,
    *,
    eps: Radius,
    targets: Tensor | None = None,
    steps: Positive = 40,
    step_size: Above0 | None = None,
    restarts: Positive = 1,
    random_start: bool = True,
    until_success: bool = True,
    sparsity: Annotated[float, Bounds(0, 1)] = 0.995,
) -> Tensor:
    """Projected gradient descent in the L1 ball: sparse steps on the pixels with the steepest slopes (Tramèr & Boneh).

    The options are those of `pgd_linf`, with eps the radius of the L1 ball.

    Args:
        step_size: 8 eps / steps where it is None.
        sparsity: share of the pixels that a step leaves alone. A pixel at the box that would leave it is one of them.
    """
    size = step_size or 8 * eps / steps
    pixels = inputs[0].numel()
    moving = max(1, round((1 - sparsity) * pixels), math.ceil(size))  # no pixel can move by more than 1

    def start(restart: int, rows: Tensor) -> Tensor:
        weights = -torch.log1p(-model.draws.uniform("start", restart, rows, inputs.shape[1:]))
        signs = model.draws.uniform("start/sign", restart, rows, inputs.shape[1:]) < 0.5
        radius = eps * model.draws.uniform("start/radius", restart, rows, (1,)).squeeze(1) ** (1 / pixels)
        return weights * rowwise(radius / weights.flatten(1).sum(1), weights) * (1 - 2 * signs.double())

    def step(gradient: Tensor, at: Tensor) -> Tensor:
        free = torch.where(gradient > 0, at < 1, at > 0)
        slope = (gradient * free).flatten(1)
        kept = slope.abs().topk(moving, dim=1).indices
        signs = torch.zeros_like(slope).scatter(1, kept, slope.gather(1, kept).sign())
        return size / moving * signs.view_as(at)

    return _descend(
        model, inputs, labels, targets, steps, restarts, start if random_start else None, until_success,
        step=step,
        project=lambda delta: scale_to_l1(delta, eps),
    )  # fmt: skip


def _descend(
    model: Classifier,
    inputs: Tensor,
    labels: Tensor,
    targets: Tensor | None,
    steps: int,
    restarts: int,
    start: Callable[[int, Tensor], Tensor] | None,
    until_success: bool,
    *,
    step: Step,
    project: Project,
) -> Tensor:
    """The loop of both norms. Images that need no more steps leave the batch."""
    adversarial = inputs.clone()
    left = torch.arange(len(inputs), device=inputs.device)
    for restart in range(restarts if start else 1):
        rows = left
        if start:
            adversarial[rows] = (inputs[rows] + project(start(restart, rows).to(inputs))).clamp(0, 1)
        for _ in range(steps):
            probe = adversarial[rows].requires_grad_()
            logits = model(probe, rows)
            if until_success:
                going = ~reached(logits.detach(), labels[rows], taken(targets, rows))
                if not going.any():
                    rows = rows[going]
                    break
            gradient = model.gradient(probe, cross_entropy(logits, labels[rows], taken(targets, rows)))
            change = step(gradient, probe.detach())
            moved = (inputs[rows] + project(probe.detach() + change - inputs[rows])).clamp(0, 1)
            if until_success and not going.all():
                moved, rows = moved[going], rows[going]
            adversarial[rows] = moved
        if restart + 1 < restarts:
            fooled = reached(model(adversarial[left], left).detach(), labels[left], taken(targets, left))
            left = left[~fooled]
            if not len(left):
                break
    return adversarial
