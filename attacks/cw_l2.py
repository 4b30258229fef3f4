"""Carlini & Wagner's L2 attack (2017, section VI.A)."""

from __future__ import annotations

import torch
from torch import Tensor

from robench import (
    Above0,
    BoxVariable,
    Classifier,
    Nearest,
    NotNegative,
    Positive,
    RowAdam,
    attack,
    from_box,
    goal_margin,
    linear_distance,
    one_a_row,
    picked,
    to_box,
    weight_scale,
)

FIRST_STEP = 0.3
"""Share of the way to the boundary that a first step goes; 0.1 to 0.5 make no difference above 1 % (docs/measurements/attacks.md)."""


@attack(
    paper="arXiv:1608.04644",
    norm="l2",
    goal="minimal",
    complete=True,
    monotone=True,
    presets={
        "art": {"search_steps": 10, "steps": 40, "initial_c": 0.01, "variable": "tanh"},
        "quick": {"search_steps": 4, "steps": 30, "initial_c": 1.0},
    },
)
def cw_l2(
    model: Classifier,
    inputs: Tensor,
    labels: Tensor,
    *,
    targets: Tensor | None = None,
    search_steps: Positive = 9,
    steps: Positive = 100,
    lr: Above0 | None = None,
    initial_c: Above0 = 1e-3,
    confidence: NotNegative = 0.0,
    abort_early: bool = True,
    variable: BoxVariable = "sine",
) -> Tensor:
    """Carlini & Wagner's L2 attack: smallest ‖δ‖² + c·f, with a binary search over c for each image.

    The preset "art" makes as many passes as ART's 10 x 10 steps with the line search within each: four a step.
    The authors' own budget is steps=10000; what fewer steps cost is in docs/measurements/attacks.md.

    Args:
        inputs: images in [0, 1], (N, C, H, W).
        targets: classes to be taken for, (N,); None to leave the label.
        search_steps: values of c tried for an image; it grows tenfold until one succeeds.
        steps: of Adam for each c.
        lr: of Adam; None: for each image such that a first step is FIRST_STEP of the way to the boundary, as the slope at
            the image has it. One rate for all (the authors' is 0.01) takes images near the boundary far beyond it.
        initial_c: for logits whose spread is 10; where theirs is another, in inverse proportion to it.
        confidence: κ, the logit margin that is wanted; where no image has it, the nearest that fools the model is given.
        abort_early: give a value of c up when the loss has not fallen in a tenth of the steps, at least 10 (per image).
        variable: the change of variable that keeps pixels in [0, 1]; "tanh" is the authors'.

    Returns:
        The nearest adversarial images that were found; the input itself where there was none.
    """
    if lr is None:  # a step of Adam moves every pixel by up to half the rate
        first = FIRST_STEP * linear_distance(model, inputs, labels, targets)
        rates = (2 * first / inputs[0].numel() ** 0.5).clamp(1e-4, 0.1)
    else:
        rates = one_a_row(inputs, lr)
    origin = from_box(inputs, variable)
    reference = to_box(origin, variable)
    nearest, enough = Nearest(inputs), model.stop_margin(inputs)
    wanted = confidence + enough
    low, high = one_a_row(inputs, 0.0), one_a_row(inputs, torch.inf)
    c = initial_c * weight_scale(model.spread(inputs))
    for search in range(search_steps):
        if search_steps >= 10 and search == search_steps - 1:
            c = torch.where(high.isfinite(), high, c)  # the authors end a long search with the last c that worked
        succeeded = torch.zeros_like(low, dtype=torch.bool)
        rows = torch.arange(len(inputs), device=inputs.device)
        point, adam, before = origin.clone(), RowAdam(origin, 1.0), torch.full_like(c, torch.inf)
        for step in range(steps):
            point.requires_grad_()
            adversarial = to_box(point, variable)
            found = goal_margin(model(adversarial, rows), labels[rows], picked(targets, rows))
            distance = (adversarial - reference[rows]).square().flatten(1).sum(1)
            loss = distance + c[rows] * (wanted[rows] - found).relu()
            gradient = model.gradient(point, loss)
            with torch.no_grad():
                success = found > wanted[rows]
                nearest.offer(rows, adversarial.detach(), distance, found > enough[rows], success)
                succeeded[rows[success]] = True
                point = point.detach() - adam.step(gradient, rates[rows])
                if abort_early and step % max(10, steps // 10) == 0:
                    going = loss <= 0.9999 * before
                    before = loss.detach()
                    if not going.all():
                        rows, point, before = rows[going], point[going], before[going]
                        adam.keep(going)
                        if not len(rows):
                            break
        high = torch.where(succeeded, torch.minimum(high, c), high)
        low = torch.where(succeeded, low, torch.maximum(low, c))
        c = torch.where(high.isfinite(), (low + high) / 2, 10 * c)
    return nearest.images
