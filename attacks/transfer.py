"""Transfer: adversarial images of another model, trained on the same data or on the attacked one's answers."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from robench import (
    ATTACKS,
    AttackCall,
    Call,
    Classifier,
    Positive,
    PositiveShare,
    Radius,
    Source,
    UsageError,
    attack,
    spread,
    untold,
    white_box_attack,
)

MIM = Call("mim", {"until_success": False})
CARLINI = Call("carlini")
SHARE = 0.01
Mode = Literal["pure", "oracle", "mixed"]
ROUNDS = {"pure": None, "oracle": 6, "mixed": 4}
"""As many as the studies have."""


def _sources(options: dict[str, Any], attacked: Call) -> dict[str, Call]:
    """The model that is attacked instead: as it is named, or trained on the attacked model's answers."""
    if options["mode"] == "pure":
        return {"source": options["source"]}
    asked = {"target": attacked, "model": options["source"]}
    begin = {"share": options["share"]} if options["mode"] == "mixed" else {"share": None}
    rounds = {"rounds": options["rounds"] or ROUNDS[options["mode"]]}
    return {"source": Call("substitute", asked | begin | rounds)}


def _check(options: dict[str, Any]) -> None:
    if options["mode"] == "pure" and options["rounds"]:
        raise UsageError("transfer(mode='pure') asks the target nothing, so that it has no rounds; leave rounds out")
    if options["share"] != SHARE and options["mode"] != "mixed":
        raise UsageError(
            f"share is of mode='mixed', which begins with some training data; with mode={options['mode']!r} leave it out"
        )
    entry = white_box_attack(options["attack"], "transfer")
    if options["targets"] is not None and "targets" not in entry.options:
        raise UsageError(f"{entry.name} cannot be targeted; leave targets out, or take an attack that can, such as mim")
    entry.options_within(options["attack"])
    if (entry.card.norm, entry.card.goal) != ("linf", "budget"):
        raise UsageError(
            f"transfer takes an attack in an L∞ ball, such as mim or pgd_linf; {entry.name} is {entry.card.goal}, in {entry.card.norm}"
        )


def _canonical(options: dict[str, Any]) -> dict[str, Any]:
    """Without as many rounds as None stands for."""
    return untold(options, rounds=ROUNDS[options["mode"]])


@attack(
    paper="arXiv:2006.10876",
    norm="linf",
    goal="budget",
    knowledge="transfer",
    sources=_sources,
    check=_check,
    canonical=_canonical,
)
def transfer(
    model: Classifier,
    inputs: Tensor,
    labels: Tensor,
    *,
    eps: Radius,
    source: Source = CARLINI,  # type: ignore[assignment]
    mode: Mode = "pure",
    share: PositiveShare = SHARE,
    rounds: Positive | None = None,
    attack: AttackCall = MIM,
    targets: Tensor | None = None,
) -> Tensor:
    """Transfer: another model's adversarial images, as they are; that model learnt from the data or from answers.

    Args:
        inputs: images in [0, 1], (N, C, H, W).
        eps: radius of the L∞ ball, for pixels in [0, 1].
        source: the defense that is attacked instead; trained and cached as every defense. `carlini` is that of the
            black-box studies; the same defense with another seed shows how much two trainings have in common.
        mode: "pure": the source is trained on the training data and their labels, and the target is never asked.
            "oracle": it is trained on the target's answers to a few held-out images and to images made from them (Papernot et
            al., 2017). "mixed": the same beginning with a share of the training data. See `substitute`.
        share: of the training data that "mixed" begins with. All of it costs about 150 epochs.
        rounds: of training, between which the images are doubled; None: 4 for "mixed", 6 for "oracle", as the studies have.
        attack: on the source, white-box. It should go on after the source is fooled.
        targets: classes to be taken for, (N,); None to leave the label.
    """
    entry = ATTACKS[attack.name]
    options = entry.options_within(attack, eps=eps, targets=targets)
    with torch.no_grad():
        scale = spread(source(inputs.clone()))
    surrogate = Classifier(
        source, model.classes, model.ids, seed=model.seed, name="the transfer's source", spread=scale
    )
    found: Tensor = entry.function(surrogate, inputs, labels, **options)
    return found
