"""The Vision Transformer of the papers, small, on timm's, with robench's attention."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from robench.errors import UsageError
from robench.models.attention import Attention
from robench.models.maps import AttentionMap

Positions = Literal["learned", "sinusoidal"]


class Normalize(nn.Module):
    """Images in [0, 1] to zero mean and unit variance per channel, as a layer, so that it is inside what is attacked.

    Example:
        >>> Normalize([0.5], [0.25])(torch.ones(1, 1, 1, 1)).item()
        2.0
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1))

    def forward(self, inputs: Tensor) -> Tensor:
        normalised: Tensor = (inputs - self.mean) / self.std
        return normalised


class Upscale(nn.Module):
    """Images made larger, as a layer, so that attacks stay in the pixels of the data.

    Attributes:
        factor: new pixels for each of the data's, along a side.

    Example:
        >>> Upscale((8, 8), 32)(torch.rand(2, 3, 8, 8)).shape
        torch.Size([2, 3, 32, 32])
    """

    def __init__(self, before: tuple[int, int], after: int) -> None:
        super().__init__()
        self.after = after
        self.factor = after / before[0]

    def forward(self, inputs: Tensor) -> Tensor:
        return F.interpolate(inputs, (self.after, self.after), mode="bilinear", align_corners=False)


def suitable_patch(shape: tuple[int, int, int]) -> int:
    """The papers' patch: a quarter of a small image's side, 16 pixels from 96 on.

    Example:
        >>> suitable_patch((3, 32, 32)), suitable_patch((3, 224, 224))
        (8, 16)
    """
    side = min(shape[1:])
    return 16 if side >= 96 else max(1, side // 4)


def build_vit(
    shape: tuple[int, int, int],
    classes: int,
    mean: Sequence[float],
    std: Sequence[float],
    *,
    patch: int,
    dim: int,
    depth: int,
    heads: int,
    mlp: int,
    attention: AttentionMap = "softmax",
    positions: Positions = "learned",
) -> nn.Sequential:
    """An untrained ViT (Dosovitskiy et al., 2021) that maps images in [0, 1], (N, C, H, W), to logits (N, classes).

    Args:
        patch: side of a patch in pixels; must divide the image's sides.
        mlp: width of the hidden layer of each block's perceptron.
        positions: what is added to the tokens: "learned", or the "sinusoidal" table of Vaswani et al. (2017, section 3.5), which
            stays.

    Raises:
        UsageError: the patch does not divide the image, or the heads the width.

    Example:
        >>> net = build_vit((1, 8, 8), 10, [0.5], [0.2], patch=2, dim=16, depth=3, heads=2, mlp=32)
        >>> net(torch.rand(2, 1, 8, 8)).shape
        torch.Size([2, 10])
    """
    from timm.models.vision_transformer import VisionTransformer

    channels, height, width = shape
    if height % patch or width % patch:
        sides = [p for p in range(2, min(height, width)) if height % p == 0 and width % p == 0]
        raise UsageError(f"patch={patch} does not divide images of {height} x {width} pixels; patches that do: {sides}")
    if dim % heads:
        raise UsageError(f"dim={dim} cannot be divided into heads={heads}; give a dim that is a multiple of heads")
    vit = VisionTransformer(
        img_size=(height, width),
        patch_size=patch,
        in_chans=channels,
        num_classes=classes,
        embed_dim=dim,
        depth=depth,
        num_heads=heads,
        mlp_ratio=mlp / dim,
    )
    for block in vit.blocks:
        block.attn = Attention(dim, heads, attention)
    for module in vit.modules():
        # timm draws linear layers with a deviation of 0.02, made for widths of 768; at a width of 64 that starts too small:
        # CIFAR-10 after 4 epochs, validation accuracy 48.3 % with it and 49.8 % with torch's own (lr 1e-3, one seed).
        if isinstance(module, nn.Linear):
            module.reset_parameters()
    if positions == "sinusoidal":
        vit.pos_embed = nn.Parameter(sinusoids(vit.pos_embed.shape[1], dim)[None], requires_grad=False)
    return nn.Sequential(Normalize(mean, std), vit)


def sinusoids(tokens: int, dim: int) -> Tensor:
    """Sines at even and cosines at odd places of p / 10000^(2i / dim), for the positions p of tokens, (tokens, dim).

    Example:
        >>> sinusoids(2, 4)[1].sin().shape, sinusoids(2, 2)[1]
        (torch.Size([4]), tensor([0.8415, 0.5403]))
    """
    places = torch.arange(dim) // 2 * 2 / dim
    angles = torch.arange(tokens)[:, None] / 10_000**places
    return torch.where(torch.arange(dim) % 2 == 0, angles.sin(), angles.cos())
