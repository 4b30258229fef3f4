"""Splashes of water: where drops lie on a lens and how bright they are.

The published corruption builds them of classical image operations on 8-bit pixels: Canny's edges, a chamfer distance to
them, an equalised histogram, a slanted filter. They are written here after their definitions, to the same rounding.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Number = TypeVar("Number", np.int16, np.float64)
Bytes = NDArray[np.uint8]
FAR = 20
"""Distances in pixels are cut off here."""
WEAK, STRONG = 50, 150
"""Canny's thresholds of the gradient."""


def splash(liquid: Bytes) -> NDArray[np.float32]:
    """Brightness of drops, in [0, 1] with the brightest at 1 (all 0 without a drop).

    Args:
        liquid: thickness of the water, 0 where there is none, (H, W).
    """
    if not liquid.any():
        return np.zeros(liquid.shape, dtype=np.float32)
    depth = (_box_sum(distances(edges(liquid)).astype(np.float64)) * (1 / 9)).astype(np.float32).astype(np.uint8)
    level = _equalised(depth).astype(np.int16)
    around = np.pad(level, 1, mode="reflect")
    # A filter that brightens towards the lower right: drops are lit from one side.
    lit = 2 * around[2:, 2:] + around[2:, 1:-1] + around[1:-1, 2:] + level - around[1:-1, :-2]
    lit -= around[:-2, 1:-1] + 2 * around[:-2, :-2]
    smooth = (_box_sum(lit.clip(0, 255)) + 4) // 9  # rounded
    bright = np.multiply(liquid, smooth, dtype=np.float32)
    shares: NDArray[np.float32] = bright / max(bright.max(), np.float32(1))
    return shares


def edges(image: Bytes) -> NDArray[np.bool_]:
    """Canny's edges (1986) with Sobel's 3 x 3 gradient in the sum norm, (H, W)."""
    height, width = image.shape
    padded = np.pad(image.astype(np.int16), 1, mode="edge")
    tall = padded[:-2] + 2 * padded[1:-1] + padded[2:]
    wide = padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]
    along = np.zeros((2, height + 2, width + 2), dtype=np.int16)
    along[0, 1:-1, 1:-1], along[1, 1:-1, 1:-1] = tall[:, 2:] - tall[:, :-2], wide[2:] - wide[:-2]
    slope_x, slope_y, steep = along[0].ravel(), along[1].ravel(), np.abs(along).sum(0, dtype=np.int16).ravel()
    places = np.flatnonzero(steep > WEAK)
    x, y = slope_x.take(places), slope_y.take(places)
    # The two neighbours across the edge, by the direction of the gradient in sectors of 45 degrees.
    flat = np.abs(y) < np.abs(x) * np.tan(np.pi / 8)
    upright = np.abs(y) > np.abs(x) * np.tan(3 * np.pi / 8)
    below = width + 2
    across = np.where(flat, 1, np.where(upright, below, np.where((x < 0) != (y < 0), below - 1, below + 1)))
    own, behind, ahead = steep.take(places), steep.take(places - across), steep.take(places + across)
    # Of two equal neighbours one must stay when they lie along an axis.
    kept = (own > behind) & ((own > ahead) | ((flat | upright) & (own == ahead)))
    places, own = places[kept], own[kept]
    thin = np.zeros((height + 2, width + 2), dtype=bool)
    thin.ravel()[places] = True
    weak = own <= STRONG
    if weak.any():  # these stay only where they lead to a strong one
        lines, count = ndimage.label(thin, np.ones((3, 3)))
        sure = np.zeros(count + 1, dtype=bool)
        sure[lines.take(places[~weak])] = True
        thin.ravel()[places[weak]] = sure[lines.take(places[weak])]
    return thin[1:-1, 1:-1]


def distances(marked: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Distance in pixels to the nearest marked pixel, at most 20, by the 5 x 5 chamfer metric (Borgefors, 1986), (H, W)."""
    ranks, values = _chamfer()
    # In a column first: steps of powers of two add up to any distance.
    near = np.where(marked, 0, FAR + 1).astype(np.uint8)
    for step in (1, 2, 4, 8, 16):
        far = near + np.uint8(step)
        near[step:] = np.minimum(near[step:], far[:-step])
        near[:-step] = np.minimum(near[:-step], far[step:])
    found = ranks[0].take(near)
    for across in range(1, min(FAR + 1, marked.shape[1])):
        if values[found.max()] <= across:
            break
        beside = np.full_like(near, FAR + 1)
        beside[:, across:] = near[:, :-across]
        np.minimum(beside[:, :-across], near[:, across:], out=beside[:, :-across])
        np.minimum(found, ranks[across].take(beside), out=found)
    pixels: NDArray[np.float32] = values.take(found)
    return pixels


@lru_cache
def _chamfer() -> tuple[Bytes, NDArray[np.float32]]:
    """Distances in order, and the place in that order by (columns, rows) away: a byte is quicker to compare."""
    long = np.maximum(*np.indices((FAR + 1, 256)))
    short = np.minimum(*np.indices((FAR + 1, 256)))
    # In 1/65536: a step along an axis costs 1, along a diagonal 1.4, a knight's move 2.1969.
    straight, diagonal, knight = 65536, 91750, 143976
    metric = np.where(
        2 * short <= long,
        short * knight + (long - 2 * short) * straight,
        (long - short) * knight + (2 * short - long) * diagonal,
    )
    values, ranks = np.unique(metric.clip(0, FAR * straight), return_inverse=True)
    return ranks.astype(np.uint8).reshape(metric.shape), (values / straight).astype(np.float32)


def _box_sum(field: NDArray[Number]) -> NDArray[Number]:
    """Sums over 3 x 3 pixels, borders mirrored."""
    around = np.pad(field, 1, mode="reflect")
    tall = around[:-2] + around[1:-1] + around[2:]
    sums: NDArray[Number] = tall[:, :-2] + tall[:, 1:-1] + tall[:, 2:]
    return sums


def _equalised(levels: Bytes) -> Bytes:
    """Levels spread evenly over 0 to 255 by how many pixels have less; the lowest becomes 0."""
    counts = np.bincount(levels.ravel(), minlength=256)
    lowest = int(levels.min())
    above = levels.size - int(counts[lowest])
    if not above:
        return levels
    share = (np.cumsum(counts) - counts[lowest]).clip(0) / above
    spread: Bytes = np.rint(share * 255).astype(np.uint8).take(levels)
    return spread
