"""Losses that attacks climb, one number a row."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from robench.goal import goal_margin


def cross_entropy(logits: Tensor, labels: Tensor, targets: Tensor | None) -> Tensor:
    """Cross-entropy of the label, or minus that of the target."""
    if targets is None:
        return F.cross_entropy(logits, labels, reduction="none")
    return -F.cross_entropy(logits, targets, reduction="none")


def dlr(logits: Tensor, labels: Tensor, targets: Tensor | None) -> Tensor:
    """Difference of logits ratio (Croce & Hein, 2020, equations 6 and 7): a margin that the logits' scale cannot hide.

    The ratio needs three classes, the targeted one four; with fewer it is the margin itself.
    """
    needed = 3 if targets is None else 4
    if logits.shape[1] < needed:
        return goal_margin(logits, labels, targets)
    ordered = logits.sort(1, descending=True).values
    chosen = logits.gather(1, labels[:, None]).squeeze(1)
    if targets is None:
        others = logits.scatter(1, labels[:, None], -torch.inf).amax(1)
        return (others - chosen) / (ordered[:, 0] - ordered[:, 2] + 1e-12)
    aim = logits.gather(1, targets[:, None]).squeeze(1)
    return (aim - chosen) / (ordered[:, 0] - (ordered[:, 2] + ordered[:, 3]) / 2 + 1e-12)


def runners_up(logits: Tensor, labels: Tensor, count: int) -> Tensor:
    """The classes with the largest logits besides the label, (N, min(count, classes − 1)), the largest first."""
    others = logits.scatter(1, labels[:, None], -torch.inf)
    return others.topk(min(count, logits.shape[1] - 1), dim=1).indices
