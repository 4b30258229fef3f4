"""Elastic-net attack to deep networks (Chen et al., 2018)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from robench import (
    Above0,
    Classifier,
    Nearest,
    NotNegative,
    Positive,
    attack,
    goal_margin,
    one_a_row,
    picked,
    weight_scale,
)


@attack(
    paper="arXiv:1709.04114",
    norm="l1",
    goal="minimal",
    complete=True,
    monotone=True,
    presets={"art": {"abort_early": True, "beta": 1e-3}, "quick": {"search_steps": 4, "steps": 30, "initial_c": 1.0}},
)
def ead(
    model: Classifier,
    inputs: Tensor,
    labels: Tensor,
    *,
    targets: Tensor | None = None,
    search_steps: Positive = 9,
    steps: Positive = 100,
    lr: Above0 = 0.01,
    initial_c: Above0 = 1e-3,
    beta: Above0 = 0.01,
    confidence: NotNegative = 0.0,
    decision: Literal["l1", "elastic-net"] = "l1",
    abort_early: bool = False,
) -> Tensor:
    """Elastic-net attack: smallest c·f + ‖δ‖² + β·‖δ‖₁ by accelerated shrinkage, a binary search over c for each image.

    The authors' own budget is steps=1000.

    Args:
        inputs: images in [0, 1], (N, C, H, W).
        targets: classes to be taken for, (N,); None to leave the label.
        search_steps: values of c tried for an image; it grows tenfold until one succeeds.
        steps: of the descent for each c.
        initial_c: for logits whose spread is 10; where theirs is another, in inverse proportion to it.
        lr: of the first step; it falls with the square root of the steps that are left.
        beta: weight of the L1 norm: a pixel that moves less than this is set back.
        decision: which of the successes is kept: the one nearest in L1, or in ‖δ‖² + β·‖δ‖₁.
        abort_early: give a value of c up when the loss has not fallen in a tenth of the steps, at least 10 (per image); a quarter of
            the passes, perturbations a sixth larger.

    Returns:
        The nearest adversarial images that were found; the input itself where there was none.
    """
    nearest, enough = Nearest(inputs), model.stop_margin(inputs)
    wanted = confidence + enough
    low, high = one_a_row(inputs, 0.0), one_a_row(inputs, torch.inf)
    c = initial_c * weight_scale(model.spread(inputs))

    def keep(points: Tensor, margins: Tensor, rows: Tensor, succeeded: Tensor) -> None:
        delta = (points - inputs[rows]).flatten(1)
        size = delta.abs().sum(1) if decision == "l1" else delta.square().sum(1) + beta * delta.abs().sum(1)
        success = margins > wanted[rows]
        nearest.offer(rows, points, size, margins > enough[rows], success)
        succeeded[rows[success]] = True

    for _ in range(search_steps):
        succeeded = torch.zeros_like(low, dtype=torch.bool)
        rows = torch.arange(len(inputs), device=inputs.device)
        point, ahead, before = inputs.clone(), inputs.clone(), torch.full_like(c, torch.inf)
        for step in range(steps):
            probe = ahead.detach().requires_grad_()
            margins = goal_margin(model(probe, rows), labels[rows], picked(targets, rows))
            loss = (probe - inputs[rows]).square().flatten(1).sum(1) + c[rows] * (wanted[rows] - margins).relu()
            gradient = model.gradient(probe, loss)
            with torch.no_grad():
                keep(probe.detach(), margins, rows, succeeded)
                moved = _shrunk(probe - lr * (1 - step / steps) ** 0.5 * gradient, inputs[rows], beta)
                ahead = moved + step / (step + 3) * (moved - point)
                ahead = ahead.clamp(0, 1)
                point = moved
                if step == steps - 1:
                    keep(point, goal_margin(model(point, rows), labels[rows], picked(targets, rows)), rows, succeeded)
                if abort_early and step % max(10, steps // 10) == 0:
                    value = loss.detach() + beta * (probe - inputs[rows]).abs().flatten(1).sum(1)
                    going = value <= 0.9999 * before
                    rows, point, ahead, before = rows[going], point[going], ahead[going], value[going]
                    if not len(rows):
                        break
        high = torch.where(succeeded, torch.minimum(high, c), high)
        low = torch.where(succeeded, low, torch.maximum(low, c))
        c = torch.where(high.isfinite(), (low + high) / 2, 10 * c)
    return nearest.images


def _shrunk(points: Tensor, inputs: Tensor, beta: float) -> Tensor:
    """Each pixel brought nearer to the input's by β, onto it where it is nearer than that, and into the box."""
    delta = points - inputs
    return (inputs + delta.sign() * (delta.abs() - beta).relu()).clamp(0, 1)
