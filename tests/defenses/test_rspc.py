"""RSPC: what is occluded, what is aligned, how the adversary climbs, and which models it fits."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from robench import DATASETS, DEFENSES, Batch, Call, Places, Progress, Task, UsageError, recipe_of
from robench.models.blocks import block_outputs, blocks_of, patch_of
from robench.training.building import task_of
from robench.training.loop import learning_rate

HALF = Progress(50, 100, 0)


def digits_task() -> Task:
    return task_of(DATASETS["digits"].function(Places.of()), DATASETS["digits"].card)


@pytest.mark.parametrize("form", ["authors", "paper"])
def test_rspc_occludes_the_share_that_its_adversary_chose_and_the_adversary_climbs(form: str) -> None:
    torch.manual_seed(0)
    task = digits_task()
    recipe = DEFENSES["rspc"].function(task, model=Call("vit", {"depth": 2}), form=form, share=0.25, weight=1.0)
    objective, model = recipe.objective, recipe.model.train()
    inputs, labels = torch.rand(12, 1, 8, 8), torch.arange(12) % 10
    kept = objective.corruption(inputs)
    assert kept.shape == (12, 1, 8, 8)
    assert ((1 - kept).mean((1, 2, 3)) == 0.25).all()
    scores = torch.randn(3, 16, requires_grad=True)
    DEFENSES["rspc"].function.__globals__["KeepMask"].apply(scores, 0.25, form == "authors").mul(7.0).sum().backward()
    assert scores.grad is not None
    assert (scores.grad == (1.0 if form == "authors" else 7.0)).all()

    blocks = blocks_of(model)
    torch.manual_seed(1)
    loss = objective.loss(model, Batch(inputs, labels, torch.arange(12)), HALF)
    torch.manual_seed(1)
    occluded = objective.occluded(inputs)
    with block_outputs(blocks) as clean:
        task_loss = F.cross_entropy(model(inputs), labels)
    with block_outputs(blocks) as far:
        model(occluded)
    if form == "authors":
        alignment = sum(((b - a) ** 2).mean() for a, b in zip(clean, far, strict=True)) / (2 + 1e-4)
    else:
        alignment = sum((b - a).flatten(1).norm(dim=1).mean() for a, b in zip(clean, far, strict=True)) / 2
    assert float(loss.detach()) == pytest.approx(float((task_loss + alignment).detach()), rel=1e-5)

    loss.backward()
    slopes = [p.grad.clone() for p in objective.corruption.parameters()]
    gradient = slopes[0]
    before = objective.corruption.score.weight.detach().clone()
    objective.after_step(model, HALF)
    moved = objective.corruption.score.weight.detach() - before
    rate = learning_rate(recipe.schedule, HALF.step)
    if form == "authors":
        gradient = 5 * gradient / torch.cat([slope.flatten() for slope in slopes]).norm()
    climbed = objective.rate * 1.9 * (gradient - 0.05 * before) if form == "authors" else rate * gradient
    assert torch.allclose(moved, climbed, atol=1e-7), "it climbs, with its own optimiser's momentum and decay"
    assert all(parameter.grad is None for parameter in objective.corruption.parameters())


def test_rspc_fits_timms_models_and_refuses_those_without_blocks() -> None:
    task = Task((3, 32, 32), 10, 100, (0.5,) * 3, (0.2,) * 3)
    for name, patch in (("deit_tiny_patch16_224", 16), ("swin_tiny_patch4_window7_224", 4), ("pvt_v2_b0", 4)):
        recipe = DEFENSES["rspc"].function(task, model=Call("timm", {"name": name, "epochs": 1}))
        assert patch_of(recipe.model) == patch
        loss = recipe.objective.loss(
            recipe.model, Batch(torch.rand(2, 3, 32, 32), torch.tensor([1, 2]), torch.arange(2)), HALF
        )
        assert torch.isfinite(loss)
    with pytest.raises(UsageError, match=r"rspc needs a model with transformer blocks"):
        DEFENSES["rspc"].function(digits_task(), model=Call("carlini"))


def test_the_adversary_of_the_authors_sees_the_space_that_its_noise_is_of() -> None:
    task = Task((3, 32, 32), 10, 100, (0.5,) * 3, (0.2,) * 3)
    for form, mean, std in (("authors", 0.485, 0.229), ("paper", 0.0, 1.0)):
        model = Call("timm", {"name": "deit_tiny_patch16_224", "epochs": 1})
        objective = DEFENSES["rspc"].function(task, model=model, form=form, share=0.25).objective
        seen: list[torch.Tensor] = []
        objective.corruption.register_forward_pre_hook(lambda _, given, seen=seen: seen.append(given[0]))
        images = torch.rand(2, 3, 32, 32)
        occluded = objective.occluded(images)
        assert torch.allclose(seen[0][:, 0], (images[:, 0] - mean) / std, atol=1e-5)
        changed = (occluded != images)[:, 0]
        assert changed.float().mean() > 0.2
        values = occluded[:, 0][changed]
        assert values.min() >= mean
        assert values.max() <= mean + std + 1e-6


def test_it_compares_an_image_with_itself_whatever_the_wrapped_objective_trains_on() -> None:
    recipe = recipe_of("rspc(model=augmented(model=vit(depth=1)), share=0.01)", digits_task())
    recipe.objective.loss(recipe.model, Batch(torch.rand(8, 1, 8, 8), torch.arange(8), torch.arange(8)), HALF)
    assert recipe.objective.report()["alignment"] < 0.05
