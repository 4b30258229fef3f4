"""Digital corruptions."""

from __future__ import annotations

from torch import Tensor

from robench.attacking.corruptions.severities import severe
from robench.attacking.draws import Draws


def contrast(inputs: Tensor, severity: int, draws: Draws) -> Tensor:
    """Every channel drawn towards its mean over the image.

    Args:
        inputs: images in [0, 1], (N, C, H, W).
    """
    kept = severe(inputs, severity, (0.4, 0.3, 0.2, 0.1, 0.05), (0.75, 0.5, 0.4, 0.3, 0.15))
    mean = inputs.mean((2, 3), keepdim=True)
    return ((inputs - mean) * kept + mean).clamp(0, 1)
