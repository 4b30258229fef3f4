"""Training on noisy images: the plain baseline of every corruption table."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor, nn

from robench import (
    Above0,
    Batch,
    Call,
    Draws,
    Objective,
    Positive,
    PositiveShare,
    Progress,
    Recipe,
    Task,
    Wrapped,
    WrappedObjective,
    defense,
    patch_mask,
    recipe_of,
)

Noise = Literal["gaussian", "patch"]
VIT = Call("vit")


class Noisy(WrappedObjective):
    """Another objective on images with noise: Gaussian everywhere, or uniform in place of some patches."""

    def __init__(
        self, base: Objective, kind: Noise, deviation: float, share: float, patch: int | None, noisy: float
    ) -> None:
        super().__init__(base)
        self.kind, self.deviation, self.share, self.patch, self.noisy = kind, deviation, share, patch, noisy

    def loss(self, model: nn.Module, batch: Batch, progress: Progress) -> Tensor:
        clean, draws = batch.inputs, Draws(progress.draws, batch.names())
        if self.kind == "gaussian":
            found = (clean + self.deviation * torch.randn_like(clean)).clamp(0, 1)
        else:
            mask = patch_mask(draws, clean.shape, self.patch, self.share).to(clean.device)
            found = torch.where(mask, torch.rand_like(clean), clean)
        chosen = torch.rand(len(clean), device=clean.device) < self.noisy
        inputs = torch.where(chosen[:, None, None, None], found, clean)
        return self.base.loss(model, batch._replace(inputs=inputs), progress)


@defense(paper="arXiv:2001.06057")
def noise(
    task: Task,
    *,
    model: Wrapped = VIT,
    kind: Noise = "gaussian",
    deviation: Above0 = 0.1,
    share: PositiveShare = 0.1,
    patch: Positive | None = None,
    noisy: PositiveShare = 0.5,
    seed: int = 0,
) -> Recipe:
    """Noise as augmentation: Gaussian on all pixels (Rusak et al., 2020), or uniform noise in place of patches.

    Args:
        model: what is trained, with its own schedule and objective.
        kind: "gaussian", or "patch" for noise such as `patch_noise` occludes with.
        deviation: of the Gaussian, for pixels in [0, 1].
        share, patch: of the patches, and their side in pixels, as of the patch threats.
        noisy: share of the images that are changed; the others stay clean.
        seed: of the initial weights, the order of the images, their augmentation and the noise.
    """
    recipe = recipe_of(model, task)
    return replace(recipe, objective=Noisy(recipe.objective, kind, deviation, share, patch, noisy))
