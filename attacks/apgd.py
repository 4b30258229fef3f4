"""Auto-PGD (Croce & Hein, 2020): momentum, and a step that halves by itself where the loss no longer rises."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from robench import (
    Classifier,
    Positive,
    Radius,
    UsageError,
    attack,
    cross_entropy,
    dlr,
    into_ball,
    l2,
    length,
    picked,
    rowwise,
    runners_up,
)

LossName = Literal["ce", "dlr", "dlr_targeted"]
MOMENTUM = 0.75
RISES = 0.75
"""A step is halved where the loss rose in fewer than this share of the steps since the last look (ρ in the paper)."""
AT_ONCE = 128
"""Rows of a batch that a forward pass works well with: several targets of few images share one."""
CLASSES = 9
"""That "dlr_targeted" tries."""


def _check(options: dict[str, Any]) -> None:
    if options["target_classes"] != CLASSES and options["loss"] != "dlr_targeted":
        raise UsageError(f"target_classes is of loss='dlr_targeted'; with loss={options['loss']!r} leave it out")


@attack(
    paper="arXiv:2003.01690",
    norm="linf",
    goal="budget",
    complete=True,
    monotone=True,
    presets={"quick": {"steps": 20}},
    check=_check,
)
def apgd_linf(
    model: Classifier,
    inputs: Tensor,
    labels: Tensor,
    *,
    eps: Radius,
    targets: Tensor | None = None,
    loss: LossName = "ce",
    steps: Positive = 100,
    restarts: Positive = 1,
    target_classes: Positive = CLASSES,
) -> Tensor:
    """Auto-PGD in the L∞ ball: no step size to choose.

    Args:
        inputs: images in [0, 1], (N, C, H, W).
        eps: radius of the ball, for pixels in [0, 1].
        targets: classes to be taken for, (N,); None to leave the label.
        loss: cross-entropy, difference of logits ratio, or that ratio towards each of the likeliest other classes in turn.
        restarts: runs from different random starts; an image that is fooled is not attacked again.
        target_classes: how many classes "dlr_targeted" tries.
    """
    return _apgd(model, inputs, labels, targets, eps, "linf", loss, steps, restarts, target_classes)


@attack(
    paper="arXiv:2003.01690",
    norm="l2",
    goal="budget",
    complete=True,
    monotone=True,
    presets={"quick": {"steps": 20}},
    check=_check,
)
def apgd_l2(
    model: Classifier,
    inputs: Tensor,
    labels: Tensor,
    *,
    eps: Radius,
    targets: Tensor | None = None,
    loss: LossName = "ce",
    steps: Positive = 100,
    restarts: Positive = 1,
    target_classes: Positive = CLASSES,
) -> Tensor:
    """Auto-PGD in the L2 ball: no step size to choose.

    The options are those of `apgd_linf`, with eps the radius of the L2 ball.
    """
    return _apgd(model, inputs, labels, targets, eps, "l2", loss, steps, restarts, target_classes)


def _apgd(
    model: Classifier,
    inputs: Tensor,
    labels: Tensor,
    targets: Tensor | None,
    eps: float,
    norm: str,
    loss: LossName,
    steps: int,
    restarts: int,
    target_classes: int,
) -> Tensor:
    """Runs one after another on the images that are left; the targets of few images share a batch."""
    result = inputs.clone()
    left = torch.arange(len(inputs), device=inputs.device)
    aims: Tensor | None = None
    if loss == "dlr_targeted" and targets is None:
        with torch.no_grad():
            aims = runners_up(model(inputs), labels, target_classes)
    for restart in range(restarts):
        tried = 0
        while len(left) and tried < (1 if aims is None else aims.shape[1]):
            if aims is None:
                rows, aim = left, picked(targets, left)
            else:
                several = min(max(1, AT_ONCE // len(left)), aims.shape[1] - tried)
                rows = left.repeat_interleave(several)
                aim = aims[left, tried : tried + several].flatten()
                tried += several - 1
            found, hit = _climb(
                model.of(rows), inputs[rows], labels[rows], picked(targets, rows), aim, eps, norm, loss, steps, restart
            )
            tried += 1
            result[rows[hit]] = found[hit]
            if aims is None:
                result[rows[~hit]] = found[~hit]
            solved = torch.zeros(len(inputs), dtype=torch.bool, device=inputs.device)
            solved[rows[hit]] = True
            left = left[~solved[left]]
    return result


def _climb(
    model: Classifier,
    inputs: Tensor,
    labels: Tensor,
    targets: Tensor | None,
    aims: Tensor | None,
    eps: float,
    norm: str,
    loss: LossName,
    steps: int,
    restart: int,
) -> tuple[Tensor, Tensor]:
    """One run on all rows.

    Args:
        targets: what counts as reached.
        aims: where the loss leads to.

    Returns:
        The image that was found for each row, or the one with the highest loss; and where it was found.
    """

    def project(points: Tensor, rows: Tensor) -> Tensor:
        return (inputs[rows] + into_ball(points - inputs[rows], eps, norm)).clamp(0, 1)

    def direction(gradient: Tensor) -> Tensor:
        return gradient.sign() if norm == "linf" else gradient / rowwise(l2(gradient), gradient).clamp_min(1e-12)

    draw = model.draws.uniform if norm == "linf" else model.draws.normal
    noise = draw("start", restart, None, inputs.shape[1:]).to(inputs)
    noise = 2 * noise - 1 if norm == "linf" else noise
    size = length(noise, norm).clamp_min(1e-12)
    rows = torch.arange(len(inputs), device=inputs.device)
    point = project(inputs + eps * noise / rowwise(size, noise), rows)
    result, hit = point.clone(), torch.zeros(len(inputs), dtype=torch.bool, device=inputs.device)
    size = torch.full_like(size, 2 * eps)
    losses = torch.full_like(size, -torch.inf, dtype=torch.float64)  # float32 would hide the rises of small logits
    before = best = point
    best_gradient = torch.zeros_like(point)
    best_loss, previous = losses, -losses
    best_at_look, rises, reduced = best_loss.clone(), torch.zeros_like(size), torch.ones_like(hit)
    look, shrink, least = max(int(0.22 * steps), 1), max(int(0.03 * steps), 1), max(int(0.06 * steps), 1)
    since = 0
    for step in range(steps + 1):
        probe = point.clone().requires_grad_()
        logits = model(probe, rows)
        value = (cross_entropy if loss == "ce" else dlr)(logits.double(), labels[rows], picked(aims, rows))
        going = ~model.reached(logits.detach(), labels[rows], picked(targets, rows), rows)
        last = step == steps or not going.any()
        gradient = torch.zeros_like(point) if last else model.gradient(probe, value)
        value = value.detach()
        better = value > best_loss
        best_loss = torch.where(better, value, best_loss)
        best = torch.where(rowwise(better, point), point, best)
        best_gradient = torch.where(rowwise(better, point), gradient, best_gradient)
        rises += value > previous
        previous = value
        result[rows] = torch.where(rowwise(going, best), best, point)
        hit[rows[~going]] = True
        if last:
            break
        if step == 0:
            best_at_look, rises = best_loss, torch.zeros_like(rises)
        elif (since := since + 1) == look:
            halve = (rises <= look * RISES) | (~reduced & (best_at_look >= best_loss))
            size = torch.where(halve, size / 2, size)
            point = torch.where(rowwise(halve, point), best, point)
            gradient = torch.where(rowwise(halve, point), best_gradient, gradient)
            best_at_look, reduced, rises, since = best_loss, halve, torch.zeros_like(rises), 0
            look = max(look - shrink, least)
        moved = project(point + rowwise(size, point) * direction(gradient), rows)
        if step:
            moved = project(point + MOMENTUM * (moved - point) + (1 - MOMENTUM) * (point - before), rows)
        before, point = point, moved
        if not going.all():
            rows, point, before, best, best_gradient = (
                part[going] for part in (rows, point, before, best, best_gradient)
            )
            size, best_loss, previous, best_at_look, rises, reduced = (
                part[going] for part in (size, best_loss, previous, best_at_look, rises, reduced)
            )
    return result, hit
