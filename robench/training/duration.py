"""How long a training takes, from a few measured steps."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace

import torch

from robench.training.checkpoints import Checkpoint
from robench.training.loop import train
from robench.training.recipe import Progress, Recipe

WARM_UP, STEPS = 3, 20
"""The first steps, which make room and choose kernels, are not counted."""
PATIENCE = 5.0
"""Seconds of measuring; of steps that take longer, one is measured."""


class _Enough(Exception):
    """The steps that were measured will do."""


def training_seconds(checkpoint: Checkpoint, recipe: Recipe, device: torch.device) -> float:
    """How long a training would take, from the mean of some steps of a recipe that is thrown away.

    The steps have the learning rates and phases of a whole training, passed through in few steps.
    """
    steps = recipe.schedule.steps
    if not steps or not len(checkpoint.splits.train):
        return 0.0
    times = [time.perf_counter()]

    def report(_: Progress) -> None:
        times.append(time.perf_counter())
        if len(times) > 2 and times[-1] - times[1] > PATIENCE:
            raise _Enough

    short = replace(recipe, schedule=replace(recipe.schedule, steps=min(WARM_UP + STEPS, steps)))
    split, validation = checkpoint.splits.train, checkpoint.splits.validation
    with suppress(_Enough):
        train(short, split, validation, seed=checkpoint.seed, device=device, report=report)
    counted = times[min(WARM_UP, len(times) - 2) :]
    return (counted[-1] - counted[0]) / (len(counted) - 1) * steps
