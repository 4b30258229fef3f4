"""An adaptive attack on attention whose own slopes vanish or mislead: another attack, along the slopes of a softmax."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from robench import (
    ATTACKS,
    AttackCall,
    Call,
    Classifier,
    Norm,
    Radius,
    UsageError,
    attack,
    softmax_slopes,
    white_box_attack,
)

PGD = Call("pgd_linf")


def _check(options: dict[str, Any]) -> None:
    entry = white_box_attack(options["attack"], "through_softmax")
    if entry.card.norm != options["norm"]:
        raise UsageError(
            f"through_softmax judges in {options['norm']}, but {entry.name} attacks in {entry.card.norm}: give norm='{entry.card.norm}'"
        )
    if options["eps"] is None and "eps" in entry.options and entry.options["eps"].required:
        raise UsageError(f"through_softmax(attack={entry.name}) needs eps, the radius that it attacks at: eps=8/255")
    if options["targets"] is not None and "targets" not in entry.options:
        raise UsageError(f"{entry.name} cannot be targeted; leave targets out")


@attack(paper="arXiv:1802.00420", norm="linf", goal="minimal", check=_check)
def through_softmax(
    model: Classifier,
    inputs: Tensor,
    labels: Tensor,
    *,
    attack: AttackCall = PGD,
    eps: Radius | None = None,
    norm: Norm = "linf",
    targets: Tensor | None = None,
) -> Tensor:
    """Another white-box attack whose gradients pass through the softmax of the same scores, whichever map attention has.

    The answers stay the model's own. It tells whether a sparse or a linear map of attention is robust or hides its slopes
    (BPDA; Athalye, Carlini & Wagner, 2018, section 4.1); on models whose attention has a softmax anyway it is the attack itself.

    Args:
        inputs: images in [0, 1], (N, C, H, W).
        attack: such as pgd_linf, or cw_l2 with norm='l2'.
        eps: radius of the ball, for pixels in [0, 1], where the attack takes one.
        norm: in which the attack works, and is judged.
        targets: classes to be taken for, (N,); None to leave the label.
    """
    entry = ATTACKS[attack.name]
    options = entry.options_within(attack, eps=eps, targets=targets)
    with softmax_slopes():
        found: Tensor = entry.function(model, inputs, labels, **options)
    return found
