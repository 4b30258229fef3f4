"""Tokens-to-token ViT with token transformers (Yuan et al., 2021, arXiv:2101.11986), in timm as `t2t_vit_t_*`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from timm.layers import Mlp, trunc_normal_
from timm.models import generate_default_cfgs
from timm.models.vision_transformer import Block
from torch import Tensor, nn

from robench.models.parts import LayerNorm, check_size, drop_rates, init_linear, register, sides_of

TOKEN_DIM = 64


class TokenTransformer(nn.Module):
    """The transformer of a tokens-to-token step: one head, (N, tokens, dim) to (N, tokens, 64) (section 3.1).

    Its attention narrows the tokens, so that the values, already narrow, take the place of what a block adds its input for.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = LayerNorm(dim), LayerNorm(TOKEN_DIM)
        self.qkv = nn.Linear(dim, 3 * TOKEN_DIM, bias=False)
        self.proj = nn.Linear(TOKEN_DIM, TOKEN_DIM)
        self.mlp = Mlp(TOKEN_DIM, TOKEN_DIM)

    def forward(self, x: Tensor) -> Tensor:
        # A head's axis of 1 lets torch take its fused kernels, which hold no (tokens, tokens) matrix: 3136 tokens at 224.
        queries, keys, values = self.qkv(self.norm1(x)).unsqueeze(1).chunk(3, dim=-1)
        mixed = F.scaled_dot_product_attention(queries, keys, values)
        x = (values + self.proj(mixed)).squeeze(1)
        narrowed: Tensor = x + self.mlp(self.norm2(x))
        return narrowed


class TokensToToken(nn.Module):
    """The tokens-to-token module: images (N, in_chans, H, W) to tokens (N, H / 16 * W / 16, dim) (section 3.1).

    Three soft splits cut overlapping patches, of 7 pixels with a stride of 4 and then twice of 3 tokens with a stride of 2;
    a token transformer follows the first two, a linear layer the third.

    Attributes:
        patch_size: the stride of the three splits together, in pixels.
    """

    def __init__(self, in_chans: int, dim: int) -> None:
        super().__init__()
        self.patch_size = (16, 16)
        self.transformers = nn.ModuleList([TokenTransformer(in_chans * 7 * 7), TokenTransformer(TOKEN_DIM * 3 * 3)])
        self.proj = nn.Linear(TOKEN_DIM * 3 * 3, dim)

    def forward(self, inputs: Tensor) -> Tensor:
        height, width = inputs.shape[2] // 4, inputs.shape[3] // 4
        x = F.unfold(inputs, 7, stride=4, padding=2).mT
        for transformer in self.transformers:
            grid = transformer(x).mT.unflatten(2, (height, width))
            x = F.unfold(grid, 3, stride=2, padding=1).mT
            height, width = height // 2, width // 2
        tokens: Tensor = self.proj(x)
        return tokens


def sinusoids(tokens: int, dim: int) -> Tensor:
    """The fixed position embedding of Vaswani et al. (2017, section 3.5), sines at even places: (1, tokens, dim)."""
    rates = 10000 ** (-torch.arange(0, dim, 2) / dim)
    angles = torch.arange(tokens)[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], dim=-1).reshape(1, tokens, dim)


class T2TViT(nn.Module):
    """T2T-ViT: images (N, in_chans, H, W) to logits (N, num_classes) (Yuan et al., 2021, sections 3.1 to 3.3, table 1).

    Attention scales scores by the root of a head's width, as the paper's equations do. The authors' published weights were
    made with the root of the whole width in the backbone: they would need that.

    Args:
        dim: width of the backbone, deep and narrow (section 3.2); its perceptrons are three times as wide.
        img_size: side of the images, or height and width; multiples of 16.
        drop_path_rate: of stochastic depth at the backbone's last block.

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
        self.img_size = sides_of(img_size, 16, "T2T-ViT")
        self.patch_embed = TokensToToken(in_chans, dim)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        tokens = 1 + self.img_size[0] * self.img_size[1] // 16**2
        # Not a buffer, though it is not trained: the paper's sizes count it (64.1 M parameters, and 64.0 M without it).
        self.pos_embed = nn.Parameter(sinusoids(tokens, dim), requires_grad=False)
        self.blocks = nn.ModuleList(
            Block(dim, heads, mlp_ratio=3, drop_path=rate, norm_layer=LayerNorm)
            for rate in drop_rates(drop_path_rate, depth)
        )
        self.norm = LayerNorm(dim)
        self.head = nn.Linear(dim, num_classes) if num_classes else nn.Identity()
        self.apply(init_linear)
        trunc_normal_(self.cls_token, std=0.02)

    def forward(self, inputs: Tensor) -> Tensor:
        check_size(inputs, self.img_size, "T2T-ViT")
        x = self.patch_embed(inputs)
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], dim=1) + self.pos_embed
        for block in self.blocks:
            x = block(x)
        logits: Tensor = self.head(self.norm(x)[:, 0])
        return logits


SHAPES = {
    "t2t_vit_t_14": {"dim": 384, "depth": 14, "heads": 6},
    "t2t_vit_t_24": {"dim": 512, "depth": 24, "heads": 8},
}
# The first layer that sees pixels is no convolution, so that timm has none to adapt to other channels.
default_cfgs = generate_default_cfgs({name: {"fixed_input_size": True, "classifier": "head"} for name in SHAPES})

register(T2TViT, SHAPES)
