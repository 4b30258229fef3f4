"""Which class a targeted attack aims at, chosen by the harness, the same for every attack."""

from __future__ import annotations

import torch
from torch import Tensor

from robench.attacking.draws import Draws
from robench.errors import UsageError


def resolve_targets(rule: str, labels: Tensor, logits: Tensor, draws: Draws) -> Tensor:
    """Target classes, (N, T), never the label itself; T = classes − 1 for `all`, else 1.

    Args:
        rule: `random` (uniform over the other classes, by image id and seed), `least_likely` (smallest clean logit),
            `next` (label + 1, modulo the classes), `all` (each other class, in order).
        logits: of the clean images, (N, classes).
    """
    classes = logits.shape[1]
    if classes < 2:
        raise UsageError("a targeted attack needs at least two classes")
    labels = labels.cpu()
    if rule == "random":
        shift = (draws.uniform("target", 0, None, (1,)) * (classes - 1)).long() + 1
        return (labels[:, None] + shift) % classes
    if rule == "next":
        return (labels[:, None] + 1) % classes
    if rule == "least_likely":
        return logits.cpu().scatter(1, labels[:, None], torch.inf).argmin(1, keepdim=True)
    every = torch.arange(classes).expand(len(labels), classes)
    return every[every != labels[:, None]].reshape(len(labels), classes - 1)
