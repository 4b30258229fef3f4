"""Projected gradient descent (Madry et al., 2018) in the L∞, the L2 and the L1 ball."""

from __future__ import annotations

import math
from typing import Annotated, Any

import torch
from torch import Tensor

from robench import (
    LOSSES,
    Above0,
    Bounds,
    Classifier,
    Loss,
    Positive,
    Radius,
    Share,
    UsageError,
    attack,
    descend,
    l2,
    picked,
    rowwise,
)


def _check(options: dict[str, Any]) -> None:
    if options["restarts"] > 1 and not options["random_start"]:
        raise UsageError("restarts without random_start would all be the same run; leave one of them out")
    if options.get("slack") and not options["until_success"]:
        raise UsageError("slack counts steps after a success; without until_success all steps are made: leave one out")


@attack(
    paper="arXiv:1706.06083",
    norm="linf",
    goal="budget",
    complete=True,
    monotone=True,
    presets={
        "art": {"steps": 100, "step_size": 0.1, "random_start": False},
        "quick": {"steps": 10},
        "lecture7": {"steps": 7, "step_size": 2 / 255},
        "lecture20": {"steps": 20, "step_size": 1 / 255},
    },
    check=_check,
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
    slack: Annotated[int, Bounds(0)] = 0,
    loss: Loss = "ce",
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
        slack: further steps on an image once it is fooled (τ of PGD-K-τ; Zhang et al., 2020, Algorithm 1).
        loss: as of `fgsm`.
    """
    size = step_size or 2.5 * eps / steps

    def start(restart: int, rows: Tensor) -> Tensor:
        return eps * (2 * model.draws.uniform("start", restart, rows, inputs.shape[1:]) - 1)

    return descend(
        model,
        inputs,
        labels,
        targets,
        eps=eps,
        norm="linf",
        steps=steps,
        step=lambda gradient, _, __: size * gradient.sign(),
        start=start if random_start else None,
        restarts=restarts,
        until_success=until_success,
        slack=slack,
        loss=lambda logits, rows: LOSSES[loss](logits, labels[rows], picked(targets, rows)),
    )


@attack(
    paper="arXiv:1706.06083",
    norm="l2",
    goal="budget",
    complete=True,
    monotone=True,
    presets={"art": {"steps": 100, "step_size": 0.1, "random_start": False}, "quick": {"steps": 10}},
    check=_check,
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

    return descend(
        model,
        inputs,
        labels,
        targets,
        eps=eps,
        norm="l2",
        steps=steps,
        step=lambda gradient, _, __: size * gradient / rowwise(l2(gradient).clamp_min(1e-12), gradient),
        start=start if random_start else None,
        restarts=restarts,
        until_success=until_success,
    )


@attack(
    paper="arXiv:1904.13000",
    norm="l1",
    goal="budget",
    complete=True,
    monotone=True,
    presets={"quick": {"steps": 10}},
    check=_check,
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
    sparsity: Share = 0.995,
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

    def step(gradient: Tensor, at: Tensor, rows: Tensor) -> Tensor:
        free = torch.where(gradient > 0, at < 1, at > 0)
        slope = (gradient * free).flatten(1)
        kept = slope.abs().topk(moving, dim=1).indices
        signs = torch.zeros_like(slope).scatter(1, kept, slope.gather(1, kept).sign())
        return size / moving * signs.view_as(at)

    return descend(
        model,
        inputs,
        labels,
        targets,
        eps=eps,
        norm="l1",
        steps=steps,
        step=step,
        start=start if random_start else None,
        restarts=restarts,
        until_success=until_success,
    )
