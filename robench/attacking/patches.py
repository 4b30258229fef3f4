"""Patches: the part of an image that a patch threat may touch. The grid belongs to the threat, not to the model."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from robench.attacking.draws import Draws
from robench.errors import UsageError


def patch_side(shape: torch.Size | tuple[int, ...], patch: int | None) -> int:
    """Side of a patch in pixels: a fourteenth of the image's height where none is given, as of 224 pixels 16."""
    return patch or max(1, round(shape[-2] / 14))


def masks_of(draws: Draws, shape: torch.Size | tuple[int, ...], options: dict[str, Any]) -> Tensor:
    """The pixels that a threat confined to patches may touch, bool, (N, T, 1, H, W); T is 1 but for several shared masks.

    Args:
        shape: of a batch of images, (N, C, H, W).
        options: of the attack: share and patch, and perhaps masks.

    Example:
        >>> masks_of(Draws(0, ["a", "b"]), (2, 1, 8, 8), {"patch": 2, "share": 0.25, "masks": 5}).shape
        torch.Size([2, 5, 1, 8, 8])
    """
    several = options.get("masks")
    if several is None:
        return patch_mask(draws, shape, options["patch"], options["share"])[:, None]
    shared = draws.shared([f"mask {number}" for number in range(several)])
    return patch_mask(shared, (several, *shape[1:]), options["patch"], options["share"])[None].expand(
        shape[0], -1, -1, -1, -1
    )


def patch_mask(draws: Draws, shape: torch.Size | tuple[int, ...], patch: int | None, share: float) -> Tensor:
    """For each image the same share of the patches of its grid, chosen at random: bool, (N, 1, H, W).

    The choice depends on the image and the seed alone, so that every patch threat touches the same patches. The count is
    rounded, and at least one: `realised_share` says what became of the share. Patches at the lower and right edges may
    be cut off.

    Args:
        shape: of a batch of images, (N, C, H, W).
        share: of the patches, in (0, 1].

    Example:
        >>> patch_mask(Draws(0, ["a"]), (1, 1, 8, 8), 2, 0.25).sum()
        tensor(16)
    """
    if len(shape) != 4:
        raise UsageError(f"patches are cut out of images, (N, C, H, W), but the inputs are of shape {tuple(shape)}")
    height, width = shape[-2:]
    side = patch_side(shape, patch)
    if side > min(height, width):
        raise UsageError(f"patch={side} is larger than an image of {height} x {width} pixels; give a smaller one")
    down, across = -(-height // side), -(-width // side)
    scores = draws.uniform("mask", 0, None, (down * across,))
    chosen = scores.argsort(1)[:, : chosen_count(down * across, share)]
    grid = torch.zeros_like(scores, dtype=torch.bool).scatter(1, chosen, True).view(-1, 1, down, across)
    return grid.repeat_interleave(side, 2).repeat_interleave(side, 3)[..., :height, :width]


def chosen_count(patches: int, share: float) -> int:
    """How many of so many patches a share is."""
    return max(1, round(share * patches))


def realised_share(shape: torch.Size | tuple[int, ...], patch: int | None, share: float) -> float:
    """The share of the patches that is really touched: 10 % of 16 patches does not exist."""
    side = patch_side(shape, patch)
    patches = -(-shape[-2] // side) * -(-shape[-1] // side)
    return chosen_count(patches, share) / patches
