"""Attention-Fool's loss by hand, on which scores it is made, and that it is climbed."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from cases import linear_case, wrapped
from torch import Tensor, nn

from robench import ATTACKS, Task, attention_scores, recipe_of

TASK = Task((1, 8, 8), 10, 1000, (0.5,), (0.25,), epochs=1)


def draw(layers: list[Tensor], images: int) -> Tensor:
    function = ATTACKS["attention_fool"].function
    found: Tensor = function.__globals__["draw"](layers, images)
    return found


@pytest.mark.parametrize(
    ("layers", "value"),
    [
        # Less their means the rows are 1, −1: the first key has 1 of each query, in units of the root mean square.
        ([[[[[1.0, -1.0], [3.0, 1.0]]]]], 1.0),
        ([[[[[100.0, -100.0], [300.0, 100.0]]]]], 1.0),
        # The queries of a second head are of two minds: 0 for either key. ln(e + 1).
        ([[[[[1.0, -1.0], [3.0, 1.0]], [[0.0, 2.0], [2.0, 0.0]]]]], 1.3132617),
        # The same in another layer, with three queries for two keys.
        ([[[[[1.0, -1.0], [3.0, 1.0]]]], [[[[0.0, 2.0], [2.0, 0.0], [5.0, 5.0]]]]], 1.3132617),
        # −1.5 and 0.5, 0.5, 0.5 (mean square 0.75); hidden keys count as −100: 150 / √7500 of the key that is seen.
        ([[[[[-torch.inf, -torch.inf, -torch.inf, 100.0]]]]], 150 / 7500**0.5),
    ],
)
def test_the_loss_is_a_smooth_maximum_over_heads_and_layers_of_what_one_key_draws(
    layers: list[object], value: float
) -> None:
    assert draw([torch.tensor(layer) for layer in layers], 1).tolist() == pytest.approx([value], rel=1e-5)


def test_windows_belong_to_their_images() -> None:
    """Two windows of each of two images: four matrices, of which the first two are the first image's."""
    drawn, even = [[2.0, 0.0], [2.0, 0.0]], [[2.0, 0.0], [0.0, 2.0]]
    scores = torch.tensor([drawn, drawn, even, even])[:, None]
    assert draw([scores], 2).tolist() == pytest.approx([1 + 0.6931472, 0.6931472])


@pytest.mark.parametrize("call", ["vit(depth=2)", "vit(depth=2, attention='linear')", "ksa(model=vit(depth=2))"])
def test_scores_are_those_before_the_map_one_of_each_layer(call: str) -> None:
    model = recipe_of(call, TASK).model.eval()
    with attention_scores() as scores:
        model(torch.rand(3, 1, 8, 8))
    assert [tuple(layer.shape) for layer in scores] == [(3, 8, 17, 17)] * 2
    assert not torch.allclose(scores[0].sum(-1), torch.ones(3, 8, 17)), "not weights"
    model(torch.rand(3, 1, 8, 8))
    assert len(scores) == 2, "it is over"


def test_scores_of_another_librarys_fused_attention_are_heard() -> None:
    import timm

    model = timm.create_model("vit_tiny_patch16_224", img_size=32, num_classes=5).eval()
    with attention_scores() as scores:
        heard = model(torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)))
    assert [tuple(layer.shape) for layer in scores] == [(2, 3, 5, 5)] * 12
    unheard = model(torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)))
    assert torch.allclose(heard, unheard, atol=1e-5)


@pytest.mark.parametrize("targeted", [False, True])
def test_without_weight_or_attention_it_is_pgd_on_the_margin(targeted: bool) -> None:
    """In two classes the slope of the margin has the signs of that of the cross-entropy."""
    model, inputs, labels = linear_case(20)
    vit = recipe_of("vit(depth=1)", replace(TASK, classes=2)).model.eval().double()
    images = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0)).double()
    for net, given, truth in ((model, inputs, labels), (vit, images, torch.arange(4) % 2)):
        options = {"eps": 0.05, "steps": 6, "until_success": False, "targets": 1 - truth if targeted else None}
        weight = {"weight": 0.0} if net is vit else {}
        ours = ATTACKS["attention_fool"].function(wrapped(net, len(given), 2), given, truth, **options, **weight)
        pgd = ATTACKS["pgd_linf"].function(wrapped(net, len(given), 2), given, truth, **options)
        assert torch.allclose(ours, pgd, atol=1e-12)


def test_each_step_climbs_the_scores_of_its_own_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    layers: list[int] = []
    held = ATTACKS["attention_fool"].function.__globals__
    monkeypatch.setitem(
        held, "draw", lambda seen, images, own=held["draw"]: layers.append(len(seen)) or own(seen, images)
    )
    net = recipe_of("vit(depth=2)", TASK).model.eval().requires_grad_(False)
    options = {"eps": 0.1, "steps": 3, "until_success": False}
    held["attention_fool"](wrapped(net, 4, 10), torch.rand(4, 1, 8, 8), torch.arange(4), **options)
    assert layers == [2, 2, 2]


def test_a_softmax_that_is_not_over_the_images_is_left_aside() -> None:
    """Three matrices for each batch, of however many images: they belong to none of them."""

    class Odd(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            torch.softmax(x.mean() * torch.ones(3, 2, 2), -1)
            return torch.stack([x.flatten(1).sum(1), torch.zeros(len(x))], 1)

    found = ATTACKS["attention_fool"].function(
        wrapped(Odd(), 2, 2), torch.full((2, 1, 2, 2), 0.5), torch.zeros(2).long(), eps=0.1
    )
    assert found.shape == (2, 1, 2, 2)


def test_it_draws_queries_further_than_pgd_does() -> None:
    torch.manual_seed(0)
    net = recipe_of("vit(depth=2)", TASK).model.eval().requires_grad_(False)
    inputs, labels = torch.rand(16, 1, 8, 8), torch.arange(16) % 10
    drawn = {}
    for name, given in (("attention_fool", {"weight": 100.0}), ("pgd_linf", {})):
        options = {"eps": 0.1, "steps": 20, "until_success": False, **given}
        found = ATTACKS[name].function(wrapped(net, 16, 10), inputs, labels, **options)
        with attention_scores() as scores:
            net(found)
        drawn[name] = draw(scores, 16)
    assert bool((drawn["attention_fool"] > drawn["pgd_linf"]).all())
