"""Pyramid Vision Transformer, version 1 (Wang et al., 2021, arXiv:2102.12122), registered with timm as `pvt_*`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from timm.layers import DropPath, Mlp, PatchEmbed, trunc_normal_
from timm.models import generate_default_cfgs
from torch import Tensor, nn

from robench.models.parts import LayerNorm, drop_rates, init_linear, register, sides_of

PATCHES = (4, 2, 2, 2)  # of the four stages, for all sizes, as table 1 of the paper has them
DIMS = (64, 128, 320, 512)
HEADS = (1, 2, 5, 8)
MLP_RATIOS = (8, 8, 4, 4)
REDUCTIONS = (8, 4, 2, 1)


class ReducedAttention(nn.Module):
    """Spatial-reduction attention (section 3.3): keys and values come from a grid that is R times smaller a side.

    Args:
        reduction: R; 1 for plain multi-head attention.
    """

    def __init__(self, dim: int, heads: int, reduction: int) -> None:
        super().__init__()
        self.heads = heads
        self.q = nn.Linear(dim, dim)
        self.kv = nn.Linear(dim, 2 * dim)
        self.proj = nn.Linear(dim, dim)
        self.reduce = nn.Conv2d(dim, dim, reduction, reduction) if reduction > 1 else None
        self.norm = LayerNorm(dim) if reduction > 1 else nn.Identity()

    def forward(self, x: Tensor, height: int, width: int) -> Tensor:
        """Tokens (N, tokens, dim) to the same shape; the grid's sides matter only where it is reduced."""
        batch, tokens, dim = x.shape
        source = x
        if self.reduce is not None:
            source = self.norm(self.reduce(x.mT.reshape(batch, dim, height, width)).flatten(2).mT)
        queries = self.q(x).reshape(batch, tokens, self.heads, -1).transpose(1, 2)
        keys, values = self.kv(source).reshape(batch, source.shape[1], 2, self.heads, -1).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(queries, keys, values)  # (N, heads, tokens, dim / heads)
        result: Tensor = self.proj(mixed.transpose(1, 2).reshape(batch, tokens, dim))
        return result


class Block(nn.Module):
    """A transformer block with layer norms ahead of its two halves, (N, tokens, dim) to the same shape (section 3.3)."""

    def __init__(self, dim: int, heads: int, mlp_ratio: int, reduction: int, drop_path: float) -> None:
        super().__init__()
        self.norm1, self.norm2 = LayerNorm(dim), LayerNorm(dim)
        self.attn = ReducedAttention(dim, heads, reduction)
        self.mlp = Mlp(dim, mlp_ratio * dim)
        self.drop_path = DropPath(drop_path) if drop_path else nn.Identity()

    def forward(self, x: Tensor, height: int, width: int) -> Tensor:
        x = x + self.drop_path(self.attn(self.norm1(x), height, width))
        result: Tensor = x + self.drop_path(self.mlp(self.norm2(x)))
        return result


class Stage(nn.Module):
    """One level of the pyramid (section 3.1): (N, channels, H, W) to tokens (N, tokens, dim).

    Args:
        img_size: sides of the grid that comes in.
        drop_paths: the rate of every block, so that its length is the stage's depth.
        class_token: put a class token ahead of the others.
    """

    def __init__(
        self,
        img_size: tuple[int, int],
        patch: int,
        channels: int,
        dim: int,
        heads: int,
        mlp_ratio: int,
        reduction: int,
        drop_paths: Sequence[float],
        class_token: bool,
    ) -> None:
        super().__init__()
        self.patch_embed = PatchEmbed(img_size, patch, channels, dim, norm_layer=LayerNorm)
        self.grid: tuple[int, int] = self.patch_embed.grid_size
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim)) if class_token else None
        self.pos_embed = nn.Parameter(torch.zeros(1, self.grid[0] * self.grid[1] + class_token, dim))
        self.blocks = nn.ModuleList(Block(dim, heads, mlp_ratio, reduction, rate) for rate in drop_paths)
        for embedding in self.parameters(recurse=False):
            trunc_normal_(embedding, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch_embed(x)
        if self.cls_token is not None:
            x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], dim=1)
        x = x + self.pos_embed
        for block in self.blocks:
            x = block(x, *self.grid)
        return x


class PyramidVisionTransformer(nn.Module):
    """PVT v1: images (N, in_chans, H, W) to logits (N, num_classes) (Wang et al., 2021, section 3 and table 1).

    Four stages, each with its own patch embedding, whose grids are 4, 8, 16 and 32 times smaller than the image. The class
    token joins in the last stage, where no reduction needs the tokens to be a grid.

    Args:
        depths: blocks in each stage.
        img_size: side of the images, or height and width; multiples of 32.
        drop_path_rate: of stochastic depth at the last block.

    Raises:
        AssertionError: the image's sides are no multiples of 32.
    """

    def __init__(
        self,
        depths: Sequence[int],
        img_size: int | Sequence[int] = 224,
        in_chans: int = 3,
        num_classes: int = 1000,
        drop_path_rate: float = 0.0,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        grid, channels, rates = sides_of(img_size, 32, "PVT"), in_chans, drop_rates(drop_path_rate, sum(depths))
        self.stages = nn.ModuleList()
        for i, depth in enumerate(depths):
            own, rates = rates[:depth], rates[depth:]
            stage = Stage(grid, PATCHES[i], channels, DIMS[i], HEADS[i], MLP_RATIOS[i], REDUCTIONS[i], own, i == 3)
            self.stages.append(stage)
            grid, channels = stage.grid, DIMS[i]
        self.norm = LayerNorm(channels)
        self.head = nn.Linear(channels, num_classes) if num_classes else nn.Identity()
        self.apply(init_linear)

    def forward(self, inputs: Tensor) -> Tensor:
        x = inputs
        for stage in self.stages[:-1]:
            # The next stage cuts this one's grid into patches as the first cuts the image.
            x = stage(x).mT.unflatten(2, stage.grid)
        logits: Tensor = self.head(self.norm(self.stages[-1](x))[:, 0])
        return logits


SHAPES = {
    "pvt_tiny": {"depths": (2, 2, 2, 2)},
    "pvt_small": {"depths": (3, 4, 6, 3)},
    "pvt_medium": {"depths": (3, 4, 18, 3)},
    "pvt_large": {"depths": (3, 8, 27, 3)},
}
FACTS = {"fixed_input_size": True, "first_conv": "stages.0.patch_embed.proj", "classifier": "head"}
default_cfgs = generate_default_cfgs({name: FACTS for name in SHAPES})  # timm looks for it under this name

register(PyramidVisionTransformer, SHAPES)
