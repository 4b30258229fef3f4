"""A substitute of another defense: what an attacker trains who only sees that defense's answers. No defense by itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import numpy as np
import torch
from torch import Tensor, nn

from robench import (
    Above0,
    Bounds,
    Call,
    Objective,
    Positive,
    PositiveShare,
    Recipe,
    Source,
    Split,
    Task,
    UsageError,
    Wrapped,
    defense,
    recipe_of,
    steps_per_epoch,
)

CARLINI = Call("carlini")
TURN = 3
"""Rounds after which the augmentation changes its direction (τ of the periodic step size in Papernot et al., 2017)."""
AT_ONCE = 256


class Answers(Objective):
    """Cross-entropy to a target's answers, on images that are doubled after every round (Jacobian-based augmentation).

    Args:
        target: frozen; its class for an image is all that is asked of it.
        share: of the training images to begin with; None: `images` held-out ones.
        epochs: of each round.
    """

    def __init__(self, target: nn.Module, share: float | None, images: int, epochs: int, step: float) -> None:
        self.target, self.share, self.images, self.epochs, self.step = target, share, images, epochs, step
        self._pixels, self._labels = torch.empty(0, dtype=torch.uint8), torch.empty(0, dtype=torch.int64)

    def to(self, device: torch.device) -> None:
        self.target.to(device)

    def examples(self, model: nn.Module, train: Split, held_out: Split, epoch: int) -> Split:
        device = next(model.parameters()).device
        if not len(self._pixels):
            known = held_out if self.share is None else train
            places = known.pinned_order()[: beginning(self.share, self.images, len(known))]
            self._ask(torch.from_numpy(known.pixels(places)), device)
        elif epoch % self.epochs == 0:
            past = epoch // self.epochs - 1
            self._ask(self._augmented(model, self.step if (past // TURN) % 2 == 0 else -self.step, device), device)
        ids = np.char.mod("answer %d", np.arange(len(self._pixels)))
        return Split.of("answers", self._pixels.numpy(), self._labels.numpy(), ids)

    def _augmented(self, model: nn.Module, step: float, device: torch.device) -> Tensor:
        """Each image moved by a step along the sign of the slope of its class's logit, rounded to 256 levels."""
        mode, moved = model.training, []
        model.eval()
        for start in range(0, len(self._pixels), AT_ONCE):
            part = slice(start, start + AT_ONCE)
            inputs = (self._pixels[part].to(device).float() / 255).requires_grad_()
            chosen = model(inputs).gather(1, self._labels[part].to(device)[:, None])
            (slope,) = torch.autograd.grad(chosen.sum(), inputs)
            moved.append(((inputs.detach() + step * slope.sign()).clamp(0, 1) * 255).round().byte().cpu())
        model.train(mode)
        return torch.cat(moved)

    @torch.no_grad()
    def _ask(self, pixels: Tensor, device: torch.device) -> None:
        labels = [
            self.target(pixels[start : start + AT_ONCE].to(device).float() / 255).argmax(1).cpu()
            for start in range(0, len(pixels), AT_ONCE)
        ]
        self._pixels = torch.cat([self._pixels, pixels]) if len(self._pixels) else pixels
        self._labels = torch.cat([self._labels, *labels])

    def report(self) -> dict[str, float]:
        return {"queries": float(len(self._labels))}

    def state_dict(self) -> dict[str, Tensor]:
        return {"pixels": self._pixels, "labels": self._labels}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self._pixels, self._labels = state["pixels"], state["labels"]


def beginning(share: float | None, images: int, available: int) -> int:
    """How many images the first round has."""
    return min(available, images if share is None else max(1, round(share * available)))


@defense(paper="arXiv:1602.02697, arXiv:2006.10876")
def substitute(
    task: Task,
    *,
    target: Source,
    model: Wrapped = CARLINI,
    share: PositiveShare | None = 0.01,
    images: Positive = 150,
    rounds: Annotated[int, Bounds(1, 16)] = 4,
    epochs: Positive = 10,
    step: float = 0.1,
    lr: Above0 | None = None,
    seed: int = 0,
) -> Recipe:
    """A model trained on another defense's answers, for transfer attacks: no defense by itself.

    Args:
        target: the defense that is asked; it answers with a class.
        model: the architecture, with its batch size and learning rate.
        share: of the training images to begin with; None: `images` held-out ones, which the target was not trained on.
        rounds: of training; before each but the first, every image is moved along the sign of the slope of its class's
            logit and the target is asked for the new one, which doubles the images.
        epochs: of each round.
        step: of that move, for pixels in [0, 1]; its sign turns every three rounds. A negative one begins away from the
            class, as the code of arXiv:2006.10876 does. Images stay in the box and in 256 levels: a target takes images.
        lr: None: that of `model`. It does not decay: every round is a training.
        seed: of the initial weights and the order of the images.
    """
    recipe = recipe_of(model, task)
    old = recipe.schedule
    count = beginning(share, images, task.held_out if share is None else task.train_size)
    if not count:
        raise UsageError(
            "substitute(share=None) begins with held-out images, but this data set's validation split is empty"
        )
    steps = sum(epochs * steps_per_epoch(count * 2**past, old.batch_size) for past in range(rounds))
    schedule = replace(old, steps=steps, lr=lr or old.lr, decay="none", crop=0, flip=False, own_epochs=rounds * epochs)
    return Recipe(recipe.model, schedule, Answers(target, share, images, epochs, step))
