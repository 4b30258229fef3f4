"""Plasma fractals: the clouds of fog."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def plasma(numbers: NDArray[np.float32], decay: float) -> NDArray[np.float32]:
    """Periodic height maps by the diamond-square algorithm (Fournier, Fussell & Carpenter, 1982), each scaled to [0, 1].

    Args:
        numbers: uniform on [0, 1), (N, side²) where side is a power of two; the first of each is not used.
        decay: what the deviation's root is divided by at each halving of the grid, as published: larger is smoother.

    Returns:
        (N, side, side).
    """
    images, side = len(numbers), int(round(numbers.shape[1] ** 0.5))
    heights = np.zeros((images, 1, 1), dtype=np.float32)
    amplitude = np.float32(1)
    while (count := heights.shape[1]) < side:
        dealt = numbers[:, count**2 : 4 * count**2].reshape(images, 3, count, count)
        centre, above, beside = np.moveaxis((dealt * 2 - 1) * amplitude, 1, 0)
        down, right = heights + np.roll(heights, -1, 1), heights + np.roll(heights, -1, 2)
        centre += (down + np.roll(down, -1, 2)) / 4  # the mean of the square's corners
        above += (right + centre + np.roll(centre, 1, 1)) / 4  # and of each diamond's
        beside += (down + centre + np.roll(centre, 1, 2)) / 4
        finer = np.empty((images, count, 2, count, 2), dtype=np.float32)
        finer[:, :, 0, :, 0], finer[:, :, 1, :, 1] = heights, centre
        finer[:, :, 0, :, 1], finer[:, :, 1, :, 0] = above, beside
        heights = finer.reshape(images, 2 * count, 2 * count)
        amplitude /= np.float32(decay**2)
    heights = heights - heights.min((1, 2), keepdims=True)
    scaled: NDArray[np.float32] = heights / heights.max((1, 2), keepdims=True)
    return scaled
