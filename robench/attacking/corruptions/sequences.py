"""Perturbation sequences of ImageNet-P and CIFAR-10-P (Hendrycks & Dietterich, 2019): does a prediction flip from frame to frame?

Each is a function `(inputs, draws) -> frames` of float32 images in [0, 1], (N, C, H, W), to (N, T, C, H, W), not rounded, of
difficulty 1. Parameters are ImageNet-P's for large images and CIFAR-10-P's for small ones. Frames are as in memory, where
ImageNet-P is stored as video.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from robench.attacking.corruptions.layers import enlarged, grey
from robench.attacking.corruptions.motion import motion
from robench.attacking.corruptions.noise import counted, poisson
from robench.attacking.corruptions.resampling import bell, smoothed
from robench.attacking.corruptions.sequences_moved import rotate, scale, shear, tilt, translate, zooms
from robench.attacking.corruptions.severities import is_small
from robench.attacking.corruptions.splashes import splash
from robench.attacking.draws import Draws

LENGTH = 31
"""Frames of a sequence, but for translations and for motion blur of small images."""
WATER = (175 / 255, 238 / 255, 238 / 255)


def gaussian_noise(inputs: Tensor, draws: Draws) -> Tensor:
    """The image, and 30 times other normal noise on every pixel and channel."""
    deviation = 0.02 if is_small(inputs) else 0.03
    noise = (
        draws.bulk_normal("gaussian_noise frames", frame, inputs.shape[1:]).to(inputs) for frame in range(1, LENGTH)
    )
    return _film([inputs, *((inputs + each * deviation).clamp_(0, 1) for each in noise)])


def shot_noise(inputs: Tensor, draws: Draws) -> Tensor:
    """The image, and 30 times photons counted anew on every pixel and channel: Poisson, of mean pixel times rate.

    Args:
        inputs: images of 256 grey levels (others are rounded to them).
        draws: random numbers.
    """
    rate = 700 if is_small(inputs) else 300
    below, first = (table.to(inputs.device) for table in poisson(rate))
    frames = [inputs]
    for frame in range(1, LENGTH):
        uniform = draws.bulk_uniform("shot_noise frames", frame, inputs.shape[1:]).to(inputs)
        # Image by image, because its numbers then stay in the processor's cache.
        frames.append(torch.stack([counted(*pair, below, first) for pair in zip(inputs, uniform, strict=True)]))
    return _film(frames)


def speckle_noise(inputs: Tensor, draws: Draws) -> Tensor:
    """The image, and 30 times other normal noise in proportion to the pixel."""
    noise = (
        draws.bulk_normal("speckle_noise frames", frame, inputs.shape[1:]).to(inputs) for frame in range(1, LENGTH)
    )
    return _film([inputs, *((inputs + inputs * each * 0.05).clamp_(0, 1) for each in noise)])


def motion_blur(inputs: Tensor, draws: Draws) -> Tensor:
    """Blurred along an angle that turns from -120 to 0 degrees (small images: -180 to 0). Without ImageMagick."""
    radius, sigma, step, count = (6, 1.8, 9, 21) if is_small(inputs) else (10, 3.0, 4, 31)
    layers = inputs.flatten(0, 1).cpu()
    return _film(
        [
            motion(layers, radius, sigma, torch.full((len(layers),), step * (frame + 1.0 - count))).view_as(inputs)
            for frame in range(count)
        ]
    ).to(inputs)


def zoom_blur(inputs: Tensor, draws: Draws) -> Tensor:
    """Means of ever more copies, each larger than the one before by 0.4 % of the image."""
    total = torch.zeros_like(inputs)
    frames = []
    for frame, larger in enumerate(zooms(inputs, [1 + 0.004 * frame for frame in range(LENGTH)])):
        total = total + larger
        frames.append(total / (frame + 1))
    return _film(frames)


def snow(inputs: Tensor, draws: Draws) -> Tensor:
    """Flakes whose streaks turn from -150 to -30 degrees, over a paler image; the flakes stay where they are."""
    zoom, radius, sigma = (2, 10, 2.0) if is_small(inputs) else (3, 14, 4.0)
    height, width = inputs.shape[-2:]
    seeds = draws.bulk_normal("snow frames", 0, (math.ceil(height / zoom), math.ceil(width / zoom))) * 0.3 + 0.05
    layer = enlarged(enlarged(seeds, zoom, height, 1), zoom, width, 2)
    # The published code passes 8-bit layers to and from the blur: the first is truncated, the second rounded.
    layer = (layer.where(layer >= 0.5, layer.new_zeros(())).clamp_max(1) * 255).floor()
    pale = 0.85 * inputs + 0.15 * torch.maximum(inputs, grey(inputs) * 1.5 + 0.5)
    frames = []
    for frame in range(LENGTH):
        flakes = motion(layer, radius, sigma, torch.full((len(layer),), 4.0 * frame - 150)).round() / 255
        flakes = flakes.to(inputs)[:, None]
        frames.append((pale + flakes + flakes.flip(2, 3)).clamp_(0, 1))
    return _film(frames)


def brightness(inputs: Tensor, draws: Draws) -> Tensor:
    """The value (the largest channel, as in HSV) from 0.3 less to 0.3 more (small images: 0.225), hue and saturation kept."""
    step = 0.015 if is_small(inputs) else 0.02
    value = inputs.amax(1, keepdim=True)
    lit = value > 0
    share = torch.where(lit, inputs, 1) / torch.where(lit, value, 1)
    return _film([share * (value + step * (frame - 15)).clamp(0, 1) for frame in range(LENGTH)])


def gaussian_blur(inputs: Tensor, draws: Draws) -> Tensor:
    """Blurred ever more: deviations from 0.25 to 1.3 pixels (small images: 0.3 to 0.75)."""
    first, step, truncate = (0.3, 0.015, 7.0) if is_small(inputs) else (0.25, 0.035, 6.0)
    deviations = [first + step * frame for frame in range(LENGTH)]
    kernels = [bell(each, int(truncate * each + 0.5)).tolist() for each in deviations]
    return _film([smoothed(inputs, kernel, "edge") for kernel in kernels])


def spatter(inputs: Tensor, draws: Draws) -> Tensor:
    """Drops of water that run down the image."""
    mean, deviation, sigma, threshold, drip = (
        (0.6, 0.265, 1.75, 0.7, (0.2, 0.8)) if is_small(inputs) else (0.65, 0.27, 3.7, 0.69, (0.05, 0.1, 0.15, 0.7))
    )
    layers = draws.bulk_normal("spatter frames", 0, inputs.shape[-2:]).numpy() * deviation + mean
    water = np.zeros((len(inputs), LENGTH, 1, *inputs.shape[-2:]), dtype=np.float32)
    for layer, film in zip(layers, water, strict=True):
        liquid = ndimage.gaussian_filter(layer, sigma, mode="nearest", truncate=4)
        liquid[liquid < threshold] = 0
        for frame in film:
            frame[0] = 0.6 * splash((liquid.clip(0, 1) * 255).astype(np.uint8))
            liquid = ndimage.convolve1d(liquid, drip, axis=0, mode="constant", origin=-1)
    colour = inputs.new_tensor(WATER).view(1, 3, 1, 1)
    if inputs.shape[1] == 1:
        colour = grey(colour)
    return (inputs[:, None] + torch.from_numpy(water).to(inputs) * colour[:, None]).clamp_(0, 1)


PerturbationSequence = Callable[[Tensor, Draws], Tensor]
SEQUENCES: dict[str, PerturbationSequence] = {
    "gaussian_noise": gaussian_noise,
    "shot_noise": shot_noise,
    "motion_blur": motion_blur,
    "zoom_blur": zoom_blur,
    "snow": snow,
    "brightness": brightness,
    "translate": translate,
    "rotate": rotate,
    "tilt": tilt,
    "scale": scale,
    "speckle_noise": speckle_noise,
    "gaussian_blur": gaussian_blur,
    "spatter": spatter,
    "shear": shear,
}
"""By name: the ten of the benchmark, then four for validation."""


def _film(frames: Sequence[Tensor]) -> Tensor:
    return torch.stack(list(frames), 1)
