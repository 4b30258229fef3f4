"""Motion blur of single layers, each image along an angle of its own."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def motion(layers: Tensor, radius: int, sigma: float, angles: Tensor) -> Tensor:
    """Every pixel becomes a mean of those along a half-line from it, weighted by a one-sided Gaussian.

    2 radius + 1 whole-pixel steps along the angle, borders repeated: as ImageMagick blurs, which the published corruptions use.

    Args:
        layers: (N, H, W), on the CPU.
        radius: pixels.
        sigma: pixels.
        angles: degrees from the x axis towards growing rows, (N,).
    """
    steps = range(2 * radius + 1)
    bell = [math.exp(-(step**2) / (2 * sigma**2)) for step in steps]
    weights = [weight / sum(bell) for weight in bell]
    height, width = layers.shape[1:]
    blurred = torch.zeros_like(layers)
    # An image at a time: each has offsets of its own, and a layer of usual size stays in the cache.
    for layer, total, angle in zip(layers, blurred, angles.tolist(), strict=True):
        down, right = math.sin(math.radians(angle)), math.cos(math.radians(angle))
        rows = [math.ceil(step * down - 0.5) for step in steps]
        columns = [math.ceil(step * right - 0.5) for step in steps]
        top, left = min(rows), min(columns)
        inside_rows = torch.arange(top, height + max(rows)).clamp(0, height - 1)
        inside_columns = torch.arange(left, width + max(columns)).clamp(0, width - 1)
        padded = layer[inside_rows][:, inside_columns]
        for row, column, weight in zip(rows, columns, weights, strict=True):
            shifted = padded[row - top : row - top + height, column - left : column - left + width]
            total.add_(shifted, alpha=weight)
    return blurred
