"""Patch threats of the RSPC study (Guo, Stutz & Schiele, 2023): the same patches perturbed, covered with noise, or corrupted."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from torch import Tensor

from robench import (
    CORRUPTIONS,
    Above0,
    Bounds,
    Classifier,
    CorruptionName,
    Positive,
    PositiveShare,
    Radius,
    UsageError,
    attack,
    descend,
    patch_mask,
)

Severity = Annotated[int, Bounds(1, 5)]
Patch = Positive | Literal["model"] | None


def in_pixels(patch: int | str | None) -> int | None:
    """The side as a number: "model" is one by the time that an attack is run."""
    if isinstance(patch, str):
        raise UsageError("patch='model' is known where robench runs the attack; give the side in pixels")
    return patch


@attack(
    norm="linf",
    goal="budget",
    paper="CVPR 2023, pp. 4108-4118",
    confined=True,
    monotone=True,
    presets={"quick": {"steps": 10}},
)
def patch_pgd(
    model: Classifier,
    inputs: Tensor,
    labels: Tensor,
    *,
    eps: Radius = 1.0,
    targets: Tensor | None = None,
    share: PositiveShare = 0.1,
    patch: Patch = None,
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
        patch: side in pixels; None: a fourteenth of the image's (16 of 224), whatever the model's own patches are; "model": of
            the model's own patches, as the study has it. The share is rounded to whole patches: the table says what it became.
        step_size: 2.5 eps / steps where it is None.
        until_success: leave an image alone once it is fooled.
    """
    size = step_size or 2.5 * eps / steps
    mask = patch_mask(model.draws, inputs.shape, in_pixels(patch), share).to(inputs.device)

    def start(restart: int, rows: Tensor) -> Tensor:
        noise = 2 * model.draws.uniform("start", restart, rows, inputs.shape[1:]) - 1
        return eps * noise.to(inputs) * mask[rows]

    return descend(
        model,
        inputs,
        labels,
        targets,
        eps=eps,
        norm="linf",
        steps=steps,
        start=start,
        until_success=until_success,
        step=lambda gradient, _, rows: size * gradient.sign() * mask[rows],
    )


@attack(norm="linf", goal="natural", knowledge="none", paper="CVPR 2023, pp. 4108-4118", confined=True)
def patch_noise(
    model: Classifier, inputs: Tensor, labels: Tensor, *, share: PositiveShare = 0.1, patch: Patch = None
) -> Tensor:
    """Uniform noise in place of a random share of the patches, in pixels from 0 to 1; no model is asked.

    Args:
        inputs: images in [0, 1], (N, C, H, W).
        share: of the image's patches, the same ones for every patch threat.
        patch: as of `patch_pgd`.
    """
    mask = patch_mask(model.draws, inputs.shape, in_pixels(patch), share).to(inputs.device)
    return torch.where(mask, model.draws.uniform("noise", 0, None, inputs.shape[1:]).to(inputs), inputs)


@attack(norm="linf", goal="natural", knowledge="none", paper="CVPR 2023, pp. 4108-4118", confined=True)
def patch_corruption(
    model: Classifier,
    inputs: Tensor,
    labels: Tensor,
    *,
    name: CorruptionName = "gaussian_noise",
    severity: Severity = 3,
    share: PositiveShare = 0.1,
    patch: Patch = None,
) -> Tensor:
    """A common corruption within a random share of the patches; no model is asked.

    Args:
        inputs: images in [0, 1], (N, C, H, W).
        name: of the corruption; its severities are the published ones for 224 or 32 pixels.
        share: of the image's patches, the same ones for every patch threat.
        patch: as of `patch_pgd`.
    """
    mask = patch_mask(model.draws, inputs.shape, in_pixels(patch), share).to(inputs.device)
    return torch.where(mask, CORRUPTIONS[name](inputs, severity, model.draws), inputs)
