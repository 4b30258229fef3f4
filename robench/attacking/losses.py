"""What an attack wants, as a number above zero where it is reached, and the losses that lead there; one number a row."""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

SUCCESS_SHARE = 1e-5
"""Success needs a margin above this share of the spread of the image's clean logits, so that last bits do not decide it."""
STOP_SHARE = 1e-4
"""An attack takes its goal as reached above this share: ten times what the judge asks for in its own forward pass."""
HALF_STOP_SHARE = 2e-2
"""The same in bfloat16, whose numbers have steps of 2^-8 of their size: what it just reaches there, float32 may not see."""


SURE, SATURATED = 10.0, 15.0
"""Logits above all others together: up to where 1 - p has three digits in float32, and where its slope is 3e-7."""

TINY, USUAL_SPREAD = 1e-3, 10.0
"""Of logits: less than any trained classifier's, and that of an ordinary one."""


def spread(logits: Tensor) -> Tensor:
    """The scale that margins are measured by, (N,): the largest logit minus the third largest (of two classes, the second).

    Not the smallest: classes that a model leaves out may stand at -1e9. Not below a tenth of the largest logit's size,
    since of that float32 keeps seven digits.

    Example:
        >>> spread(torch.tensor([[5.0, 4.0, 2.0, -1e9], [1.0, 1.0, 1.0, 1.0]]))
        tensor([3.0000, 0.1000])
    """
    top = logits.topk(min(3, logits.shape[1]), dim=1).values
    return torch.maximum(top[:, 0] - top[:, -1], 0.1 * top[:, 0].abs())


def margin(logits: Tensor, classes: Tensor) -> Tensor:
    """Logit of the given class minus the largest other logit, (N,): positive where that class is predicted."""
    chosen = logits.gather(1, classes[:, None]).squeeze(1)
    others = logits.scatter(1, classes[:, None], -torch.inf).amax(1)
    return chosen - others


def goal_margin(logits: Tensor, labels: Tensor, targets: Tensor | None) -> Tensor:
    """Logit margin of an attack's goal, (N,).

    Untargeted: the largest logit of another class minus the label's. Targeted: the target's minus the largest other.

    Example:
        >>> goal_margin(torch.tensor([[2.0, 5.0, 1.0]]), torch.tensor([1]), None)
        tensor([-3.])
    """
    return -margin(logits, labels) if targets is None else margin(logits, targets)


def picked(values: Tensor | None, rows: Tensor) -> Tensor | None:
    """These rows of a tensor that may be absent, as targets may.

    Example:
        >>> picked(torch.tensor([7, 8, 9]), torch.tensor([2, 0])), picked(None, torch.tensor([0]))
        (tensor([9, 7]), None)
    """
    return None if values is None else values[rows]


def cross_entropy(logits: Tensor, labels: Tensor, targets: Tensor | None) -> Tensor:
    """Cross-entropy of the label, or minus that of the target.

    Where the label is more than SURE above the others together, its probability rounds to 1 in float32 and its own part of
    the slope to 0; the loss is then computed from the difference, and beyond SATURATED it goes on along its tangent, so that
    there is a slope everywhere. Logits whose spread is below TINY, of which a softmax makes nothing, are brought to a usual
    one. So neither logits × 1e6 nor × 1e-6 are a refuge.

    Example:
        >>> cross_entropy(torch.zeros(1, 4), torch.tensor([2]), None)
        tensor([1.3863])
    """
    size = spread(logits.detach())
    logits = logits * torch.where(size < TINY, USUAL_SPREAD / size.clamp_min(1e-30), torch.ones_like(size))[:, None]
    if targets is None:
        plain = F.cross_entropy(logits, labels, reduction="none")
        others = logits.scatter(1, labels[:, None], -torch.inf).logsumexp(1)
        behind = others - logits.gather(1, labels[:, None]).squeeze(1)
        near = F.softplus(behind.clamp_min(-SATURATED))
        beyond = (behind + SATURATED).clamp_max(0) * math.exp(-SATURATED)
        return torch.where(behind < -SURE, near + beyond, plain)
    return -F.cross_entropy(logits, targets, reduction="none")


def squared_error(logits: Tensor, labels: Tensor, targets: Tensor | None) -> Tensor:
    """Mean squared distance of the probabilities from the label's, or minus that from the target's, (N,).

    Its slope vanishes where the model is sure, right or wrong, as that of the cross-entropy does not.

    Example:
        >>> squared_error(torch.zeros(1, 2), torch.tensor([0]), None)
        tensor([0.2500])
    """
    wanted = F.one_hot(labels if targets is None else targets, logits.shape[1]).to(logits)
    distance = (logits.softmax(1) - wanted).square().mean(1)
    return distance if targets is None else -distance


Loss = Literal["ce", "mse"]
LOSSES = {"ce": cross_entropy, "mse": squared_error}
"""What fgsm and pgd climb, by the names of their option `loss`."""


def dlr(logits: Tensor, labels: Tensor, targets: Tensor | None) -> Tensor:
    """Difference of logits ratio (Croce & Hein, 2020, equations 6 and 7): a margin that the logits' scale cannot hide.

    The ratio needs three classes, the targeted one four; with fewer it is the margin itself.

    Example:
        >>> dlr(torch.tensor([[4.0, 2.0, 0.0]]), torch.tensor([0]), None)
        tensor([-0.5000])
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
    """The classes with the largest logits besides the label, (N, min(count, classes − 1)), the largest first.

    Example:
        >>> runners_up(torch.tensor([[5.0, 1.0, 3.0]]), torch.tensor([0]), 2)
        tensor([[2, 1]])
    """
    others = logits.scatter(1, labels[:, None], -torch.inf)
    return others.topk(min(count, logits.shape[1] - 1), dim=1).indices
