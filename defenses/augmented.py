"""Most of the recipe that Vision Transformers are trained with (DeiT; Touvron et al., 2021): augmentation, mixed labels, averages."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Annotated, Any

import numpy as np
import torch
from torch import Tensor, nn

from robench import (
    Batch,
    Bounds,
    Call,
    NotNegative,
    Objective,
    Positive,
    Progress,
    Recipe,
    Share,
    Task,
    Wrapped,
    WrappedObjective,
    defense,
    recipe_of,
)

VIT = Call("vit")
TOGETHER = 8
"""Images that share RandAugment's operations, which torchvision draws once a call."""


class Augmented(WrappedObjective):
    """Another objective on images that torchvision and timm have augmented and mixed.

    Args:
        augmentation: of uint8 tensors, or None.
        erasing: of a batch of tensors, or None.
        mixing: timm's Mixup, which mixes a batch and its labels; or None.
    """

    def __init__(self, base: Objective, augmentation: Any, erasing: Any, mixing: Any) -> None:
        super().__init__(base)
        self.augmentation, self.erasing, self.mixing = augmentation, erasing, mixing

    def loss(self, model: nn.Module, batch: Batch, progress: Progress) -> Tensor:
        inputs, soft = batch.inputs, batch.soft
        with seeded(progress.draws + int(batch.ids[0])):
            if self.augmentation:
                parts = torch.split((inputs * 255).round().byte(), TOGETHER)
                inputs = torch.cat([self.augmentation(part) for part in parts]).to(inputs) / 255
            if self.erasing:
                inputs = self.erasing(inputs.clone()).clamp(0, 1)
            if self.mixing:
                inputs, soft = mixed(self.mixing, inputs, batch.labels)
        return self.base.loss(model, batch._replace(inputs=inputs, soft=soft), progress)


def mixed(mixing: Any, inputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """A batch and its labels, mixed; of an odd one the first image is mixed twice, since timm takes images in pairs."""
    count = len(inputs)
    if count % 2:
        inputs, labels = torch.cat([inputs, inputs[:1]]), torch.cat([labels, labels[:1]])
    found, soft = mixing(inputs.clone(), labels)
    return found[:count], soft[:count]


@contextmanager
def seeded(number: int) -> Iterator[None]:
    """timm draws from the random states of Python and numpy: seed them, and put them back as they were."""
    python, numpy = random.getstate(), np.random.get_state()
    random.seed(number)
    np.random.seed(number % 2**32)
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)


@defense(paper="arXiv:2012.12877")
def augmented(
    task: Task,
    *,
    model: Wrapped = VIT,
    randaugment: Annotated[int, Bounds(0, 30)] = 9,
    mixup: NotNegative = 0.8,
    cutmix: NotNegative = 1.0,
    erasing: Share = 0.25,
    smoothing: Share = 0.1,
    average: Annotated[float, Bounds(0, 1)] = 0.0,
    accumulate: Positive = 1,
    half: bool = False,
    seed: int = 0,
) -> Recipe:
    """Another recipe with DeiT's augmentation: RandAugment, random erasing, mixup, cutmix, smoothed labels.

    Args:
        model: what is trained, with its own schedule and objective.
        randaugment: magnitude of its two operations, 0 to 30; 0 for none. It is torchvision's: timm 1.0.9 asks Pillow for a
            posterisation to 0 bits, which Pillow 12 refuses.
        mixup, cutmix: alpha of each; a batch gets one of the two; 0 for none.
        erasing: share of the images of which a rectangle becomes noise.
        smoothing: of the labels.
        average: decay of a moving average of the weights, such as 0.99996; 0 for none.
        accumulate: parts that a batch is passed through the model in, to save memory.
        half: pass in bfloat16 on a GPU.
        seed: of the initial weights, the order of the images and all augmentation.
    """
    from timm.data import Mixup
    from timm.data.random_erasing import RandomErasing
    from torchvision.transforms import v2

    recipe = recipe_of(model, task)
    mixes = mixup > 0 or cutmix > 0 or smoothing > 0
    objective = Augmented(
        recipe.objective,
        v2.RandAugment(num_ops=2, magnitude=randaugment) if randaugment else None,
        RandomErasing(erasing, mode="pixel", device="cpu") if erasing else None,
        Mixup(
            mixup_alpha=mixup,
            cutmix_alpha=cutmix,
            prob=1.0 if mixup or cutmix else 0.0,
            label_smoothing=smoothing,
            num_classes=task.classes,
        )
        if mixes
        else None,
    )
    schedule = replace(recipe.schedule, average=average, accumulate=accumulate, half=half)
    return replace(recipe, schedule=schedule, objective=objective)
