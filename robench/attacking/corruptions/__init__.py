"""Common corruptions (Hendrycks & Dietterich, 2019; Mintun et al., 2021): images, a severity, and random numbers; no model.

Each is a function `(inputs, severity, draws) -> images` on floats in [0, 1], with parameters for images of 224 pixels and of
32. Sequences of perturbations are functions `(inputs, draws) -> frames`. `corrupt` and `sequence` make pictures of what
they return: 8 bits a channel.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from robench.attacking.corruptions import bar, blur, digital, noise, weather
from robench.attacking.corruptions.sequences import SEQUENCES
from robench.attacking.draws import Draws
from robench.errors import UsageError, did_you_mean

Corruption = Callable[[Tensor, int, Draws], Tensor]
CORRUPTIONS: dict[str, Corruption] = {
    "gaussian_noise": noise.gaussian_noise,
    "shot_noise": noise.shot_noise,
    "impulse_noise": noise.impulse_noise,
    "defocus_blur": blur.defocus_blur,
    "glass_blur": blur.glass_blur,
    "motion_blur": blur.motion_blur,
    "zoom_blur": blur.zoom_blur,
    "snow": weather.snow,
    "frost": weather.frost,
    "fog": weather.fog,
    "brightness": weather.brightness,
    "contrast": digital.contrast,
    "elastic_transform": digital.elastic_transform,
    "pixelate": digital.pixelate,
    "jpeg_compression": digital.jpeg_compression,
    "speckle_noise": noise.speckle_noise,
    "gaussian_blur": blur.gaussian_blur,
    "spatter": weather.spatter,
    "saturate": digital.saturate,
    "blue_noise_sample": bar.blue_noise_sample,
    "brownish_noise": bar.brownish_noise,
    "caustic_refraction": bar.caustic_refraction,
    "checkerboard_cutout": bar.checkerboard_cutout,
    "cocentric_sine_waves": bar.cocentric_sine_waves,
    "inverse_sparkles": bar.inverse_sparkles,
    "perlin_noise": bar.perlin_noise,
    "plasma_noise": bar.plasma_noise,
    "single_frequency_greyscale": bar.single_frequency_greyscale,
    "sparkles": bar.sparkles,
    "pinch_and_twirl": bar.pinch_and_twirl,
    "ripple": bar.ripple,
    "circular_motion_blur": bar.circular_motion_blur,
    "lines": bar.lines,
    "transverse_chromatic_aberration": bar.transverse_chromatic_aberration,
}
"""By name: the 15 of the benchmark, the 4 validation ones, ImageNet-C-bar's, and what CIFAR-10-C-bar has besides."""
LAST_BITS = 1e-3
"""Of a grey level: a value so little below a whole one is that one, whatever the last bits of its arithmetic are."""
EXACT = {"pixelate", "jpeg_compression", "motion_blur"}
"""What these return is in whole grey levels already."""
SMALLEST = 8
"""Pixels of the shorter side that a corruption needs."""


def corrupt(inputs: Tensor, name: str, severity: int, draws: Draws) -> Tensor:
    """Corrupted images as they are stored: 8 bits a channel, cut off and not rounded, as the published code does.

    Args:
        inputs: images in [0, 1], (N, C, H, W), H and W from 8 pixels up, grey or RGB.
        name: of the corruption.
        severity: 1 to 5.
        draws: random numbers that belong to these images.

    Returns:
        Multiples of 1/255, (N, C, H, W).

    Raises:
        UsageError: there is no such corruption or severity, or the inputs are no such images.

    Example:
        >>> corrupt(torch.ones(1, 3, 32, 32), "contrast", 5, Draws(0, ["a"])).unique()
        tensor([1.])
    """
    if name not in CORRUPTIONS:
        raise UsageError(f"no corruption is named {name!r}{did_you_mean(name, CORRUPTIONS)}")
    if severity not in (1, 2, 3, 4, 5):
        raise UsageError(f"severity={severity!r} of {name}: wanted a whole number from 1 to 5")
    found = CORRUPTIONS[name](_pictures(inputs, name), severity, draws)
    return (found if name in EXACT else _stored(found)).to(inputs)


def sequence(inputs: Tensor, name: str, draws: Draws) -> Tensor:
    """Sequences of small changes as they are stored, frame by frame, at difficulty 1.

    Args:
        inputs: as of `corrupt`.
        name: of the perturbation.
        draws: random numbers that belong to these images.

    Returns:
        Multiples of 1/255, (N, T, C, H, W); T is 31 for most, else as published.

    Raises:
        UsageError: there is no such perturbation, or the inputs are no such images.

    Example:
        >>> sequence(torch.ones(1, 3, 32, 32), "translate", Draws(0, ["a"])).shape
        torch.Size([1, 16, 3, 32, 32])
    """
    if name not in SEQUENCES:
        raise UsageError(f"no perturbation is named {name!r}{did_you_mean(name, SEQUENCES)}")
    return _stored(SEQUENCES[name](_pictures(inputs, name), draws)).to(inputs)


def _stored(images: Tensor) -> Tensor:
    """Images cut off to 256 levels."""
    return images.mul(255).add_(LAST_BITS).clamp_(0, 255).floor_().div_(255)


def _pictures(inputs: Tensor, what: str) -> Tensor:
    if inputs.ndim != 4 or inputs.shape[1] not in (1, 3) or min(inputs.shape[-2:]) < SMALLEST:
        raise UsageError(
            f"{what} takes images, (N, C, H, W), grey or RGB, of at least {SMALLEST} x {SMALLEST} pixels; these are of shape "
            f"{tuple(inputs.shape)}"
        )
    return inputs.float()
