"""KSA-ViT: K-sparse attention (Amini & Ghaemmaghami, 2022, Algorithm 1 and equations 4 to 7)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Literal

import torch
from torch import Tensor, nn

from robench import (
    Above0,
    Attention,
    AttentionMap,
    Batch,
    Bounds,
    Call,
    Layers,
    Objective,
    Passes,
    Positive,
    Progress,
    Recipe,
    Task,
    UsageError,
    WrappedObjective,
    attentions,
    defense,
    keep_largest,
    layer_indices,
    recipe_of,
    watched,
)

Target = Literal["paper", "projection"]
VIT = Call("vit")


class KSparse(WrappedObjective):
    """Adds (1/2μ) Σ ‖s − w‖² to an objective (eq. 7) and lets μ shrink from loop to loop (Algorithm 1, line 7).

    The sum runs over rows, heads and layers; it is averaged over the batch. The log names a layer by its number in the model.
    """

    def __init__(
        self,
        base: Objective,
        layers: Sequence[Attention],
        k: int,
        mu: float,
        decay: float,
        inner: int,
        outer: int,
        target: Target,
        numbers: Sequence[int] | None = None,
    ) -> None:
        super().__init__(base)
        self.numbers = range(1, len(layers) + 1) if numbers is None else numbers
        self.layers, self.k = layers, k
        self.mu, self.decay, self.inner, self.outer, self.target = mu, decay, inner, outer, target
        self._seen: dict[str, float] = {}

    def loss(self, model: nn.Module, batch: Batch, progress: Progress) -> Tensor:
        mu = self.mu * self.decay ** min(progress.step // self.inner, self.outer - 1)
        with watched(self.layers) as weights:
            task_loss = self.base.loss(model, batch, progress)
        penalty = torch.stack(
            [(sparse_target(w.detach(), self.k, self.target) - w).square().sum() for w in weights]
        ).sum() / len(batch.inputs)
        if progress.step % 50 == 0 or progress.step == progress.steps - 1:
            self._seen = {"mu": mu, "task_loss": task_loss.item(), "penalty": penalty.item()}
            self._seen |= {f"mass_{n}": mass(w, self.k) for n, w in zip(self.numbers, weights, strict=True)}
        return task_loss + penalty / (2 * mu)

    def report(self) -> dict[str, float]:
        return {**self.base.report(), **self._seen}


def sparse_target(weights: Tensor, k: int, target: Target) -> Tensor:
    """s of the penalty: [w]_K (eq. 6), then divided by its sum as the paper does, or projected onto the simplex.

    The exact projection onto the K-sparse simplex adds (1 − Σ)/K to each kept entry (Kyrillidis et al., 2013).
    """
    kept = keep_largest(weights, k)
    total = kept.sum(-1, keepdim=True)
    if target == "paper":
        return kept / total.clamp_min(1e-12)
    places = weights.topk(min(k, weights.shape[-1]), dim=-1, sorted=False).indices
    return kept.scatter_add(-1, places, ((1 - total) / places.shape[-1]).expand_as(places))


def mass(weights: Tensor, k: int) -> float:
    """Share of the attention that the k largest weights of a row hold, averaged over rows, heads and images."""
    return keep_largest(weights.detach(), k).sum(-1).mean().item()


@defense(paper="Amini & Ghaemmaghami, ICASSP 2022")
def ksa(
    task: Task,
    *,
    k: Positive = 4,
    layers: Layers = "all",
    mu: Above0 = 5000.0,
    mu_decay: Annotated[float, Bounds(0, 1, open_low=True)] = 0.6,
    outer: Positive = 10,
    inner: Positive | None = None,
    attention: AttentionMap = "linear",
    target: Target = "paper",
    hard_top_k: bool = False,
    model: Annotated[Call, Passes("attention")] = VIT,
    seed: int = 0,
) -> Recipe:
    """K-sparse attention: a penalty pulls every row of attention towards its K largest weights.

    Args:
        k: weights of a row that may stay.
        layers: which attention layers are pulled, counted from 1, in increasing order.
        mu, mu_decay: the penalty's μ, and what it is multiplied with after each outer loop.
        outer, inner: N₁ loops of N₂ minibatches each (the epochs follow from them); with inner=None they share the
            minibatches that `model` would be trained with, so that both cost the same.
        attention: what takes the softmax's place; "linear" shifts a row's minimum to 0 and divides by the sum.
        target: "paper" divides the K largest by their sum; "projection" is the exact projection.
        hard_top_k: also cut all but the K largest weights at inference. This is another defense than the paper's;
            attacks see through the cut, straight through to the soft weights.
        model: the architecture and its schedule; "attention" is passed on to it. Around another ksa, the penalties add up,
            and the log is of the outer one.
        seed: of the initial weights, the order of the images and their augmentation.
    """
    if layers != "all" and list(layers) != sorted(set(layers)):
        raise UsageError(
            f"ksa(layers={layers}): layers are named in increasing order, each once; write layers={sorted(set(layers))}"
        )
    recipe = recipe_of(Call(model.name, {"attention": attention, **model.options}), task)
    found = attentions(recipe.model)
    wrong = [layer for layer in layer_indices(layers, len(found)) if not 0 <= layer < len(found)]
    if not found or wrong:
        raise UsageError(
            f"ksa(layers={layers}) cannot be applied to {model}: it has {len(found)} attention layers, counted from 1"
        )
    tokens = tokens_of(recipe.model, task)
    if k >= tokens:
        raise UsageError(
            f"ksa(k={k}) leaves nothing out: a row of attention in {model} has {tokens} weights; choose k below that"
        )
    chosen = layer_indices(layers, len(found))
    pulled = [found[layer] for layer in chosen]
    if hard_top_k:
        for layer in pulled:
            layer.hard_k = k
    inner = inner or max(1, recipe.schedule.steps // outer)
    numbers = [layer + 1 for layer in chosen]
    objective = KSparse(recipe.objective, pulled, k, mu, mu_decay, inner, outer, target, numbers)
    return replace(recipe, schedule=replace(recipe.schedule, steps=inner * outer), objective=objective)


@torch.no_grad()
def tokens_of(model: nn.Module, task: Task) -> int:
    """Length of a row of attention."""
    with watched(attentions(model)[:1]) as seen:
        model(torch.zeros(1, *task.shape))
    return seen[0].shape[-1]
