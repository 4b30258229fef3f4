"""KSA by hand: equations 4 to 7 of the paper and its Algorithm 1 on attention of three tokens."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from trainings import Watch, batch_of, digits_task, own

from robench import (
    DEFENSES,
    Attention,
    Call,
    Progress,
    Recipe,
    UsageError,
    Weighing,
    attentions,
    keep_largest,
    recipe_of,
    watched,
)
from robench.models.maps import MAPS

ROWS = torch.tensor([[0.5, 0.3, 0.2], [0.6, 0.1, 0.3], [0.2, 0.8, 0.0]])
"""With K = 2 the rows keep 0.8, 0.9 and all of their weight."""
PAPER = torch.tensor([[5 / 8, 3 / 8, 0], [2 / 3, 0, 1 / 3], [0.2, 0.8, 0]])
"""Divided by what they keep."""
PROJECTED = torch.tensor([[0.6, 0.4, 0], [0.65, 0, 0.35], [0.2, 0.8, 0]])
"""Half of what is missing (0.2, 0.1, 0) added to each of the two."""
PENALTY = {"paper": 49 / 800 + 7 / 450, "projection": 0.06 + 0.015}
"""Σ ‖s − w‖²: 1/64 + 9/1600 + 1/25 = 49/800 and 1/225 + 1/100 + 1/900 = 7/450; 0.01 + 0.01 + 0.04 and 0.0025 + 0.01 + 0.0025."""


class Rows(Weighing):
    """In place of an attention layer: its weights are the parameter."""

    def __init__(self, weights: Tensor) -> None:
        super().__init__("softmax")
        self.map = lambda scores: scores
        self.weights = nn.Parameter(weights.clone())

    def forward(self, inputs: Tensor) -> Tensor:
        self.weigh(self.weights.expand(len(inputs), *self.weights.shape))
        return inputs


def penalty(*layers: Rows, images: int = 1, step: int = 0, task: float = 0.0, **changed: Any) -> Tensor:
    """The loss of `KSparse` on these layers, by default with K = 2 and 2 μ = 1."""
    options = {"k": 2, "mu": 0.5, "decay": 0.5, "inner": 3, "outer": 3, "target": "paper", **changed}
    objective = own("ksa", "KSparse")(Watch(task), layers, **options)
    found: Tensor = objective.loss(nn.Sequential(*layers), batch_of(torch.zeros(images, 1)), Progress(step, 100, 0))
    return found


def test_the_largest_weights_of_a_row_are_kept_and_the_others_are_zero() -> None:
    assert torch.equal(keep_largest(ROWS, 2), torch.tensor([[0.5, 0.3, 0], [0.6, 0, 0.3], [0.2, 0.8, 0]]))
    assert torch.equal(keep_largest(ROWS, 1), torch.tensor([[0.5, 0, 0], [0.6, 0, 0], [0, 0.8, 0]]))
    assert torch.equal(keep_largest(ROWS, 3), ROWS)


@pytest.mark.parametrize(("target", "wanted"), [("paper", PAPER), ("projection", PROJECTED)])
def test_the_target_is_the_kept_weights_brought_to_a_sum_of_one(target: str, wanted: Tensor) -> None:
    assert torch.allclose(own("ksa", "sparse_target")(ROWS, 2, target), wanted, atol=1e-6)


@pytest.mark.parametrize("target", ["paper", "projection"])
def test_the_penalty_is_the_squared_distance_summed_over_rows_heads_and_layers(target: str) -> None:
    one = Rows(ROWS[None])
    assert penalty(one, target=target).item() == pytest.approx(PENALTY[target], rel=1e-5)
    heads = Rows(torch.stack([ROWS, ROWS]))
    assert penalty(heads, target=target).item() == pytest.approx(2 * PENALTY[target], rel=1e-5)
    layers = (Rows(ROWS[None]), Rows(ROWS[None]), Rows(ROWS[None]))
    assert penalty(*layers, target=target).item() == pytest.approx(3 * PENALTY[target], rel=1e-5)


def test_it_is_averaged_over_the_batch_and_added_to_the_objective_that_is_wrapped() -> None:
    assert penalty(Rows(ROWS[None]), images=5).item() == pytest.approx(PENALTY["paper"], rel=1e-5)
    assert penalty(Rows(ROWS[None]), task=7.0).item() == pytest.approx(7 + PENALTY["paper"], rel=1e-5)


def test_no_gradient_goes_through_the_target() -> None:
    """(w − s) / μ: a target that were not held fixed would be pulled too."""
    layer = Rows(ROWS[None])
    penalty(layer, mu=0.25).backward()  # type: ignore[no-untyped-call]
    assert layer.weights.grad is not None
    assert torch.allclose(layer.weights.grad[0], 4 * (ROWS - PAPER), atol=1e-5)


@pytest.mark.parametrize(("step", "mu"), [(0, 8), (2, 8), (3, 4), (5, 4), (6, 2), (8, 2), (9, 2), (99, 2)])
def test_mu_is_halved_after_each_loop_of_three_steps_and_stays_after_the_third(step: int, mu: float) -> None:
    found = penalty(Rows(ROWS[None]), step=step, mu=8.0)
    assert found.item() == pytest.approx(PENALTY["paper"] / (2 * mu), rel=1e-5)


def test_the_log_has_the_penalty_mu_and_the_mass_of_the_k_largest() -> None:
    layer = Rows(ROWS[None])
    objective = own("ksa", "KSparse")(Watch(0.5), [layer], 2, 8.0, 0.5, 3, 3, "paper", [5])
    objective.loss(layer, batch_of(torch.zeros(4, 1)), Progress(0, 100, 0))
    logged = objective.report()
    assert (logged["mu"], logged["task_loss"]) == (8, 0.5)
    assert "mass_5" in logged
    assert logged["penalty"] == pytest.approx(PENALTY["paper"], rel=1e-5)
    assert own("ksa", "mass")(ROWS, 2) == pytest.approx(0.9, rel=1e-6)  # of 0.8, 0.9 and 1


def made(**options: Any) -> Recipe:
    recipe: Recipe = DEFENSES["ksa"].function(digits_task(), **{"model": Call("vit", {"depth": 3}), **options})
    return recipe


@pytest.mark.parametrize(("layers", "places"), [("all", [0, 1, 2]), ([2], [1]), ([1, 3], [0, 2])])
def test_the_layers_that_are_named_are_pulled_and_no_others(layers: Any, places: list[int]) -> None:
    recipe = made(layers=layers)
    found = attentions(recipe.model)
    assert [found.index(layer) for layer in recipe.objective.layers] == places  # type: ignore[attr-defined]
    assert list(recipe.objective.numbers) == [place + 1 for place in places]  # type: ignore[attr-defined]
    recipe.objective.base = Watch()  # type: ignore[attr-defined]
    recipe.model.train()
    recipe.objective.loss(recipe.model, batch_of(torch.rand(2, 1, 8, 8)), Progress(0, 100, 0)).backward()  # type: ignore[no-untyped-call]
    last = places[-1]
    slopes = [layer.qkv.weight.grad for layer in found]
    assert [slope is not None and bool(slope.any()) for slope in slopes] == [place <= last for place in range(3)]


def test_its_loops_share_the_minibatches_of_the_model_or_are_as_long_as_they_are_said_to_be() -> None:
    plain = recipe_of(Call("vit", {"depth": 3}), digits_task()).schedule.steps
    whole = made(outer=4)
    assert (whole.schedule.steps, whole.objective.inner) == (plain // 4 * 4, plain // 4)  # type: ignore[attr-defined]
    given = made(outer=3, inner=7)
    assert (given.schedule.steps, given.objective.inner, given.objective.outer) == (21, 7, 3)  # type: ignore[attr-defined]


@pytest.mark.parametrize(("layers", "better"), [([2, 1], [1, 2]), ([1, 1], [1]), ([1, 3, 2], [1, 2, 3])])
def test_layers_are_named_in_increasing_order_each_once(layers: list[int], better: list[int]) -> None:
    with pytest.raises(UsageError, match=re.escape(f"each once; write layers={better}")):
        made(layers=layers)


def test_one_around_another_adds_its_penalty() -> None:
    layers = [Rows(ROWS), Rows(ROWS.roll(1, 0)), Rows(ROWS)]
    inner = own("ksa", "KSparse")(Watch(0.0), layers[:1], k=2, mu=0.5, decay=1, inner=3, outer=3, target="paper")
    outer = own("ksa", "KSparse")(inner, layers, k=1, mu=0.5, decay=1, inner=3, outer=3, target="paper")
    batch, progress = batch_of(torch.zeros(1, 1)), Progress(0, 100, 0)
    found = outer.loss(nn.Sequential(*layers), batch, progress)
    assert found.item() == pytest.approx((penalty(*layers[:1]) + penalty(*layers, k=1)).item())
    assert [layer.watchers for layer in layers] == [[]] * 3


def test_one_around_another_trains() -> None:
    call = Call("vit", {"depth": 2, "dim": 8, "heads": 2, "mlp": 8})
    for layers in ([2], "all", [1]):
        call = Call("ksa", {"layers": layers, "model": call})
    recipe = recipe_of(call, digits_task())
    loss = recipe.objective.loss(recipe.model, batch_of(torch.rand(2, 1, 8, 8)), Progress(0, 100, 0))
    assert torch.isfinite(loss)


LOG2, LOG5 = math.log(2), math.log(5)
WORKED: list[tuple[str, list[float], list[float]]] = [
    ("softmax", [0, LOG2, LOG5], [1 / 8, 2 / 8, 5 / 8]),
    ("linear", [1, 2, 4], [0, 1 / 4, 3 / 4]),  # minus 1, over 4
    ("linear", [-3, -1, 0], [0, 2 / 5, 3 / 5]),  # plus 3, over 5
    ("linear", [2, 2, 2], [1 / 3, 1 / 3, 1 / 3]),
    ("relu", [-1, 1, 3], [0, 1 / 4, 3 / 4]),
    ("relu", [1, 2, 5], [1 / 8, 2 / 8, 5 / 8]),
    ("relu", [-3, -1, 0], [1 / 3, 1 / 3, 1 / 3]),
    ("sparsemax", [1, 0.5, -1], [3 / 4, 1 / 4, 0]),  # minus (1.5 − 1) / 2
    ("sparsemax", [3, 0, 0], [1, 0, 0]),
    ("sparsemax", [0.2, 0.1, 0.3], [1 / 3, 7 / 30, 13 / 30]),  # minus (0.6 − 1) / 3
    ("entmax", [2, 2, 0], [1 / 2, 1 / 2, 0]),  # halves minus 1 − √½, squared
    ("entmax", [0, -4, -4], [1, 0, 0]),
    ("entmax", [1, 1, 1], [1 / 3, 1 / 3, 1 / 3]),
    ("entmax", [1.4, 1, -9], [0.64, 0.36, 0]),  # halves .2 apart, as .8 and .6 are, whose squares sum to 1
]
"""Scores of a row and the weights that a map makes of them."""


@pytest.mark.parametrize(("name", "scores", "weights"), WORKED)
def test_a_map_takes_scores_to_weights(name: str, scores: list[float], weights: list[float]) -> None:
    assert MAPS[name](torch.tensor([scores])).tolist()[0] == pytest.approx(weights, abs=1e-6)


def test_a_row_of_the_linear_map_cannot_sharpen() -> None:
    """It is the same for any multiple of the scores, and after min-max scaling; those of the other maps sharpen."""
    scores = torch.randn(5, 9, generator=torch.Generator().manual_seed(0))
    low, high = scores.amin(-1, keepdim=True), scores.amax(-1, keepdim=True)
    for other in (100 * scores, (scores - low) / (high - low), scores + 3):
        assert torch.allclose(MAPS["linear"](other), MAPS["linear"](scores), atol=1e-6)
    for name in ("softmax", "sparsemax", "entmax"):
        assert bool((MAPS[name](0.6 * scores).amax(-1) > MAPS[name](0.2 * scores).amax(-1)).all())


def worked(layer: Attention, scores: Tensor) -> Tensor:
    """What a layer of width 3 and one head returns for one-hot tokens, its queries such that these are the scores.

    Keys, values and the projection are the identity, so that what is returned is the weights.
    """
    eye = torch.eye(3)
    layer.qkv.weight.data = torch.cat([(scores * 3**0.5).T, eye, eye])
    layer.proj.weight.data = eye.clone()
    layer.qkv.bias.data.zero_()
    layer.proj.bias.data.zero_()
    found: Tensor = layer(eye[None])[0]
    return found.detach()


@pytest.mark.parametrize("name", [*MAPS])
def test_a_layer_has_the_map_of_its_name_and_divides_scores_by_the_root_of_the_width(name: str) -> None:
    cases = [case for case in WORKED if case[0] == name]
    scores = torch.tensor([(cases * 3)[i][1] for i in range(3)])
    wanted = torch.tensor([(cases * 3)[i][2] for i in range(3)])
    assert torch.allclose(worked(Attention(3, 1, name), scores), wanted, atol=1e-5)  # type: ignore[arg-type]
    for layer in attentions(made(attention=name).model):
        assert layer.map is MAPS[name]


def test_heads_have_weights_of_their_own() -> None:
    """Two heads of width 1 on two tokens: keys are x₁ and x₂, queries ln 3 times those, values x₁ and x₂."""
    layer = Attention(2, 2, "softmax")
    eye = torch.eye(2)
    layer.qkv.weight.data = torch.cat([math.log(3) * eye, eye, eye])
    layer.proj.weight.data = eye.clone()
    layer.qkv.bias.data.zero_()
    layer.proj.bias.data.zero_()
    with watched([layer]) as seen:
        found = layer(torch.tensor([[[1.0, 0.0], [0.0, 1.0]]]))
    first = torch.tensor([[0.75, 0.25], [0.5, 0.5]])  # exp(ln 3 · 1) : 1, and 1 : 1
    second = torch.tensor([[0.5, 0.5], [0.25, 0.75]])
    assert torch.allclose(seen[0][0][0], torch.stack([first, second]), atol=1e-6)
    assert torch.allclose(found[0], torch.tensor([[0.75, 0.5], [0.5, 0.75]]), atol=1e-6)
    (drawn, *_) = attentions(recipe_of(Call("vit", {"depth": 1}), digits_task()).model)
    assert drawn.heads == 8


def test_a_hard_top_k_cuts_what_is_left_of_a_row_at_inference_alone() -> None:
    layer = Attention(3, 1, "softmax")
    layer.hard_k = 2
    scores = torch.tensor([[0.5, 0.3, 0.2], [0.6, 0.1, 0.3], [0.15, 0.8, 0.05]]).log()
    cut = torch.tensor([[5 / 8, 3 / 8, 0], [2 / 3, 0, 1 / 3], [3 / 19, 16 / 19, 0]])
    assert torch.allclose(worked(layer.eval(), scores), cut, atol=1e-5)
    assert torch.allclose(worked(layer.train(), scores), scores.exp(), atol=1e-5)
    kept = [layer.hard_k for layer in attentions(made(k=5, layers=[2, 3], hard_top_k=True).model)]
    assert kept == [None, 5, 5]
    assert [layer.hard_k for layer in attentions(made(k=5).model)] == [None] * 3
