"""The Vision Transformer of the papers, small, on timm's, with attention maps that can be exchanged and watched."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn

from robench.errors import UsageError
from robench.models.standins import straight_through

AttentionMap = Literal["softmax", "linear", "relu", "sparsemax"]


def linear_map(scores: Tensor) -> Tensor:
    """Shift each row's minimum to 0 and divide by the sum: affine up to the normalisation; an even row stays even."""
    shifted = scores - scores.amin(-1, keepdim=True)
    return _unit_rows(shifted)


def relu_map(scores: Tensor) -> Tensor:
    """Cut negative scores off and divide by the sum: exact zeros; a row of zeros becomes even."""
    return _unit_rows(scores.relu())


def sparsemax_map(scores: Tensor) -> Tensor:
    """Euclidean projection of each row onto the simplex (Martins & Astudillo, 2016): piecewise linear, exact zeros."""
    ordered = scores.sort(-1, descending=True).values
    count = torch.arange(1, scores.shape[-1] + 1, device=scores.device, dtype=scores.dtype)
    excess = ordered.cumsum(-1) - 1
    support = (ordered * count > excess).sum(-1, keepdim=True)
    return (scores - excess.gather(-1, support - 1) / support).relu()


def _unit_rows(weights: Tensor) -> Tensor:
    total = weights.sum(-1, keepdim=True)
    tiny = 1e-6
    return torch.where(total > tiny, weights / total.clamp_min(tiny), 1 / weights.shape[-1])


MAPS = {
    "softmax": lambda scores: scores.softmax(-1),
    "linear": linear_map,
    "relu": relu_map,
    "sparsemax": sparsemax_map,
}


def keep_largest(weights: Tensor, k: int) -> Tensor:
    """[w]_K of the KSA paper, eq. (6): the K largest entries of each row, zero elsewhere (weights are not negative).

    Example:
        >>> keep_largest(torch.tensor([0.1, 0.5, 0.4]), 2)
        tensor([0.0000, 0.5000, 0.4000])
    """
    if k >= weights.shape[-1]:
        return weights
    kept = weights.topk(k, dim=-1, sorted=False)
    return torch.zeros_like(weights).scatter(-1, kept.indices, kept.values)


class Attention(nn.Module):
    """Multi-head self-attention whose row weights come from an exchangeable map.

    Attributes:
        hard_k: keep only the K largest weights of each row at inference, renormalised. Gradients pass straight through
            the cut (BPDA; Athalye, Carlini & Wagner, 2018): blocking them would only hide the model from an attack.

    Example:
        >>> Attention(dim=16, heads=2, attention="linear")(torch.rand(3, 5, 16)).shape
        torch.Size([3, 5, 16])
    """

    def __init__(self, dim: int, heads: int, attention: AttentionMap) -> None:
        super().__init__()
        self.heads = heads
        self.scale = (dim // heads) ** -0.5
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.map = MAPS[attention]
        self.hard_k: int | None = None
        self.watcher: list[Tensor] | None = None

    def forward(self, x: Tensor, *_: Any, **__: Any) -> Tensor:
        batch, tokens, dim = x.shape
        qkv = self.qkv(x).reshape(batch, tokens, 3, self.heads, dim // self.heads).permute(2, 0, 3, 1, 4)
        queries, keys, values = qkv.unbind(0)  # (batch, heads, tokens, dim / heads)
        weights = self.map((queries * self.scale) @ keys.transpose(-2, -1))  # (batch, heads, tokens, tokens)
        if self.watcher is not None:
            self.watcher.append(weights)
        if self.hard_k is not None and not self.training:
            kept = keep_largest(weights, self.hard_k)
            # Straight through: the gradient is that of the soft weights, so that an attack sees past the cut.
            weights = straight_through(kept / kept.sum(-1, keepdim=True), weights)
        mixed: Tensor = self.proj((weights @ values).transpose(1, 2).reshape(batch, tokens, dim))
        return mixed


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
) -> nn.Sequential:
    """An untrained ViT (Dosovitskiy et al., 2021) that maps images in [0, 1], (N, C, H, W), to logits (N, classes).

    Args:
        patch: side of a patch in pixels; must divide the image's sides.
        mlp: width of the hidden layer of each block's perceptron.

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
    return nn.Sequential(Normalize(mean, std), vit)


def attentions(model: nn.Module) -> list[Attention]:
    """The attention modules of a model that robench built, first layer first (empty for other models).

    Example:
        >>> net = build_vit((1, 8, 8), 10, [0.5], [0.2], patch=2, dim=16, depth=3, heads=2, mlp=32)
        >>> len(attentions(net))
        3
    """
    return [module for module in model.modules() if isinstance(module, Attention)]


@contextmanager
def watched(layers: Sequence[Attention]) -> Iterator[list[Tensor]]:
    """Collect the attention weights of every forward pass within: one (N, heads, tokens, tokens) a layer, in order.

    The weights are those before any hard top-K, so that what training made is what is seen.

    Example:
        >>> net = build_vit((1, 8, 8), 10, [0.5], [0.2], patch=2, dim=16, depth=3, heads=2, mlp=32)
        >>> with watched(attentions(net)) as weights:
        ...     _ = net(torch.rand(2, 1, 8, 8))
        >>> len(weights), weights[0].shape
        (3, torch.Size([2, 2, 17, 17]))
    """
    seen: list[Tensor] = []
    before = [layer.watcher for layer in layers]
    for layer, outer in zip(layers, before, strict=True):
        layer.watcher = seen if outer is None else _Both(seen, outer)
    try:
        yield seen
    finally:
        for layer, outer in zip(layers, before, strict=True):
            layer.watcher = outer


class _Both(list[Tensor]):
    """Passes on what a layer is watched for to two who watch it, one within the other."""

    def __init__(self, inner: list[Tensor], outer: list[Tensor]) -> None:
        super().__init__()
        self._two = inner, outer

    def append(self, weights: Tensor, /) -> None:
        for one in self._two:
            one.append(weights)
