"""Weather corruptions: snow, frost, fog, brightness, and spatter of water or mud.

What falls on an image is made on the CPU, of the same numbers for every severity and device; it is mixed where the image is.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from robench.attacking.corruptions.fractals import plasma
from robench.attacking.corruptions.frosting import TEXTURES, texture
from robench.attacking.corruptions.layers import enlarged, grey
from robench.attacking.corruptions.motion import motion
from robench.attacking.corruptions.severities import is_small, severe
from robench.attacking.corruptions.splashes import splash
from robench.attacking.draws import Draws

WATER, MUD = (175, 238, 238), (63, 42, 20)
"""Pale turquoise and brown, in grey levels."""
SMALL_FROST = 5
"""Small images are shown frost that is smaller by this factor, every fifth pixel of it, as published."""


def snow(inputs: Tensor, severity: int, draws: Draws) -> Tensor:
    """Flakes that fall at an angle, over an image paler than it was (Hendrycks & Dietterich, 2019).

    A layer of noise is enlarged, cut off below, blurred along an angle from -135 to -45 degrees, and added together with
    itself turned upside down. The motion blur needs no ImageMagick; images that are not square are enlarged by axis.

    Args:
        inputs: images in [0, 1], (N, C, H, W).
    """
    mean, deviation, zoom, threshold, radius, sigma, kept = severe(
        inputs,
        severity,
        (
            (0.1, 0.3, 3.0, 0.5, 10, 4.0, 0.8),
            (0.2, 0.3, 2.0, 0.5, 12, 4.0, 0.7),
            (0.55, 0.3, 4.0, 0.9, 12, 8.0, 0.7),
            (0.55, 0.3, 4.5, 0.85, 12, 8.0, 0.65),
            (0.55, 0.3, 2.5, 0.85, 12, 12.0, 0.55),
        ),
        (
            (0.1, 0.2, 1.0, 0.6, 8, 3.0, 0.95),
            (0.1, 0.2, 1.0, 0.5, 10, 4.0, 0.9),
            (0.15, 0.3, 1.75, 0.55, 10, 4.0, 0.9),
            (0.25, 0.3, 2.25, 0.6, 12, 6.0, 0.85),
            (0.3, 0.3, 1.25, 0.65, 14, 12.0, 0.8),
        ),
    )
    height, width = inputs.shape[2:]
    seeds = draws.bulk_normal("snow", 0, (math.ceil(height / zoom), math.ceil(width / zoom)))
    layer = enlarged(enlarged(seeds.mul_(deviation).add_(mean), zoom, height, 1), zoom, width, 2)
    layer = layer.where(layer >= threshold, layer.new_zeros(())).clamp_(0, 1)
    angles = -135 + 90 * draws.uniform("snow/angle", 0, None, ())
    # The published code passes 8-bit layers to and from the blur: the first is truncated, the second rounded.
    layer = motion(layer.mul_(255).floor_(), radius, sigma, angles).round_().div_(255)
    layer = (layer + layer.flip(1, 2)).to(inputs)[:, None]
    paler = torch.maximum(inputs, grey(inputs) * 1.5 + 0.5)
    return (kept * inputs + (1 - kept) * paler + layer).clamp_(0, 1)


def frost(inputs: Tensor, severity: int, draws: Draws) -> Tensor:
    """Frost on a window between the eye and the image (Hendrycks & Dietterich, 2019).

    The published corruption adds a piece of one of five photographs. These textures are procedural, with brightness, contrast
    and spectrum like theirs: accuracies are near those on the published images, not equal to them (`frosting.PROCEDURAL`).

    Args:
        inputs: images in [0, 1], (N, C, H, W); grey ones are given grey frost.
    """
    kept, added = severe(
        inputs,
        severity,
        ((1.0, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75)),
        ((1.0, 0.2), (1.0, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45)),
    )
    height, width = inputs.shape[2:]
    step = SMALL_FROST if is_small(inputs) else 1
    pieces = torch.empty((len(inputs), 3, height, width), dtype=torch.uint8)
    for piece, (which, top, left) in zip(pieces, draws.uniform("frost", 0, None, (3,)).tolist(), strict=True):
        chosen = texture(int(which * TEXTURES))[:, ::step, ::step]
        # Textures are periodic: a piece may start anywhere and have any size.
        rows = (int(top * chosen.shape[1]) + torch.arange(height)) % chosen.shape[1]
        columns = (int(left * chosen.shape[2]) + torch.arange(width)) % chosen.shape[2]
        torch.index_select(chosen.index_select(1, rows), 2, columns, out=piece)
    over = pieces.to(inputs.device).to(inputs.dtype).div_(255)
    if inputs.shape[1] == 1:
        over = grey(over)
    return over.mul_(added).add_(inputs, alpha=kept).clamp_(0, 1)


def fog(inputs: Tensor, severity: int, draws: Draws) -> Tensor:
    """Clouds of a plasma fractal, mixed so that the brightest value stays (Hendrycks & Dietterich, 2019).

    Fractals have 256 pixels a side, 32 for small images, or the next power of two where an image is larger, and are cropped.

    Args:
        inputs: images in [0, 1], (N, C, H, W).
    """
    amount, decay = severe(
        inputs,
        severity,
        ((1.5, 2.0), (2.0, 2.0), (2.5, 1.7), (2.5, 1.5), (3.0, 1.4)),
        ((0.2, 3.0), (0.5, 3.0), (0.75, 2.5), (1.0, 2.0), (1.5, 1.75)),
    )
    height, width = inputs.shape[2:]
    side = max(32 if is_small(inputs) else 256, 2 ** math.ceil(math.log2(max(height, width))))
    numbers = draws.bulk_uniform("fog", 0, (side * side,)).numpy()
    clouds = torch.from_numpy(plasma(numbers, decay)[:, None, :height, :width]).to(inputs)
    brightest = inputs.amax((1, 2, 3), keepdim=True)
    return torch.add(inputs, clouds, alpha=amount).mul_(brightest / (brightest + amount)).clamp_(0, 1)


def brightness(inputs: Tensor, severity: int, draws: Draws) -> Tensor:
    """The value (the largest channel, as in HSV) raised, hue and saturation kept (Hendrycks & Dietterich, 2019).

    Args:
        inputs: images in [0, 1], (N, C, H, W).
    """
    more = severe(inputs, severity, (0.1, 0.2, 0.3, 0.4, 0.5), (0.05, 0.1, 0.15, 0.2, 0.3))
    value = inputs.amax(1, keepdim=True)
    raised = (value + more).clamp_max(1)
    # Channels keep their ratio to the largest one; a black pixel has no hue and becomes grey.
    return (inputs * (raised / value)).where(value > 0, raised).clamp_(0, 1)


def spatter(inputs: Tensor, severity: int, draws: Draws) -> Tensor:
    """Drops on the lens: water up to severity 3, mud above (Hendrycks & Dietterich, 2019).

    Smoothed noise above a threshold is liquid. Water brightens where `splash` says; mud covers. An image without a drop, which
    the published code divides by zero for, stays as it is.

    Args:
        inputs: images in [0, 1], (N, C, H, W); on grey ones the liquid is grey.
    """
    mean, deviation, sigma, threshold, strength, muddy = severe(
        inputs,
        severity,
        (
            (0.65, 0.3, 4.0, 0.69, 0.6, False),
            (0.65, 0.3, 3.0, 0.68, 0.6, False),
            (0.65, 0.3, 2.0, 0.68, 0.5, False),
            (0.65, 0.3, 1.0, 0.65, 1.5, True),
            (0.67, 0.4, 1.0, 0.65, 1.5, True),
        ),
        (
            (0.62, 0.1, 0.7, 0.7, 0.5, False),
            (0.65, 0.1, 0.8, 0.7, 0.5, False),
            (0.65, 0.3, 1.0, 0.69, 0.5, False),
            (0.65, 0.1, 0.7, 0.69, 0.6, True),
            (0.65, 0.1, 0.5, 0.68, 0.6, True),
        ),
    )
    layers = draws.bulk_normal("spatter", 0, inputs.shape[2:]).mul_(deviation).add_(mean).numpy()
    for layer in layers:
        liquid = ndimage.gaussian_filter(layer, sigma, mode="nearest", truncate=4)
        if muddy:
            cover = ndimage.gaussian_filter(
                (liquid > threshold).astype(np.float32), strength, mode="nearest", truncate=4
            )
            layer[:] = np.where(cover < 0.8, 0, cover)
        else:
            layer[:] = splash(np.where(liquid < threshold, 0, liquid.clip(0, 1) * 255).astype(np.uint8)) * strength
    cover = torch.from_numpy(layers[:, None]).to(inputs)
    colour = inputs.new_tensor(MUD if muddy else WATER).reshape(1, 3, 1, 1) / 255
    if inputs.shape[1] == 1:
        colour = grey(colour)
    return ((inputs * (1 - cover) if muddy else inputs) + cover * colour).clamp_(0, 1)
