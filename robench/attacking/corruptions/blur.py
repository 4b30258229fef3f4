"""Blur corruptions."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from robench.attacking.corruptions.severities import severe
from robench.attacking.draws import Draws


def defocus_blur(inputs: Tensor, severity: int, draws: Draws) -> Tensor:
    """Blur by a disc whose edge is smoothed, as of a lens out of focus; borders are mirrored.

    Args:
        inputs: images in [0, 1], (N, C, H, W).
    """
    radius, alias = severe(
        inputs,
        severity,
        ((3.0, 0.1), (4.0, 0.5), (6.0, 0.5), (8.0, 0.5), (10.0, 0.5)),
        ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1.0, 0.2), (1.5, 0.1)),
    )
    kernel = disc(radius, alias).to(inputs)
    channels, reach = inputs.shape[1], kernel.shape[0] // 2
    padded = F.pad(inputs, (reach, reach, reach, reach), mode="reflect")
    weight = kernel.expand(channels, 1, *kernel.shape)
    return F.conv2d(padded, weight, groups=channels).clamp(0, 1)


def disc(radius: float, alias: float) -> Tensor:
    """The kernel: a disc smoothed by a Gaussian of 3 x 3 pixels (5 x 5 beyond radius 8).

    It sums to 1, but for radii from 8 on: there the published kernel is as large as the disc and is mirrored at its edge.
    """
    reach, window = (8, 3) if radius <= 8 else (int(radius), 5)
    places = torch.arange(-reach, reach + 1, dtype=torch.float64)
    full = (places[:, None].square() + places.square() <= radius**2).double()
    full = full / full.sum()
    offsets = torch.arange(window, dtype=torch.float64) - window // 2
    bell = torch.exp(-offsets.square() / (2 * alias**2))
    bell = bell / bell.sum()
    padded = F.pad(full[None, None], (window // 2,) * 4, mode="reflect")
    blurred = F.conv2d(padded, (bell[:, None] * bell)[None, None])[0, 0]
    empty = int((blurred.amax(0) < 1e-8).sum()) // 2  # the same on every side; small images have no room for it
    return blurred[empty : len(blurred) - empty, empty : len(blurred) - empty]
