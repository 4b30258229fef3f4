"""AugMix (Hendrycks et al., 2020): mixtures of augmentation chains, and the same answer to all of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from robench import (
    Above0,
    Batch,
    Bounds,
    Call,
    NotNegative,
    Objective,
    Progress,
    Recipe,
    Task,
    Wrapped,
    WrappedObjective,
    defense,
    recipe_of,
)

VIT = Call("vit")
TOGETHER = 8
"""Images that share a chain's operations (torchvision draws them once a call); their mixing weights differ."""


class Mixed(WrappedObjective):
    """Another objective on clean images, plus the Jensen-Shannon divergence of the answers to them and to two mixtures."""

    def __init__(self, base: Objective, mixing: Any, weight: float) -> None:
        super().__init__(base)
        self.mixing, self.weight = mixing, weight

    def loss(self, model: nn.Module, batch: Batch, progress: Progress) -> Tensor:
        if not self.weight:
            return self.base.loss(model, batch._replace(inputs=self._mixture(batch.inputs)), progress)
        loss, logits = self.loss_and_logits(model, batch, progress)
        mixtures = model(torch.cat([self._mixture(batch.inputs), self._mixture(batch.inputs)]))
        return loss + self.weight * jensen_shannon([answers.softmax(1) for answers in (logits, *mixtures.chunk(2))])

    def _mixture(self, inputs: Tensor) -> Tensor:
        pixels = (inputs * 255).round().byte()
        mixed: Tensor = torch.cat([self.mixing(part) for part in torch.split(pixels, TOGETHER)])
        return mixed.float() / 255


def jensen_shannon(answers: list[Tensor]) -> Tensor:
    """Mean divergence of several distributions, each (N, classes), from their mean; averaged over rows."""
    mean = torch.stack(answers).mean(0).clamp(1e-7, 1).log()
    return torch.stack([F.kl_div(mean, answer, reduction="batchmean") for answer in answers]).mean()


@defense(paper="arXiv:1912.02781")
def augmix(
    task: Task,
    *,
    model: Wrapped = VIT,
    severity: Annotated[int, Bounds(1, 10)] = 3,
    width: Annotated[int, Bounds(1, 100)] = 3,
    alpha: Above0 = 1.0,
    weight: NotNegative = 12.0,
    seed: int = 0,
) -> Recipe:
    """AugMix: cross-entropy on clean images, and consistency with two random mixtures of augmentation chains.

    Args:
        model: what is trained, with its own schedule and objective.
        severity: of the augmentations, 1 to 10. None of them is a test corruption of ImageNet-C.
        width: chains in a mixture, each of one to three operations.
        alpha: of the Dirichlet and Beta distributions that the mixing weights are drawn from.
        weight: of the Jensen-Shannon divergence; 0: train on one mixture, without it.
        seed: of the initial weights, the order of the images and all augmentation.
    """
    from torchvision.transforms import v2

    recipe = recipe_of(model, task)
    mixing = v2.AugMix(severity=severity, mixture_width=width, alpha=alpha, all_ops=False)
    return replace(recipe, objective=Mixed(recipe.objective, mixing, weight))
