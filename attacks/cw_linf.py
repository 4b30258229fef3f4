"""Carlini & Wagner's L∞ attack (2017, section VI.C)."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor

from robench import (
    Above0,
    Bounds,
    BoxVariable,
    Classifier,
    Nearest,
    Positive,
    RowAdam,
    attack,
    from_box,
    goal_margin,
    one_a_row,
    picked,
    rowwise,
    to_box,
    weight_scale,
)

SMALLEST = 1e-6
"""τ is not lowered below this: what the judge takes for rounding."""
SLOW_TAU = 0.02
"""The learning rate is `lr` where τ is at most this, and in proportion to τ above, up to ten times. At the authors' rate
throughout, a black or white pixel, at a flat end of the change of variable, moves by at most (steps · lr)² / 4: 1/16."""


@attack(
    paper="arXiv:1608.04644",
    norm="linf",
    goal="minimal",
    complete=True,
    monotone=True,
    presets={
        "art": {"steps": 10, "lr": 0.01, "initial_c": 1e-5, "c_factor": 2.0, "variable": "tanh"},
        "quick": {"steps": 30},
    },
)
def cw_linf(
    model: Classifier,
    inputs: Tensor,
    labels: Tensor,
    *,
    targets: Tensor | None = None,
    steps: Positive = 100,
    lr: Above0 = 0.005,
    initial_c: Above0 = 1e-3,
    largest_c: Above0 = 20.0,
    c_factor: Annotated[float, Bounds(1.1)] = 10.0,
    decrease: Annotated[float, Bounds(0, 0.99, open_low=True)] = 0.9,
    variable: BoxVariable = "sine",
) -> Tensor:
    """Carlini & Wagner's L∞ attack: c·f + Σ max(0, |δ| − τ), with τ lowered by a tenth after every success.

    Each image has its own τ and c, and they are all in one batch: after a success it goes on from the image found, with
    τ = 0.9·min(τ, ‖δ‖∞); after `steps` steps without one c grows by `c_factor`, until it passes `largest_c`. The authors also
    end at τ < 1/256, and keep only images with all of δ within τ; here the nearest of all that fool the model is kept.

    The authors' own budget is steps=1000; what three times the steps gain is in docs/measurements/attack-budgets.md.

    Args:
        inputs: images in [0, 1], (N, C, H, W).
        targets: classes to be taken for, (N,); None to leave the label.
        steps: of Adam for each pair of τ and c.
        initial_c, largest_c: for logits whose spread is 10; where theirs is another, in inverse proportion to it.
        variable: the change of variable that keeps pixels in [0, 1]; "tanh" is the authors'.

    Returns:
        The nearest adversarial images that were found; the input itself where there was none.
    """
    nearest = Nearest(inputs)
    scale = weight_scale(model.spread(inputs))
    rows = torch.arange(len(inputs), device=inputs.device)
    begin = from_box(inputs, variable)  # where each image's descent (re)starts
    point, adam = begin.clone(), RowAdam(begin, lr)
    tau = one_a_row(inputs, 1.0)
    c, used = initial_c * scale, torch.zeros_like(tau)
    while len(rows):
        point.requires_grad_()
        adversarial = to_box(point, variable)
        found = goal_margin(model(adversarial, rows), labels[rows], picked(targets, rows))
        excess = ((adversarial - inputs[rows]).abs() - rowwise(tau, adversarial)).relu().flatten(1).sum(1)
        margin = model.stop_margin(inputs[rows], rows)
        loss = c * (2 * margin - found).relu() + excess
        gradient = model.gradient(point, loss)
        with torch.no_grad():
            adversarial, here = adversarial.detach(), point.detach()
            point = here - adam.step(gradient, (tau / SLOW_TAU).clamp(1, 10))
            used += 1
            size = (adversarial - inputs[rows]).abs().flatten(1).amax(1)
            fooled = found > margin
            nearest.offer(rows, adversarial, size, fooled)
            success = fooled & (excess < 1e-4 * c / scale[rows])
            tau = torch.where(success, decrease * torch.minimum(tau, size), tau)
            tired = ~success & (used >= steps)
            c = torch.where(tired, c_factor * c, c)
            begin = torch.where(rowwise(success, here), here, begin)
            anew = success | tired
            point = torch.where(rowwise(anew, point), begin, point)
            used[anew] = 0
            adam.reset(anew)
            going = (tau >= SMALLEST) & (c < largest_c * scale[rows])
            if not going.all():
                rows, point, begin = rows[going], point[going], begin[going]
                tau, c, used = tau[going], c[going], used[going]
                adam.keep(going)
    return nearest.images
