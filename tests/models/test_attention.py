"""Attention of other libraries: watched, given another map, or followed along the slopes of a softmax."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from trainings import batch_of

from robench import (
    ATTACKS,
    DEFENSES,
    Attention,
    Call,
    Progress,
    Task,
    UsageError,
    attention_scores,
    attentions,
    build_vit,
    patch_of,
    recipe_of,
    remap,
    softmax_slopes,
    timm_library,
    watched,
)
from robench.models.attention import Remapped

TASK = Task((3, 32, 32), 10, 1000, (0.5,) * 3, (0.25,) * 3, epochs=1)
IMAGES = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
SMALL = {
    "vit_tiny_patch16_224": {"img_size": 32, "patch_size": 8, "depth": 2},
    "swin_tiny_patch4_window7_224": {"img_size": 32, "window_size": 4, "depths": (2, 2)},
    "rvt_tiny": {"img_size": 32},
    "fan_tiny_hybrid": {"img_size": 64},
    "cait_xxs24_224": {"img_size": 32, "depth": 2},
}
"""Fused attention, windows with masks, learned masks, channels, class tokens."""


def of_timm(name: str) -> nn.Module:
    torch.manual_seed(0)
    model: nn.Module = timm_library().create_model(name, num_classes=10, **SMALL[name])
    return model.eval()


@pytest.mark.parametrize(("name", "count"), [("vit_tiny_patch16_224", 2), ("swin_tiny_patch4_window7_224", 4), ("rvt_tiny", 12), ("cait_xxs24_224", 4)])  # fmt: skip
def test_rows_of_timms_attention_are_seen_and_change_nothing(name: str, count: int) -> None:
    model = of_timm(name)
    layers = attentions(model)
    with torch.no_grad():
        plain = model(IMAGES)
        with watched(layers) as seen:
            again = model(IMAGES)
    assert [len(passes) for passes in seen] == [1] * count
    for (rows,) in seen:
        assert torch.allclose(rows.sum(-1), torch.ones(()), atol=1e-5)
    assert torch.allclose(plain, again, atol=1e-5)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in layers)


def test_two_who_watch_see_the_same_rows() -> None:
    model = of_timm("vit_tiny_patch16_224")
    layers = attentions(model)
    with watched(layers) as outer, watched(layers[1:]) as inner:
        model(IMAGES)
    assert [len(outer[0]), len(outer[1]), len(inner[0])] == [1, 1, 1]
    assert torch.equal(outer[1][0], inner[0][0])


def test_what_is_watched_is_left_alone_after_an_error() -> None:
    model = of_timm("vit_tiny_patch16_224")
    with watched(attentions(model)), pytest.raises((RuntimeError, AssertionError)):
        model(torch.rand(2, 3, 9, 9))
    layer = attentions(model)[0]
    with watched([layer]) as seen, pytest.raises(RuntimeError):
        layer(torch.rand(2, 5, 7))
    rows = torch.rand(2, 3, 3)
    assert torch.equal(rows.softmax(-1), torch.softmax(rows, -1))
    assert seen == [[]]


class Fused(nn.Module):
    """torch's own attention of given queries, keys and values."""

    def __init__(self, *parts: Tensor, **options: object) -> None:
        super().__init__()
        self.parts, self.options = parts, options

    def forward(self) -> Tensor:
        return F.scaled_dot_product_attention(*self.parts, **self.options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"scale": 0.3},
        {"is_causal": True},
        {"attn_mask": torch.tensor([[True, True, False], [True, False, True], [False, True, True]])},
        {"attn_mask": torch.tensor([[0.0, 1.0, 2.0], [0.5, 0.0, -1.0], [0.0, 0.0, -100.0]])},
    ],
)
def test_fused_attention_is_taken_apart_as_torch_documents_it(options: dict[str, object]) -> None:
    parts = torch.rand(3, 2, 4, 3, 5, generator=torch.Generator().manual_seed(1)).unbind(0)
    layer = Fused(*parts, **options)
    assert torch.allclose(Remapped(layer, "softmax")(), layer(), atol=1e-6)
    assert not torch.allclose(Remapped(layer, "linear")(), layer(), atol=1e-3)


def test_a_softmax_that_is_no_row_of_attention_stays() -> None:
    class Gate(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.softmax(1) if x.dim() > 2 else F.softmax(x, dim=-1)

    for scores in (torch.rand(2, 3), torch.rand(2, 3, 4)):
        assert torch.equal(Remapped(Gate(), "linear")(scores), Gate()(scores))


def test_another_map_is_put_around_the_layer_that_is_meant() -> None:
    model = of_timm("vit_tiny_patch16_224")
    plain = model(IMAGES)
    first, second = attentions(model)
    made = remap(model, second, "linear")
    assert attentions(model) == [first, made]
    with watched([made]) as seen:
        changed = model(IMAGES)
    assert (seen[0][0].amin(-1) == 0).all()  # each row's minimum is shifted to 0
    assert not torch.allclose(plain, changed, atol=1e-4)
    assert remap(model, made, "softmax") is made
    assert torch.allclose(model(IMAGES), plain, atol=1e-5)


def test_an_attention_within_another_is_a_part_of_it() -> None:
    outer = nn.Sequential()
    outer.attn = nn.Sequential()
    outer.attn.attn = Attention(2, 1, "softmax")
    outer.further = Attention(2, 1, "softmax")
    assert attentions(outer) == [outer.attn, outer.further]


def test_slopes_of_the_softmax_are_those_of_the_same_scores_under_it() -> None:
    """Weights w of scores z = (0, ln 2, ln 5): by the linear map 0, ln 2 and ln 5 over ln 10; the softmax's are 1/8, 2/8, 5/8, and the
    slope of its last one is 5/8 · (−1/8, −2/8, 3/8)."""
    layer = Attention(3, 1, "linear")
    scores = torch.tensor([[0, math.log(2), math.log(5)]], requires_grad=True)
    for within, slopes in ((True, [-5 / 64, -10 / 64, 15 / 64]), (False, None)):
        if within:
            with softmax_slopes():
                weights = layer.weigh(scores)
        else:
            weights = layer.weigh(scores)
        wanted = [0, math.log(2) / math.log(10), math.log(5) / math.log(10)]
        assert weights[0].tolist() == pytest.approx(wanted, abs=1e-6)
        (found,) = torch.autograd.grad(weights[0, 2], scores)
        assert (found[0].tolist() == pytest.approx(slopes, abs=1e-6)) == within


@pytest.mark.parametrize(
    ("model", "layers", "rows"),
    [
        (Call("timm", {"name": "deit_tiny_patch16_224"}), [2, 12], 5),
        (Call("augmented", {"model": Call("vit", {"depth": 2})}), [1], 17),
        (Call("madry", {"model": Call("vit", {"depth": 2}), "steps": 1}), "all", 17),
        (Call("timm", {"name": "rvt_tiny"}), [3], 17),
    ],
)
@pytest.mark.parametrize("attention", ["softmax", "entmax", "linear"])
def test_ksa_is_put_on_any_transformer(model: Call, layers: object, rows: int, attention: str) -> None:
    recipe = recipe_of(Call("ksa", {"model": model, "layers": layers, "attention": attention, "k": 3}), TASK)
    recipe.model.train()
    batch = batch_of(IMAGES)
    objective = recipe.objective
    loss = objective.loss(recipe.model, batch, Progress(0, 100, 0))
    loss.backward()  # type: ignore[no-untyped-call]
    reported = objective.report()
    numbers = [int(name[5:]) for name in reported if name.startswith("mass_")]
    assert numbers == ([1, 2] if layers == "all" else layers)
    assert all(3 / rows < reported[f"mass_{number}"] <= 1 for number in numbers)


def test_looking_for_attention_leaves_a_models_statistics_alone() -> None:
    recipe = recipe_of("ksa(k=3, model=timm(name='rvt_tiny', upscale=64))", TASK)
    counts = [count for name, count in recipe.model.named_buffers() if name.endswith("num_batches_tracked")]
    assert counts and not any(counts) and recipe.model.training


def test_layers_that_are_not_pulled_keep_their_softmax() -> None:
    call = Call("ksa", {"attention": "linear", "layers": [2], "model": Call("vit", {"depth": 3})})
    found = [layer.map for layer in attentions(recipe_of(call, TASK).model)]
    softmax, linear = (Attention(2, 1, name).map for name in ("softmax", "linear"))  # type: ignore[arg-type]
    assert found == [softmax, linear, softmax]


def test_a_model_without_a_softmax_is_refused() -> None:
    with pytest.raises(UsageError, match="it has 0 attention layers"):
        recipe_of("ksa(model=wide_resnet)", TASK)
    with pytest.raises(UsageError, match="has 5 weights"):
        recipe_of(
            "ksa(k=5, model=timm(name='deit_tiny_patch16_224'))", Task((3, 32, 32), 10, 99, (0.5,) * 3, (0.2,) * 3)
        )
    assert "ksa" in DEFENSES


def test_an_attack_through_the_softmax_follows_its_slopes_and_is_judged_by_the_answers() -> None:
    """Where the linear map shifts a row's smallest score to 0 its own slope there is another; without it nothing changes."""
    torch.manual_seed(0)
    inputs, labels = torch.rand(6, 1, 8, 8), torch.arange(6)
    for attention, same in (("softmax", True), ("linear", False)):
        net = build_vit((1, 8, 8), 10, [0.5], [0.2], patch=2, dim=16, depth=2, heads=2, mlp=32, attention=attention)  # type: ignore[arg-type]
        for layer in attentions(net):
            layer.qkv.weight.data *= 6.0  # so that attention matters
        plain = ATTACKS["pgd_linf"](net, inputs, labels, eps=0.1, steps=3)
        through = ATTACKS["through_softmax"](net, inputs, labels, eps=0.1, attack="pgd_linf(steps=3)")
        assert torch.equal(plain, through) == same
        assert float((through - inputs).abs().max()) <= 0.1 + 1e-6
        nearest = ATTACKS["through_softmax"](net, inputs, labels, norm="l2", attack="cw_l2(preset='quick', steps=5)")
        assert nearest.shape == inputs.shape


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("through_softmax(eps=0.1, attack=pgd_l2)", "give norm='l2'"),
        ("through_softmax(eps=0.1, attack=square_linf)", "white-box"),
        ("through_softmax", "attack=pgd_linf.* needs eps"),
    ],
)
def test_what_cannot_be_attacked_through_the_softmax_is_said(call: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        ATTACKS.find(call)


def test_images_are_made_larger_inside_the_model() -> None:
    """Of 32 pixels 64 are made for a model whose patches of 16 are 8 of the data's; 224 is no multiple of them."""
    recipe = recipe_of("timm(name='deit_tiny_patch16_224', upscale=64)", TASK)
    assert recipe.model.eval()(IMAGES).shape == (2, 10)
    inner = recipe.model[-1]  # type: ignore[index]
    seen: list[Tensor] = []
    inner.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    flat = torch.full((1, 3, 32, 32), 0.75)
    recipe.model(flat)
    assert seen[0].shape == (1, 3, 64, 64) and torch.allclose(seen[0], seen[0][:, :, :1, :1])
    assert patch_of(recipe.model) == 8
    assert patch_of(recipe_of("timm(name='deit_tiny_patch16_224', upscale=224)", TASK).model) is None
    assert (
        "4 of 16 patches of 8 pixels"
        in recipe_of("rspc(share=0.25, model=timm(name='deit_tiny_patch16_224', upscale=64))", TASK).note
    )
    for call, said in (
        ("timm(name='resnet18', upscale=32)", "makes square images larger"),
        ("timm(name='deit_tiny_patch16_224', upscale=40)", "do not divide images of 40 x 40"),
        ("rspc(model=timm(name='deit_tiny_patch16_224', upscale=224))", "patch embedding"),
    ):
        with pytest.raises(UsageError, match=said):
            recipe_of(call, TASK)


def test_heads_that_share_keys_are_taken_apart_as_torch_does() -> None:
    class Shared(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return F.scaled_dot_product_attention(x, x[:, :2], x[:, :2], enable_gqa=True)

    given = torch.rand(2, 4, 5, 8, generator=torch.Generator().manual_seed(0))
    with attention_scores() as scores:
        heard = Shared()(given)
    assert torch.allclose(heard, Shared()(given), atol=1e-6)
    assert scores[0].shape == (2, 4, 5, 5)
    three = given[0]
    with attention_scores():
        causal = F.scaled_dot_product_attention(three, three, three, is_causal=True)
    assert torch.allclose(causal, F.scaled_dot_product_attention(three, three, three, is_causal=True), atol=1e-6)
