"""What an attack wants, as a number: above zero where the goal is reached."""

from __future__ import annotations

from torch import Tensor

from robench.norms import margin

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


def taken(values: Tensor | None, rows: Tensor) -> Tensor | None:
    """The rows of a tensor that may be absent (targets)."""
    return None if values is None else values[rows]
