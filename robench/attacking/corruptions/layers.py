"""Layers of one value a pixel, as what falls on images is made of."""

from __future__ import annotations

import torch
from torch import Tensor

LUMA = (0.299, 0.587, 0.114)
"""How much red, green and blue add to grey."""


def grey(images: Tensor) -> Tensor:
    """(N, 1, H, W); grey images as they are."""
    if images.shape[1] == 1:
        return images
    return images[:, :1] * LUMA[0] + images[:, 1:2] * LUMA[1] + images[:, 2:] * LUMA[2]


def enlarged(layers: Tensor, zoom: float, size: int, axis: int) -> Tensor:
    """Linear interpolation from the first to the last of an axis, then the middle of it."""
    count = layers.shape[axis]
    found = round(count * zoom)
    places = (torch.arange(size) + (found - size) // 2).double() * ((count - 1) / max(found - 1, 1))
    lower = places.long().clamp_max(count - 1)
    shape = [-1 if other == axis else 1 for other in range(3)]
    share = (places - lower).to(layers).reshape(shape)
    first, second = layers.index_select(axis, lower), layers.index_select(axis, (lower + 1).clamp_max(count - 1))
    return first + share * (second - first)
