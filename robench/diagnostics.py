"""What a trained model is like, apart from being attacked: size, and how its attention is spread."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from robench.hashing import digest
from robench.images import Split
from robench.shards import Subject, clean_logits
from robench.vit import attentions, watched

ATTENTION_IMAGES = 256
PROBE_IMAGES = 8


@torch.no_grad()
def probe_digest(subject: Subject, test: Split) -> str:
    """Digest of the logits of the first eight pinned test images, to two decimals.

    It notices a model whose code changed but not its weights. Rounded, so that another machine's last bits rarely show.
    """
    probed = test.first(min(PROBE_IMAGES, len(test)))
    logits = clean_logits(subject.module, probed, subject.classes, subject.device, subject.name)
    return digest((logits.double() * 100).round().long().tolist())


@torch.no_grad()
def attention_mass(subject: Subject) -> list[list[float]]:
    """For each attention layer, the share of a row's attention that its 1, 2, … largest weights hold.

    Averaged over rows, heads and the first pinned images; empty for models without robench's attention.
    """
    layers = attentions(subject.module)
    if not layers:
        return []
    inputs = subject.split.inputs(np.arange(min(ATTENTION_IMAGES, len(subject.split)))).to(subject.device)
    with watched(layers) as seen:
        subject.module(inputs)
    return [
        [round(m, 4) for m in w.sort(-1, descending=True).values.cumsum(-1).mean((0, 1, 2)).tolist()]
        for w in seen[: len(layers)]
    ]


def model_card(subject: Subject, weights: str, dataset: str, data: str, seconds: float, epochs: int) -> dict[str, Any]:
    """What the report says of a model: its size, its training's cost, its attention."""
    return {
        "defense": subject.name, "weights": weights, "dataset": dataset, "data": data, "seconds": seconds, "epochs": epochs,
        "parameters": sum(p.numel() for p in subject.module.parameters()), "attention": attention_mass(subject),
    }  # fmt: skip
