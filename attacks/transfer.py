"""Transfer: adversarial images of another model, which was trained on the same data; the attacked one is never asked."""

from __future__ import annotations

from torch import Tensor

from robench import ATTACKS, AttackCall, Call, Classifier, Radius, Source, attack

MIM = Call("mim", {"until_success": False})


@attack(paper="arXiv:2006.10876", norm="linf", goal="budget", knowledge="transfer")
def transfer(
    model: Classifier,
    inputs: Tensor,
    labels: Tensor,
    *,
    source: Source,
    eps: Radius,
    attack: AttackCall = MIM,
    targets: Tensor | None = None,
) -> Tensor:
    """Transfer from any defense: its adversarial images, as they are, against another model ("pure black-box").

    Args:
        inputs: images in [0, 1], (N, C, H, W).
        source: the defense that is attacked instead; trained and cached as every defense. `carlini` is that of the
            black-box studies; the same defense with another seed shows how much two trainings have in common.
        eps: radius of the L∞ ball, for pixels in [0, 1].
        attack: on the source, white-box. It should go on after the source is fooled.
        targets: classes to be taken for, (N,); None to leave the label.
    """
    entry = ATTACKS[attack.name]
    options = {**entry.resolve(attack.options, partial=True), "eps": eps}
    if "targets" in entry.options:
        options["targets"] = targets
    found: Tensor = entry.function(
        Classifier(source, model.classes, model.ids, seed=model.seed), inputs, labels, **options
    )
    return found
