"""Patch threats of the RSPC study (Guo, Stutz & Schiele, 2023): the same patches perturbed, covered with noise, or corrupted."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from torch import Tensor

from robench import Above0, Bounds, Classifier, Positive, Radius, attack
from robench.corruptions import CORRUPTIONS
from robench.goal import reached, taken
from robench.losses import cross_entropy
from robench.patches import patch_mask

Share = Annotated[float, Bounds(0, 1, open_low=True)]
Severity = Annotated[int, Bounds(1, 5)]
Name = Literal["gaussian_noise", "defocus_blur", "brightness", "contrast"]


@attack(
    norm="linf", goal="budget", paper="CVPR 2023, pp. 4108-4118", confined=True, monotone=True,
    presets={"quick": {"steps": 10}},
)  # fmt: skip
def patch_pgd(
    model: Classifier,
    inputs: Tensor,
    labels: Tensor,
    *,
    eps: Radius = 1.0,
    targets: Tensor | None = None,
    share: Share = 0.1,
    patch: Positive | None = None,
    steps: Positive = 40,
    step_size: Above0 | None = None,
    until_success: bool = True,
) -> Tensor:
    """Projected gradient descent within a random share of the patches; any pixel value there unless eps says otherwise.

    Args:
        inputs: images in [0, 1], (N, C, H, W).
        eps: radius of the L∞ ball, for pixels in [0, 1].
        targets: classes to be taken for, (N,); None to leave the label.
        share: of the image's patches, the same ones for every patch threat.
        patch: side in pixels; None: a fourteenth of the image's (16 of 224), whatever the model's own patches are.
        step_size: 2.5 eps / steps where it is None.
        until_success: leave an image alone once it is fooled.
    """
    size = step_size or 2.5 * eps / steps
    mask = patch_mask(model.draws, inputs.shape, patch, share).to(inputs.device)
    noise = (2 * model.draws.uniform("start", 0, None, inputs.shape[1:]) - 1).to(inputs)
    adversarial = torch.where(mask, (inputs + eps * noise).clamp(0, 1), inputs)
    rows = torch.arange(len(inputs), device=inputs.device)
    for _ in range(steps):
        probe = adversarial[rows].requires_grad_()
        logits = model(probe, rows)
        gradient = model.gradient(probe, cross_entropy(logits, labels[rows], taken(targets, rows)))
        delta = (probe.detach() + size * gradient.sign() * mask[rows] - inputs[rows]).clamp(-eps, eps)
        moved = torch.where(mask[rows], (inputs[rows] + delta).clamp(0, 1), inputs[rows])
        if until_success:
            going = ~reached(logits.detach(), labels[rows], taken(targets, rows))
            moved, rows = moved[going], rows[going]
            if not len(rows):
                break
        adversarial[rows] = moved
    return adversarial


@attack(norm="linf", goal="natural", knowledge="none", paper="CVPR 2023, pp. 4108-4118", confined=True)
def patch_noise(
    model: Classifier, inputs: Tensor, labels: Tensor, *, share: Share = 0.1, patch: Positive | None = None
) -> Tensor:
    """Uniform noise in place of a random share of the patches, in pixels from 0 to 1; no model is asked.

    Args:
        inputs: images in [0, 1], (N, C, H, W).
        share: of the image's patches, the same ones for every patch threat.
        patch: side in pixels; None: a fourteenth of the image's (16 of 224).
    """
    mask = patch_mask(model.draws, inputs.shape, patch, share).to(inputs.device)
    return torch.where(mask, model.draws.uniform("noise", 0, None, inputs.shape[1:]).to(inputs), inputs)


@attack(norm="linf", goal="natural", knowledge="none", paper="CVPR 2023, pp. 4108-4118", confined=True)
def patch_corruption(
    model: Classifier,
    inputs: Tensor,
    labels: Tensor,
    *,
    name: Name = "gaussian_noise",
    severity: Severity = 3,
    share: Share = 0.1,
    patch: Positive | None = None,
) -> Tensor:
    """A common corruption within a random share of the patches; no model is asked.

    Args:
        inputs: images in [0, 1], (N, C, H, W).
        name: of the corruption; its severities are the published ones for 224 or 32 pixels.
        share: of the image's patches, the same ones for every patch threat.
        patch: side in pixels; None: a fourteenth of the image's (16 of 224).
    """
    mask = patch_mask(model.draws, inputs.shape, patch, share).to(inputs.device)
    return torch.where(mask, CORRUPTIONS[name](inputs, severity, model.draws), inputs)
