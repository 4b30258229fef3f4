"""Patch threats of the RSPC study (Guo, Stutz & Schiele, 2023): the same patches perturbed, covered with noise, or corrupted."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from torch import Tensor

from robench import (
    Above0,
    Bounds,
    Classifier,
    CorruptionName,
    Positive,
    PositiveShare,
    Radius,
    UsageError,
    attack,
    corrupt,
    descend,
    masks_of,
)

Severity = Annotated[int, Bounds(1, 5)]
Patch = Positive | Literal["model"] | None
Masks = Positive | None


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
    masks: Masks = None,
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
        masks: None: each image has its own patches. Else so many masks, each the same for all images; every image is attacked
            within each of them.
        step_size: 2.5 eps / steps where it is None.
        until_success: leave an image alone once it is fooled.

    Returns:
        (N, C, H, W), or (N, masks, C, H, W).
    """
    size = step_size or 2.5 * eps / steps
    options = {"share": share, "patch": in_pixels(patch), "masks": masks}
    every = masks_of(model.draws, inputs.shape, options).to(inputs.device)

    def within(number: int) -> Tensor:
        mask = every[:, number]

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

    return within(0) if masks is None else torch.stack([within(number) for number in range(masks)], 1)


@attack(norm="linf", goal="natural", knowledge="none", paper="CVPR 2023, pp. 4108-4118", confined=True)
def patch_noise(
    model: Classifier,
    inputs: Tensor,
    labels: Tensor,
    *,
    share: PositiveShare = 0.1,
    patch: Patch = None,
    masks: Masks = None,
) -> Tensor:
    """Uniform noise in place of a random share of the patches, in 256 levels from 0 to 1; no model is asked.

    Args:
        inputs: images in [0, 1], (N, C, H, W).
        share: of the image's patches, the same ones for every patch threat.
        patch: as of `patch_pgd`.
        masks: None: each image has its own patches. Else so many masks, each the same for all images, so that there is an
            accuracy for each mask: the study's box plots are over those.

    Returns:
        (N, C, H, W), or (N, masks, C, H, W).
    """
    noise = (256 * model.draws.bulk_uniform("noise", 0, inputs.shape[1:])).floor() / 255
    return _in_patches(model, inputs, noise, share, patch, masks)


@attack(
    norm="linf", goal="natural", knowledge="none", paper="CVPR 2023, pp. 4108-4118; Gu et al. (2022)", confined=True
)
def patch_corruption(
    model: Classifier,
    inputs: Tensor,
    labels: Tensor,
    *,
    names: CorruptionName = "gaussian_noise",
    severities: Severity = 3,
    share: PositiveShare = 0.1,
    patch: Patch = None,
    masks: Masks = None,
) -> Tensor:
    """A common corruption within a random share of the patches; no model is asked.

    Args:
        inputs: images in [0, 1], (N, C, H, W).
        names: of the corruption; its severities are the published ones for 224 or 32 pixels.
        share: of the image's patches, the same ones for every patch threat.
        patch: as of `patch_pgd`.
        masks: as of `patch_noise`.

    Returns:
        (N, C, H, W), or (N, masks, C, H, W).
    """
    return _in_patches(model, inputs, corrupt(inputs, names, severities, model.draws), share, patch, masks)


def _in_patches(
    model: Classifier, inputs: Tensor, other: Tensor, share: float, patch: int | str | None, masks: int | None
) -> Tensor:
    """Images with another one's pixels in their patches."""
    options = {"share": share, "patch": in_pixels(patch), "masks": masks}
    mask = masks_of(model.draws, inputs.shape, options).to(inputs.device)
    found = torch.where(mask, other.to(inputs)[:, None], inputs[:, None])
    return found[:, 0] if masks is None else found
