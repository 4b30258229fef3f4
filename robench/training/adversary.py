"""An attack of the registry as a training uses it: on the live model in eval mode, other random numbers at every step."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from robench.attacking.classifier import Classifier
from robench.attacking.stillness import held_still
from robench.data.splits import Split
from robench.entries.calls import Call
from robench.entries.registry import ATTACKS
from robench.entries.white_box import white_box_attack
from robench.training.recipe import Batch, Progress

SELECTION_IMAGES = 512
"""Validation images that the best epoch is chosen by."""


class Adversary:
    """Adversarial images of training batches.

    Args:
        attack: white-box, without sources; where it could stop at success it does not, unless the call says so.
        classes: number of logits.

    Attributes:
        passes: backward passes made so far for an image, on average.

    Raises:
        UsageError: the attack is unknown, needs more than a model, or follows no gradients.

    Example:
        >>> adversary = Adversary(Call("pgd_linf", {"eps": 0.1, "steps": 3}), classes=10)
        >>> batch = Batch(torch.rand(4, 1, 8, 8), torch.arange(4), torch.arange(4))
        >>> net = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
        >>> adversary(net, batch, Progress(step=0, steps=100, epoch=0)).shape
        torch.Size([4, 1, 8, 8])
    """

    def __init__(self, attack: Call, classes: int) -> None:
        self.entry = white_box_attack(attack, "a training")
        steady = {"until_success": False} if "until_success" in self.entry.options else {}
        self.options = self.entry.resolve(steady | attack.options)
        self.classes = classes
        self._backwards = self._images = 0

    def __call__(
        self, model: nn.Module, batch: Batch, progress: Progress, *, ramp: float = 0.0, **changed: Any
    ) -> Tensor:
        """Adversarial images, (N, C, H, W); its random numbers are of the training's seed, the step and the image.

        Args:
            ramp: share of the training in which eps and step_size grow to their full size.
            changed: options that differ from those of the attack's call.
        """
        grown = progress.grown(ramp)
        changed |= {
            name: grown * self.options[name] for name in ("eps", "step_size") if grown < 1 and name in self.options
        }
        with held_still(model):
            classifier = Classifier(model, self.classes, batch.names(), seed=progress.draws)
            found: Tensor = self.entry.function(classifier, batch.inputs, batch.labels, **{**self.options, **changed})
        self._backwards += int(classifier.backwards.sum())
        self._images += len(batch.inputs)
        return found.detach()

    @property
    def passes(self) -> float:
        return self._backwards / max(1, self._images)


def robust_accuracy(model: nn.Module, split: Split, attack: Call, device: torch.device) -> float | None:
    """Share of the first pinned images of a split that the model still classifies correctly under an attack."""
    if not len(split):
        return None
    chosen = split.select(split.pinned_order()[:SELECTION_IMAGES])
    stops = {"until_success": True} if "until_success" in ATTACKS[attack.name].options else {}
    with held_still(model), torch.no_grad():
        classes = model(chosen.inputs(slice(0, 1)).to(device)).shape[1]
    adversary = Adversary(Call(attack.name, stops | attack.options), classes)
    labels, right = chosen.targets(), 0
    for start in range(0, len(chosen), 128):
        part = slice(start, start + 128)
        ids = torch.arange(start, min(start + 128, len(chosen)))
        batch = Batch(chosen.inputs(part).to(device), labels[part].to(device), ids)
        found = adversary(model, batch, Progress(0, 1, 0))
        with held_still(model), torch.no_grad():
            right += int((model(found).argmax(1) == batch.labels).sum())
    return right / len(chosen)
