"""Maps from a row of attention scores to weights that are not negative and sum to one: readings of the KSA paper's, and controls."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

AttentionMap = Literal["softmax", "linear", "relu", "sparsemax", "entmax"]


def linear_map(scores: Tensor) -> Tensor:
    """Shift each row's minimum to 0 and divide by the sum: affine up to the normalisation; an even row stays even.

    Min-max scaling ahead of the division gives the same, and so does any multiple of the scores: a row cannot sharpen by
    growing, as it can under the other maps.
    """
    shifted = scores - scores.amin(-1, keepdim=True)
    return _unit_rows(shifted)


def relu_map(scores: Tensor) -> Tensor:
    """Cut negative scores off and divide by the sum: exact zeros; a row of zeros becomes even."""
    return _unit_rows(scores.relu())


def sparsemax_map(scores: Tensor) -> Tensor:
    """Euclidean projection of each row onto the simplex (Martins & Astudillo, 2016): piecewise linear, exact zeros."""
    ordered, count = _ordered(scores)
    excess = ordered.cumsum(-1) - 1
    support = (ordered * count > excess).sum(-1, keepdim=True)
    return (scores - excess.gather(-1, support - 1) / support).relu()


def entmax_map(scores: Tensor) -> Tensor:
    """1.5-entmax of each row, max(0, z/2 − τ)² (Peters, Niculae & Martins, 2019): between softmax and sparsemax, exact zeros."""
    halves = (scores - scores.amax(-1, keepdim=True)) / 2
    ordered, count = _ordered(halves)
    mean = ordered.cumsum(-1) / count
    spread = ordered.square().cumsum(-1) - count * mean.square()
    thresholds = mean - ((1 - spread) / count).clamp_min(0).sqrt()
    support = (thresholds <= ordered).sum(-1, keepdim=True)
    return (halves - thresholds.gather(-1, support - 1)).relu().square()


def _ordered(scores: Tensor) -> tuple[Tensor, Tensor]:
    """Rows from the largest score down, and the numbers 1, 2, … of their places."""
    ordered = scores.sort(-1, descending=True).values
    return ordered, torch.arange(1, scores.shape[-1] + 1, device=scores.device, dtype=scores.dtype)


def _unit_rows(weights: Tensor) -> Tensor:
    total = weights.sum(-1, keepdim=True)
    tiny = 1e-6
    return torch.where(total > tiny, weights / total.clamp_min(tiny), 1 / weights.shape[-1])


MAPS = {
    "softmax": lambda scores: scores.softmax(-1),
    "linear": linear_map,
    "relu": relu_map,
    "sparsemax": sparsemax_map,
    "entmax": entmax_map,
}
"""From their names."""


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
