"""Adversarial training against PGD (Madry et al., 2018), on adversarial batches alone or with half of each natural."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from robench import (
    Above0,
    Adversary,
    Batch,
    Call,
    Norm,
    Objective,
    Positive,
    Progress,
    Radius,
    Recipe,
    Share,
    Task,
    UsageError,
    Wrapped,
    WrappedObjective,
    defense,
    recipe_of,
    untold,
)

Ball = Literal["linf", "l2", "l1"]
VIT = Call("vit")
EXAMPLES = {"l2": "128/255", "l1": "12.0"}
EPS = 8 / 255


def _canonical(options: dict[str, Any]) -> dict[str, Any]:
    """Without a radius and a step that are what None stands for."""
    eps = EPS if options["eps"] is None else options["eps"]
    return untold(options, step_size=eps / 4, **({"eps": EPS} if options["norm"] == "linf" else {}))


def _ball(options: dict[str, Any]) -> tuple[Norm, float]:
    return options["norm"], EPS if options["eps"] is None else options["eps"]


class Adversarial(WrappedObjective):
    """Another objective on adversarial images.

    Args:
        share: of each batch that is attacked, from its end; the rest stays natural.
        ramp: share of the training in which the radius grows to its full size.
    """

    def __init__(self, base: Objective, adversary: Adversary, share: float, ramp: float) -> None:
        super().__init__(base)
        self.adversary, self.share, self.ramp = adversary, share, ramp

    def loss(self, model: nn.Module, batch: Batch, progress: Progress) -> Tensor:
        natural = len(batch.inputs) - round(self.share * len(batch.inputs))
        found = self.adversary(model, batch.part(slice(natural, None)), progress, ramp=self.ramp)
        mixed = torch.cat([batch.inputs[:natural], found])
        return self.base.loss(model, batch._replace(inputs=mixed), progress)

    def report(self) -> dict[str, float]:
        return {**self.base.report(), "attack_passes": self.adversary.passes}


def against_pgd(
    task: Task,
    model: Call,
    norm: Ball,
    eps: float | None,
    steps: int,
    step_size: float | None,
    share: float,
    ramp: float,
) -> Recipe:
    """A model's own recipe, attacked; the epoch that is most robust on validation images is kept."""
    if eps is None and norm != "linf":
        raise UsageError(f"adversarial training in {norm} needs eps, such as {EXAMPLES[norm]}")
    eps = EPS if eps is None else eps
    recipe = recipe_of(model, task)
    attack = Call(f"pgd_{norm}", {"eps": eps, "steps": steps, "step_size": step_size or eps / 4})
    objective = Adversarial(recipe.objective, Adversary(attack, task.classes), share, ramp)
    return replace(recipe, objective=objective, selection=Call(f"pgd_{norm}", {"eps": eps, "steps": 10}))


@defense(paper="arXiv:1706.06083", canonical=_canonical, ball=_ball)
def madry(
    task: Task,
    *,
    model: Wrapped = VIT,
    norm: Ball = "linf",
    eps: Radius | None = None,
    steps: Positive = 7,
    step_size: Above0 | None = None,
    ramp: Share = 0.3,
    seed: int = 0,
) -> Recipe:
    """PGD adversarial training: every training image is attacked; none is seen as it is.

    Args:
        model: what is trained, with its own schedule and objective.
        norm, eps: the ball, for pixels in [0, 1]. The authors' own in L∞: 0.3 with 40 steps of 0.01 on MNIST; 8/255, which
            None stands for, with 7 (10 in their code) steps of 2/255 on CIFAR-10. The other norms want an eps. The start
            is a random point of the ball.
        step_size: None: eps / 4.
        ramp: share of the training in which eps and step_size grow to their full size; 0, as the authors have it, leaves small
            ViTs at a constant answer.
        seed: of the initial weights, the order of the images and their augmentation.
    """
    return against_pgd(task, model, norm, eps, steps, step_size, share=1.0, ramp=ramp)


@defense(paper="arXiv:1805.12152", canonical=_canonical, ball=_ball)
def half_half(
    task: Task,
    *,
    model: Wrapped = VIT,
    norm: Ball = "linf",
    eps: Radius | None = None,
    steps: Positive = 7,
    step_size: Above0 | None = None,
    ramp: Share = 0.3,
    seed: int = 0,
) -> Recipe:
    """Adversarial training on half of each batch; the other half is natural. Another defense than `madry`.

    The options are those of `madry`.
    """
    return against_pgd(task, model, norm, eps, steps, step_size, share=0.5, ramp=ramp)
