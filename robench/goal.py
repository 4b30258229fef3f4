"""What an attack wants, as a number: above zero where the goal is reached."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from robench.norms import l2, margin

if TYPE_CHECKING:
    from robench.classifier import Classifier

STOP_MARGIN = 1e-4
"""An attack takes its goal as reached above this margin: ten times what the judge asks for in its own forward pass."""


def goal_margin(logits: Tensor, labels: Tensor, targets: Tensor | None) -> Tensor:
    """Logit margin of an attack's goal, (N,).

    Untargeted: the largest logit of another class minus the label's. Targeted: the target's minus the largest other.
    """
    return -margin(logits, labels) if targets is None else margin(logits, targets)


def reached(logits: Tensor, labels: Tensor, targets: Tensor | None) -> Tensor:
    """Where the goal is reached, safely enough that the judge will agree, bool, (N,)."""
    return goal_margin(logits, labels, targets) > STOP_MARGIN


def linear_distance(model: Classifier, inputs: Tensor, labels: Tensor, targets: Tensor | None) -> Tensor:
    """How far away in L2 the goal lies, as the slope of its margin at the image has it, (N,): a first guess.

    Costs a forward and a backward pass.
    """
    probe = inputs.clone().requires_grad_()
    found = goal_margin(model(probe), labels, targets)
    slope = l2(model.gradient(probe, found)).clamp_min(1e-12)
    return (STOP_MARGIN - found.detach()).relu() / slope


def taken(values: Tensor | None, rows: Tensor) -> Tensor | None:
    """The rows of a tensor that may be absent (targets)."""
    return None if values is None else values[rows]
