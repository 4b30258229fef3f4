"""RSPC: reducing sensitivity to patch corruptions (Guo, Stutz & Schiele, CVPR 2023, pp. 4108-4118, Algorithm 1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from robench import (
    Batch,
    Call,
    Normalize,
    NotNegative,
    Objective,
    PositiveShare,
    Progress,
    Recipe,
    Schedule,
    Task,
    UsageError,
    Wrapped,
    WrappedObjective,
    block_outputs,
    blocks_of,
    defense,
    learning_rate,
    patch_of,
    recipe_of,
)

Form = Literal["authors", "paper"]
VIT = Call("vit")
LARGEST = 5.0
"""Norm to which the adversary's gradients are clipped (the authors' code)."""


class KeepMask(torch.autograd.Function):
    """Scores to a mask: 0 for the lowest share of each row, 1 for the rest; gradients pass through.

    The authors' code cuts them to [-1, 1] on their way (`cut`); the paper passes them as they are.
    """

    @staticmethod
    def forward(ctx: Any, scores: Tensor, share: float, cut: bool) -> Tensor:
        ctx.cut = cut
        single = scores.float()  # quantile knows no half precision
        return (single > single.quantile(share, dim=1, keepdim=True)).to(scores)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = gradients
        return (F.hardtanh(gradient) if ctx.cut else gradient), None, None


class PatchCorruption(nn.Module):
    """The adversary C: which patches of an image to occlude, by a score for each.

    A convolution over patches; in the authors' code GELU and a linear layer over all patches follow.
    """

    def __init__(self, shape: tuple[int, int, int], patch: int, share: float, form: Form) -> None:
        super().__init__()
        channels, height, width = shape
        self.patch, self.share, self.form = patch, share, form
        self.grid = (height // patch, width // patch)
        count = self.grid[0] * self.grid[1]
        self.score = nn.Conv2d(channels, 1, patch, patch, bias=False)
        self.mix = nn.Linear(count, count, bias=False) if form == "authors" else None

    def forward(self, inputs: Tensor) -> Tensor:
        """Which pixels stay: 1 or 0, (N, 1, H, W)."""
        scores = self.score(inputs)
        scores = scores.flatten(1) if self.mix is None else self.mix(F.gelu(scores).flatten(1))
        kept: Tensor = KeepMask.apply(scores, self.share, self.form == "authors")
        return kept.view(-1, 1, *self.grid).repeat_interleave(self.patch, 2).repeat_interleave(self.patch, 3)


class Aligned(WrappedObjective):
    """Another objective, plus λ times the distance of all blocks' features of an image and of its occluded form.

    C climbs that distance by the same backward pass: its gradients are turned around before its own optimiser steps.

    Args:
        noise: lowest value and span of the uniform noise, for each channel, for pixels in [0, 1]; C sees images in this
            space.
        schedule: of the model; in the paper both players have its learning rate.
    """

    def __init__(
        self,
        base: Objective,
        corruption: PatchCorruption,
        blocks: Sequence[nn.Module],
        weight: float,
        noise: tuple[Sequence[float], Sequence[float]],
        schedule: Schedule,
    ) -> None:
        super().__init__(base)
        self.corruption, self.blocks, self.weight = corruption, blocks, weight
        self.noise, self.schedule = noise, schedule
        own: dict[str, Any] = {"lr": 1e-4, "momentum": 0.9, "nesterov": True, "weight_decay": 0.05}
        self.optimizer = torch.optim.SGD(corruption.parameters(), **(own if self.authors else {"lr": schedule.lr}))
        self._seen: dict[str, float] = {}

    @property
    def authors(self) -> bool:
        return self.corruption.form == "authors"

    def to(self, device: torch.device) -> None:
        super().to(device)
        self.corruption.to(device)

    def loss(self, model: nn.Module, batch: Batch, progress: Progress) -> Tensor:
        with block_outputs(self.blocks) as clean:
            task_loss, _ = self.loss_and_logits(model, batch, progress)
        with block_outputs(self.blocks) as occluded:
            model(self.occluded(batch.inputs))
        pairs = zip(clean, occluded, strict=True)
        if self.authors:
            distance = torch.stack([F.mse_loss(b, a) for a, b in pairs]).sum() / (len(self.blocks) + 1e-4)
        else:
            distance = torch.stack([(b - a).flatten(1).norm(dim=1).mean() for a, b in pairs]).mean()
        self._seen = {"task_loss": task_loss.item(), "alignment": distance.item()}
        return task_loss + self.weight * distance

    def occluded(self, inputs: Tensor) -> Tensor:
        """Images with the patches that C chose replaced by uniform noise."""
        low, span = (torch.tensor(part, device=inputs.device).view(-1, 1, 1) for part in self.noise)
        kept = self.corruption((inputs - low) / span)
        found: Tensor = kept * inputs + (1 - kept) * (low + span * torch.rand_like(inputs))
        return found.clamp(0, 1)

    def after_step(self, model: nn.Module, progress: Progress) -> None:
        self.base.after_step(model, progress)
        for parameter in self.corruption.parameters():
            if parameter.grad is not None:
                parameter.grad = -parameter.grad.nan_to_num(0, 0, 0)
        if self.authors:
            nn.utils.clip_grad_norm_(self.corruption.parameters(), LARGEST)
        else:
            self.optimizer.param_groups[0]["lr"] = learning_rate(self.schedule, progress.step)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def report(self) -> dict[str, float]:
        return {**self.base.report(), **self._seen}

    def state_dict(self) -> dict[str, Tensor]:
        own = {f"corruption.{name}": tensor for name, tensor in self.corruption.state_dict().items()}
        for index, slots in self.optimizer.state_dict()["state"].items():
            own |= {f"momentum.{index}": slots["momentum_buffer"]} if slots.get("momentum_buffer") is not None else {}
        return {**self.base.state_dict(), **own}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        named = {name.partition(".")[2]: tensor for name, tensor in state.items() if name.startswith("corruption.")}
        self.corruption.load_state_dict(named)
        slots = {
            int(name.partition(".")[2]): {"momentum_buffer": tensor}
            for name, tensor in state.items()
            if name.startswith("momentum.")
        }
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": slots, "param_groups": groups})
        self.base.load_state_dict({n: t for n, t in state.items() if not n.startswith(("corruption.", "momentum."))})


@defense(paper="CVPR 2023, pp. 4108-4118")
def rspc(
    task: Task,
    *,
    model: Wrapped = VIT,
    form: Form = "authors",
    weight: NotNegative = 0.005,
    share: PositiveShare = 0.1,
    seed: int = 0,
) -> Recipe:
    """RSPC: an adversary occludes the patches that change features most; training aligns features with the clean ones.

    Args:
        model: a ViT, with its own schedule and objective; robench's or timm's, with any patch that divides the image. Those of
            timm that do not say where their blocks or patches are (levit, volo, maxvit, coat) are refused.
        form: "authors" is what their code does: C scores patches with a convolution, GELU and a linear layer, sees normalised
            images, the noise is uniform in that space (not black to white in pixels), features are compared by mean squared error, C
            has its own SGD (1e-4, momentum 0.9, decay 0.05, clipped). "paper" is Algorithm 1: a convolution, noise
            uniform in pixels, the norm of the difference, the model's learning rate. The clean features get gradients in both.
        weight: λ of the alignment.
        share: ρ, of the patches that are occluded.
        seed: of the initial weights, the order of the images, their augmentation and the noise.
    """
    recipe = recipe_of(model, task)
    blocks, patch = blocks_of(recipe.model), patch_of(recipe.model)
    if not blocks or patch is None:
        raise UsageError(
            f"rspc needs a model with transformer blocks and a patch embedding; {model} has none: try vit or timm"
        )
    if task.shape[1] % patch or task.shape[2] % patch:
        raise UsageError(f"rspc: patches of {patch} pixels do not divide images of {task.shape[1]} x {task.shape[2]}")
    corruption = PatchCorruption(task.shape, patch, share, form)
    own = next((m for m in recipe.model.modules() if isinstance(m, Normalize)), None)
    space = (own.mean.flatten().tolist(), own.std.flatten().tolist()) if own else (task.mean, task.std)
    noise = space if form == "authors" else ([0.0], [1.0])
    return replace(recipe, objective=Aligned(recipe.objective, corruption, blocks, weight, noise, recipe.schedule))
