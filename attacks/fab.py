"""Fast adaptive boundary (Croce & Hein, 2020), in its targeted form: one linearised boundary at a time."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor

from robench import (
    Bounds,
    Classifier,
    Nearest,
    Positive,
    Radius,
    Share,
    attack,
    length,
    picked,
    rowwise,
    runners_up,
    to_hyperplane,
)

Overshoot = Annotated[float, Bounds(1, 2)]
"""By which a projection onto a boundary goes beyond it; below 1 it would stay on this side."""


@attack(
    paper="arXiv:1907.02044",
    norm="linf",
    goal="minimal",
    complete=True,
    monotone=True,
    presets={"quick": {"steps": 20, "target_classes": 3}},
)
def fab_linf(
    model: Classifier,
    inputs: Tensor,
    labels: Tensor,
    *,
    targets: Tensor | None = None,
    steps: Positive = 100,
    target_classes: Positive = 9,
    alpha_max: Share = 0.1,
    eta: Overshoot = 1.05,
    beta: Share = 0.9,
    enough: Radius = 0.0,
) -> Tensor:
    """Fast adaptive boundary in L∞: projections onto linearised boundaries, drawn back towards the input.

    Args:
        inputs: images in [0, 1], (N, C, H, W).
        targets: classes to be taken for, (N,); None to leave the label, by way of the likeliest other classes in turn.
        steps: for each class aimed at.
        target_classes: how many classes are aimed at.
        alpha_max: how much of a step the projection of the input may be.
        eta: by which the projections overshoot.
        beta: what remains of a perturbation after it succeeded.
        enough: a perturbation of this size is not made smaller.

    Returns:
        The nearest adversarial images that were found; the input itself where there was none.
    """
    return _fab(model, inputs, labels, targets, "linf", steps, target_classes, alpha_max, eta, beta, enough)


@attack(
    paper="arXiv:1907.02044",
    norm="l2",
    goal="minimal",
    complete=True,
    monotone=True,
    presets={"quick": {"steps": 20, "target_classes": 3}},
)
def fab_l2(
    model: Classifier,
    inputs: Tensor,
    labels: Tensor,
    *,
    targets: Tensor | None = None,
    steps: Positive = 100,
    target_classes: Positive = 9,
    alpha_max: Share = 0.1,
    eta: Overshoot = 1.05,
    beta: Share = 0.9,
    enough: Radius = 0.0,
) -> Tensor:
    """Fast adaptive boundary in L2: projections onto linearised boundaries, drawn back towards the input.

    The options are those of `fab_linf`.
    """
    return _fab(model, inputs, labels, targets, "l2", steps, target_classes, alpha_max, eta, beta, enough)


def _fab(
    model: Classifier,
    inputs: Tensor,
    labels: Tensor,
    targets: Tensor | None,
    norm: str,
    steps: int,
    target_classes: int,
    alpha_max: float,
    eta: float,
    beta: float,
    enough: float,
) -> Tensor:
    nearest = Nearest(inputs)

    def keep(points: Tensor, rows: Tensor, hit: Tensor) -> None:
        nearest.offer(rows, points, length(points - inputs[rows], norm), hit)

    with torch.no_grad():
        aims = runners_up(model(inputs), labels, target_classes) if targets is None else targets[:, None]
    for aim in aims.unbind(1):
        rows = (nearest.sizes > enough).nonzero().squeeze(1)
        point = inputs[rows]
        for _ in range(steps):
            if not len(rows):
                break
            goal, own = aim[rows, None], labels[rows, None]
            point.requires_grad_()
            logits = model(point, rows)
            hit = model.reached(logits.detach(), labels[rows], picked(targets, rows), rows)
            keep(point.detach(), rows, hit)
            gap = (logits.gather(1, goal) - logits.gather(1, own)).squeeze(1) - 2 * model.stop_margin(
                inputs[rows], rows
            )
            slope = model.gradient(point, gap)
            with torch.no_grad():
                point = _projected(point, inputs[rows], gap, slope, norm, alpha_max, eta)
                hit = model.reached(model(point, rows), labels[rows], picked(targets, rows), rows)
                keep(point, rows, hit)
                point = torch.where(rowwise(hit, point), inputs[rows] + beta * (point - inputs[rows]), point)
                going = nearest.sizes[rows] > enough
                rows, point = rows[going], point[going]
    return nearest.images


def _projected(
    point: Tensor, inputs: Tensor, gap: Tensor, slope: Tensor, norm: str, alpha_max: float, eta: float
) -> Tensor:
    """Both the point and the input are taken onto the linearised boundary; a mean of the two, nearer to the point."""
    from_point = to_hyperplane(point, slope, gap, norm)
    from_input = to_hyperplane(inputs, slope, gap + (slope * (inputs - point)).flatten(1).sum(1), norm)
    near, far = (length(move, norm).clamp_min(1e-8) for move in (from_point, from_input))
    alpha = rowwise((near / (near + far)).clamp_max(alpha_max), point)
    return ((1 - alpha) * (point + eta * from_point) + alpha * (inputs + eta * from_input)).clamp(0, 1)
