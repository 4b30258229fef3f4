"""The fast gradient sign method (Goodfellow, Shlens & Szegedy, 2015)."""

from __future__ import annotations

from torch import Tensor

from robench import LOSSES, Classifier, Loss, Radius, attack


@attack(paper="arXiv:1412.6572", norm="linf", goal="budget")
def fgsm(
    model: Classifier,
    inputs: Tensor,
    labels: Tensor,
    *,
    eps: Radius,
    targets: Tensor | None = None,
    random_start: bool = False,
    loss: Loss = "ce",
) -> Tensor:
    """Fast gradient sign method: one step of size eps along the sign of the loss gradient.

    Args:
        inputs: images in [0, 1], (N, C, H, W).
        eps: radius of the L∞ ball, for pixels in [0, 1].
        targets: classes to be taken for, (N,); None to leave the label.
        random_start: take the step from a uniform point of the ball, and come back into it.
        loss: "ce", the cross-entropy; "mse", the squared error of the probabilities, which some lectures' listings have and
            whose slope vanishes where the model is sure.
    """
    probe = inputs.clone()
    if random_start:
        start = 2 * model.draws.uniform("start", 0, None, inputs.shape[1:]) - 1
        probe = (inputs + eps * start.to(inputs)).clamp(0, 1)
    probe.requires_grad_()
    gradient = model.gradient(probe, LOSSES[loss](model(probe), labels, targets))
    moved = probe.detach() + eps * gradient.sign()
    return (inputs + (moved - inputs).clamp(-eps, eps)).clamp(0, 1)
