"""Distortions and blurs of ImageNet-C-bar and CIFAR-10-C-bar (Mintun, Kirillov & Xie, 2021).

Lengths are shares of the shorter side, so the definitions hold at any size; images that are not square are new here.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
from scipy import ndimage, sparse
from torch import Tensor

from robench.attacking.corruptions.resampling import bell, cubic_taps, framed, grid, smoothed
from robench.attacking.corruptions.severities import is_small
from robench.attacking.draws import Draws


def caustic_refraction(inputs: Tensor, severity: int, draws: Draws) -> Tensor:
    """The image as through moving water: bent by the slope of light patterns, and lit by it (Mintun et al., 2021).

    Published for ImageNet; small images take the same severities. The same water serves all of them. Beyond the border it
    is dark, as published: a bright rim is the slope there.

    Args:
        inputs: images in [0, 1], (N, C, H, W).
    """
    strength = (2.35, 3.2, 4.9, 6.6, 9.15)[severity - 1]
    side = min(inputs.shape[-2:])
    drawn = draws.uniform("caustic_refraction", 0, None, (2,)).to(inputs.device)[:, :, None, None]
    light = _caustics(inputs, 0.5 + 1.5 * drawn[:, 0], (0.75 + 0.5 * drawn[:, 1]) * side)
    light = torch.nn.functional.pad(smoothed(light[:, None], bell(1.0, 4).tolist(), "symmetric")[:, 0], (1, 1, 1, 1))
    slope_down = light[:, 2:, 1:-1] - light[:, :-2, 1:-1]
    slope_across = light[:, 1:-1, 2:] - light[:, 1:-1, :-2]
    flat = slope_down * slope_down + slope_across * slope_across
    upright = (1 / (flat + 1)).sqrt()
    # Snell's law with index 4, for light from above: a ray along the normal n and along the plane of both, which is
    # n_xy (cos out - sin out * n_z / sin in), with sin out = sin in / 4. Nearly flat water bends nothing.
    bend = upright * ((1 - (1 - upright * upright) / 16).sqrt() - upright / 4)
    bend = torch.where(upright < 0.999, bend, 0.0) * (0.05 * strength * side)
    rows, columns = grid(inputs)
    bent = framed(inputs, rows + bend * slope_down, columns + bend * slope_across)
    lit = (slope_down - slope_across) * (0.2 * strength)
    return (bent + lit[:, None].to(inputs)).clamp(0, 1)


def _caustics(inputs: Tensor, time: Tensor, size: Tensor) -> Tensor:
    """Light on the bottom of water, float64, (N, H, W) in [0, 1]: a known shader of 2014, which repeats every `size`."""
    rows, columns = grid(inputs)
    down = ((rows / size).remainder(1) * (2 * math.pi) - 250).expand(-1, -1, columns.shape[2])
    across = ((columns / size).remainder(1) * (2 * math.pi) - 250).expand(-1, rows.shape[1], -1)
    first, second = down, across
    total = torch.ones_like(down)
    for step in range(1, 6):
        at = time * (1 - 3.5 / step)
        first, second = (
            down + (at - first).cos() + (at + second).sin(),
            across + (at - second).sin() + (at + first).cos(),
        )
        one, other = 0.005 * down / (first + at).sin(), 0.005 * across / (second + at).cos()
        total = total + 1 / (one * one + other * other).sqrt()
    # 1.17 - (total / 5)^1.4, to the power of 8; see the module on noise about powers.
    left = 1.17 - ((total / 5).log() * 1.4).exp()
    left = left * left
    left = left * left
    return (left * left).clamp(0, 1)


def pinch_and_twirl(inputs: Tensor, severity: int, draws: Draws) -> Tensor:
    """Discs in a lattice of 3 x 3 (5 x 5 in large images), each pinched and turned one way (Mintun et al., 2021).

    Published for CIFAR-10; larger images take the same severities. The same turns serve all severities, larger ones. Discs
    narrower than 3 pixels, as of images of 8, have nothing to turn.

    Args:
        inputs: images in [0, 1], (N, C, H, W).
    """
    strength = (5.5, 6.0, 6.5, 8.5, 10.0)[severity - 1]
    count = 3 if is_small(inputs) else 5
    tall, wide = inputs.shape[-2] // count, inputs.shape[-1] // count
    radius = min(tall, wide) / 2
    ways = torch.where(draws.uniform("pinch_and_twirl", 0, None, (count * count,)) < 0.5, -1.0, 1.0).to(inputs.device)
    rows, columns = grid(inputs)
    tile_down, tile_across = (rows / tall).floor(), (columns / wide).floor()
    down, across = rows - (tile_down + 0.5) * tall, columns - (tile_across + 0.5) * wide
    distance = (down * down + across * across).sqrt() / radius
    # Pixels left over at the far border belong to no tile.
    inside = (distance <= 1) & (distance > 0) & (tile_down < count) & (tile_across < count)
    tile = (tile_down.clamp_max(count - 1) * count + tile_across.clamp_max(count - 1)).long()
    turn = ways[:, tile[0]] * (math.pi * strength / 20) * (1 - distance) * (1 - distance)
    turn = torch.where(inside, turn, 0.0)
    pinch = ((distance * (math.pi / 2)).sin().clamp_min(1e-12).log() * (-0.04 * strength - 0.1)).exp()
    pinch = torch.where(inside, pinch, 1.0)
    down_now = pinch * (down * turn.cos() - across * turn.sin())
    across_now = pinch * (down * turn.sin() + across * turn.cos())
    return framed(inputs, rows - down + down_now, columns - across + across_now)


def ripple(inputs: Tensor, severity: int, draws: Draws) -> Tensor:
    """Rows and columns pushed to and fro by a sine wave of each; black beyond the border (Mintun et al., 2021).

    Published for CIFAR-10; larger images take the same severities. The same waves serve all severities, larger ones.

    Args:
        inputs: images in [0, 1], (N, C, H, W).
    """
    side = min(inputs.shape[-2:])
    amplitude = 0.0025 * (5.5, 6.0, 6.5, 7.5, 8.0)[severity - 1] * side
    drawn = draws.uniform("ripple", 0, None, (2, 2)).to(inputs.device)[..., None, None]
    lengths = (0.1 + 0.2 * drawn[:, 0]) * side
    rows, columns = grid(inputs)
    down = amplitude * (2 * math.pi * (rows / lengths[:, 0] + drawn[:, 1, 0])).sin()
    across = amplitude * (2 * math.pi * (columns / lengths[:, 1] + drawn[:, 1, 1])).sin()
    return framed(
        inputs, (rows + down).expand(-1, -1, columns.shape[2]), (columns + across).expand(-1, rows.shape[1], -1)
    )


def circular_motion_blur(inputs: Tensor, severity: int, draws: Draws) -> Tensor:
    """21 turned copies averaged, the middle ones weighing most; black beyond the border (Mintun et al., 2021).

    Published for CIFAR-10; larger images take the same severities. Nothing is random.

    Args:
        inputs: images in [0, 1], (N, C, H, W).
    """
    degrees = 1.5 * (2.8, 3.6, 4.4, 5.2, 6.0)[severity - 1]
    height, width = inputs.shape[-2:]
    # A cubic spline through the pixels; its coefficients are found by a filter that runs along each image.
    spline = ndimage.spline_filter1d(inputs.double().cpu().numpy(), axis=2, mode="mirror")
    spline = ndimage.spline_filter1d(spline, axis=3, mode="mirror").astype(np.float32)
    blurred = _turning(height, width, degrees) @ spline.reshape(-1, height * width).T
    return torch.from_numpy(blurred.T.copy()).view_as(inputs).to(inputs).clamp(0, 1)


@lru_cache(maxsize=5)
def _turning(height: int, width: int, degrees: float) -> sparse.csr_array:
    """The mean of the turned copies as a matrix, from a spline's coefficients to pixels, float32."""
    rows, columns = grid(torch.empty(height, width))
    down, across = rows - (height - 1) / 2, columns - (width - 1) / 2
    shown = np.arange(height * width)
    copies = np.arange(21) / 10 - 1
    shares = np.exp(-2 * copies**2)
    total = sparse.csr_array((height * width, height * width), dtype=np.float32)
    for copy, share in zip(copies, shares / shares.sum(), strict=True):
        sine, cosine = math.sin(math.radians(copy * degrees)), math.cos(math.radians(copy * degrees))
        row = cosine * down + sine * across + (height - 1) / 2
        column = cosine * across - sine * down + (width - 1) / 2
        inside = (row >= 0) & (row <= height - 1) & (column >= 0) & (column <= width - 1)
        taps = [
            (at_row * width + at_column, row_weight * column_weight * inside * share)
            for at_row, row_weight in cubic_taps(row.clamp(0, height - 1), height)
            for at_column, column_weight in cubic_taps(column.clamp(0, width - 1), width)
        ]
        places = torch.stack([place for place, _ in taps]).flatten().numpy()
        weights = torch.stack([weight for _, weight in taps]).flatten().float().numpy()
        total = total + sparse.csr_array((weights, (np.tile(shown, len(taps)), places)), shape=total.shape)
    return total


def transverse_chromatic_aberration(inputs: Tensor, severity: int, draws: Draws) -> Tensor:
    """Channels magnified about the middle: one not at all, one by half of it, one fully (Mintun et al., 2021).

    Published for CIFAR-10; larger images take the same severities. Which channel is which is drawn, the same for all
    severities. As published, the cubic spline is taken for the pixels themselves, which blurs all channels. A grey image
    is magnified as its red channel would be.

    Args:
        inputs: images in [0, 1], (N, C, H, W).
    """
    stretch = 0.05 * (1.0, 2.0, 5.0, 9.0, 10.0)[severity - 1]
    order = draws.uniform("transverse_chromatic_aberration", 0, None, (3,)).argsort(1)[:, : inputs.shape[1]]
    parts = [_magnified(inputs, 1 + part * stretch / 2) for part in range(3)]
    choice = order[:, :, None, None].to(inputs.device)
    return torch.where(choice == 0, parts[0], torch.where(choice == 1, parts[1], parts[2])).clamp(0, 1)


def _magnified(inputs: Tensor, factor: float) -> Tensor:
    """The middle of images enlarged by a cubic B-spline with the pixels for coefficients, its corners on their corners."""
    for axis in (2, 3):
        size = inputs.shape[axis]
        larger = round(size * factor)
        first = (larger - size) // 2
        places = torch.arange(first, first + size, dtype=torch.float64, device=inputs.device)
        places = places * ((size - 1) / (larger - 1))
        shape = [1, 1, 1, 1]
        shape[axis] = size
        total = torch.zeros_like(inputs)
        for at, weight in cubic_taps(places, size):
            total += inputs.index_select(axis, at).mul_(weight.view(shape).to(inputs))
        inputs = total
    return inputs
