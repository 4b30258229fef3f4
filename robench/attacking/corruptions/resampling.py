"""Pixels read between pixels: bilinear, cubic, and the smoothing that goes with them, alike for every image of a batch."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor


def grid(inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Row and column numbers of an image's pixels, float64, (1, H, 1) and (1, 1, W)."""
    height, width = inputs.shape[-2:]
    rows = torch.arange(height, dtype=torch.float64, device=inputs.device)
    columns = torch.arange(width, dtype=torch.float64, device=inputs.device)
    return rows[None, :, None], columns[None, None, :]


def angle(side: Tensor, along: Tensor) -> Tensor:
    """Direction of (along, side) in radians, from -pi to pi, bitwise the same wherever it stands in a tensor."""
    turned = (side / along).nan_to_num(0).atan()
    return turned + torch.where(along < 0, torch.where(side < 0, -math.pi, math.pi), 0.0)


def bilinear(inputs: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Images at places between pixels; beyond the border the pixel at the border counts.

    Whole places give the pixel itself, exactly.

    Args:
        inputs: (N, C, H, W).
        rows: places in pixels, float64, (N, h, w), or (1, h, w) for all images alike.
        columns: likewise.

    Returns:
        (N, C, h, w).
    """
    height, width = inputs.shape[-2:]
    above, down = _split(rows, height)
    left, right = _split(columns, width)
    below, beside = (above + 1).clamp_max(height - 1), (left + 1).clamp_max(width - 1)
    down, right = down[:, None].to(inputs), right[:, None].to(inputs)
    upper = _mixed(pixels(inputs, above * width + left), pixels(inputs, above * width + beside), right)
    lower = _mixed(pixels(inputs, below * width + left), pixels(inputs, below * width + beside), right)
    return _mixed(upper, lower, down)


def framed(inputs: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """As `bilinear`, but black beyond the border."""
    return bilinear(F.pad(inputs, (1, 1, 1, 1)), rows + 1, columns + 1)


def pixels(inputs: Tensor, places: Tensor) -> Tensor:
    """Pixels by their number, row by row: (N, C, H, W) at (N or 1, h, w) -> (N, C, h, w)."""
    index = places.flatten(1)[:, None].expand(len(inputs), inputs.shape[1], -1)
    return inputs.flatten(2).gather(2, index).reshape(*inputs.shape[:2], *places.shape[1:])


def mirrored(places: Tensor, size: int) -> Tensor:
    """Whole places beyond the border mirrored at the pixels there (which are not repeated), as often as it takes."""
    period = 2 * (size - 1)
    inside = places.remainder(period)
    return torch.minimum(inside, period - inside)


def cubic_taps(places: Tensor, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """(whole place, weight) of the four values of a cubic B-spline, mirrored at the border.

    Args:
        places: places within [0, size - 1], in pixels, float64.
        size: of that axis.
    """
    first = places.floor()
    part = places - first
    rest = 1 - part
    weights = (
        rest * rest * rest / 6,
        2 / 3 - part * part * (2 - part) / 2,
        2 / 3 - rest * rest * (2 - rest) / 2,
        part * part * part / 6,
    )
    for offset, weight in zip((-1, 0, 1, 2), weights, strict=True):
        yield mirrored(first.long() + offset, size), weight


def smoothed(inputs: Tensor, kernel: list[float], mode: str) -> Tensor:
    """Images convolved along rows and columns with a symmetric kernel of odd length.

    A sum of shifted images and no convolution of a library, which may add in another order in another batch.

    Args:
        inputs: (N, C, H, W).
        kernel: weights.
        mode: what lies beyond the border: "edge" (the pixel there) or "symmetric" (mirrored, the pixel there repeated).
    """
    reach = len(kernel) // 2
    for axis in (-2, -1):
        size = inputs.shape[axis]
        places = torch.arange(-reach, size + reach, device=inputs.device)
        if mode == "edge":
            places = places.clamp(0, size - 1)
        else:
            places = places.remainder(2 * size)
            places = torch.minimum(places, 2 * size - 1 - places)
        wide = inputs.index_select(axis, places)
        total = wide.narrow(axis, reach, size) * kernel[reach]
        for offset in range(1, reach + 1):
            pair = wide.narrow(axis, reach - offset, size) + wide.narrow(axis, reach + offset, size)
            total += pair.mul_(kernel[reach + offset])
        inputs = total
    return inputs


def bell(deviation: float, reach: int) -> Tensor:
    """A Gaussian at the whole numbers from -reach to reach, float64; it sums to 1."""
    offsets = torch.arange(-reach, reach + 1, dtype=torch.float64)
    weights = torch.exp(-offsets.square() / (2 * deviation**2))
    return weights / weights.sum()


def _split(places: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Places within the image as whole places and what remains of them."""
    inside = places.clamp(0, size - 1)
    whole = inside.floor()
    return whole.long(), inside - whole


def _mixed(start: Tensor, end: Tensor, share: Tensor) -> Tensor:
    return (end - start).mul_(share).add_(start)
