"""KSA-ViT: K-sparse attention (Amini & Ghaemmaghami, 2022, Algorithm 1 and equations 4 to 7)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

import torch
from torch import Tensor, nn

from robench import (
    DEFENSES,
    MAPS,
    Above0,
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
    Weighing,
    WrappedObjective,
    attentions,
    defense,
    keep_largest,
    layer_indices,
    recipe_of,
    remap,
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
        layers: Sequence[nn.Module],
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
        with watched(self.layers) as seen:
            task_loss = self.base.loss(model, batch, progress)
        weights = [passes[-1] for passes in seen]
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


def _canonical(options: dict[str, Any]) -> dict[str, Any]:
    """With "all" where all layers of a vit are named."""
    model, layers = options["model"], options["layers"]
    named = model.name == "vit" and layers == [*range(1, DEFENSES["vit"].resolve(model.options)["depth"] + 1)]
    return options | {"layers": "all" if named else layers}


@defense(paper="Amini & Ghaemmaghami, ICASSP 2022", canonical=_canonical)
def ksa(
    task: Task,
    *,
    k: Positive = 4,
    layers: Layers = "all",
    mu: Above0 = 5000.0,
    mu_decay: Annotated[float, Bounds(0, 1, open_low=True)] = 0.6,
    outer: Positive = 10,
    inner: Positive | None = None,
    attention: AttentionMap = "entmax",
    elsewhere: AttentionMap = "softmax",
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
        attention: what takes the softmax's place in the layers that are pulled; if `model` is a vit that is given one, that.
            "linear", as in the paper, shifts a row's minimum to 0 and divides by the sum: rows cannot sharpen, so that the
            penalty leaves most layers dense and costs accuracy; "entmax" is the map with which it does its work
            (docs/measurements/ksa-sparsity.md).
        elsewhere: the map of the layers that are not pulled.
        target: "paper" divides the K largest by their sum; "projection" is the exact projection.
        hard_top_k: also cut all but the K largest weights at inference. This is another defense than the paper's;
            attacks see through the cut, straight through to the soft weights.
        model: what is trained, with its own schedule and objective: `vit`, or any whose attention layers have a softmax and
            are named `attn` (timm's are). Around another ksa, the penalties add up, and the log is of the outer one.
        seed: of the initial weights, the order of the images and their augmentation.
    """
    if layers != "all" and list(layers) != sorted(set(layers)):
        raise UsageError(
            f"ksa(layers={layers}): layers are named in increasing order, each once; write layers={sorted(set(layers))}"
        )
    recipe = recipe_of(model, task)
    found, tokens = watchable(recipe.model, task)
    chosen = layer_indices(layers, len(found))
    if not found or any(not 0 <= layer < len(found) for layer in chosen):
        raise UsageError(
            f"ksa(layers={layers}) cannot be applied to {model}: it has {len(found)} attention layers, counted from 1"
        )
    shortest = min(tokens[layer] for layer in chosen)
    if k >= shortest:
        raise UsageError(
            f"ksa(k={k}) leaves nothing out: a row of attention in {model} has {shortest} weights; choose k below that"
        )
    if elsewhere != "softmax" and len(chosen) == len(found):
        raise UsageError(
            f"ksa(elsewhere='{elsewhere}') is of layers that are not pulled, and all are; leave it out, or name some layers"
        )
    pulled = [mapped(recipe.model, found[layer], attention, model) for layer in chosen]
    if elsewhere != "softmax":
        for layer in set(range(len(found))) - {*chosen}:
            mapped(recipe.model, found[layer], elsewhere, model)
    if hard_top_k:
        pulled = [cut(recipe.model, layer, k) for layer in pulled]
    inner = inner or max(1, recipe.schedule.steps // outer)
    numbers = [layer + 1 for layer in chosen]
    objective = KSparse(recipe.objective, pulled, k, mu, mu_decay, inner, outer, target, numbers)
    note = "the map of its attention is the paper's" if attention == "linear" else ""
    schedule = replace(recipe.schedule, steps=inner * outer)
    return replace(recipe, schedule=schedule, objective=objective, note="; ".join(filter(None, [recipe.note, note])))


def mapped(model: nn.Module, layer: nn.Module, attention: AttentionMap, call: Call) -> nn.Module:
    """The layer, or one around it, with this map.

    Raises:
        UsageError: it was given another one, which would be void.
    """
    softmax = MAPS["softmax"]
    before = layer.map if isinstance(layer, Weighing) else softmax
    if before not in (softmax, MAPS[attention]):
        raise UsageError(
            f"ksa gives the layers of {call} a map of its own, which one of them has already; give it to ksa: attention=…"
        )
    return layer if before is MAPS[attention] else remap(model, layer, attention)


def cut(model: nn.Module, layer: nn.Module, k: int) -> nn.Module:
    """The layer, or one around it, with a hard top-K at inference."""
    weighing = layer if isinstance(layer, Weighing) else remap(model, layer, "softmax")
    weighing.hard_k = k
    return weighing


@torch.no_grad()
def watchable(model: nn.Module, task: Task) -> tuple[list[nn.Module], list[int]]:
    """The attention layers that can be watched, and the length of a row in each."""
    layers, training = attentions(model), model.training
    model.eval()
    with watched(layers) as seen:
        model(torch.zeros(1, *task.shape))
    model.train(training)
    pairs = [(layer, passes[-1].shape[-1]) for layer, passes in zip(layers, seen, strict=True) if passes]
    return [layer for layer, _ in pairs], [length for _, length in pairs]
