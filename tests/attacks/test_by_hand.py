"""Attacks by hand: where they start, where a step goes, and what they keep from step to step."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from cases import Linear, linear_case, wrapped
from torch import Tensor, nn

from robench import ATTACKS, Classifier
from robench.attacking.corruptions import corrupt
from robench.attacking.draws import Draws
from robench.attacking.losses import cross_entropy, dlr, goal_margin, margin
from robench.attacking.norms import into_ball, length
from robench.attacking.patches import patch_mask


def run(name: str, model: nn.Module, inputs: Tensor, labels: Tensor, **options: Any) -> Tensor:
    classes = model(inputs[:1]).shape[1]
    adversarial: Tensor = ATTACKS[name].function(wrapped(model, len(inputs), classes), inputs, labels, **options)
    return adversarial


@pytest.mark.parametrize(
    ("logits", "loss", "slope"),
    [
        ([5.0, 0.0, -1e9], 6.7153e-3, 6.6929e-3),  # ln(1 + e^-5); 1 / (1 + e^5)
        ([12.0, 0.0, -1e9], 6.1442e-6, 6.1442e-6),  # where 1 - p has two digits in float32
        ([1015.0, 0.0, -1e9], -3.0559e-4, 3.0590e-7),  # e^-15 (1 - 1000), along the tangent at 15
        ([2e-6, 0.0, -1e-6], 1.31702e-3, None),  # brought to 20/3, 0, -10/3: ln(1 + e^-6.6667 + e^-10)
    ],
)
def test_cross_entropy_has_a_slope_at_any_scale(logits: list[float], loss: float, slope: float | None) -> None:
    given = torch.tensor([logits], requires_grad=True)
    value = cross_entropy(given, torch.tensor([0]), None)
    (found,) = torch.autograd.grad(value.sum(), given)
    assert value.item() == pytest.approx(loss, rel=1e-3)
    if slope is not None:
        assert found.tolist()[0] == pytest.approx([-slope, slope, 0.0], rel=1e-3)
    assert found[0, 0] < 0 < found[0, 1]


class Valley(nn.Module):
    """Logits (10 (x − 0.52)², 0) of images of one pixel: the loss of class 0 is largest at 0.52, and nowhere is it fooled."""

    def forward(self, inputs: Tensor) -> Tensor:
        height = 10 * (inputs.flatten(1) - 0.52).square()
        return torch.cat([height, torch.zeros_like(height)], 1)


@pytest.mark.parametrize(("decay", "path"), [(1.0, [0.53, 0.53, 0.50]), (0.0, [0.53, 0.50, 0.53]), (0.5, [0.53, 0.50])])
def test_momentum_is_a_running_sum_of_normalised_gradients(decay: float, path: list[float]) -> None:
    """From 0.5 in steps of 0.03. The slopes are up, down, down: of length 1 each, since each is divided by its mean.

    With μ = 1 the sum is 1, 0, −1: a step up, none, one down. Not normalised, the first slope, twice as steep, would win.
    """
    for steps, level in enumerate(path, 1):
        found = run(
            "mim", Valley(), torch.full((1, 1, 1, 1), 0.5), torch.tensor([0]),
            eps=0.2, steps=steps, step_size=0.03, decay=decay, until_success=False,
        )  # fmt: skip
        assert found.item() == pytest.approx(level, abs=1e-6), steps


def starts(name: str, eps: float, restarts: int = 1, side: int = 4) -> Tensor:
    """Where the descents of 200 grey images begin, relative to them; a step of no length leaves them there."""
    grey = torch.full((200, 1, side, side), 0.5, dtype=torch.float64)
    model = Linear(torch.zeros(2, side * side, dtype=torch.float64), torch.tensor([1.0, 0.0], dtype=torch.float64))
    labels = torch.zeros(200, dtype=torch.int64)
    return run(name, model, grey, labels, eps=eps, steps=1, step_size=1e-12, restarts=restarts) - grey


def test_pgd_in_linf_starts_at_a_uniform_point_of_the_cube() -> None:
    begun = starts("pgd_linf", 0.3).flatten()
    assert begun.quantile(torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64)).tolist() == pytest.approx(
        [-0.24, 0, 0.24], abs=0.02
    )
    assert float(begun.abs().amax()) <= 0.3


@pytest.mark.parametrize("norm", ["l2", "l1"])
def test_pgd_starts_at_a_uniform_point_of_the_ball(norm: str) -> None:
    """Of a ball in n dimensions a share of rⁿ lies within r: (length / eps)ⁿ is uniform. All signs are equally frequent."""
    begun = starts(f"pgd_{norm}", 0.4, side=2).flatten(1)
    size = begun.norm(dim=1) if norm == "l2" else begun.abs().sum(1)
    share = (size / 0.4) ** 4
    assert float(share.mean()) == pytest.approx(0.5, abs=0.06)
    assert float(share.std()) == pytest.approx(12**-0.5, rel=0.15)
    assert ((begun > 0).double().mean(0) - 0.5).abs().max() < 0.12


def test_restarts_begin_elsewhere_and_leave_alone_what_is_fooled() -> None:
    """Steps of no length: what is found is the first of the starts that fools, or else the last."""
    model, inputs, labels = linear_case(40)
    eps, count = 0.2, 4
    draws = Draws(0, [f"image {i}" for i in range(40)])
    begun = [
        (inputs + eps * (2 * draws.uniform("start", restart, None, (1, 4, 4)) - 1)).clamp(0, 1)
        for restart in range(count)
    ]
    fooled = torch.stack([goal_margin(model(start), labels, None) > 1e-4 for start in begun])
    first = torch.where(fooled.any(0), fooled.double().argmax(0), count - 1)
    assert len(first.unique()) == count, "some images need each of the restarts"
    assert 0 < int(fooled.any(0).sum()) < 40
    found = run("pgd_linf", model, inputs, labels, eps=eps, steps=1, step_size=1e-13, restarts=count)
    wanted = torch.stack([begun[int(place)][row] for row, place in enumerate(first)])
    assert torch.allclose(found, wanted, atol=1e-9)


STEEP = Linear(torch.tensor([[0.0, 0, 0, 0], [3.0, -4.0, 0.5, 0.0]]), torch.tensor([9.0, 0.0]))
"""Of four pixels the second has the steepest slope of the loss of class 0, downwards; it is never fooled."""


@pytest.mark.parametrize(
    ("name", "options", "moved"),
    [
        ("fgsm", {"eps": 0.1}, [0.1, -0.1, 0.1, 0]),
        ("pgd_linf", {"eps": 0.3, "step_size": 0.1}, [0.1, -0.1, 0.1, 0]),
        ("pgd_linf", {"eps": 0.05, "step_size": 0.1}, [0.05, -0.05, 0.05, 0]),
        # Along the slope over its length, (9 + 16 + 0.25) ** 0.5.
        ("pgd_l2", {"eps": 0.3, "step_size": 0.1}, [x * 0.1 / 25.25**0.5 for x in (3, -4, 0.5, 0)]),
        ("pgd_l2", {"eps": 0.05, "step_size": 0.1}, [x * 0.05 / 25.25**0.5 for x in (3, -4, 0.5, 0)]),
        ("pgd_l1", {"eps": 0.3, "step_size": 0.1}, [0, -0.1, 0, 0]),
        ("pgd_l1", {"eps": 0.3, "step_size": 0.1, "sparsity": 0.5}, [0.05, -0.05, 0, 0]),
        ("pgd_l1", {"eps": 0.05, "step_size": 0.1}, [0, -0.05, 0, 0]),
        ("mim", {"eps": 0.3, "step_size": 0.1}, [0.1, -0.1, 0.1, 0]),
    ],
)
def test_a_step_goes_up_the_loss(name: str, options: dict[str, float], moved: list[float]) -> None:
    """And towards a target, class 1 here, it goes the same way."""
    given = options if name == "fgsm" else {**options, "steps": 1}
    given = given | ({"random_start": False} if name.startswith("pgd") else {})
    grey, labels = torch.full((1, 1, 2, 2), 0.5), torch.tensor([0])
    for targets in (None, torch.tensor([1])):
        found = run(name, STEEP, grey, labels, targets=targets, **given) - grey
        assert found.flatten().tolist() == pytest.approx(moved, abs=1e-6)
    on = {} if name == "fgsm" else {"until_success": False}
    back = run(name, STEEP, grey, torch.tensor([1]), targets=torch.tensor([0]), **given, **on) - grey
    assert back.flatten().tolist() == pytest.approx([-move for move in moved], abs=1e-6)


def test_the_default_step_is_two_and_a_half_times_the_radius_over_the_steps() -> None:
    grey, labels = torch.full((1, 1, 2, 2), 0.5), torch.tensor([0])
    for name, size in (("pgd_linf", 0.025), ("mim", 0.025), ("pgd_l2", 0.025), ("pgd_l1", 0.08)):
        start = {"random_start": False} if name.startswith("pgd") else {}
        model = Watched(STEEP)
        run(name, model, grey, labels, eps=0.1, steps=10, **start)
        assert float((model.seen[1] - grey).norm(p=1 if name == "pgd_l1" else float("inf"))) == pytest.approx(
            size * (4 / 25.25**0.5 if name == "pgd_l2" else 1), rel=1e-4
        ), name


class Watched(nn.Module):
    """A model that keeps the images that gradients are asked at."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model, self.seen = model, list[Tensor]()

    def forward(self, inputs: Tensor) -> Tensor:
        if inputs.requires_grad:
            self.seen.append(inputs.detach())
        logits: Tensor = self.model(inputs)
        return logits


def test_fgsm_comes_back_into_the_ball_from_a_random_start() -> None:
    """A step of eps from anywhere in the ball ends at or beyond its face, where the slope is not zero."""
    grey = torch.full((50, 1, 2, 2), 0.5)
    found = run("fgsm", STEEP, grey, torch.zeros(50, dtype=torch.int64), eps=0.1, random_start=True) - grey
    inside = found.flatten(1)[:, :3] * torch.tensor([1.0, -1.0, 1.0])
    assert float(found.abs().max()) <= 0.1 + 1e-6
    assert float(inside.min()) >= -1e-6
    assert float((inside > 0.1 - 1e-6).float().mean()) == pytest.approx(0.5, abs=0.1), "half began on the near side"


@pytest.mark.parametrize("name", ["fgsm", "pgd_linf", "pgd_l2", "pgd_l1", "mim"])
def test_a_step_ends_at_the_box(name: str) -> None:
    """A pixel of 0.95 that is to rise, one of 0.05 that is to fall: neither moves by more than 0.05."""
    inputs = torch.tensor([[[[0.95, 0.05], [0.5, 0.5]]]])
    given = {"eps": 0.5} if name == "fgsm" else {"eps": 0.5, "steps": 3, "step_size": 0.2}
    found = run(name, STEEP, inputs, torch.tensor([0]), **given)
    assert found.flatten()[:2].tolist() == pytest.approx([1, 0], abs=1e-6)


def test_a_pixel_at_the_box_is_not_moved_by_an_l1_step() -> None:
    """The steepest pixel is black and cannot fall: the step goes to the next."""
    inputs = torch.tensor([[[[0.5, 0.0], [0.5, 0.5]]]])
    found = run("pgd_l1", STEEP, inputs, torch.tensor([0]), eps=0.3, steps=1, step_size=0.1, random_start=False)
    assert (found - inputs).flatten().tolist() == pytest.approx([0.1, 0, 0, 0], abs=1e-6)


@pytest.mark.parametrize(
    ("norm", "nearest"),
    [
        ("linf", [0.5, -0.5, 0.2]),
        ("l2", [0.3, -0.4, 0.0]),
        ("l1", [0.2, -0.3, 0.0]),  # each brought nearer to 0 by 0.4
    ],
)
def test_projections_are_onto_the_nearest_point_of_a_ball_of_a_half(norm: str, nearest: list[float]) -> None:
    given = [[0.6, -0.8, 0.2]] if norm == "linf" else [[0.6, -0.8, 0.0]] if norm == "l2" else [[0.6, -0.7, 0.1]]
    assert into_ball(torch.tensor(given), 0.5, norm).tolist()[0] == pytest.approx(nearest, abs=1e-6)
    inside = torch.tensor([[0.1, -0.2, 0.05]])
    assert torch.allclose(into_ball(inside, 0.5, norm), inside)


def test_the_ratio_of_logits_is_that_of_equations_6_and_7() -> None:
    """Of (5, 3, 2, 1) with label 0: −(5 − 3) / (5 − 2). Towards class 2: −(5 − 2) / (5 − (2 + 1) / 2)."""
    logits = torch.tensor([[5.0, 3.0, 2.0, 1.0]])
    assert dlr(logits, torch.tensor([0]), None).item() == pytest.approx(-2 / 3)
    assert dlr(logits, torch.tensor([3]), None).item() == pytest.approx((5 - 1) / 3)
    assert dlr(logits, torch.tensor([0]), torch.tensor([2])).item() == pytest.approx(-3 / 3.5)


def test_a_patch_threat_changes_its_patches_alone_and_as_it_says() -> None:
    inputs = torch.rand(6, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    model, labels = Classifier(nn.Flatten(), 784, [f"image {i}" for i in range(6)]), torch.zeros(6, dtype=torch.int64)
    mask = patch_mask(model.draws, inputs.shape, 4, 0.2)
    assert (mask.float().mean((1, 2, 3)) * 49 == 10).all(), "10 of 49 patches"
    noise = ATTACKS["patch_noise"].function(model, inputs, labels, share=0.2, patch=4)
    assert torch.equal(noise[~mask], inputs[~mask])
    assert float(noise[mask].mean()) == pytest.approx(0.5, abs=0.05)
    assert float(noise[mask].std()) == pytest.approx(12**-0.5, rel=0.05)
    climbed = ATTACKS["patch_pgd"].function(
        model, inputs, labels, share=0.2, patch=4, steps=2, step_size=1e-9, until_success=False
    )
    assert torch.equal(climbed[~mask], inputs[~mask]), "where it starts is within its patches"
    climbed = ATTACKS["patch_pgd"].function(model, inputs, labels, share=0.2, patch=4, steps=2, until_success=False)
    assert torch.equal(climbed[~mask], inputs[~mask])
    assert float((climbed != inputs)[mask].float().mean()) > 0.9
    for name, severity in (("brightness", 2), ("contrast", 2), ("brightness", 4)):
        found = ATTACKS["patch_corruption"].function(
            model, inputs, labels, names=name, severities=severity, share=0.2, patch=4
        )
        wanted = corrupt(inputs, name, severity, model.draws)
        assert torch.equal(found[mask], wanted[mask]), (name, severity)
        assert torch.equal(found[~mask], inputs[~mask])


def test_a_transfer_takes_many_steps_on_its_source() -> None:
    """By default MIM, which goes on after its source is fooled: 40 gradients of the source, none of the target."""
    source, inputs, labels = linear_case(8)
    asked = Watched(source)
    found = ATTACKS["transfer"].function(wrapped(source, 8), inputs, labels, eps=0.1, source=asked)
    assert len(asked.seen) == 40
    assert torch.equal(found, run("mim", source, inputs, labels, eps=0.1, until_success=False))


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_fab_steps_beyond_the_boundary_by_a_twentieth_and_is_drawn_back_by_a_tenth(norm: str) -> None:
    """Of a linear model the first projection is exact, so that a step ends at 1.05 times the distance, and 0.9 of it is next."""
    model, inputs, labels = linear_case(24)
    slope = model.layer.weight[0] - model.layer.weight[1]
    exact = margin(model(inputs), labels) / (slope.norm() if norm == "l2" else slope.abs().sum())
    far = exact > 0.02
    watched = Watched(model)
    first = run(f"fab_{norm}", watched, inputs, labels, steps=1) - inputs
    assert torch.allclose(length(first, norm)[far], 1.05 * exact[far], rtol=0.01)
    run(f"fab_{norm}", watched, inputs, labels, steps=2)
    assert torch.allclose((watched.seen[-1] - inputs)[far], 0.9 * first[far], atol=1e-6)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_fab_keeps_where_it_was_drawn_back_to_if_that_is_still_beyond_the_boundary(norm: str) -> None:
    """A step that ends at 1.2 times the distance is drawn back to 1.08; from there the next goes to 1.08 − 1.2 · 0.08 < 1."""
    model, inputs, labels = linear_case(24)
    slope = model.layer.weight[0] - model.layer.weight[1]
    exact = margin(model(inputs), labels) / (slope.norm() if norm == "l2" else slope.abs().sum())
    far = exact > 0.02
    found = run(f"fab_{norm}", model, inputs, labels, steps=2, eta=1.2, alpha_max=0.0) - inputs
    assert torch.allclose(length(found, norm)[far], 1.08 * exact[far], rtol=0.01)


@pytest.mark.parametrize("name", ["fgsm", "pgd_linf"])
def test_the_loss_that_is_climbed_is_the_one_that_is_named(name: str) -> None:
    """Of probabilities p = (.5, .3, .2) and the label 0 the cross-entropy's slope in the logits is p − y = (−.5, .3, .2), that of the
    squared error two thirds of p (p − y − p·(p − y)) = (−.19, .126, .064). A pixel that adds (1, 0, 2.7) raises the one by
    .04 and lowers the other by .017."""
    layer = nn.Linear(1, 3)
    layer.weight.data = torch.tensor([[1.0], [0.0], [2.7]])
    layer.bias.data = torch.tensor([0.5, 0.3, 0.2]).log() - 0.5 * layer.weight.data[:, 0]
    model = Classifier(nn.Sequential(nn.Flatten(), layer).requires_grad_(False), 3, ["a"])
    options = {"steps": 1, "step_size": 0.1, "random_start": False} if name == "pgd_linf" else {}
    for loss, moved in (("ce", 0.6), ("mse", 0.4)):
        found = ATTACKS[name].function(
            model, torch.full((1, 1, 1, 1), 0.5), torch.tensor([0]), eps=0.1, loss=loss, **options
        )
        assert found.item() == pytest.approx(moved, abs=1e-6)


def test_the_lectures_budgets_have_names() -> None:
    for preset, steps, size in (("lecture7", 7, 2 / 255), ("lecture20", 20, 1 / 255)):
        given = ATTACKS["pgd_linf"].resolve({"eps": 8 / 255, "preset": preset})
        assert (given["steps"], given["step_size"]) == (steps, size)
