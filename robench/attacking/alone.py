"""An attack on a model of your own, without the harness: a plain module and tensors in, adversarial inputs out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from robench.attacking.classifier import Classifier, checked_forward, count_classes
from robench.attacking.draws import Draws
from robench.attacking.losses import spread
from robench.attacking.stillness import (
    held_still,
    native,
    refuse_changed,
    refuse_other_answers,
    refuse_unmade,
    unchanged,
)
from robench.attacking.targets import resolve_targets
from robench.errors import ModelError, UsageError
from robench.hashing import pixel_ids


def input_ids(inputs: Tensor) -> list[str]:
    """Ids of inputs in [0, 1], (N, ...), from their values in 256 levels: those that a run gives to the same images."""
    levels = (inputs.detach().double() * 255).round().clamp(0, 255).to(torch.uint8)
    ids: list[str] = pixel_ids(np.ascontiguousarray(levels.cpu().numpy())).tolist()
    return ids


def attack_alone(
    attack: Callable[..., Tensor],
    options: dict[str, Any],
    model: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    *,
    name: str,
    seed: int,
) -> Tensor:
    """Adversarial inputs, shaped like `inputs`; the model comes back in the state that it was in.

    Args:
        attack: the function of an entry.
        options: resolved; `targets` may be classes, (N,), or a rule. Models among them are held still as well.
        inputs: in [0, 1], (N, ...), on the model's device.
        labels: int64, (N,).
        name: of the attack, for messages.
        seed: of the attack's random numbers, which belong to the inputs as in a run.

    Raises:
        UsageError: inputs, labels or targets do not fit together.
        ModelError: the model raises, or does not return finite logits, (N, classes).
    """
    inputs, labels = _checked(inputs, labels, name)
    if not isinstance(model, nn.Module):
        raise ModelError(
            f"{name} was given a {type(model).__name__}; give a torch.nn.Module that maps inputs in [0, 1] to logits"
        )
    ids = input_ids(inputs)
    others = [value for value in options.values() if isinstance(value, nn.Module)]
    for module in [model, *others]:
        refuse_unmade(module, "the model")
    module = native(model, inputs.dtype)
    with held_still(nn.ModuleList([model, *others])), unchanged([model, *others], name) as kept:
        classes = count_classes(module, inputs, "the model")
        with torch.no_grad():
            logits = checked_forward(module, inputs, classes, "the model")
        kept.settle()
        _in_range(labels, classes, "labels", name)
        if "targets" in options:
            options = {**options, "targets": _targets(options["targets"], labels, logits, Draws(seed, ids), name)}
            if options["targets"] is not None:
                _in_range(options["targets"], classes, "targets", name)
        with torch.enable_grad():
            classifier = Classifier(module, classes, ids, seed=seed, spread=spread(logits))
            found = attack(classifier, inputs, labels, **options).detach()
        refuse_changed(kept, name)
        refuse_other_answers(module, inputs, logits, name)
        return found


def _in_range(chosen: Tensor, classes: int, what: str, name: str) -> None:
    if bool(((chosen < 0) | (chosen >= classes)).any()):
        raise UsageError(
            f"{name} was given {what} from {chosen.min()} to {chosen.max()}; the model has classes 0 to {classes - 1}"
        )


def _checked(inputs: Tensor, labels: Tensor, name: str) -> tuple[Tensor, Tensor]:
    if not isinstance(inputs, Tensor) or not inputs.is_floating_point() or inputs.ndim < 2:
        given = (
            f"{inputs.dtype} of shape {tuple(inputs.shape)}" if isinstance(inputs, Tensor) else type(inputs).__name__
        )
        raise UsageError(f"{name} was given {given}; inputs are a float tensor in [0, 1] of shape (N, ...)")
    if not len(inputs) or not bool(((inputs >= 0) & (inputs <= 1)).all()):
        found = f"from {inputs.min():.4g} to {inputs.max():.4g}" if len(inputs) else "none"
        raise UsageError(
            f"{name} was given inputs {found}; they must lie in [0, 1]: divide 8-bit pixels by 255, and put normalisation into the model"
        )
    if not isinstance(labels, Tensor) or labels.is_floating_point() or labels.shape != (len(inputs),):
        given = (
            f"{labels.dtype} of shape {tuple(labels.shape)}" if isinstance(labels, Tensor) else type(labels).__name__
        )
        raise UsageError(
            f"{name} was given labels {given}; one whole number for each of the {len(inputs)} inputs is wanted"
        )
    return inputs.detach(), labels.to(inputs.device, torch.int64)


def _targets(targets: Any, labels: Tensor, logits: Tensor, draws: Draws, name: str) -> Tensor | None:
    if targets is not None and not isinstance(targets, str | Tensor):
        raise UsageError(
            f"{name} was given targets as a {type(targets).__name__}; a tensor of classes, (N,), or a rule is wanted"
        )
    if targets is None or isinstance(targets, Tensor):
        if isinstance(targets, Tensor) and targets.shape != labels.shape:
            raise UsageError(
                f"{name} was given targets of shape {tuple(targets.shape)}; {tuple(labels.shape)} is wanted"
            )
        return None if targets is None else targets.to(labels)
    if targets == "all":
        raise UsageError(
            f"{name}(targets='all') attacks towards every class, in a run; here give one target for each input, (N,), or another rule"
        )
    return resolve_targets(targets, labels, logits, draws).squeeze(1).to(labels)
