"""The transformer blocks of a model, whoever built it: where they are, and what they return."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from robench.errors import ModelError
from robench.models.vit import Upscale


def blocks_of(model: nn.Module) -> list[nn.Module]:
    """Transformer blocks in their order: what has attention in every `blocks` list, as timm names it (empty for other models).

    Example:
        >>> net = build_vit((1, 8, 8), 10, [0.5], [0.2], patch=2, dim=16, depth=3, heads=2, mlp=32)
        >>> len(blocks_of(net))
        3
    """
    lists = [module for name, module in model.named_modules() if name.rpartition(".")[2] == "blocks"]
    return [
        block for found in lists for block in _flat(found) if any("attn" in name for name, _ in block.named_modules())
    ]


def _flat(modules: nn.Module) -> Iterator[nn.Module]:
    """The modules of a list, and of lists in it."""
    for module in modules.children():
        if isinstance(module, nn.ModuleList):
            yield from _flat(module)
        else:
            yield module


def patch_of(model: nn.Module) -> int | None:
    """Side in pixels of the patches that a model cuts images into; None where it has no patch embedding.

    Behind an `Upscale` they are pixels of the data; None where a side is no whole number of them.

    Example:
        >>> patch_of(build_vit((1, 8, 8), 10, [0.5], [0.2], patch=2, dim=16, depth=1, heads=2, mlp=32))
        2
    """
    factor = next((float(module.factor) for module in model.modules() if isinstance(module, Upscale)), 1.0)
    for module in model.modules():
        for name in ("patch_embed", "patch_embeds", "pixel_embed"):
            embed = getattr(module, name, None)
            side = _side(embed[0] if isinstance(embed, nn.ModuleList) else embed)
            if side:
                return round(side / factor) if side % factor == 0 else None
    return None


def with_own_patch(options: dict[str, Any], model: nn.Module, name: str) -> dict[str, Any]:
    """Options in which patch="model" is the side of the model's own patches; others as they are.

    Args:
        name: of the model, for messages.

    Raises:
        ModelError: it has none.

    Example:
        >>> net = build_vit((1, 8, 8), 10, [0.5], [0.2], patch=4, dim=16, depth=1, heads=2, mlp=32)
        >>> with_own_patch({"patch": "model", "share": 0.1}, net, "a ViT")
        {'patch': 4, 'share': 0.1}
    """
    if options.get("patch") != "model":
        return options
    side = patch_of(model)
    if side is None:
        raise ModelError(
            f"{name} cuts images into no patches that robench knows of; give their side in pixels: patch=8"
        )
    return {**options, "patch": side}


def _side(embed: Any) -> int | None:
    """Side of a patch as the embedding says; where patches overlap, their distance; behind another network, from their number."""
    size, count = getattr(embed, "img_size", None), getattr(embed, "num_patches", None)
    stated, stride = getattr(embed, "patch_size", None), getattr(getattr(embed, "proj", None), "stride", None)
    if size and count and (stated is None or hasattr(embed, "backbone")):
        return int(round((size[0] * size[1] / count) ** 0.5))
    sides = [int(s[0] if isinstance(s, Sequence) else s) for s in (stated, stride) if s is not None]
    overlapping = len(sides) == 2 and sides[0] % sides[1] != 0
    return None if not sides else sides[overlapping]


@contextmanager
def block_outputs(blocks: Sequence[nn.Module]) -> Iterator[list[Tensor]]:
    """Collect what the blocks return in the latest forward pass within: for each (N, ...); other than tensors are left out.

    Example:
        >>> net = build_vit((1, 8, 8), 10, [0.5], [0.2], patch=2, dim=16, depth=3, heads=2, mlp=32)
        >>> with block_outputs(blocks_of(net)) as features:
        ...     _ = net(torch.rand(2, 1, 8, 8))
        >>> len(features), features[0].shape
        (3, torch.Size([2, 17, 16]))
    """
    seen: list[Tensor] = []

    def keep(module: nn.Module, given: Any, result: Any) -> None:
        if module is blocks[0]:
            seen.clear()
        found = result[0] if isinstance(result, tuple) else result
        if isinstance(found, Tensor):
            seen.append(found)

    handles = [block.register_forward_hook(keep) for block in blocks]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()
