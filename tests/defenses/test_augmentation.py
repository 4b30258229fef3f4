"""Noise, AugMix and DeiT's augmentation: what is changed, and what is learnt of it."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from trainings import HALF, Watch, digits_task, linear_batch, own

from robench import Batch, Call, recipe_of


def test_the_divergence_of_augmix_is_that_of_jensen_and_shannon() -> None:
    divergence = own("augmix", "jensen_shannon")
    sure, other = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    assert float(divergence([sure, sure, sure])) == pytest.approx(0, abs=1e-6)
    third = math.log(3 / 2) * 2 / 3 + math.log(3) / 3
    assert float(divergence([sure, sure, other])) == pytest.approx(third, rel=1e-4)


@pytest.mark.parametrize("noisy", [1.0, 0.5])
def test_noise_is_of_the_deviation_and_the_share_that_were_asked_for(noisy: float) -> None:
    watch = Watch()
    torch.manual_seed(0)
    clean = torch.full((400, 1, 8, 8), 0.5)
    given = Batch(clean, torch.zeros(400, dtype=torch.int64), torch.arange(400))
    for options in ({"deviation": 0.05}, {"kind": "patch", "share": 0.25, "patch": 2}):
        objective = recipe_of(Call("noise", options | {"noisy": noisy}), digits_task()).objective
        objective.base = watch
        objective.loss(nn.Identity(), given, HALF)
    gaussian, patches = (batch.inputs for batch in watch.seen)
    changed = (gaussian != clean).flatten(1).any(1)
    assert float(changed.float().mean()) == pytest.approx(noisy, abs=0.08)
    assert float((gaussian[changed] - 0.5).std()) == pytest.approx(0.05, rel=0.05)
    occluded = (patches != clean).float()
    some = occluded.flatten(1).any(1)
    assert (occluded[some].mean((1, 2, 3)) == 0.25).all()
    assert ((occluded.unfold(2, 2, 2).unfold(3, 2, 2).mean((-1, -2)) % 1) == 0).all(), "whole patches"
    values = patches[patches != 0.5]
    assert float(values.min()) < 0.01
    assert float(values.max()) > 0.99
    assert float(values.std()) == pytest.approx(12**-0.5, rel=0.05)


def test_mixed_labels_are_learnt_as_they_were_mixed() -> None:
    model, given, _ = linear_batch()
    recipe = recipe_of("augmented(randaugment=0, erasing=0.0, mixup=0.0, cutmix=0.0, smoothing=0.2)", digits_task())
    made = recipe.objective
    made.mixing.num_classes = 2
    smoothed = (given.labels[:, None] == torch.arange(2)) * 0.8 + 0.1
    expected = F.cross_entropy(model(given.inputs), smoothed)
    assert float(made.loss(model, given, HALF)) == pytest.approx(float(expected), rel=1e-5)
    mixed = recipe_of("augmented(randaugment=0, erasing=0.0, cutmix=0.0, smoothing=0.0)", digits_task()).objective
    mixed.mixing.num_classes = 2
    mixed.base = watch = Watch()
    mixed.loss(model, given, HALF)
    (found,) = watch.seen
    share = float(found.soft.max(1).values[found.soft.min(1).values > 0].mean())
    turned = given.inputs.flip(0)
    either = torch.stack([s * given.inputs + (1 - s) * turned for s in (share, 1 - share)])
    assert ((found.inputs - either).abs().amax((2, 3, 4)).min(0).values < 1e-5).all()


def test_an_odd_batch_is_mixed() -> None:
    made = recipe_of("augmented(randaugment=0, erasing=0.0)", digits_task()).objective
    seeded, mix = own("augmented", "seeded", "mixed")
    with seeded(0):
        mixed, soft = mix(made.mixing, torch.rand(7, 1, 8, 8), torch.arange(7))
    assert (mixed.shape, soft.shape) == ((7, 1, 8, 8), (7, 10))
    assert ((soft > 0.011).sum(1) >= 2).any()
