"""Defenses: each recipe's loss against a case worked out by hand, each recipe trained and attacked."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from cases import Linear, linear_case
from conftest import small_run
from torch import Tensor, nn

from robench import (
    DATASETS,
    DEFENSES,
    Batch,
    Call,
    Objective,
    Places,
    Progress,
    Recipe,
    Schedule,
    Task,
    UsageError,
    recipe_of,
)
from robench.adversary import Adversary, robust_accuracy
from robench.blocks import blocks_of, outputs, patch_of
from robench.checkpoints import Checkpoint, task_of
from robench.plan import load_data
from robench.training import learning_rate

HALF = Progress(50, 100, 0)
TINY = "vit(depth=1, epochs=1)"


def own(name: str, *parts: str) -> Any:
    """What else is in a defense's file."""
    found = [DEFENSES[name].function.__globals__[part] for part in parts]
    return found[0] if len(found) == 1 else found


@pytest.fixture
def batch() -> tuple[Linear, Batch, float]:
    """A linear model, a batch that it classifies correctly, and the L1 norm of the slope of its margin."""
    model, inputs, labels = linear_case(count=16, dtype=torch.float32)
    slope = (model.layer.weight[0] - model.layer.weight[1]).abs().sum()
    return model, Batch(inputs, labels, torch.arange(16)), float(slope)


def margins(model: nn.Module, batch: Batch) -> Tensor:
    logits = model(batch.inputs)
    own = logits.gather(1, batch.labels[:, None]).squeeze(1)
    return own - logits.gather(1, 1 - batch.labels[:, None]).squeeze(1)


def digits_task() -> Task:
    return task_of(DATASETS["digits"].function(Places.of()), DATASETS["digits"].card)


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_adversarial_training_pays_for_the_worst_point_of_the_ball(share: float, batch: Any) -> None:
    model, given, slope = batch
    attack = Call("pgd_linf", {"eps": 0.02, "steps": 20, "step_size": 0.01})
    objective = own("madry", "Adversarial")(Objective(), Adversary(attack, 2), share, 0.0)
    moved = torch.where(torch.arange(16) >= 16 - share * 16, 0.02 * slope, 0.0)
    expected = F.softplus(-(margins(model, given) - moved)).mean()
    assert float(objective.loss(model, given, HALF)) == pytest.approx(float(expected), rel=1e-4)
    assert objective.report()["attack_passes"] == 20
    early = own("madry", "Adversarial")(Objective(), Adversary(attack, 2), share, 1.0)
    halfway = F.softplus(-(margins(model, given) - 0.51 * moved)).mean()
    assert float(early.loss(model, given, HALF)) == pytest.approx(float(halfway), rel=1e-4)
    assert not model.training


def test_trades_pays_for_the_largest_divergence_in_the_ball(batch: Any) -> None:
    model, given, slope = batch
    objective = own("trades", "Trades")(Objective(), 2, 0.02, 20, 0.01, 3.0)

    def divergence(moved: float) -> Tensor:
        here, there = (torch.stack([m, torch.zeros_like(m)], 1).log_softmax(1) for m in (clean, clean + moved))
        return (here.exp() * (here - there)).sum(1)

    clean = margins(model, given)
    worst = torch.maximum(divergence(0.02 * slope), divergence(-0.02 * slope))
    expected = F.softplus(-clean).mean() + 3.0 * worst.mean()
    assert float(objective.loss(model, given, HALF)) == pytest.approx(float(expected), rel=2e-2)


def test_friendly_training_stops_when_an_image_is_fooled(batch: Any) -> None:
    model, given, slope = batch
    attack = Call(
        "pgd_linf", {"eps": 1.0, "steps": 50, "step_size": 0.002, "until_success": True, "random_start": False}
    )
    adversary = Adversary(attack, 2)
    reached = {}
    for tau in (0, 2):
        found = adversary(model, given.inputs, given.labels, 0, slack=tau)
        reached[tau] = margins(model, given._replace(inputs=found))
    fooled = reached[0] < 0
    assert fooled.sum() >= 5
    assert (reached[0][fooled] > -0.002 * slope).all(), "a single step beyond the boundary"
    assert torch.allclose(reached[2][fooled], reached[0][fooled] - 2 * 0.002 * slope, atol=1e-4)
    objective = own("fat", "Friendly")(Objective(), adversary, [0, 1, 2], [0.4, 0.75])
    taus = []
    for step in (0, 39, 40, 74, 75, 99):
        objective.loss(model, given, Progress(step, 100, 0))
        taus.append(objective.report()["tau"])
    assert taus == [0, 0, 1, 1, 2, 2]
    with pytest.raises(UsageError, match="one fewer than taus"):
        DEFENSES["fat"].function(digits_task(), taus=[0, 1], turns=[0.1, 0.2])


def test_distillation_is_the_distance_of_answers() -> None:
    distance = own("distill", "distillation")
    student, teacher = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 2.0]])
    p, q = 1 / (1 + math.exp(1)), 1 / (1 + math.exp(-1))  # at a temperature of 2
    soft = 4 * (p * math.log(p / q) + q * math.log(q / p))
    assert float(distance(student, teacher, "soft", 2.0)) == pytest.approx(soft, rel=1e-5)
    assert float(distance(student, teacher, "hard", 2.0)) == pytest.approx(math.log(1 + math.exp(2)), rel=1e-5)
    assert float(distance(student, teacher, "defensive", 2.0)) == pytest.approx(
        -p * math.log(q) - q * math.log(p), rel=1e-5
    )


def test_the_divergence_of_augmix_is_that_of_jensen_and_shannon() -> None:
    divergence = own("augmix", "jensen_shannon")
    sure, other = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    assert float(divergence((sure, sure, sure))) == pytest.approx(0, abs=1e-6)
    third = math.log(3 / 2) * 2 / 3 + math.log(3) / 3
    assert float(divergence((sure, sure, other))) == pytest.approx(third, rel=1e-4)


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
    own("rspc", "KeepMask").apply(scores, 0.25, form == "authors").mul(7.0).sum().backward()
    assert scores.grad is not None
    assert (scores.grad == (1.0 if form == "authors" else 7.0)).all()

    blocks = blocks_of(model)
    torch.manual_seed(1)
    loss = objective.loss(model, Batch(inputs, labels, torch.arange(12)), HALF)
    torch.manual_seed(1)
    occluded = objective.occluded(inputs)
    with outputs(blocks) as clean:
        task_loss = F.cross_entropy(model(inputs), labels)
    with outputs(blocks) as far:
        model(occluded)
    if form == "authors":
        alignment = sum(((b - a) ** 2).mean() for a, b in zip(clean, far, strict=True)) / (2 + 1e-4)
    else:
        alignment = sum((b - a).flatten(1).norm(dim=1).mean() for a, b in zip(clean, far, strict=True)) / 2
    assert float(loss.detach()) == pytest.approx(float((task_loss + alignment).detach()), rel=1e-5)

    loss.backward()
    (gradient,) = [p.grad.clone() for p in objective.corruption.score.parameters()]
    before = objective.corruption.score.weight.detach().clone()
    objective.after_step(model, HALF)
    moved = objective.corruption.score.weight.detach() - before
    rate = learning_rate(recipe.schedule, HALF.step)
    climbed = 1e-4 * 1.9 * (gradient - 0.05 * before) if form == "authors" else rate * gradient
    assert torch.allclose(moved, climbed, atol=1e-7), "it climbs, with its own optimiser's momentum and decay"
    assert all(parameter.grad is None for parameter in objective.corruption.parameters())


def test_rspc_fits_timms_models_and_refuses_those_without_blocks() -> None:
    task = Task((3, 32, 32), 10, 100, (0.5,) * 3, (0.2,) * 3)
    for name, patch in (("deit_tiny_patch16_224", 16), ("swin_tiny_patch4_window7_224", 4)):
        recipe = DEFENSES["rspc"].function(task, model=Call("timm", {"name": name, "epochs": 1}))
        assert patch_of(recipe.model) == patch
        loss = recipe.objective.loss(
            recipe.model, Batch(torch.rand(2, 3, 32, 32), torch.tensor([1, 2]), torch.arange(2)), HALF
        )
        assert torch.isfinite(loss)
    with pytest.raises(UsageError, match=r"rspc needs a model with transformer blocks"):
        DEFENSES["rspc"].function(digits_task(), model=Call("carlini"))


@pytest.mark.parametrize(
    "defense",
    [
        f"madry(model={TINY}, eps=0.05, steps=3)", f"half_half(model=ksa(model={TINY}), eps=0.5, norm='l2', steps=3)",
        f"trades(model={TINY}, eps=0.05, steps=3)", f"fat(model={TINY}, eps=0.05, steps=3)", f"rspc(model={TINY})",
        f"rspc(model={TINY}, form='paper')", f"noise(model={TINY})", f"noise(model={TINY}, kind='patch', share=0.2)",
        f"augmix(model={TINY})", f"augmix(model={TINY}, weight=0.0)", f"distill(model={TINY}, teacher=carlini(epochs=1, width=4))",
        f"distill(model={TINY}, teacher={TINY}, form='hard')", "wide_resnet(width=1, depth=10, epochs=1)", "madry_cnn(epochs=1)",
        f"distill(form='defensive', alpha=1.0, temperature=100.0, model={TINY}, teacher=tempered(model={TINY}))",
        "timm(name='resnet10t', epochs=1)", f"augmented(model={TINY}, average=0.9)",
        f"augmented(model=madry(model={TINY}, steps=2), mixup=0.0, cutmix=0.0, randaugment=0, accumulate=2)",
    ],
)  # fmt: skip
def test_every_defense_is_trained_and_attacked(defense: str) -> None:
    result, _ = small_run(defense=defense, attack="pgd_linf(eps=0.1, steps=3)", n=30)
    (row,) = result.summary()
    assert row["clean_accuracy"]["total"] == 30
    assert row["asr"]["total"] == row["clean_accuracy"]["count"]


def test_the_most_robust_epoch_is_kept_and_an_interrupted_training_ends_the_same(tmp_path: Path) -> None:
    data = load_data("digits", Places.of())
    for call in (
        "madry(model=vit(depth=1, epochs=4, lr=0.02), eps=0.05, steps=2)",
        "rspc(model=vit(depth=1, epochs=3))",
        "augmented(model=vit(depth=1, epochs=3), average=0.9, accumulate=2)",
    ):
        found = {}
        for name, stop_at in (("whole", None), ("broken", 65)):
            checkpoint = Checkpoint.of(call, data.splits, data.card, tmp_path / name)

            def stop(progress: Progress, at: int | None = stop_at) -> None:
                if progress.step == at:
                    raise KeyboardInterrupt

            if stop_at:
                with pytest.raises(KeyboardInterrupt):
                    checkpoint.obtain(torch.device("cpu"), report=stop)
            trained = checkpoint.obtain(torch.device("cpu"))
            found[name] = (checkpoint.folder / "weights.safetensors").read_bytes()
        assert found["whole"] == found["broken"], call
        lines = [json.loads(line) for line in (checkpoint.folder / "log.jsonl").read_text().splitlines()]
        if "madry" in call:
            scores = [line["validation_robust_accuracy"] for line in lines]
            assert lines[-1]["kept_epoch"] == 1 + scores.index(max(scores))
            attack = Call("pgd_linf", {"eps": 0.05, "steps": 10})
            assert robust_accuracy(trained.model, data.splits.validation, attack, torch.device("cpu")) == max(scores)


def test_schedules() -> None:
    steps = Schedule(100, lr=1.0, warmup=0.1, decay="steps")
    assert [round(learning_rate(steps, at), 4) for at in (0, 9, 49, 50, 75, 99)] == [0.1, 1.0, 1.0, 0.1, 0.01, 0.01]
    assert learning_rate(Schedule(100, lr=1.0, decay="none"), 99) == 1.0
    assert learning_rate(Schedule(100, lr=1.0), 99) < 0.001


def test_nested_defenses_that_do_not_exist_are_named() -> None:
    with pytest.raises(UsageError, match="did you mean 'vit'"):
        small_run(defense="madry(model=vitt)")
    with pytest.raises(UsageError, match="did you mean 'carlini'"):
        small_run(defense="distill(teacher=carlin)")
    with pytest.raises(UsageError, match="needs the option 'teacher'"):
        small_run(defense="distill")
    with pytest.raises(UsageError, match="a depth is 6 units a stage"):
        recipe_of("wide_resnet(depth=12)", digits_task())


def test_mixed_labels_are_learnt_as_they_were_mixed(batch: Any) -> None:
    model, given, _ = batch
    recipe = recipe_of("augmented(randaugment=0, erasing=0.0, mixup=0.0, cutmix=0.0, smoothing=0.2)", digits_task())
    made = recipe.objective
    made.mixing.num_classes = 2
    smoothed = (given.labels[:, None] == torch.arange(2)) * 0.8 + 0.1
    expected = F.cross_entropy(model(given.inputs), smoothed)
    assert float(made.loss(model, given, HALF)) == pytest.approx(float(expected), rel=1e-5)
    mixed = recipe_of("augmented(randaugment=0, erasing=0.0, cutmix=0.0, smoothing=0.0)", digits_task()).objective
    mixed.mixing.num_classes = 2
    seen = {}

    class Watch(Objective):
        def loss(self, model: nn.Module, batch: Batch, progress: Progress) -> Tensor:
            seen["batch"] = batch
            return torch.zeros(())

    mixed.base = Watch()
    mixed.loss(model, given, HALF)
    found = seen["batch"]
    share = float(found.soft.max(1).values[found.soft.min(1).values > 0].mean())
    turned = given.inputs.flip(0)
    either = torch.stack([s * given.inputs + (1 - s) * turned for s in (share, 1 - share)])
    assert ((found.inputs - either).abs().amax((2, 3, 4)).min(0).values < 1e-5).all()


def test_a_batch_in_parts_and_a_moving_average_are_what_they_say() -> None:
    from robench.snapshots import Average
    from robench.training import train

    data, found = DATASETS["digits"].function(Places.of()), []
    for parts in (1, 3):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
        schedule = Schedule(5, 32, 1e-2, accumulate=parts)
        found.append(train(Recipe(model, schedule), data.train, data.validation, seed=0, device=torch.device("cpu")))
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(*(m.parameters() for m in found), strict=True))
    average, expected = Average(nn.Linear(1, 1), 0.5), None
    for step in (20, 21):
        model = nn.Linear(1, 1)
        before = average.model.weight.clone()  # type: ignore[union-attr]
        average.update(model, step)
        expected = 0.5 * before + 0.5 * model.weight
        assert torch.allclose(average.model.weight, expected)  # type: ignore[arg-type]


def test_a_nested_seed_is_that_of_the_initial_weights() -> None:
    def weights(call: str) -> Tensor:
        torch.manual_seed(0)
        return next(iter(recipe_of(call, digits_task()).model.parameters())).detach()

    assert torch.equal(weights("madry(model=vit)"), weights("madry(model=vit)"))
    assert not torch.equal(weights("madry(model=vit(seed=1))"), weights("madry(model=vit(seed=2))"))
    assert torch.equal(weights("vit(seed=1)"), weights("madry(model=vit(seed=1))"))


def test_an_odd_batch_is_mixed_and_rspc_compares_an_image_with_itself() -> None:
    task = digits_task()
    made = recipe_of("augmented(randaugment=0, erasing=0.0)", task).objective
    mixed, soft = own("augmented", "mixed")(made.mixing, torch.rand(7, 1, 8, 8), torch.arange(7))
    assert (mixed.shape, soft.shape) == ((7, 1, 8, 8), (7, 10))
    assert ((soft > 0.05).sum(1) >= 2).any()
    recipe = recipe_of("rspc(model=augmented(model=vit(depth=1)), share=0.01)", task)
    recipe.objective.loss(recipe.model, Batch(torch.rand(8, 1, 8, 8), torch.arange(8), torch.arange(8)), HALF)
    assert recipe.objective.report()["alignment"] < 0.05
