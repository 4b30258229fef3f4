"""Noise, AugMix and DeiT's augmentation: what is changed, and what is learnt of it."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from trainings import HALF, Watch, batch_of, digits_task, linear_batch, own

from robench import Batch, Call, Progress, recipe_of


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


def test_a_batch_is_mixed_by_another_share_in_every_step_and_in_every_part() -> None:
    """The share is of the seed, the step and the batch's first image, and of nothing else."""
    objective = recipe_of("augmented(randaugment=0, erasing=0.0, cutmix=0.0, smoothing=0.0)", digits_task()).objective
    objective.base = watch = Watch()
    images, labels = torch.rand(4, 1, 8, 8), torch.arange(4)

    def soft(step: int = 0, seed: int = 0, first: int = 0) -> Tensor:
        objective.loss(nn.Identity(), Batch(images, labels, first + torch.arange(4)), Progress(step, 100, 0, seed))
        found: Tensor = watch.seen[-1].soft
        return found

    begun = soft()
    assert torch.equal(soft(), begun)
    others = [soft(step=1), soft(step=2), soft(seed=1), soft(first=40)]
    assert all(not torch.allclose(other, begun, atol=1e-3) for other in others)
    assert not torch.allclose(others[0], others[1], atol=1e-3)


def mixtures(grey: int, **options: Any) -> Tensor:
    """The levels of 8 x 64 images of one grey after AugMix, 0 to 255."""
    objective = recipe_of(Call("augmix", {"weight": 0.0, **options}), digits_task()).objective
    objective.base = watch = Watch()
    torch.manual_seed(0)
    objective.loss(nn.Identity(), batch_of(torch.full((512, 1, 8, 8), grey / 255)), HALF)
    (seen,) = watch.seen
    return (255 * seen.inputs).round()


@pytest.mark.parametrize(("alpha", "spread"), [(1e6, 0.0), (1.0, 12**-0.5), (4.0, 6**-1)])
def test_alpha_is_that_of_the_distribution_of_the_mixing_weights(alpha: float, spread: float) -> None:
    """Of one chain of the weakest operations: white stays, becomes 240 (posterised), or black (inverted).

    The image's own weight is of Beta(α, α), of deviation 1 / (2 √(2 α + 1)). What became black shows it: half of white
    where α is large.
    """
    levels = mixtures(255, alpha=alpha, severity=1, width=1).flatten(1)
    assert (levels.amax(1) == levels.amin(1)).all()
    if alpha > 100:
        assert {*levels[:, 0].tolist()} <= {126, 127, 246, 247, 248, 254, 255}
    weight = levels[:, 0][levels[:, 0] < 235] / 255
    assert len(weight) > 50
    assert float(weight.std()) == pytest.approx(spread, rel=0.25, abs=0.005)


def test_severity_is_that_of_the_operations() -> None:
    """Of 1 the first of ten magnitudes: nothing is moved or turned, and none of the others changes a grey of 240.

    Of 3 one of the first three, by which edges become black; of 10 any of them.
    """
    weakest, usual, strongest = (mixtures(240, severity=severity, alpha=1e6, width=1) for severity in (1, 3, 10))
    assert float((weakest - 240).abs().max()) <= 1
    changed = [float(((found - 240).abs() > 1).float().mean()) for found in (usual, strongest)]
    assert 0.05 < changed[0] < 0.6 * changed[1]


def test_an_odd_batch_is_mixed() -> None:
    made = recipe_of("augmented(randaugment=0, erasing=0.0)", digits_task()).objective
    seeded, mix = own("augmented", "seeded", "mixed")
    with seeded(0):
        mixed, soft = mix(made.mixing, torch.rand(7, 1, 8, 8), torch.arange(7))
    assert (mixed.shape, soft.shape) == ((7, 1, 8, 8), (7, 10))
    assert ((soft > 0.011).sum(1) >= 2).any()
