"""How long a training takes, from a few measured steps."""

from __future__ import annotations

import time
from dataclasses import replace

import torch

from robench.training.checkpoints import Checkpoint
from robench.training.loop import train
from robench.training.recipe import Recipe


def training_seconds(checkpoint: Checkpoint, recipe: Recipe, device: torch.device, steps: int = 3) -> float:
    """How long a training would take, from a few steps of a recipe that is thrown away."""
    if not recipe.schedule.steps or not len(checkpoint.splits.train):
        return 0.0
    times: list[float] = []
    short = replace(recipe, schedule=replace(recipe.schedule, steps=min(steps, recipe.schedule.steps)))
    train(
        short,
        checkpoint.splits.train,
        checkpoint.splits.validation,
        seed=0,
        device=device,
        report=lambda _: times.append(time.perf_counter()),
    )
    step = (times[-1] - times[0]) / (len(times) - 1) if len(times) > 1 else 0.0
    return step * recipe.schedule.steps
