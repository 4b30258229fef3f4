"""What an attack wants, as a number above zero where it is reached, and the losses that lead there; one number a row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from robench.attacking.norms import l2

if TYPE_CHECKING:
    from robench.attacking.classifier import Classifier

STOP_MARGIN = 1e-4
"""An attack takes its goal as reached above this margin: ten times what the judge asks for in its own forward pass."""


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


def reached(logits: Tensor, labels: Tensor, targets: Tensor | None) -> Tensor:
    """Where the goal is reached, safely enough that the judge will agree, bool, (N,).

    Example:
        >>> reached(torch.tensor([[2.0, 5.0], [5.0, 2.0]]), torch.tensor([1, 1]), None)
        tensor([False,  True])
    """
    return goal_margin(logits, labels, targets) > STOP_MARGIN


def linear_distance(model: Classifier, inputs: Tensor, labels: Tensor, targets: Tensor | None) -> Tensor:
    """How far away in L2 the goal lies, as the slope of its margin at the image has it, (N,): a first guess.

    Costs a forward and a backward pass.

    Example:
        >>> net = nn.Linear(2, 2, bias=False)
        >>> net.weight.data = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
        >>> linear_distance(Classifier(net, 2, ["a"]), torch.tensor([[0.3, 0.5]]), torch.tensor([0]), None)
        tensor([0.3001])
    """
    probe = inputs.clone().requires_grad_()
    found = goal_margin(model(probe), labels, targets)
    slope = l2(model.gradient(probe, found)).clamp_min(1e-12)
    return (STOP_MARGIN - found.detach()).relu() / slope


def picked(values: Tensor | None, rows: Tensor) -> Tensor | None:
    """These rows of a tensor that may be absent, as targets may.

    Example:
        >>> picked(torch.tensor([7, 8, 9]), torch.tensor([2, 0])), picked(None, torch.tensor([0]))
        (tensor([9, 7]), None)
    """
    return None if values is None else values[rows]


def cross_entropy(logits: Tensor, labels: Tensor, targets: Tensor | None) -> Tensor:
    """Cross-entropy of the label, or minus that of the target.

    Example:
        >>> cross_entropy(torch.zeros(1, 4), torch.tensor([2]), None)
        tensor([1.3863])
    """
    if targets is None:
        return F.cross_entropy(logits, labels, reduction="none")
    return -F.cross_entropy(logits, targets, reduction="none")


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
