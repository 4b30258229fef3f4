"""Noise corruptions."""

from __future__ import annotations

from torch import Tensor

from robench.attacking.corruptions.severities import severe
from robench.attacking.draws import Draws


def gaussian_noise(inputs: Tensor, severity: int, draws: Draws) -> Tensor:
    """Normal noise on every pixel and channel.

    Args:
        inputs: images in [0, 1], (N, C, H, W).
    """
    deviation = severe(inputs, severity, (0.08, 0.12, 0.18, 0.26, 0.38), (0.04, 0.06, 0.08, 0.09, 0.10))
    noise = draws.normal("gaussian_noise", 0, None, inputs.shape[1:]).to(inputs)
    return (inputs + deviation * noise).clamp(0, 1)
