"""Weather corruptions."""

from __future__ import annotations

from torch import Tensor

from robench.attacking.corruptions.severities import severe
from robench.attacking.draws import Draws


def brightness(inputs: Tensor, severity: int, draws: Draws) -> Tensor:
    """The value (the largest channel, as in HSV) raised, hue and saturation kept.

    Args:
        inputs: images in [0, 1], (N, C, H, W).
    """
    more = severe(inputs, severity, (0.1, 0.2, 0.3, 0.4, 0.5), (0.05, 0.1, 0.15, 0.2, 0.3))
    value = inputs.amax(1, keepdim=True)
    raised = (value + more).clamp_max(1)
    # Channels keep their ratio to the largest one; a black pixel has no hue and becomes grey.
    return inputs.where(value > 0, value.new_ones(())) * raised / value.where(value > 0, value.new_ones(()))
