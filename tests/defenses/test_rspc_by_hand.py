"""RSPC by hand: which patches are occluded, with what, and what is paid for it, on images of four pixels."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from trainings import HALF, Watch, batch_of, digits_task, own

from robench import Call, Objective, Progress, Schedule, UsageError, recipe_of

PIXELS = torch.tensor([[[[0.6, 0.7], [0.8, 0.9]]], [[[0.9, 0.5], [0.7, 0.8]]]])
"""Patches of one pixel. Where C scores a pixel by its value, the lowest of each image (0.6, 0.5) is the quarter occluded."""
CHANGED = (0.5, 0.4)
"""By as much as the two images change where what is occluded becomes 0.1."""
BLACK = ([0.1], [1e-6])
"""Noise of 0.1, all but constant, so that losses can be worked out."""


class Blocks(nn.Module):
    """Two blocks, whose outputs are the pixels times s and times 2 s; s is 1."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))
        self.blocks = nn.ModuleList([Times(self.scale), Times(self.scale)])
        self.blocks[1].factor = 2.0

    def forward(self, inputs: Tensor) -> Tensor:
        return torch.cat([block(inputs).flatten(1).mean(1, keepdim=True) for block in self.blocks], 1)


class Times(nn.Module):
    def __init__(self, scale: nn.Parameter) -> None:
        super().__init__()
        self.scale, self.factor = [scale], 1.0  # in a list, so that the model owns it once

    def forward(self, inputs: Tensor) -> Tensor:
        return self.factor * self.scale[0] * inputs


def aligned(form: str, model: Blocks, base: Objective, weight: float = 1.0, noise: Any = BLACK) -> Any:
    """The objective with an adversary that scores each pixel by its value."""
    corruption = own("rspc", "PatchCorruption")((1, 2, 2), 1, 0.25, form)
    corruption.score.weight.data.fill_(1.0)
    if corruption.mix is not None:
        corruption.mix.weight.data = torch.eye(4)
    return own("rspc", "Aligned")(base, corruption, [*model.blocks], weight, noise, Schedule(steps=100, lr=0.1))


@pytest.mark.parametrize("cut", [True, False])
def test_the_lowest_share_of_the_scores_is_occluded_and_the_rest_is_kept(cut: bool) -> None:
    scores = torch.tensor([[0.1, 0.4, 0.3, 0.2], [4.0, 3.0, 2.0, 1.0]])
    keep = own("rspc", "KeepMask").apply
    assert keep(scores, 0.25, cut).tolist() == [[0, 1, 1, 1], [1, 1, 1, 0]]
    assert keep(scores, 0.5, cut).tolist() == [[0, 1, 1, 0], [1, 1, 0, 0]]


@pytest.mark.parametrize("form", ["authors", "paper"])
def test_the_pixels_of_a_patch_are_occluded_together(form: str) -> None:
    """Patches of two by two: bright ones have the higher scores, the darkest is covered."""
    corruption = own("rspc", "PatchCorruption")((1, 4, 4), 2, 0.25, form)
    corruption.score.weight.data.fill_(1.0)
    if form == "authors":
        corruption.mix.weight.data = torch.eye(4)
    tiles = torch.tensor([[0.4, 0.9], [0.7, 0.2]]).repeat_interleave(2, 0).repeat_interleave(2, 1)
    kept = corruption(tiles.expand(1, 1, 4, 4))
    assert kept[0, 0].tolist() == [[1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 0, 0], [1, 1, 0, 0]]


@pytest.mark.parametrize(("form", "covered"), [("authors", 1), ("paper", 0)])
def test_the_authors_scores_pass_through_gelu(form: str, covered: int) -> None:
    """It takes (−3, −0.75, 1, 2) to (−0.004, −0.170, 0.841, 1.955): the lowest is the second, without it the first."""
    corruption = own("rspc", "PatchCorruption")((1, 2, 2), 1, 0.25, form)
    corruption.score.weight.data.fill_(1.0)
    if form == "authors":
        corruption.mix.weight.data = torch.eye(4)
    kept = corruption(torch.tensor([[[[-3.0, -0.75], [1.0, 2.0]]]]))
    assert kept.flatten().tolist() == [float(place != covered) for place in range(4)]


@pytest.mark.parametrize("length", [50.0, 3.0])
def test_the_authors_adversary_climbs_gradients_of_a_norm_of_5(length: float) -> None:
    """Of SGD (1e-4, Nesterov momentum of 0.9, decay of 0.05) a first step is 1.9e-4 times (slope − 0.05 weight), uphill."""
    model = Blocks()
    objective = aligned("authors", model, Watch())
    parts, slope = list(objective.corruption.parameters()), length / 17**0.5  # of 1 + 16 weights
    before = [part.detach().double() for part in parts]
    for part in parts:
        part.grad = torch.full_like(part, slope)
    objective.after_step(model, HALF)
    climbed = slope * 5 / length
    for part, was in zip(parts, before, strict=True):
        assert torch.allclose(part.double(), was + 1.9e-4 * (climbed - 0.05 * was), rtol=0, atol=2e-7)


@pytest.mark.parametrize("form", ["authors", "paper"])
def test_what_is_occluded_becomes_noise_and_nothing_else_changes(form: str) -> None:
    wanted = PIXELS.clone()
    wanted[0, 0, 0, 0] = wanted[1, 0, 0, 1] = 0.1
    assert torch.allclose(aligned(form, Blocks(), Watch()).occluded(PIXELS), wanted, atol=1e-5)


FIRST, SECOND = CHANGED
DISTANCE = {
    # The norm of each image's difference, averaged over images, then over blocks: (0.45 + 2 · 0.45) / 2.
    "paper": 1.5 * (FIRST + SECOND) / 2,
    # Mean squares over all eight numbers, 1 + 4 times those of the first block, over the number of blocks + 1e-4.
    "authors": 5 * (FIRST**2 + SECOND**2) / 8 / (2 + 1e-4),
}


@pytest.mark.parametrize("weight", [0.005, 1.0, 3.0])
@pytest.mark.parametrize("form", ["authors", "paper"])
def test_the_alignment_is_the_distance_of_features_times_lambda(form: str, weight: float) -> None:
    model = Blocks()
    objective = aligned(form, model, Watch(7.0), weight)
    loss = objective.loss(model, batch_of(PIXELS), HALF)
    assert loss.item() == pytest.approx(7 + weight * DISTANCE[form], rel=1e-5)
    assert objective.report()["alignment"] == pytest.approx(DISTANCE[form], rel=1e-5)


@pytest.mark.parametrize("form", ["authors", "paper"])
def test_clean_features_get_gradients_too(form: str) -> None:
    """Distances grow with s, or with its square. Against clean features that are held fixed the slopes are −0.15 and −0.096."""
    model = Blocks()
    aligned(form, model, Watch()).loss(model, batch_of(PIXELS), HALF).backward()
    assert model.scale.grad is not None
    power = 1 if form == "paper" else 2
    assert model.scale.grad.item() == pytest.approx(power * DISTANCE[form], rel=1e-4)


def test_the_adversary_climbs_what_the_model_descends() -> None:
    """Of the paper's form: the slope of the mask at the pixel that is covered is −1 where C's weight is 1.

    The distance is 1.5 s times the mean of |m x + (1 − m) 0.1 − x|, so that its slope in m at m = 0 is
    −1.5 · (0.5, 0.4) / 2. By the chain rule C's weight gets that times the scores, (x − 0.1) / 1e-6.
    """
    model = Blocks()
    objective = aligned("paper", model, Watch(), weight=2.0)
    objective.loss(model, batch_of(PIXELS), Progress(50, 100, 0)).backward()
    weight = objective.corruption.score.weight
    slope = weight.grad.item()
    assert slope == pytest.approx(2 * -1.5 * (FIRST * 5e5 + SECOND * 4e5) / 2, rel=1e-3)
    objective.schedule, objective.rate = Schedule(steps=100, lr=0.1, warmup=0.1, decay="none"), 1e-6
    objective.after_step(model, Progress(50, 100, 0))
    assert weight.item() == pytest.approx(1 + 1e-6 * slope, rel=1e-4)


def test_gradients_pass_the_cut_straight_through_and_the_authors_cut_them() -> None:
    slopes = {}
    for cut in (True, False):
        scores = torch.tensor([[0.1, 0.4, 0.3, 0.2]], requires_grad=True)
        mask = own("rspc", "KeepMask").apply(scores, 0.25, cut)
        (mask * torch.tensor([[0.5, -3.0, 2.0, -0.25]])).sum().backward()
        assert scores.grad is not None
        slopes[cut] = scores.grad.tolist()[0]
    assert slopes == {True: [0.5, -1.0, 1.0, -0.25], False: [0.5, -3.0, 2.0, -0.25]}


@pytest.mark.parametrize("form", ["authors", "paper"])
def test_the_noise_is_uniform_and_other_in_every_step(form: str) -> None:
    """In pixels from 0 to 1 in the paper's form; of the authors between mean and mean + deviation, (0.3, 0.8) here."""
    corruption = own("rspc", "PatchCorruption")((1, 32, 32), 2, 0.5, form)
    low, span = (0.0, 1.0) if form == "paper" else (0.3, 0.5)
    model = Blocks()
    objective = own("rspc", "Aligned")(Watch(), corruption, [*model.blocks], 1.0, ([low], [span]), Schedule(steps=1))
    torch.manual_seed(0)
    inputs = 1 - 1e-3 * torch.rand(4, 1, 32, 32)
    first, second = (objective.occluded(inputs).detach() for _ in range(2))
    covered = first != inputs
    assert float(covered.float().mean()) == pytest.approx(0.5, abs=0.01)
    values = first[covered]
    assert float(values.mean()) == pytest.approx(low + span / 2, abs=0.03)
    assert float(values.std()) == pytest.approx(span / 12**0.5, rel=0.05)
    assert float((first[covered] - second[covered]).abs().mean()) == pytest.approx(span / 3, rel=0.1)


def test_the_clean_images_are_learnt_by_the_wrapped_objective_as_they_are() -> None:
    recipe = recipe_of(Call("rspc", {"model": Call("vit", {"depth": 1}), "weight": 0.0}), digits_task())
    inputs, labels = torch.rand(4, 1, 8, 8), torch.tensor([3, 1, 4, 1])
    loss = recipe.objective.loss(recipe.model, batch_of(inputs, labels), HALF)
    assert loss.item() == pytest.approx(F.cross_entropy(recipe.model(inputs), labels).item(), rel=1e-5)


def test_its_defaults_are_those_of_the_authors() -> None:
    """λ = 0.005 and a tenth of the patches: of the digits' 16 patches of two by two, 2."""
    objective: Any = recipe_of("rspc", digits_task()).objective
    assert objective.weight == 0.005
    assert objective.authors
    kept = objective.corruption(torch.rand(5, 1, 8, 8))
    assert ((1 - kept).flatten(1).sum(1) == 2 * 4).all()


def test_frozen_and_random_patches_are_controls_of_the_learned_ones() -> None:
    """C scores pixels by their value. Frozen it stays; random patches are others in each step, a quarter of each image all the same."""
    for choice, same in (("frozen", True), ("random", False)):
        model = Blocks()
        corruption = own("rspc", "PatchCorruption")((1, 8, 8), 1, 0.25, "paper")
        corruption.score.weight.data.fill_(1.0)
        objective = own("rspc", "Aligned")(
            Watch(), corruption, [*model.blocks], 1.0, BLACK, Schedule(steps=100), choice
        )
        images = torch.rand(4, 1, 8, 8) * 0.5 + 0.3
        first, second = ((objective.occluded(images) - images).abs() > 1e-4 for _ in range(2))
        assert torch.equal(first, second) == same
        assert first.flatten(1).sum(1).tolist() == [16] * 4
        darkest = images.flatten(1) <= images.flatten(1).quantile(0.25, dim=1, keepdim=True)
        assert torch.equal(first.flatten(1), darkest) == same
        objective.loss(model, batch_of(images), HALF).backward()
        objective.after_step(model, HALF)
        assert corruption.score.weight.item() == 1.0
        assert objective.report()["adversary_moved"] == 0


def test_the_log_says_how_far_the_adversary_moved_and_what_its_patches_do_more_than_random_ones() -> None:
    """It covers the one pixel that is 0.9 away from the noise; a random one of four is 0.9, 0.1, 0.1 or 0.1 away."""
    model = Blocks()
    objective = aligned("paper", model, Watch())
    objective.corruption.score.weight.data.fill_(-1.0)  # the brightest
    images = torch.full((4000, 1, 2, 2), 0.2)
    images[:, 0, 1, 0] = 1.0
    seen = objective.look(model, images)
    assert seen["adversary_gain"] == pytest.approx(0.9 / ((0.9 + 3 * 0.1) / 4), rel=0.05)
    objective.first = [torch.full_like(objective.first[0], -0.5)]
    assert objective.look(model, images)["adversary_moved"] == pytest.approx(1.0)
    before, modes = torch.get_rng_state(), list[bool]()
    model.train().register_forward_pre_hook(lambda module, _: modes.append(module.training))
    objective.look(model, images)
    assert torch.equal(torch.get_rng_state(), before)
    assert modes == [False] * 3 and model.training, "statistics of batches are those of the training alone"


@pytest.mark.parametrize(("shape", "patch", "share", "counts"), [((3, 224, 224), 16, 0.1, (20, 196)), ((1, 8, 8), 2, 0.1, (2, 16)), ((1, 8, 8), 4, 0.1, (1, 4)), ((1, 8, 8), 2, 0.25, (4, 16))])  # fmt: skip
def test_the_share_that_is_occluded_is_said_as_it_is(
    shape: Any, patch: int, share: float, counts: tuple[int, int]
) -> None:
    corruption = own("rspc", "PatchCorruption")(shape, patch, share, "paper")
    kept = corruption(torch.rand(2, *shape))
    assert corruption.realised == counts
    assert round(float((1 - kept[0].detach()).mean()) * counts[1]) == counts[0]
    recipe = recipe_of("rspc", digits_task())
    assert recipe.note == "2 of 16 patches of 2 pixels are occluded in training (12.5%)"


def test_the_adversarys_rate_is_the_authors_for_as_many_steps() -> None:
    """1e-4 for 187,000 steps."""
    recipe = recipe_of("rspc", digits_task())
    assert recipe.objective.rate * recipe.schedule.steps == pytest.approx(18.7)  # type: ignore[attr-defined]
    assert recipe_of("rspc(adversary_lr=0.5)", digits_task()).objective.rate == 0.5  # type: ignore[attr-defined]
    with pytest.raises(UsageError, match="learns nothing; leave adversary_lr out"):
        recipe_of("rspc(adversary='frozen', adversary_lr=0.5)", digits_task())
    paper = recipe_of("rspc(form='paper')", digits_task())
    assert paper.objective.rate == paper.schedule.lr  # type: ignore[attr-defined]
