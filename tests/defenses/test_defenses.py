"""Defenses: each recipe's loss against a case worked out by hand, each recipe trained and attacked."""

from __future__ import annotations

import math
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
    Task,
    UsageError,
    recipe_of,
)
from robench.data.loading import load_data
from robench.entries.calls import parse
from robench.training.adversary import Adversary
from robench.training.building import task_of
from robench.training.checkpoints import Checkpoint

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


class Watch(Objective):
    """In place of the objective that another wraps: keeps the batches that it is given."""

    def __init__(self) -> None:
        self.seen: list[Batch] = []

    def loss(self, model: nn.Module, batch: Batch, progress: Progress) -> Tensor:
        self.seen.append(batch)
        return torch.zeros(())


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
        found = adversary(model, given, HALF, slack=tau)
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


class Counted(nn.Module):
    """A model that counts the images that are passed through it."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model, self.images = model, 0

    def forward(self, inputs: Tensor) -> Tensor:
        self.images += len(inputs)
        logits: Tensor = self.model(inputs)
        return logits


@pytest.mark.parametrize(
    ("defense", "passes"), [("augmix", 3), ("rspc", 2), ("trades(steps=3)", 6), ("distill(teacher=vit)", 1)]
)
def test_the_clean_pass_is_made_once(defense: str, passes: int) -> None:
    call = parse(defense)
    options = call.options | ({"teacher": Linear(torch.ones(10, 64), torch.zeros(10))} if "teacher" in defense else {})
    recipe = DEFENSES[call.name].function(digits_task(), **options, model=Call("vit", {"depth": 1}))
    model = Counted(recipe.model)
    recipe.objective.loss(model, Batch(torch.rand(8, 1, 8, 8), torch.arange(8), torch.arange(8)), HALF)
    assert model.images == 8 * passes


def test_defensive_distillation_has_defaults_of_its_own_and_other_norms_want_a_radius() -> None:
    teacher = Linear(torch.ones(10, 64), torch.zeros(10))
    for form, alpha, temperature in (("soft", 0.5, 1.0), ("defensive", 1.0, 100.0)):
        made = DEFENSES["distill"].function(digits_task(), teacher=teacher, form=form).objective
        assert (made.alpha, made.temperature) == (alpha, temperature)
    with pytest.raises(UsageError, match=r"in l2 needs eps, such as 128/255"):
        recipe_of("madry(norm='l2')", digits_task())


def test_losses_are_weighed_as_they_say(batch: Any) -> None:
    model, given, _ = batch
    teacher, logits = Linear(torch.randn(2, 16), torch.zeros(2)), model(given.inputs)
    plain = F.cross_entropy(logits, given.labels)
    taught = own("distill", "Taught")(Objective(), teacher, "hard", 0.3, 1.0)
    expected = 0.7 * plain + 0.3 * F.cross_entropy(logits, teacher(given.inputs).argmax(1))
    assert float(taught.loss(model, given, HALF)) == pytest.approx(float(expected), rel=1e-5)
    mixed = own("augmix", "Mixed")(Objective(), lambda part: 255 - part, 2.0)
    whole = given._replace(inputs=(given.inputs * 255).round() / 255)
    views = [model(x).softmax(1) for x in (whole.inputs, 1 - whole.inputs, 1 - whole.inputs)]
    mean = sum(views) / 3
    divergence = sum((view * (view / mean).log()).sum(1).mean() for view in views) / 3
    expected = F.cross_entropy(model(whole.inputs), given.labels) + 2 * divergence
    assert float(mixed.loss(model, whole, HALF)) == pytest.approx(float(expected), rel=1e-4)


def test_the_divergence_of_augmix_is_that_of_jensen_and_shannon() -> None:
    divergence = own("augmix", "jensen_shannon")
    sure, other = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    assert float(divergence([sure, sure, sure])) == pytest.approx(0, abs=1e-6)
    third = math.log(3 / 2) * 2 / 3 + math.log(3) / 3
    assert float(divergence([sure, sure, other])) == pytest.approx(third, rel=1e-4)


@pytest.mark.matrix(
    defense={
        f"madry(model={TINY}, eps=0.05, steps=3)",
        f"rspc(model={TINY})",
        f"noise(model={TINY})",
        f"distill(model={TINY}, teacher=carlini(epochs=1, width=4))",
        "wide_resnet(width=1, depth=10, epochs=1)",
    }
)
@pytest.mark.parametrize(
    "defense",
    [
        f"madry(model={TINY}, eps=0.05, steps=3)",
        f"half_half(model=ksa(model={TINY}), eps=0.5, norm='l2', steps=3)",
        f"trades(model={TINY}, eps=0.05, steps=3)",
        f"fat(model={TINY}, eps=0.05, steps=3)",
        f"rspc(model={TINY})",
        f"rspc(model={TINY}, form='paper')",
        f"noise(model={TINY})",
        f"noise(model={TINY}, kind='patch', share=0.2)",
        f"augmix(model={TINY})",
        f"augmix(model={TINY}, weight=0.0)",
        f"distill(model={TINY}, teacher=carlini(epochs=1, width=4))",
        f"distill(model={TINY}, teacher={TINY}, form='hard')",
        "wide_resnet(width=1, depth=10, epochs=1)",
        "madry_cnn(epochs=1)",
        f"distill(form='defensive', alpha=1.0, temperature=100.0, model={TINY}, teacher=tempered(model={TINY}))",
        "timm(name='resnet10t', epochs=1)",
        f"augmented(model={TINY}, average=0.9)",
        f"augmented(model=madry(model={TINY}, steps=2), mixup=0.0, cutmix=0.0, randaugment=0, accumulate=2)",
    ],
)
def test_every_defense_is_trained_and_attacked(defense: str) -> None:
    result, _ = small_run(defense=defense, attack="pgd_linf(eps=0.1, steps=3)", n=30)
    (row,) = result.summary()
    assert row["clean_accuracy"]["total"] == 30
    assert row["asr"]["total"] == row["clean_accuracy"]["count"]
    data = load_data("digits", Places.of())
    checkpoint = Checkpoint.of(defense, data.splits, data.card, Places.of().cache)
    trained, untrained = checkpoint.load(), checkpoint.recipe()
    assert trained is not None
    assert all(math.isfinite(line["loss"]) for line in trained.log)
    pairs = zip(trained.model.parameters(), untrained.model.parameters(), strict=True)
    assert all(not torch.equal(after, before) for after, before in pairs if before.requires_grad), "all of it learns"


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


def test_nested_defenses_that_do_not_exist_are_named() -> None:
    with pytest.raises(UsageError, match="did you mean 'vit'"):
        small_run(defense="madry(model=vitt)")
    with pytest.raises(UsageError, match="did you mean 'carlini'"):
        small_run(defense="distill(teacher=carlin)")
    with pytest.raises(UsageError, match="needs the option 'teacher'"):
        small_run(defense="distill")
    with pytest.raises(UsageError, match="plain cross-entropy"):
        small_run(defense="distill(teacher=tempered(model=ksa))")
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
