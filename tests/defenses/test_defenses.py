"""Defenses: each recipe trained and attacked; what losses that wrap others have in common."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from cases import Linear
from conftest import small_run
from torch import Tensor, nn
from trainings import HALF, digits_task, linear_batch, own

from robench import DEFENSES, Batch, Call, Objective, Places, UsageError, recipe_of
from robench.data.loading import load_data
from robench.entries.calls import parse
from robench.training.checkpoints import Checkpoint

TINY = "vit(depth=1, epochs=1)"


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
    recipe.objective.loss(
        model, Batch(torch.rand(8, 1, 8, 8), torch.arange(8), torch.arange(8)), HALF._replace(step=HALF.step + 1)
    )
    assert model.images == 8 * passes


def test_losses_are_weighed_as_they_say() -> None:
    model, given, _ = linear_batch()
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
