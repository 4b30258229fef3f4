"""Fully attentional networks, hybrid (Zhou et al., 2022, arXiv:2204.12451), registered with timm as `fan_*_hybrid`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from timm.layers import DropPath, LayerNorm2d, trunc_normal_
from timm.models import generate_default_cfgs
from timm.models.convnext import ConvNeXtBlock
from timm.models.xcit import ClassAttentionBlock, PositionalEncodingFourier
from torch import Tensor, nn

from robench.models.parts import LayerNorm, check_size, init_linear, register, sides_of
from robench.models.pvt import ReducedAttention

PATCH = 16
MLP_RATIO = 4
CONVNEXT_DIMS = (128, 256)
CONVNEXT_DEPTH = 3
CLASS_DEPTH = 2


class HybridStem(nn.Module):
    """Two stages of a ConvNeXt, then patches of 2 x 2: images (N, in_chans, H, W) to a grid (N, dim, H / 16, W / 16).

    Attributes:
        patch_size: the strides of its layers together, in pixels.
    """

    def __init__(self, in_chans: int, dim: int) -> None:
        super().__init__()
        self.patch_size = (PATCH, PATCH)
        fine, coarse = CONVNEXT_DIMS
        # The list is not called `blocks`: that is the name of the transformer blocks, which these are not.
        self.convnext = nn.Sequential(
            nn.Conv2d(in_chans, fine, 4, stride=4),
            LayerNorm2d(fine),
            *(ConvNeXtBlock(fine, conv_mlp=True) for _ in range(CONVNEXT_DEPTH)),
            LayerNorm2d(fine),
            nn.Conv2d(fine, coarse, 2, stride=2),
            *(ConvNeXtBlock(coarse, conv_mlp=True) for _ in range(CONVNEXT_DEPTH)),
        )
        self.proj = nn.Conv2d(coarse, dim, 2, stride=2)
        for module in self.convnext.modules():
            if isinstance(module, nn.Conv2d):
                trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, inputs: Tensor) -> Tensor:
        grid: Tensor = self.proj(self.convnext(inputs))
        return grid


class LocalMlp(nn.Module):
    """The perceptron of a FAN block, (N, tokens, dim) to the same shape.

    Between its linear layers, a residual pair of 3 x 3 depthwise convolutions on the grid holds the activation.
    """

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.local = nn.Sequential(depthwise(hidden), nn.GELU(), nn.BatchNorm2d(hidden), depthwise(hidden))
        self.gamma = nn.Parameter(torch.ones(hidden))
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, x: Tensor, height: int, width: int) -> Tensor:
        x = self.fc1(x)
        near = self.local(x.transpose(1, 2).reshape(*x.shape[::2], height, width))
        result: Tensor = self.fc2(x + self.gamma * near.flatten(2).transpose(1, 2))
        return result


def depthwise(dim: int) -> nn.Conv2d:
    """A 3 x 3 convolution of each channel by itself, drawn after He et al. (2015) for the 9 weights that it sums."""
    layer = nn.Conv2d(dim, dim, 3, padding=1, groups=dim)
    nn.init.normal_(layer.weight, std=(2 / 9) ** 0.5)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


class ChannelAttention(nn.Module):
    """Attention over channels, (N, tokens, dim) to the same shape, with no projection after it (figure 2).

    The efficient form, linear in the number of channels: each is weighed by how well the places where it is active
    agree with those where the channels of its head are on average. A block's perceptron gives the values.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q = nn.Linear(dim, dim)
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.mlp = LocalMlp(dim, MLP_RATIO * dim)
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor, height: int, width: int) -> Tensor:
        # Softmax over the tokens; both are (N, heads, dim / heads, tokens).
        queries = self._split(self.q(x)).softmax(-1)
        keys = self._split(x).softmax(-1)
        agreement = queries @ keys.mean(2, keepdim=True).transpose(-2, -1)
        gates = agreement.sigmoid() * self.temperature  # (N, heads, dim / heads, 1)
        weighed: Tensor = self.norm(self.mlp(x, height, width)) * gates.flatten(1).unsqueeze(1)
        return weighed

    def _split(self, x: Tensor) -> Tensor:
        batch, tokens, dim = x.shape
        return x.transpose(1, 2).reshape(batch, self.heads, dim // self.heads, tokens)


class FanBlock(nn.Module):
    """Attention over tokens, then over channels: (N, tokens, dim) to the same shape (figure 2)."""

    def __init__(self, dim: int, heads: int, drop_path: float) -> None:
        super().__init__()
        self.norm1, self.norm2 = LayerNorm(dim), LayerNorm(dim)
        self.attn = ReducedAttention(dim, heads, reduction=1)
        self.mlp = ChannelAttention(dim, heads)
        self.gamma1, self.gamma2 = nn.Parameter(torch.ones(dim)), nn.Parameter(torch.ones(dim))
        self.drop_path = DropPath(drop_path) if drop_path else nn.Identity()

    def forward(self, x: Tensor, height: int, width: int) -> Tensor:
        x = x + self.drop_path(self.gamma1 * self.attn(self.norm1(x), height, width))
        result: Tensor = x + self.drop_path(self.gamma2 * self.mlp(self.norm2(x), height, width))
        return result


class FullyAttentionalNetwork(nn.Module):
    """FAN-Hybrid: images (N, in_chans, H, W) to logits (N, num_classes) (Zhou et al., 2022).

    The class token joins after the blocks, in two blocks of class attention (Touvron et al., 2021, arXiv:2103.17239).

    Args:
        img_size: side of the images, or height and width; multiples of 16.
        drop_path_rate: of stochastic depth, the same at every block.

    Raises:
        AssertionError: the image's sides are no multiples of 16.
    """

    def __init__(
        self,
        dim: int,
        depth: int,
        heads: int,
        img_size: int | Sequence[int] = 224,
        in_chans: int = 3,
        num_classes: int = 1000,
        drop_path_rate: float = 0.0,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.img_size = sides_of(img_size, PATCH, "FAN-Hybrid")
        self.patch_embed = HybridStem(in_chans, dim)
        self.pos_embed = PositionalEncodingFourier(dim=dim)
        self.blocks = nn.ModuleList(FanBlock(dim, heads, drop_path_rate) for _ in range(depth))
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.class_blocks = nn.ModuleList(
            ClassAttentionBlock(dim, heads, MLP_RATIO, qkv_bias=True, norm_layer=LayerNorm, eta=1.0, tokens_norm=True)
            for _ in range(CLASS_DEPTH)
        )
        self.norm = LayerNorm(dim)
        self.head = nn.Linear(dim, num_classes) if num_classes else nn.Identity()
        self.apply(init_linear)
        trunc_normal_(self.cls_token, std=0.02)

    def forward(self, inputs: Tensor) -> Tensor:
        check_size(inputs, self.img_size, "FAN")
        grid = self.patch_embed(inputs)
        height, width = grid.shape[2:]
        x = (grid + self.pos_embed(1, height, width)).flatten(2).transpose(1, 2)
        for block in self.blocks:
            x = block(x, height, width)
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], dim=1)
        for block in self.class_blocks:
            x = block(x)
        logits: Tensor = self.head(self.norm(x)[:, 0])
        return logits


SHAPES = {
    "fan_tiny_hybrid": {"dim": 192, "depth": 8, "heads": 8},
    "fan_small_hybrid": {"dim": 384, "depth": 10, "heads": 8},
    "fan_base_hybrid": {"dim": 448, "depth": 16, "heads": 8},
}
FACTS = {"fixed_input_size": True, "first_conv": "patch_embed.convnext.0", "classifier": "head", "crop_pct": 1.0}
default_cfgs = generate_default_cfgs({name: FACTS for name in SHAPES})  # timm looks for it under this name

register(FullyAttentionalNetwork, SHAPES)
