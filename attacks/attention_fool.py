"""Attention-Fool's loss (Lovisotto et al., 2022): all queries drawn to one key, by the scores before the softmax."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from robench import (
    Above0,
    Classifier,
    NotNegative,
    Positive,
    Radius,
    attack,
    attention_scores,
    descend,
    goal_margin,
    picked,
)

LEAST = -100.0
"""Scores below this are those of keys that a layer hides."""


def draw(layers: Sequence[Tensor], images: int) -> Tensor:
    """How far queries are drawn to single keys, (images,): the smooth maximum over heads and layers of what the key that draws
    most has of its head's queries on average.

    Args:
        layers: scores of each layer, (N, …, queries, keys), where N is a multiple of the images.
    """
    heads = []
    for layer in layers:
        scores = layer.reshape(images, -1, *layer.shape[-2:]).clamp_min(LEAST)
        scores = scores - scores.mean(-1, keepdim=True)
        size = scores.detach().square().mean((-2, -1), keepdim=True).sqrt().clamp_min(1e-6)
        heads.append((scores / size).mean(-2).amax(-1))
    return torch.cat(heads, 1).logsumexp(1)


@attack(
    norm="linf",
    goal="budget",
    paper="arXiv:2203.13639",
    complete=True,
    monotone=True,
    presets={"quick": {"steps": 10}},
)
def attention_fool(
    model: Classifier,
    inputs: Tensor,
    labels: Tensor,
    *,
    eps: Radius,
    targets: Tensor | None = None,
    weight: NotNegative = 0.1,
    steps: Positive = 40,
    step_size: Above0 | None = None,
    until_success: bool = True,
) -> Tensor:
    """PGD whose loss also draws all queries of attention to one key, through the scores before the softmax, or before any map.

    A softmax that is sure has hardly any slope, and a sparse map none at all where a weight is zero; the scores have one. The
    paper's loss is for a patch, whose key is the one that queries are drawn to, and its scores are divided by the norms of
    queries and keys. Here the whole image may change, so that it is the key that draws most in each head, and each head's
    scores, less their rows' means, which no map sees, are divided by their root mean square. The loss beside it is the
    logits' margin in units of their spread; the paper's cross-entropy has no slope to set against it where a model is sure.

    On a model without attention that margin is all. Attention is what a softmax over the last of three or more dimensions
    makes, and robench's own layers; torch's nn.MultiheadAttention, which keeps its scores to itself, counts as none.

    Args:
        inputs: images in [0, 1], (N, C, H, W).
        eps: radius of the L∞ ball, for pixels in [0, 1].
        targets: classes to be taken for, (N,); None to leave the label.
        weight: of that loss beside the margin.
        step_size: 2.5 eps / steps where it is None.
        until_success: leave an image alone once it is fooled.
    """
    size = step_size or 2.5 * eps / steps

    def start(_: int, rows: Tensor) -> Tensor:
        return eps * (2 * model.draws.uniform("start", 0, rows, inputs.shape[1:]) - 1)

    with attention_scores() as seen:

        def climbed(logits: Tensor, rows: Tensor) -> Tensor:
            layers = [scores for scores in seen if len(scores) % len(rows) == 0]
            seen.clear()
            ahead = goal_margin(logits, labels[rows], picked(targets, rows)) / model.spread(logits, rows)
            return ahead + weight * draw(layers, len(rows)) if layers else ahead

        return descend(
            model,
            inputs,
            labels,
            targets,
            eps=eps,
            norm="linf",
            steps=steps,
            step=lambda gradient, _, __: size * gradient.sign(),
            start=start,
            until_success=until_success,
            loss=climbed,
        )
