"""Noise corruptions: random numbers for every pixel and channel."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

from robench.attacking.corruptions.severities import severe
from robench.attacking.draws import Draws

_PARTS = 1024
"""Parts of [0, 1) for each of which the least Poisson count is looked up."""


def gaussian_noise(inputs: Tensor, severity: int, draws: Draws) -> Tensor:
    """Normal noise on every pixel and channel (Hendrycks & Dietterich, 2019).

    The same draw serves all severities, times their deviation.

    Args:
        inputs: images in [0, 1], (N, C, H, W).
    """
    deviation = severe(inputs, severity, (0.08, 0.12, 0.18, 0.26, 0.38), (0.04, 0.06, 0.08, 0.09, 0.10))
    noise = draws.bulk_normal("gaussian_noise", 0, inputs.shape[1:]).to(inputs)
    return noise.mul_(deviation).add_(inputs).clamp_(0, 1)


def shot_noise(inputs: Tensor, severity: int, draws: Draws) -> Tensor:
    """Photons counted on every pixel and channel: Poisson, of mean pixel times rate (Hendrycks & Dietterich, 2019).

    Exact up to the uniform numbers' step of 2^-24. The same draw serves all severities.

    Args:
        inputs: images in [0, 1] of 256 grey levels (others are rounded to them), (N, C, H, W).
    """
    rate = severe(inputs, severity, (60, 25, 12, 5, 3), (500, 250, 100, 75, 50))
    below, first = (table.to(inputs.device) for table in poisson(rate))
    uniform = draws.bulk_uniform("shot_noise", 0, inputs.shape[1:]).to(inputs)
    # Image by image, because its numbers then stay in the processor's cache: twice as fast.
    return torch.stack([counted(image, numbers, below, first) for image, numbers in zip(inputs, uniform, strict=True)])


def counted(image: Tensor, uniform: Tensor, below: Tensor, first: Tensor) -> Tensor:
    """Counts over the rate, by the inverse of the distribution function.

    Args:
        image: (C, H, W) in [0, 1].
        uniform: like the image, in [0, 1).
        below, first: as of `poisson`.
    """
    numbers = uniform.flatten()
    levels = (image * 255).round_().int().flatten()
    parts = first.shape[1]
    counts = first.flatten().index_select(0, (numbers * parts).int().add_(levels, alpha=parts))
    rate = below.shape[1] - 1
    above = numbers >= below.flatten().index_select(0, (levels * (rate + 1)).add_(counts))
    # Few numbers lie in a part that is shared by several counts, above the least of them: those are counted out.
    few = above.nonzero().flatten()
    rows = below.index_select(0, levels[few])
    counts[few] = (rows <= numbers[few, None]).sum(1, dtype=counts.dtype)
    return (counts / rate).to(image).view_as(image)


@lru_cache(maxsize=10)
def poisson(rate: int) -> tuple[Tensor, Tensor]:
    """Distribution functions of the 256 grey levels, and where to start in them.

    Whatever is beyond the rate is clipped to white, so that the last count stands for all of those.

    Returns:
        P(count <= n), float32, (256, rate + 1), infinite in the last column, which no number passes; the least count that
        the numbers of each of the equal parts of [0, 1) have, int16, (256, parts).
    """
    mean = torch.arange(256, dtype=torch.float64)[:, None] * (rate / 255)
    count = torch.arange(rate, dtype=torch.float64)
    below = (torch.xlogy(count, mean) - mean - torch.lgamma(count + 1)).exp().cumsum(1)
    below = torch.cat([below, torch.full((256, 1), math.inf, dtype=torch.float64)], 1).float()
    starts = (torch.arange(_PARTS) / _PARTS).repeat(256, 1)
    return below, torch.searchsorted(below, starts, right=True).short()


def impulse_noise(inputs: Tensor, severity: int, draws: Draws) -> Tensor:
    """A share of all values, drawn for every pixel and channel, made black or white (Hendrycks & Dietterich, 2019).

    The same draw serves all severities: what is hit at one is hit alike at the next.

    Args:
        inputs: images in [0, 1], (N, C, H, W).
    """
    share = severe(inputs, severity, (0.03, 0.06, 0.09, 0.17, 0.27), (0.01, 0.02, 0.03, 0.05, 0.07))
    uniform = draws.bulk_uniform("impulse_noise", 0, inputs.shape[1:]).to(inputs)
    # One number says whether and what: of the share that lies at either end the lower becomes black and the upper white.
    inside = (uniform - 0.5).abs_() <= (1 - share) / 2
    return torch.where(inside, inputs, uniform.round_())


def speckle_noise(inputs: Tensor, severity: int, draws: Draws) -> Tensor:
    """Normal noise in proportion to the pixel (Hendrycks & Dietterich, 2019, of their four for validation).

    The same draw serves all severities, times their deviation.

    Args:
        inputs: images in [0, 1], (N, C, H, W).
    """
    deviation = severe(inputs, severity, (0.15, 0.2, 0.35, 0.45, 0.6), (0.06, 0.1, 0.12, 0.16, 0.2))
    noise = draws.bulk_normal("speckle_noise", 0, inputs.shape[1:]).to(inputs)
    return noise.mul_(deviation).add_(1).mul_(inputs).clamp_(0, 1)
