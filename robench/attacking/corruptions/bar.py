"""ImageNet-C-bar and CIFAR-10-C-bar (Mintun, Kirillov & Xie, 2021, arXiv:2102.11273): corruptions unlike ImageNet-C's.

Five severities of each are published, for 224 pixels or for 32; where only one is, it serves all sizes, as the definitions
scale with the image. Published for ImageNet were JPEG files of quality 85; here images are as in memory.
"""

from __future__ import annotations

from robench.attacking.corruptions.bar_noise import (
    blue_noise_sample,
    brownish_noise,
    cocentric_sine_waves,
    perlin_noise,
    plasma_noise,
    single_frequency_greyscale,
)
from robench.attacking.corruptions.bar_shapes import checkerboard_cutout, inverse_sparkles, lines, sparkles
from robench.attacking.corruptions.bar_warps import (
    caustic_refraction,
    circular_motion_blur,
    pinch_and_twirl,
    ripple,
    transverse_chromatic_aberration,
)

__all__ = [
    "blue_noise_sample",
    "brownish_noise",
    "caustic_refraction",
    "checkerboard_cutout",
    "circular_motion_blur",
    "cocentric_sine_waves",
    "inverse_sparkles",
    "lines",
    "perlin_noise",
    "pinch_and_twirl",
    "plasma_noise",
    "ripple",
    "single_frequency_greyscale",
    "sparkles",
    "transverse_chromatic_aberration",
]
