"""The transformer blocks of a model, whoever built it: where they are, and what they return."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn


def blocks_of(model: nn.Module) -> list[nn.Module]:
    """Transformer blocks in their order: the children of every `blocks` list, as timm names it (empty for other models)."""
    lists = [module for name, module in model.named_modules() if name.rpartition(".")[2] == "blocks"]
    return [block for found in lists for block in found.children()]


def patch_of(model: nn.Module) -> int | None:
    """Side in pixels of the patches that a model cuts images into; None where it has no patch embedding."""
    for module in model.modules():
        size = getattr(getattr(module, "patch_embed", None), "patch_size", None)
        if size is not None:
            return int(size[0] if isinstance(size, Sequence) else size)
    return None


@contextmanager
def outputs(blocks: Sequence[nn.Module]) -> Iterator[list[Tensor]]:
    """Collect what the blocks return in the latest forward pass within: for each (N, ...); other than tensors are left out."""
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
