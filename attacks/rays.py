"""RayS (Chen & Gu, 2020): the nearest boundary along rays to the corners of the L∞ ball, from decisions alone."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor

from robench import Bounds, Classifier, Positive, attack, picked, rowwise


@attack(
    paper="arXiv:2006.12792",
    norm="linf",
    goal="minimal",
    knowledge="decision",
    monotone=True,
    presets={"quick": {"queries": 300}},
)
def rays(
    model: Classifier,
    inputs: Tensor,
    labels: Tensor,
    *,
    targets: Tensor | None = None,
    queries: Positive = 10_000,
    tolerance: Annotated[float, Bounds(1e-6, 1)] = 1e-3,
    enough: float = 0.0,
) -> Tensor:
    """RayS: turns the signs of ever smaller blocks of a ray where that brings the boundary nearer; decisions only.

    A block is turned in a single query, whether the turned ray is adversarial at the best distance so far; only then is
    the new distance found by bisection.

    Args:
        inputs: images in [0, 1], (N, C, H, W).
        targets: classes to be taken for, (N,); None to leave the label. A ray rarely hits a given class.
        queries: forward passes for an image at most.
        tolerance: to which the bisection finds the distance along a ray.
        enough: an L∞ distance below which the search ends for an image.

    Returns:
        The nearest adversarial images that were found; the input itself where there was none.
    """
    count, size = len(inputs), inputs[0].numel()
    device = inputs.device
    signs = torch.ones(count, size, device=device, dtype=inputs.dtype)
    best = torch.full((count,), torch.inf, device=device, dtype=inputs.dtype)
    blocks = torch.ones(count, dtype=torch.int64, device=device)  # the ray is cut into so many
    block = torch.zeros_like(blocks)
    low, high = torch.zeros_like(best), torch.full_like(best, torch.inf)
    bisecting = torch.zeros(count, dtype=torch.bool, device=device)
    result, rows = inputs.clone(), torch.arange(count, device=device)
    place = torch.arange(size, device=device)
    with torch.no_grad():
        for _ in range(queries):
            # A row either asks whether its turned ray is adversarial at the best distance, or bisects on that ray.
            length = -(-size // blocks[rows])
            inside = (place >= (block[rows] * length)[:, None]) & (place < ((block[rows] + 1) * length)[:, None])
            ray = torch.where(inside, -signs[rows], signs[rows])
            asked = torch.where(bisecting[rows], (low[rows] + high[rows]) / 2, best[rows].clamp_max(1.0))
            point = (inputs[rows] + rowwise(asked, inputs) * ray.view(-1, *inputs.shape[1:])).clamp(0, 1)
            hit = model.reached(model(point, rows), labels[rows], picked(targets, rows), rows)
            result[rows[hit]] = point[hit]
            starts = hit & ~bisecting[rows]
            high[rows[hit]] = asked[hit]
            low[rows[starts]] = 0.0
            low[rows[~hit & bisecting[rows]]] = asked[~hit & bisecting[rows]]
            bisecting[rows[starts]] = True
            ends = bisecting[rows] & (high[rows] - low[rows] <= tolerance)
            signs[rows[ends]], best[rows[ends]] = ray[ends], high[rows[ends]]
            bisecting[rows[ends]] = False
            onward = ~bisecting[rows]
            block[rows[onward]] += 1
            whole = rows[onward][block[rows[onward]] * -(-size // blocks[rows[onward]]) >= size]
            block[whole] = 0
            blocks[whole] = torch.where(blocks[whole] >= size, 1, (2 * blocks[whole]).clamp_max(size))
            rows = rows[best[rows] > enough]
            if not len(rows):
                break
    return result
