"""Random models: attacked and judged by the mean of many draws (expectation over transformation; Athalye et al., 2018)."""

from __future__ import annotations

import hashlib
import threading

import torch
from torch import Tensor, nn

ATTACK_DRAWS = 16
JUDGE_DRAWS = 64
_RANDOM_STATE = threading.Lock()
"""torch has one random state for all threads."""


class Expectation(nn.Module):
    """The class probabilities of a random model, averaged over draws; returned as log-probabilities.

    The draws follow from the batch and from what they are for: another step of an attack meets other draws, the judge meets
    draws that no attack has seen, and the same run gives the same result. A model draws for a whole batch, so that
    results here do depend on the batches, by as much as the mean of so many draws varies.

    Args:
        module: in eval mode, random all the same.
    """

    def __init__(self, module: nn.Module, draws: int = ATTACK_DRAWS, purpose: str = "attack") -> None:
        super().__init__()
        self.module, self.draws, self.purpose = module, draws, purpose

    def forward(self, inputs: Tensor) -> Tensor:
        pixels = inputs.detach().cpu().contiguous().numpy().tobytes()
        seed = int.from_bytes(hashlib.blake2b(pixels, digest_size=7, person=self.purpose.encode()).digest(), "little")
        devices = [inputs.device] if inputs.device.type == "cuda" else []
        with _RANDOM_STATE, torch.random.fork_rng(devices=devices):
            torch.manual_seed(seed)
            total = torch.stack([self.module(inputs.clone()).float().softmax(1) for _ in range(self.draws)])
        mean: Tensor = total.mean(0)
        return mean.clamp_min(1e-30).log()

    def judging(self) -> Expectation:
        """The same model for the judge: more draws, and others."""
        return Expectation(self.module, JUDGE_DRAWS, "judge")
