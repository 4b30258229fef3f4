"""Common corruptions (Hendrycks & Dietterich, 2019): images in [0, 1], a severity, and random numbers; no model.

Each is a function `(inputs, severity, draws) -> images`, with a table of severities for 224 pixels and one for 32.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from torch import Tensor

from robench.attacking.corruptions.blur import defocus_blur
from robench.attacking.corruptions.digital import contrast
from robench.attacking.corruptions.noise import gaussian_noise
from robench.attacking.corruptions.weather import brightness
from robench.attacking.draws import Draws

Corruption = Callable[[Tensor, int, Draws], Tensor]
CorruptionName = Literal["gaussian_noise", "defocus_blur", "brightness", "contrast"]
CORRUPTIONS: dict[CorruptionName, Corruption] = {
    "gaussian_noise": gaussian_noise,
    "defocus_blur": defocus_blur,
    "brightness": brightness,
    "contrast": contrast,
}
"""By name, in the order of the paper's groups: noise, blur, weather, digital."""
