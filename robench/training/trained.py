"""A defense with its weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from robench.attacking.classifier import frozen
from robench.attacking.expectation import Expectation
from robench.entries.calls import Call
from robench.training.outputs import Outputs


@dataclass(frozen=True)
class Trained:
    """A defense with its weights.

    Attributes:
        weights: digest of the weights' file.
        log: one line an epoch of the training that made it.
        seconds: that the training took (0 where there was none).
        outputs: of the model, that are the data set's classes.
        stochastic: it is declared random, and the mean of its draws is what counts.
        note: what its recipe says of the model.
    """

    call: Call
    model: nn.Module
    weights: str
    log: list[dict[str, Any]]
    seconds: float
    outputs: Outputs
    stochastic: bool = False
    note: str = ""

    def attacked(self, device: torch.device) -> nn.Module:
        """The frozen model as an attack follows it, with the outputs that are the data set's classes."""
        module = self.outputs.of(frozen(self.model, device))
        return Expectation(module) if self.stochastic else module
