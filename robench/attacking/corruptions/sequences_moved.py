"""Perturbation sequences that move the image (Hendrycks & Dietterich, 2019): translate, rotate, tilt, scale, shear.

ImageNet-P moves a photograph of 256 pixels a side and shows the middle 224; what is not there is black. Here only the middle
is at hand. So the 16 pixels around it (a fourteenth of a side) are the image mirrored, in place of what the photograph showed
there, and beyond them it is black, as published: when scaled to 40 %, most of the frame is black there too. CIFAR-10-P moves
the images themselves: small images have black beyond their border at once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from robench.attacking.corruptions.resampling import bilinear, grid, mirrored
from robench.attacking.corruptions.severities import is_small
from robench.attacking.draws import Draws

_Matrix = Sequence[Sequence[float]]
_LENGTH = 31


def translate(inputs: Tensor, draws: Draws) -> Tensor:
    """Moved to the right by a pixel a frame, from -20 to 20 pixels (small images: -7 to 8)."""
    first, count = (-7, 16) if is_small(inputs) else (-20, 41)
    wide, top, left = _surrounded(inputs)
    room = max(-first, first + count - 1)
    wide = torch.nn.functional.pad(wide, (room, room))
    height, width = inputs.shape[-2:]
    starts = [room + left - first - frame for frame in range(count)]
    return torch.stack([wide[:, :, top : top + height, start : start + width] for start in starts], 1)


def rotate(inputs: Tensor, draws: Draws) -> Tensor:
    """Turned clockwise about its middle by a degree a frame, from -15 to 15 degrees."""
    turns = [math.radians(frame - 15) for frame in range(_LENGTH)]
    matrices: list[_Matrix] = [
        ((math.cos(turn), math.sin(turn), 0), (-math.sin(turn), math.cos(turn), 0), (0, 0, 1)) for turn in turns
    ]
    return _stack(_moved(inputs, matrices))


def scale(inputs: Tensor, draws: Draws) -> Tensor:
    """Scaled about its middle from 40 % to 115 % (small images: 70 % to 130 %)."""
    first, step = (0.7, 0.02) if is_small(inputs) else (0.4, 0.025)
    return _stack(zooms(inputs, [first + step * frame for frame in range(_LENGTH)]))


def shear(inputs: Tensor, draws: Draws) -> Tensor:
    """Sheared along its rows by a degree a frame, from -15 to 15 degrees, as torchvision's transform shears."""
    slopes = [math.tan(math.radians(frame - 15)) for frame in range(_LENGTH)]
    return _stack(_moved(inputs, [((1, slope, 0), (0, 1, 0), (0, 0, 1)) for slope in slopes]))


def tilt(inputs: Tensor, draws: Draws) -> Tensor:
    """Turned in space about both its axes by a degree a frame, from -15 to 15 degrees (small images: three quarters of it).

    The eye is as far away as the image's diagonal; as published, one pixel farther, so that the middle frame is a little
    smaller than the image, and the axes lie half a pixel off its middle.
    """
    step = 0.75 if is_small(inputs) else 1.0
    canvas = _surrounded(inputs)[0]
    far = math.hypot(*canvas.shape[-2:])
    matrices = []
    for frame in range(_LENGTH):
        cosine, sine = math.cos(math.radians(step * (frame - 15))), math.sin(math.radians(step * (frame - 15)))
        shown = torch.tensor(
            [
                [far * cosine, 0, -far * sine],
                [-far * sine * sine, far * cosine, -far * sine * cosine],
                [cosine * sine, sine, cosine * cosine + far],
            ],
            dtype=torch.float64,
        )
        matrices.append(shown.inverse().tolist())
    return _stack(_moved(inputs, matrices, 0.5))


def zooms(inputs: Tensor, factors: list[float]) -> Iterator[Tensor]:
    """The image scaled about its middle, (N, C, H, W) for each factor."""
    return _moved(inputs, [((1 / factor, 0, 0), (0, 1 / factor, 0), (0, 0, 1)) for factor in factors])


def _moved(inputs: Tensor, matrices: Sequence[_Matrix], off: float = 0) -> Iterator[Tensor]:
    """The image seen through each projection, bilinear.

    Args:
        inputs: (N, C, H, W).
        matrices: from (x, y, 1) where a pixel is shown to (x, y, 1) where it comes from, about the middle, in pixels.
        off: how far right of and below the middle they are about, in pixels.
    """
    canvas, top, left = _surrounded(inputs)
    rows, columns = grid(inputs)
    middle_row, middle_column = (canvas.shape[-2] - 1) / 2 + off, (canvas.shape[-1] - 1) / 2 + off
    y, x = rows + top - middle_row, columns + left - middle_column
    for matrix in matrices:
        across, down, depth = (a * x + b * y + c for a, b, c in matrix)
        row, column = down / depth + middle_row, across / depth + middle_column
        inside = (row >= -0.5) & (row < canvas.shape[-2] - 0.5) & (column >= -0.5) & (column < canvas.shape[-1] - 0.5)
        yield bilinear(canvas, row, column) * inside


def _surrounded(inputs: Tensor) -> tuple[Tensor, int, int]:
    """Images with what lies around them, and how many rows and columns of that are on each side."""
    top, left = _margin(inputs, 2), _margin(inputs, 3)
    for axis, margin in ((2, top), (3, left)):
        size = inputs.shape[axis]
        inputs = inputs.index_select(axis, mirrored(torch.arange(-margin, size + margin, device=inputs.device), size))
    return inputs, top, left


def _margin(inputs: Tensor, axis: int) -> int:
    return 0 if is_small(inputs) else round(inputs.shape[axis] / 14)


def _stack(frames: Iterator[Tensor]) -> Tensor:
    return torch.stack(list(frames), 1)
