"""What papers draw of attention: where its weights end (the KSA paper's Figure 2), and how noise in patches moves it (RSPC)."""

from __future__ import annotations

import base64

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from robench.attacking.classifier import forward
from robench.attacking.draws import Draws
from robench.attacking.patches import patch_mask, realised_share
from robench.models.attention import attentions, watched
from robench.models.blocks import patch_of
from robench.records.cards import AttentionStudy, QueryMaps
from robench.running.subject import Subject

GAP_IMAGES = 256
COSINE_IMAGES = 100
BATCH = 16
"""Few, since all layers' rows of all of them are held at once."""
SHARE = 0.1
"""Of the patches that are covered with noise, as in the RSPC study."""


@torch.no_grad()
def attention_study(subject: Subject) -> AttentionStudy | None:
    """The study of a model; None of one whose attention cannot be watched, or is not over patches that robench knows of."""
    layers, side = attentions(subject.module), patch_of(subject.module)
    if not layers or side is None:
        return None
    shape = subject.split.shape
    gaps: list[list[Tensor]] = []
    count = min(GAP_IMAGES, len(subject.split))
    for start in range(0, count, BATCH):
        rows = _rows(subject, subject.split.inputs(slice(start, min(start + BATCH, count))))
        if rows is None:
            return None
        gaps.append([gap_weights(weights) * len(weights) / count for weights in rows])
    cosines: list[list[Tensor]] = []
    maps = None
    compared = min(COSINE_IMAGES, len(subject.split))
    for start in range(0, compared, BATCH):
        chosen = np.arange(start, min(start + BATCH, compared))
        inputs, draws = subject.split.inputs(chosen), Draws(0, subject.split.image_ids()[chosen].tolist())
        mask = patch_mask(draws, inputs.shape, side, SHARE)
        noise = draws.uniform("noise", 0, None, inputs.shape[1:]).float()
        covered = torch.where(mask, noise, inputs)
        pair = [_rows(subject, images) for images in (inputs, covered)]
        assert pair[0] is not None and pair[1] is not None
        cosines.append([F.cosine_similarity(a, b, dim=-1).flatten(1).mean(1) for a, b in zip(*pair, strict=True)])
        maps = maps or _maps(pair[0], pair[1], inputs[0], covered[0], mask[0, 0], side)
    return AttentionStudy(
        images=count,
        gaps=[[round(float(x), 5) for x in torch.stack(parts).sum(0)] for parts in zip(*gaps, strict=True)],
        patch=side,
        share=realised_share(shape, side, SHARE),
        cosines=[[round(float(x), 4) for x in torch.cat(parts)] for parts in zip(*cosines, strict=True)],
        maps=maps,
    )


def gap_weights(weights: Tensor) -> Tensor:
    """How often the largest gap of a sorted row stands at each position, each counted as one minus the weight at that position.

    Rows are sorted from the largest weight down; the gap at position i, from 1 on, is between the i-th and the next. "We sort
    attention vectors …, calculate their difference vector and find the position of largest value …; the weights are unity minus
    the value of the corresponding attention in that position" (Amini & Ghaemmaghami, 2022, section 3).

    Args:
        weights: rows of attention, (…, T).

    Returns:
        (T − 1,), a share of the rows.

    Example:
        >>> gap_weights(torch.tensor([[0.0, 0.5, 0.5], [0.8, 0.1, 0.1]]))
        tensor([0.1000, 0.2500])
    """
    rows = weights.reshape(-1, weights.shape[-1]).sort(-1, descending=True).values
    place = (rows[:, :-1] - rows[:, 1:]).argmax(1)
    counted = 1 - rows.gather(1, place[:, None]).squeeze(1)
    return torch.zeros(rows.shape[1] - 1).index_add_(0, place.cpu(), counted.float().cpu()) / len(rows)


def _rows(subject: Subject, images: Tensor) -> list[Tensor] | None:
    """Rows of attention of each layer, (N, heads, T, T), of the first pass through it; None where a layer has others."""
    layers = attentions(subject.module)
    with watched(layers) as seen:
        forward(subject.module, images.to(subject.device))
    rows = [passes[0].float().cpu() for passes in seen if passes]
    fits = [one.dim() == 4 and one.shape[0] == len(images) and one.shape[-1] == one.shape[-2] for one in rows]
    return rows if rows and all(fits) else None


def _maps(
    clean: list[Tensor], covered: list[Tensor], image: Tensor, covered_image: Tensor, mask: Tensor, side: int
) -> QueryMaps | None:
    """The attention of one patch that was not covered, near the middle, in every layer, averaged over heads, before and after."""
    down, across = image.shape[1] // side, image.shape[2] // side
    own = [one.shape[-1] for one in clean]
    if any(tokens not in (down * across, down * across + 1) for tokens in own):
        return None
    free = [
        (abs(i - (down - 1) / 2) + abs(j - (across - 1) / 2), i * across + j)
        for i in range(down)
        for j in range(across)
        if not mask[i * side, j * side]
    ]
    if not free:
        return None
    query = min(free)[1]

    def of(rows: list[Tensor]) -> list[list[float]]:
        seen = []
        for one in rows:
            first = one.shape[-1] - down * across  # a class token stands before the patches
            row = one[0].mean(0)[query + first, first:]
            seen.append([round(float(x), 5) for x in row])
        return seen

    def packed(picture: Tensor) -> str:
        return base64.b64encode((255 * picture).round().clamp(0, 255).byte().cpu().numpy().tobytes()).decode()

    shape = [int(length) for length in image.shape]
    return QueryMaps((down, across), query, of(clean), of(covered), shape, [packed(image), packed(covered_image)])
