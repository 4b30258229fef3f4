"""AutoAttack (Croce & Hein, 2020): four attacks without options to choose, one after another on the images left."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from robench import ATTACKS, AttackCall, Call, Classifier, Norm, Radius, UsageError, attack, goal_margin, inside


def standard(norm: str) -> list[Call]:
    """The parts of the standard version, with their budgets."""
    return [
        Call(f"apgd_{norm}", {"loss": "ce"}),
        Call(f"apgd_{norm}", {"loss": "dlr_targeted"}),
        Call(f"fab_{norm}"),
        Call(f"square_{norm}", {"queries": 5000, "share": 0.8, "rescale": False}),
    ]


def quick(norm: str) -> list[Call]:
    """A few steps of the parts that find most."""
    return [
        Call(f"apgd_{norm}", {"loss": "dlr_targeted", "steps": 20, "target_classes": 3}),
        Call(f"square_{norm}", {"queries": 100}),
    ]


LINF, L2 = standard("linf"), standard("l2")


def _check(norm: Norm) -> Callable[[dict[str, Any]], None]:
    def check(options: dict[str, Any]) -> None:
        for part in options["parts"]:
            card = ATTACKS[part.name].card
            if part.name != "art" and card.norm != norm:
                raise UsageError(
                    f"{part.name} given as a part: it attacks in {card.norm}, and all parts share a radius in {norm}"
                )

    return check


@attack(
    paper="arXiv:2003.01690",
    norm="linf",
    goal="budget",
    complete=True,
    monotone=True,
    presets={"quick": {"parts": quick("linf")}},
    check=_check("linf"),
)
def autoattack(
    model: Classifier, inputs: Tensor, labels: Tensor, *, eps: Radius, parts: list[AttackCall] = LINF
) -> Tensor:
    """AutoAttack in L∞, the standard version: APGD-CE, targeted APGD, targeted FAB, Square; each on what is left.

    Args:
        inputs: images in [0, 1], (N, C, H, W).
        eps: radius of the ball, for pixels in [0, 1].
        parts: the attacks, in their order; each is given eps, a minimal one as the distance that is enough.
    """
    return _one_after_another(model, inputs, labels, eps, "linf", parts)


@attack(
    paper="arXiv:2003.01690",
    norm="l2",
    goal="budget",
    complete=True,
    monotone=True,
    presets={"quick": {"parts": quick("l2")}},
    check=_check("l2"),
)
def autoattack_l2(
    model: Classifier, inputs: Tensor, labels: Tensor, *, eps: Radius, parts: list[AttackCall] = L2
) -> Tensor:
    """AutoAttack in L2, the standard version.

    The options are those of `autoattack`, with eps the radius of the L2 ball.
    """
    return _one_after_another(model, inputs, labels, eps, "l2", parts)


def _one_after_another(
    model: Classifier, inputs: Tensor, labels: Tensor, eps: float, norm: str, parts: list[Call]
) -> Tensor:
    result, left = inputs.clone(), torch.arange(len(inputs), device=inputs.device)
    for part in parts:
        entry = ATTACKS[part.name]
        options = entry.options_within(part, eps=eps, enough=eps)
        found = entry.function(model.of(left), inputs[left], labels[left], **options)
        with torch.no_grad():
            logits = model(found, left)
        within = inside(found, inputs[left], norm, eps)
        hit = model.reached(logits, labels[left], None, left) & within
        # What only just leaves its label is kept too, and attacked again: the judge asks for less than what is safe.
        near = (goal_margin(logits, labels[left], None) > 0) & within
        result[left[near]] = found[near]
        left = left[~hit]
        if not len(left):
            break
    return result
