"""How long a training takes, from a few measured steps."""

from __future__ import annotations

import time
from dataclasses import replace

import torch

from robench.checkpoints import Checkpoint
from robench.recipe import Recipe
from robench.training import train


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


def spell_seconds(seconds: float) -> str:
    """A duration for a person: `40 s`, `12 min`, `3.5 h`."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
