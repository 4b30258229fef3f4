"""Robust Vision Transformer (Mao et al., 2022, arXiv:2105.07926), registered with timm as `rvt_*`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from timm.layers import DropPath, Mlp, trunc_normal_
from timm.models import generate_default_cfgs
from torch import Tensor, nn

from robench.models.parts import LayerNorm, check_size, drop_rates, init_linear, register, sides_of

PATCH = 16
MLP_RATIO = 4


class ConvolutionalStem(nn.Module):
    """Patch embedding by convolutions, for locality: images (N, in_chans, H, W) to a grid (N, dim, H / 16, W / 16).

    Attributes:
        patch_size: the strides of its layers together, in pixels.
    """

    def __init__(self, in_chans: int, dim: int) -> None:
        super().__init__()
        self.patch_size = (PATCH, PATCH)
        self.layers = nn.Sequential(
            nn.Conv2d(in_chans, 32, 7, stride=2, padding=2),
            nn.BatchNorm2d(32),
            nn.MaxPool2d(3, stride=2, padding=1),
            nn.Conv2d(32, dim, 4, stride=4),
        )

    def forward(self, inputs: Tensor) -> Tensor:
        grid: Tensor = self.layers(inputs)
        return grid


class ScaledAttention(nn.Module):
    """Multi-head self-attention, with "position-aware attention scaling" where it has a mask.

    Attributes:
        mask: (heads, tokens, tokens), learned; its sigmoid multiplies the scores ahead of the softmax, so that a pair
            of positions can count for less whatever the two tokens hold. None for plain attention.
    """

    def __init__(self, dim: int, heads: int, masked_tokens: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.mask: nn.Parameter | None = None
        if masked_tokens:
            self.mask = nn.Parameter(torch.zeros(heads, masked_tokens, masked_tokens))
            trunc_normal_(self.mask, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        batch, tokens, dim = x.shape
        queries, keys, values = self.qkv(x).reshape(batch, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        if self.mask is None:
            mixed = F.scaled_dot_product_attention(queries, keys, values)  # (N, heads, tokens, dim / heads)
        else:
            # The fused kernels can only add to the scores.
            scores = queries @ keys.transpose(-2, -1) * (dim // self.heads) ** -0.5
            mixed = (scores * self.mask.sigmoid()).softmax(-1) @ values
        result: Tensor = self.proj(mixed.transpose(1, 2).reshape(batch, tokens, dim))
        return result


def convolutional_mlp(dim: int) -> nn.Sequential:
    """The paper's convolutional feed-forward network: (N, dim, H, W) to the same shape."""
    hidden = MLP_RATIO * dim
    return nn.Sequential(
        nn.Conv2d(dim, hidden, 1),
        nn.BatchNorm2d(hidden),
        nn.GELU(),
        nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden),
        nn.BatchNorm2d(hidden),
        nn.GELU(),
        nn.Conv2d(hidden, dim, 1),
        nn.BatchNorm2d(dim),
    )


class Block(nn.Module):
    """A transformer block with layer norms ahead of its two halves, (N, tokens, dim) to the same shape.

    Args:
        masked_tokens: the tokens of the grid that the attention's mask is for; 0 for no mask.
        convolves: let the perceptron see each token's neighbours.
    """

    def __init__(self, dim: int, heads: int, masked_tokens: int, convolves: bool, drop_path: float) -> None:
        super().__init__()
        self.norm1, self.norm2 = LayerNorm(dim), LayerNorm(dim)
        self.attn = ScaledAttention(dim, heads, masked_tokens)
        self.convolves = convolves
        self.mlp = convolutional_mlp(dim) if convolves else Mlp(dim, MLP_RATIO * dim)
        self.drop_path = DropPath(drop_path) if drop_path else nn.Identity()

    def forward(self, x: Tensor, height: int, width: int) -> Tensor:
        x = x + self.drop_path(self.attn(self.norm1(x)))
        normal = self.norm2(x)
        if self.convolves:
            grid = normal.transpose(1, 2).reshape(*normal.shape[::2], height, width)
            change = self.mlp(grid).flatten(2).transpose(1, 2)
        else:
            change = self.mlp(normal)
        result: Tensor = x + self.drop_path(change)
        return result


class Stage(nn.Module):
    """Blocks of one width: a grid (N, dim, H, W) to the same shape.

    Args:
        drop_paths: the rate of every block, so that its length is the stage's depth.
        masked: how many of the blocks, the first ones, have masks for `tokens` tokens.
    """

    def __init__(
        self, dim: int, heads: int, tokens: int, masked: int, convolves: bool, drop_paths: Sequence[float]
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            Block(dim, heads, tokens if i < masked else 0, convolves, rate) for i, rate in enumerate(drop_paths)
        )

    def forward(self, grid: Tensor) -> Tensor:
        height, width = grid.shape[2:]
        x = grid.flatten(2).transpose(1, 2)
        for block in self.blocks:
            x = block(x, height, width)
        return x.transpose(1, 2).reshape(grid.shape)


class RobustVisionTransformer(nn.Module):
    """RVT: images (N, in_chans, H, W) to logits (N, num_classes) (Mao et al., 2022).

    It has neither a class token nor a position embedding: a mean over the tokens is classified. Between two stages a
    depthwise convolution halves the grid.

    Args:
        depths: blocks in each stage.
        heads: heads in each stage; a stage is head_dim times as wide.
        masked: blocks with position-aware scaling, the first of the first stage; 0 for the forms without a star.
        convolves: perceptrons that see neighbours.
        img_size: side of the images, or height and width; multiples of 16.
        drop_path_rate: of stochastic depth at the last block.

    Raises:
        AssertionError: the image's sides are no multiples of 16, or an image has not the size that the masks are for.
    """

    def __init__(
        self,
        depths: Sequence[int],
        heads: Sequence[int],
        head_dim: int,
        masked: int,
        convolves: bool,
        img_size: int | Sequence[int] = 224,
        in_chans: int = 3,
        num_classes: int = 1000,
        drop_path_rate: float = 0.0,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.img_size = sides_of(img_size, PATCH, "RVT")
        tokens, rates = self.img_size[0] * self.img_size[1] // PATCH**2, drop_rates(drop_path_rate, sum(depths))
        dims = [head_dim * count for count in heads]
        self.patch_embed = ConvolutionalStem(in_chans, dims[0])
        self.stages, self.pools = nn.ModuleList(), nn.ModuleList()
        for i, depth in enumerate(depths):
            if i:
                pool = nn.Conv2d(dims[i - 1], dims[i], 3, stride=2, padding=1, groups=dims[i - 1])
                self.pools.append(pool)
            own, rates = rates[:depth], rates[depth:]
            self.stages.append(Stage(dims[i], heads[i], tokens, 0 if i else masked, convolves, own))
        self.norm = LayerNorm(dims[-1])
        self.head = nn.Linear(dims[-1], num_classes) if num_classes else nn.Identity()
        self.apply(init_linear)

    def forward(self, inputs: Tensor) -> Tensor:
        check_size(inputs, self.img_size, "RVT")
        grid = self.stages[0](self.patch_embed(inputs))
        for pool, stage in zip(self.pools, self.stages[1:], strict=True):
            grid = stage(pool(grid))
        logits: Tensor = self.head(self.norm(grid.mean((2, 3))))
        return logits


# At a width of 768 the code that RSPC's results come from has perceptrons of linear layers.
TINY: dict[str, Any] = {"depths": (10, 2), "heads": (6, 12), "head_dim": 32, "convolves": True}
SMALL: dict[str, Any] = {"depths": (12,), "heads": (6,), "head_dim": 64, "convolves": True}
BASE: dict[str, Any] = {"depths": (12,), "heads": (12,), "head_dim": 64, "convolves": False}
SHAPES: dict[str, dict[str, Any]] = {
    "rvt_tiny": TINY | {"masked": 0},
    "rvt_small": SMALL | {"masked": 0},
    "rvt_base": BASE | {"masked": 0},
    "rvt_tiny_plus": TINY | {"masked": 10},
    "rvt_small_plus": SMALL | {"masked": 5},
    "rvt_base_plus": BASE | {"masked": 5},
}
FACTS = {"fixed_input_size": True, "first_conv": "patch_embed.layers.0", "classifier": "head"}
default_cfgs = generate_default_cfgs({name: FACTS for name in SHAPES})  # timm looks for it under this name

register(RobustVisionTransformer, SHAPES)
