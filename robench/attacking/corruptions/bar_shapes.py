"""Shapes of ImageNet-C-bar and CIFAR-10-C-bar (Mintun, Kirillov & Xie, 2021): squares, lines and sparkles.

Lengths are shares of the shorter side, so the definitions hold at any size; images that are not square are new here.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from robench.attacking.corruptions.resampling import angle, grid
from robench.attacking.corruptions.severities import severe
from robench.attacking.draws import Draws

_MOST_RAYS = 199


def checkerboard_cutout(inputs: Tensor, severity: int, draws: Draws) -> Tensor:
    """A share of the black fields of a turned chessboard made grey (Mintun et al., 2021).

    The same board serves all severities: a field that is grey at one stays grey at the next.

    Args:
        inputs: images in [0, 1], (N, C, H, W).
    """
    share = severe(inputs, severity, (0.2, 0.3, 0.4, 0.5, 0.6), (0.1, 0.2, 0.3, 0.4, 0.5))
    height, width = inputs.shape[-2:]
    side = min(height, width)
    drawn = draws.uniform("checkerboard_cutout", 0, None, (2,)).to(inputs.device)[:, :, None, None]
    turn = 2 * math.pi * drawn[:, 0]
    field = ((0.1 + 0.15 * drawn[:, 1]) * side).clamp_min(1)
    rows, columns = grid(inputs)
    down = ((turn.cos() * rows + turn.sin() * columns) / field).floor().long()
    across = ((turn.cos() * columns - turn.sin() * rows) / field).floor().long()
    reach = math.ceil((height + width) / max(0.1 * side, 1))
    board = draws.uniform("checkerboard_cutout", 1, None, (2 * reach + 1, 2 * reach + 1)).to(inputs.device)
    number = (down + reach) * (2 * reach + 1) + across + reach
    chosen = board.flatten(1).gather(1, number.flatten(1)).view_as(number) < share
    return inputs.masked_fill((chosen & ((down + across) % 2 == 0))[:, None], 128 / 255)


def lines(inputs: Tensor, severity: int, draws: Draws) -> Tensor:
    """Grey lines a pixel wide at about one angle, drawn over the image (Mintun et al., 2021).

    Published for CIFAR-10; larger images take the same severities. The first lines of one severity are those of the one
    before. Pixels are covered in proportion to their distance from the line, and not cut off to 8 bits line by line.

    Args:
        inputs: images in [0, 1], (N, C, H, W).
    """
    density = (0.05, 0.1, 0.15, 0.2, 0.25)[severity - 1]
    height, width = inputs.shape[-2:]
    length = min(height, width)
    count = int(density * length)
    drawn = draws.uniform("lines", 0, None, (2,)).to(inputs.device)[:, :, None, None]
    each = draws.uniform("lines", 1, None, (max(count, 1), 3)).to(inputs.device)[..., None, None]
    spread = 0.1 + 0.9 * drawn[:, 1]
    rows, columns = grid(inputs)
    kept = torch.ones(len(inputs), height, width, dtype=torch.float64, device=inputs.device)
    for line in range(count):
        # The published code hands (x, y) to a function of (row, column): its x runs down.
        middle_down, middle_across, part = each[:, line].unbind(1)
        turn = 2 * math.pi * (drawn[:, 0] + spread * (part - 0.5))
        sine, cosine = turn.sin(), turn.cos()
        ends = [
            (
                (middle_down * height + sign * cosine * length).trunc(),
                (middle_across * width + sign * sine * length).trunc(),
            )
            for sign in (-1, 1)
        ]
        kept *= 1 - _stroke(rows, columns, ends[0], ends[1])
    kept = kept[:, None].to(inputs)
    return inputs * kept + (1 - kept) * (128 / 255)


def _stroke(rows: Tensor, columns: Tensor, start: tuple[Tensor, Tensor], end: tuple[Tensor, Tensor]) -> Tensor:
    """How far each pixel is covered by a line a pixel wide: 1 less its distance from the line, if it is beside it."""
    down, across = end[0] - start[0], end[1] - start[1]
    length = (down * down + across * across).sqrt().clamp_min(1)
    beside = ((rows - start[0]) * across - (columns - start[1]) * down).abs() / length
    along = ((rows - start[0]) * down + (columns - start[1]) * across) / length
    return (1 - beside).clamp_min(0) * ((along > -0.5) & (along < length + 0.5))


def sparkles(inputs: Tensor, severity: int, draws: Draws) -> Tensor:
    """Five white stars with 50 to 199 rays each (Mintun et al., 2021).

    The same stars serve all severities, larger ones.

    Args:
        inputs: images in [0, 1], (N, C, H, W).
    """
    strength = severe(inputs, severity, (1.0, 2.0, 3.0, 5.0, 6.0), (0.7, 3.5, 5.6, 6.3, 7.0))
    height, width = inputs.shape[-2:]
    drawn = draws.uniform("sparkles", 0, None, (5, 3)).to(inputs.device)
    rays = draws.normal("sparkles", 1, None, (5, _MOST_RAYS)).to(inputs.device)
    radius = 0.01 * strength * min(height, width)
    sizes = (radius + 0.25 * radius * rays).clamp_min(1)
    white = 1 - inputs
    for star in range(5):
        centre = drawn[:, star, :2] * torch.tensor([height, width], device=inputs.device)
        count = (50 + 150 * drawn[:, star, 2]).floor().long()
        white = white * (1 - _star(inputs, centre, count, sizes[:, star], 1.0))
    return (1 - white).clamp(0, 1)


def inverse_sparkles(inputs: Tensor, severity: int, draws: Draws) -> Tensor:
    """All white but a star around the middle, whose rays get steeper (Mintun et al., 2021).

    The same star serves all severities.

    Args:
        inputs: images in [0, 1], (N, C, H, W).
    """
    strength = severe(inputs, severity, (1.0, 2.0, 4.0, 9.0, 10.0), (1.0, 1.5, 2.5, 4.5, 5.0))
    height, width = inputs.shape[-2:]
    drawn = draws.uniform("inverse_sparkles", 0, None, (3,)).to(inputs.device)
    rays = draws.normal("inverse_sparkles", 1, None, (_MOST_RAYS,)).to(inputs.device)
    centre = (0.25 + 0.5 * drawn[:, :2]) * torch.tensor([height, width], device=inputs.device)
    count = (50 + 150 * drawn[:, 2]).floor().long()
    size = 0.25 * min(height, width) * (1 + 0.25 * rays)
    star = _star(inputs, centre, count, size, 0.13 * strength)
    return (1 - star * (1 - inputs)).clamp(0, 1)


def _star(inputs: Tensor, centre: Tensor, count: Tensor, sizes: Tensor, steepness: float) -> Tensor:
    """Brightness of a star, float, (N, 1, H, W) in [0, 1].

    It falls with the distance as (ray / distance)^(2 steepness), and within each ray towards its edges.

    Args:
        inputs: images whose shape it has.
        centre: row and column, (N, 2).
        count: number of rays, (N,).
        sizes: their lengths in pixels, the first `count` count, (N, _MOST_RAYS).
        steepness: exponent of the squared ratio.
    """
    rows, columns = grid(inputs)
    down, across = rows - centre[:, 0, None, None], columns - centre[:, 1, None, None]
    squared = down * down + across * across
    rays = count[:, None, None]
    turn = (angle(across, down) + math.pi) / (2 * math.pi) * rays
    ray = turn.floor()
    part = turn - ray
    number = ray.long() % rays
    this = sizes.gather(1, number.flatten(1)).view_as(turn)
    following = sizes.gather(1, ((number + 1) % rays).flatten(1)).view_as(turn)
    size = this + part * (following - this)
    # exp of a multiple of log and not a power, whose last bits depend on a pixel's place in the batch.
    reach = ((size * size / (squared + 1e-4)).log() * steepness).exp()
    return (reach * (1 - (part - 0.5) * (part - 0.5))).clamp(0, 1)[:, None].to(inputs)
