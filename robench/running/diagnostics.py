"""What a trained model is like, apart from being attacked: size, and how its attention is spread."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from robench.attacking.classifier import forward
from robench.attacking.draws import Draws
from robench.attacking.patches import patch_mask
from robench.data.splits import Split
from robench.entries.calls import Call
from robench.hashing import digest
from robench.models.attention import attentions, watched
from robench.models.blocks import block_outputs, blocks_of
from robench.models.size import size_of
from robench.models.standins import stand_ins
from robench.records.cards import ModelCard
from robench.running.attention_study import attention_study
from robench.running.subject import Subject, clean_logits

ATTENTION_IMAGES = 256
ATTENTION_BATCH = 16
"""Few, since all layers' rows of all of them are held at once: 0.4 GB in a ViT-B of 224 pixels."""
OCCLUDED_IMAGES = 32
"""Few, since all blocks' outputs of all of them are held at once."""
OCCLUDED = 0.1
"""Share of the patches, as in RSPC's figure."""
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

    Averaged over rows, heads and the first pinned images; empty for models without attention that
    can be watched.
    """
    layers = attentions(subject.module)
    if not layers:
        return []
    count, sums = min(ATTENTION_IMAGES, len(subject.split)), list[list[Tensor]]()
    for start in range(0, count, ATTENTION_BATCH):
        inputs = subject.split.inputs(slice(start, min(start + ATTENTION_BATCH, count)))
        with watched(layers) as seen:
            forward(subject.module, inputs.to(subject.device))
        held = [
            passes[0].sort(-1, descending=True).values.cumsum(-1).flatten(0, -2).mean(0) for passes in seen if passes
        ]
        sums.append([len(inputs) / count * mass for mass in held])
    return [[round(m, 4) for m in torch.stack(parts).sum(0).tolist()] for parts in zip(*sums, strict=True)]


@torch.no_grad()
def occlusion(subject: Subject) -> dict[str, list[float]]:
    """How attention and features change where uniform noise occludes 10 % of the patches, as `patch_noise` has it.

    Returns:
        attention: for each layer the mean cosine of a row of attention, clean against occluded, over heads, queries and
            images; features: for each block the distance of its output, as a share of its length. Empty for models without
            robench's attention, or without blocks.
    """
    layers, blocks = attentions(subject.module), blocks_of(subject.module)
    chosen = np.arange(min(OCCLUDED_IMAGES, len(subject.split)))
    inputs, draws = subject.split.inputs(chosen), Draws(0, subject.split.image_ids()[chosen].tolist())
    mask = patch_mask(draws, inputs.shape, None, OCCLUDED)
    noise = draws.uniform("noise", 0, None, inputs.shape[1:]).float()
    seen = []
    for images in (inputs, torch.where(mask, noise, inputs)):
        with watched(layers) as rows, block_outputs(blocks) as features:
            forward(subject.module, images.to(subject.device))
        seen.append(([passes[0] for passes in rows if passes], features))
    (clean_rows, features), (occluded_rows, occluded_features) = seen
    cosines = [F.cosine_similarity(a, b, dim=-1).mean() for a, b in zip(clean_rows, occluded_rows, strict=True)]
    distances = [(b - a).norm() / a.norm() for a, b in zip(features, occluded_features, strict=True)]
    return {
        "attention": [round(float(cosine), 4) for cosine in cosines],
        "features": [round(float(distance), 4) for distance in distances],
    }


@dataclass(frozen=True)
class About:
    """What a model card says of a model that is known without looking at it: see `ModelCard`."""

    model: str
    defense: Call
    dataset: Call
    weights: str
    data: str
    seconds: float
    epochs: int
    differentiable: bool
    note: str = ""


def model_card(subject: Subject, about: About) -> ModelCard:
    """What the report says of a model: its size, its training's cost, its attention, how it takes occluded patches."""
    size = size_of(subject.module, subject.split.shape)
    with stand_ins() as used:
        occluded = occlusion(subject)
    return ModelCard(
        model=about.model,
        defense=about.defense,
        dataset=about.dataset,
        weights=about.weights,
        data=about.data,
        images=len(subject.split),
        seconds=about.seconds,
        epochs=about.epochs,
        parameters=size.parameters,
        macs=size.macs,
        attention=attention_mass(subject),
        attention_cosines=occluded["attention"],
        feature_distances=occluded["features"],
        approximate_slopes=bool(used) or not about.differentiable,
        note=about.note,
        study=attention_study(subject),
    )
