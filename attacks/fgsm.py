"""The fast gradient sign method (Goodfellow, Shlens & Szegedy, 2015)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from robench import Classifier, Radius, attack


@attack(paper="arXiv:1412.6572", norm="linf", goal="budget")
def fgsm(model: Classifier, inputs: Tensor, labels: Tensor, *, eps: Radius, targets: Tensor | None = None) -> Tensor:
    """Fast gradient sign method: one step of size eps along the sign of the loss gradient.

    Args:
        inputs: images in [0, 1], (N, C, H, W).
        eps: radius of the L∞ ball, for pixels in [0, 1].
        targets: classes to be taken for, (N,); None to leave the label.
    """
    probe = inputs.clone().requires_grad_()
    goal = labels if targets is None else targets
    gradient = model.gradient(probe, F.cross_entropy(model(probe), goal, reduction="none"))
    direction = gradient.sign() if targets is None else -gradient.sign()
    return (inputs + eps * direction).clamp(0, 1)
