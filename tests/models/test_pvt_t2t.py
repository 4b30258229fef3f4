"""PVT and T2T-ViT, which timm does not have: the sizes that the papers print, small builds, refusals."""

from __future__ import annotations

import pytest
import timm
import torch

from robench.models.blocks import block_outputs, blocks_of, patch_of
from robench.models.pvt import ReducedAttention
from robench.models.size import size_of, weightless
from robench.models.t2t import TokenTransformer, sinusoids

# Printed: millions of parameters and 10^9 multiply-accumulates. Then the multiply-accumulates that are measured, those of
# attention's matrix products among them; with these, all agree with what is printed.
SIZES = {
    "pvt_tiny": (13.2, 1.9, 1_932_911_616),
    "pvt_small": (24.5, 3.8, 3_815_701_504),
    "pvt_medium": (44.2, 6.7, 6_659_175_424),
    "pvt_large": (61.4, 9.8, 9_813_765_632),
    "t2t_vit_t_14": (21.5, 6.1, 6_088_721_920),
    "t2t_vit_t_24": (64.1, 15.0, 14_967_128_064),
}
# Side of the image, side of its patches, blocks, tokens after the first and the last block, their widths.
SMALL = {
    "pvt_tiny": (64, 4, 8, (256, 64), (5, 512)),
    "t2t_vit_t_14": (32, 16, 14, (5, 384), (5, 384)),
}


@pytest.mark.parametrize("name", SIZES)
def test_sizes_are_those_of_the_papers(name: str) -> None:
    with weightless():
        model = timm.create_model(name)
    size = size_of(model, (3, 224, 224))
    parameters, macs, exactly = SIZES[name]
    assert round(size.parameters / 1e6, 1) == parameters
    assert round(size.macs / 1e9, 1) == macs
    assert size.macs == exactly


@pytest.mark.parametrize("name", SMALL)
def test_small_builds_classify_and_pass_gradients(name: str) -> None:
    side, patch, depth, first, last = SMALL[name]
    torch.manual_seed(0)
    model = timm.create_model(name, img_size=side, num_classes=7, in_chans=1, drop_path_rate=0.1).eval()
    inputs = torch.rand(2, 1, side, side, requires_grad=True)
    with block_outputs(blocks_of(model)) as seen:
        logits = model(inputs)
    assert logits.shape == (2, 7)
    logits.square().sum().backward()
    assert inputs.grad is not None and inputs.grad.isfinite().all()
    assert inputs.grad.flatten(2).abs().sum(-1).gt(0).all()
    assert patch_of(model) == patch
    assert len(seen) == depth
    assert (seen[0].shape[1:], seen[-1].shape[1:]) == (first, last)
    assert model.train()(inputs).isfinite().all()


@pytest.mark.parametrize("name", SIZES)
def test_timm_knows_what_they_expect(name: str) -> None:
    with weightless():
        model = timm.create_model(name, num_classes=10, img_size=64, in_chans=3)
    facts = model.pretrained_cfg
    assert facts["input_size"] == (3, 224, 224) and facts["fixed_input_size"] and "url" not in facts
    assert facts["mean"] == (0.485, 0.456, 0.406) and facts["std"] == (0.229, 0.224, 0.225)
    for layer in (facts["first_conv"], facts["classifier"]):
        assert layer is None or model.get_submodule(layer)


@pytest.mark.parametrize(
    ("name", "sides", "wanted"),
    [("pvt_tiny", 48, "32, not 48 x 48"), ("pvt_tiny", (64, 0), "32"), ("t2t_vit_t_14", (32, 28), "16, not 32 x 28")],
)
def test_sides_that_do_not_divide_are_refused(name: str, sides: int | tuple[int, int], wanted: str) -> None:
    with pytest.raises(AssertionError, match=f"multiples of {wanted}"):
        timm.create_model(name, img_size=sides)


@pytest.mark.parametrize("name", SMALL)
def test_images_of_another_size_than_built_for_are_refused(name: str) -> None:
    with weightless():
        model = timm.create_model(name, img_size=(64, 96))
        assert model(torch.zeros(1, 3, 64, 96)).shape == (1, 1000)
        with pytest.raises(AssertionError):
            model(torch.zeros(1, 3, 96, 64))


@pytest.mark.parametrize("reduction", [1, 2])
def test_reduced_attention_by_hand(reduction: int) -> None:
    torch.manual_seed(0)
    layer = ReducedAttention(8, 2, reduction)
    # Queries and the projection, keys and values, and where the grid is reduced its convolution and layer norm.
    reducing = 8 * 8 * reduction**2 + 8 + 16 if reduction > 1 else 0
    assert sum(p.numel() for p in layer.parameters()) == 2 * (8 * 8 + 8) + (8 * 16 + 16) + reducing
    x = torch.randn(1, 24, 8)
    source = x
    if reduction > 1:
        assert layer.reduce is not None
        source = layer.norm(layer.reduce(x.mT.reshape(1, 8, 4, 6)).flatten(2).mT)
        assert source.shape == (1, 6, 8)
    q, (k, v) = layer.q(x), layer.kv(source).chunk(2, -1)
    heads = [(q[..., h] @ k[..., h].mT / 2).softmax(-1) @ v[..., h] for h in (slice(0, 4), slice(4, 8))]
    torch.testing.assert_close(layer(x, 4, 6), layer.proj(torch.cat(heads, -1)))


def test_token_transformer_by_hand() -> None:
    torch.manual_seed(0)
    layer = TokenTransformer(147)
    norms, attention, perceptron = 2 * 147 + 2 * 64, 147 * 3 * 64 + 64 * 64 + 64, 2 * (64 * 64 + 64)
    assert sum(p.numel() for p in layer.parameters()) == norms + attention + perceptron
    x = torch.randn(2, 9, 147)
    q, k, v = layer.qkv(layer.norm1(x)).chunk(3, -1)
    narrow = v + layer.proj((q @ k.mT / 8).softmax(-1) @ v)
    torch.testing.assert_close(layer(x), narrow + layer.mlp(layer.norm2(narrow)))


def test_positions_are_sines_and_cosines() -> None:
    found = sinusoids(5, 4)
    assert found.shape == (1, 5, 4)
    wanted = torch.tensor([3.0, 3.0, 0.03, 0.03])
    torch.testing.assert_close(
        found[0, 3], torch.stack([wanted[0].sin(), wanted[1].cos(), wanted[2].sin(), wanted[3].cos()])
    )
