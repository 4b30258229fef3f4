"""RSPC: reducing sensitivity to patch corruptions (Guo, Stutz & Schiele, CVPR 2023, pp. 4108-4118, Algorithm 1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from robench import (
    Above0,
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
Choice = Literal["learned", "frozen", "random"]
VIT = Call("vit")
LONGEST = 5.0
"""Norm of the adversary's gradients. The authors clip at it gradients that their mixed precision has scaled up and that are not
scaled down again, so that most probably all are of this norm; in single precision they are far shorter, and C stands still."""
RATE, STEPS = 1e-4, 187_000
"""The rate of the authors' adversary, and the steps of their training: 300 epochs of 1.28 million images in batches of 2,048."""
LOOK = 50
"""Steps from one look at what the adversary does to the next."""


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

    @property
    def realised(self) -> tuple[int, int]:
        """How many patches are occluded, of how many: those up to the quantile, which is one more than its share of the others."""
        count = self.grid[0] * self.grid[1]
        kept = KeepMask.apply(torch.arange(float(count))[None], self.share, False)
        return count - int(kept.sum()), count

    def forward(self, inputs: Tensor, random: bool = False) -> Tensor:
        """Which pixels stay: 1 or 0, (N, 1, H, W); by random scores where that is asked for."""
        scores = self.score(inputs)
        scores = scores.flatten(1) if self.mix is None else self.mix(F.gelu(scores).flatten(1))
        if random:
            scores = torch.rand_like(scores)
        kept: Tensor = KeepMask.apply(scores, self.share, self.form == "authors")
        return kept.view(-1, 1, *self.grid).repeat_interleave(self.patch, 2).repeat_interleave(self.patch, 3)


class Aligned(WrappedObjective):
    """Another objective, plus λ times the distance of all blocks' features of an image and of its occluded form.

    C climbs that distance by the same backward pass: its gradients are turned around before its own optimiser steps.

    Args:
        choice: of the patches: by C as it learns, by C as it was drawn, or by other random scores each time.
        rate: peak of C's learning rate.
        noise: lowest value and span of the uniform noise, for each channel, for pixels in [0, 1]; C sees images in this
            space.
        schedule: of the model; in the paper both players' learning rates follow it.
    """

    def __init__(
        self,
        base: Objective,
        corruption: PatchCorruption,
        blocks: Sequence[nn.Module],
        weight: float,
        noise: tuple[Sequence[float], Sequence[float]],
        schedule: Schedule,
        choice: Choice = "learned",
        rate: float = RATE,
    ) -> None:
        super().__init__(base)
        self.corruption, self.blocks, self.weight = corruption, blocks, weight
        self.noise, self.schedule, self.choice, self.rate = noise, schedule, choice, rate
        own: dict[str, Any] = {"momentum": 0.9, "nesterov": True, "weight_decay": 0.05} if self.authors else {}
        self.optimizer = torch.optim.SGD(corruption.parameters(), lr=rate, **own)
        self.first = [part.detach().clone() for part in corruption.parameters()]
        self._seen: dict[str, float] = {}

    @property
    def authors(self) -> bool:
        return self.corruption.form == "authors"

    def to(self, device: torch.device) -> None:
        super().to(device)
        self.corruption.to(device)
        self.first = [part.to(device) for part in self.first]

    def loss(self, model: nn.Module, batch: Batch, progress: Progress) -> Tensor:
        with block_outputs(self.blocks) as clean:
            task_loss, _ = self.loss_and_logits(model, batch, progress)
        distance = self.distance(model, clean, self.occluded(batch.inputs))
        self._seen |= {"task_loss": task_loss.item(), "alignment": distance.item()}
        if progress.step % LOOK == 0 or progress.step == progress.steps - 1:
            self._seen |= self.look(model, batch.inputs)
        return task_loss + self.weight * distance

    def distance(self, model: nn.Module, clean: Sequence[Tensor], inputs: Tensor) -> Tensor:
        """Of the blocks' features of these images from those of clean ones."""
        with block_outputs(self.blocks) as occluded:
            model(inputs)
        pairs = zip(clean, occluded, strict=True)
        if self.authors:
            return torch.stack([F.mse_loss(b, a) for a, b in pairs]).sum() / (len(self.blocks) + 1e-4)
        return torch.stack([(b - a).flatten(1).norm(dim=1).mean() for a, b in pairs]).mean()

    @torch.no_grad()
    def look(self, model: nn.Module, inputs: Tensor) -> dict[str, float]:
        """How far C has moved, as a share of its first weights' length, and the distance that its patches make over that of random ones.

        The model is asked in eval mode, and random numbers go on as if it had not been.
        """
        training = model.training
        model.eval()
        with torch.random.fork_rng([inputs.device] if inputs.is_cuda else []):
            torch.manual_seed(0)
            with block_outputs(self.blocks) as features:
                model(inputs)
            clean = list(features)
            of = {
                name: self.distance(model, clean, self.occluded(inputs, random=name == "random"))
                for name in ("C", "random")
            }
        model.train(training)
        now = torch.cat([part.flatten() for part in self.corruption.parameters()])
        first = torch.cat([part.flatten() for part in self.first])
        gain = (of["C"] / of["random"].clamp_min(1e-30)).item()
        return {"adversary_moved": ((now - first).norm() / first.norm()).item(), "adversary_gain": gain}

    def occluded(self, inputs: Tensor, random: bool | None = None) -> Tensor:
        """Images with the patches replaced by uniform noise that C chose, or random ones."""
        random = self.choice == "random" if random is None else random
        low, span = (torch.tensor(part, device=inputs.device).view(-1, 1, 1) for part in self.noise)
        kept = self.corruption((inputs - low) / span, random)
        found: Tensor = kept * inputs + (1 - kept) * (low + span * torch.rand_like(inputs))
        return found.clamp(0, 1)

    def after_step(self, model: nn.Module, progress: Progress) -> None:
        self.base.after_step(model, progress)
        for parameter in self.corruption.parameters():
            if parameter.grad is not None:
                parameter.grad = -parameter.grad.nan_to_num(0, 0, 0)
        if self.authors:
            lengthen(list(self.corruption.parameters()), LONGEST)
        else:
            share = learning_rate(self.schedule, progress.step) / self.schedule.lr
            self.optimizer.param_groups[0]["lr"] = self.rate * share
        if self.choice == "learned":
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


def lengthen(parameters: Sequence[nn.Parameter], length: float) -> None:
    """Bring the gradients of parameters to a norm, together; where all are zero they stay."""
    slopes = [part.grad for part in parameters if part.grad is not None]
    if slopes and (norm := torch.stack([slope.norm() for slope in slopes]).norm()) > 0:
        for slope in slopes:
            slope.mul_(length / norm)


@defense(paper="CVPR 2023, pp. 4108-4118")
def rspc(
    task: Task,
    *,
    model: Wrapped = VIT,
    form: Form = "authors",
    weight: NotNegative = 0.005,
    share: PositiveShare = 0.1,
    adversary: Choice = "learned",
    adversary_lr: Above0 | None = None,
    seed: int = 0,
) -> Recipe:
    """RSPC: an adversary occludes the patches that change features most; training aligns features with the clean ones.

    Args:
        model: a ViT, with its own schedule and objective; robench's or timm's, with any patch that divides the image. Those of
            timm that do not say where their blocks or patches are (levit, volo, maxvit, coat) are refused.
        form: "authors" is what their code does: C scores patches with a convolution, GELU and a linear layer, sees normalised
            images, the noise is uniform in that space (not black to white in pixels), features are compared by mean squared error, C
            has its own SGD (momentum 0.9, decay 0.05, gradients of norm 5). "paper" is Algorithm 1: a convolution, noise
            uniform in pixels, the norm of the difference, the model's learning rate. The clean features get gradients in both.
        weight: λ of the alignment. The paper's form trains at the authors' 0.005 and falls to a constant answer at 1, since its
            distance is not divided by the number of features.
        share: ρ, of the patches that are occluded: those whose scores are at most its quantile, one more than the share of the
            others rounded down (20 of 196, 2 of 16, 1 of 4). A run prints it.
        adversary: "learned" as in the paper; its controls are "frozen", a C that stays as it was drawn, and "random" patches.
            The log says how far C has moved (adversary_moved, of its first length) and how much further its patches take
            features than random ones do (adversary_gain).
        adversary_lr: of C at its highest; None: 1e-4 as of the authors, for as many steps as they make of 187,000; in the
            paper's form that of the model.
        seed: of the initial weights, the order of the images, their augmentation and the noise.
    """
    if adversary != "learned" and adversary_lr is not None:
        raise UsageError(f"rspc(adversary='{adversary}') learns nothing; leave adversary_lr out")
    recipe = recipe_of(model, task)
    blocks, patch = blocks_of(recipe.model), patch_of(recipe.model)
    if not blocks or patch is None:
        raise UsageError(
            f"rspc needs a model with transformer blocks and a patch embedding, of whole pixels of the data; {model} has none: try vit or timm"
        )
    if task.shape[1] % patch or task.shape[2] % patch:
        raise UsageError(f"rspc: patches of {patch} pixels do not divide images of {task.shape[1]} x {task.shape[2]}")
    corruption = PatchCorruption(task.shape, patch, share, form)
    own = next((m for m in recipe.model.modules() if isinstance(m, Normalize)), None)
    space = (own.mean.flatten().tolist(), own.std.flatten().tolist()) if own else (task.mean, task.std)
    noise = space if form == "authors" else ([0.0], [1.0])
    schedule, (occluded, count) = recipe.schedule, corruption.realised
    rate = adversary_lr or (RATE * STEPS / max(1, schedule.steps) if form == "authors" else schedule.lr)
    objective = Aligned(recipe.objective, corruption, blocks, weight, noise, schedule, adversary, rate)
    note = f"{occluded} of {count} patches of {patch} pixels are occluded in training ({occluded / count:.1%})"
    return replace(recipe, objective=objective, note="; ".join(filter(None, [recipe.note, note])))
