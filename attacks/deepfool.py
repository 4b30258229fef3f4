"""DeepFool (Moosavi-Dezfooli, Fawzi & Frossard, 2016)."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor

from robench import Bounds, Classifier, NotNegative, Positive, attack, l2, picked, rowwise, runners_up


@attack(
    paper="arXiv:1511.04599",
    norm="l2",
    goal="minimal",
    complete=True,
    monotone=True,
    presets={"art": {"steps": 100, "overshoot": 1e-6}, "quick": {"candidates": 3}},
)
def deepfool(
    model: Classifier,
    inputs: Tensor,
    labels: Tensor,
    *,
    targets: Tensor | None = None,
    steps: Positive = 50,
    candidates: Annotated[int, Bounds(2)] = 10,
    overshoot: NotNegative = 0.02,
) -> Tensor:
    """DeepFool: steps to the nearest of the linearised boundaries until the label is left. Quick, not the nearest.

    Args:
        inputs: images in [0, 1], (N, C, H, W).
        targets: classes to be taken for, (N,); None to leave the label.
        candidates: classes whose boundaries are looked at, the label's own included; each costs a backward pass a step.
        overshoot: share by which the sum of the steps is lengthened.

    Returns:
        The adversarial images that were found; the input itself where there was none.
    """
    with torch.no_grad():
        clean = model(inputs)
    rivals = runners_up(clean, labels, candidates - 1) if targets is None else targets[:, None]
    found, rows, total = inputs.clone(), torch.arange(len(inputs), device=inputs.device), torch.zeros_like(inputs)
    for step in range(steps + 1):
        point = (inputs[rows] + (1 + overshoot) * total[rows]).clamp(0, 1).requires_grad_()
        logits = model(point, rows)
        going = ~model.reached(logits.detach(), labels[rows], picked(targets, rows), rows)
        found[rows[~going]] = point.detach()[~going]
        if step == steps or not going.any():
            break
        nearest = torch.full_like(logits[:, 0], torch.inf)
        move = torch.zeros_like(point)
        own = logits.gather(1, labels[rows][:, None]).squeeze(1)
        for place in range(rivals.shape[1]):
            gap = logits.gather(1, rivals[rows, place][:, None]).squeeze(1) - own
            slope = model.gradient(point, gap, again=place + 1 < rivals.shape[1])
            length = l2(slope).clamp_min(1e-12)
            distance = gap.detach().abs() / length
            closer = distance < nearest
            nearest = torch.where(closer, distance, nearest)
            step_there = slope * rowwise((distance + model.stop_margin(length, rows) / length) / length, slope)
            move = torch.where(rowwise(closer, move), step_there, move)
        total[rows] += move
        rows = rows[going]
    return found
