"""Friendly adversarial training (Zhang et al., 2020): attacks that stop soon after they have won."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

from torch import Tensor, nn

from robench import (
    Above0,
    Adversary,
    Batch,
    Bounds,
    Call,
    Objective,
    Positive,
    Progress,
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

VIT = Call("vit")
TAUS, TURNS = [0, 1, 2], [50 / 120, 90 / 120]
"""The authors' schedule: τ is 0 for 50 epochs of 120, 1 until the 90th, then 2."""


class Friendly(WrappedObjective):
    """Another objective on images of PGD-K-τ: a step further τ times once an image is misclassified, at most K steps."""

    def __init__(
        self, base: Objective, adversary: Adversary, taus: list[int], turns: list[float], ramp: float = 0.0
    ) -> None:
        super().__init__(base)
        self.adversary, self.taus, self.turns, self.ramp = adversary, taus, turns, ramp
        self._tau = taus[0]

    def loss(self, model: nn.Module, batch: Batch, progress: Progress) -> Tensor:
        self._tau = self.taus[sum(progress.step >= turn * progress.steps for turn in self.turns)]
        found = self.adversary(model, batch, progress, ramp=self.ramp, slack=self._tau)
        return self.base.loss(model, batch._replace(inputs=found), progress)

    def report(self) -> dict[str, float]:
        return {**self.base.report(), "tau": float(self._tau), "attack_passes": self.adversary.passes}


def _canonical(options: dict[str, Any]) -> dict[str, Any]:
    """Without a step that is what None stands for."""
    return untold(options, step_size=options["eps"] / 4)


@defense(paper="arXiv:2002.11242", canonical=_canonical, ball=lambda options: ("linf", options["eps"]))
def fat(
    task: Task,
    *,
    model: Wrapped = VIT,
    eps: Annotated[float, Bounds(0, 1)] = 8 / 255,
    steps: Positive = 10,
    step_size: Above0 | None = None,
    taus: list[Annotated[int, Bounds(0)]] = TAUS,
    turns: list[Annotated[float, Bounds(0, 1)]] = TURNS,
    ramp: Share = 0.3,
    seed: int = 0,
) -> Recipe:
    """Friendly adversarial training: PGD-K-τ stops τ steps after an image is misclassified; τ grows with the training.

    Args:
        model: what is trained, with its own schedule and objective.
        eps: radius of the L∞ ball, for pixels in [0, 1].
        steps, step_size: K and the size of a step; None: eps / 4 (the authors: 0.007 for 0.031). Their noise of 0.001 in each
            step is left out.
        taus, turns: values of τ, and after which shares of the training the next one comes.
        ramp: share of the training in which eps and step_size grow to their full size, as in `madry`; the authors have none.
        seed: of the initial weights, the order of the images and their augmentation.
    """
    if len(taus) != len(turns) + 1 or sorted(turns) != turns:
        raise UsageError(f"fat(taus={taus}, turns={turns}): give growing turns, one fewer than taus")
    recipe = recipe_of(model, task)
    attack = {"eps": eps, "steps": steps, "step_size": step_size or eps / 4, "until_success": True}
    objective = Friendly(recipe.objective, Adversary(Call("pgd_linf", attack), task.classes), taus, turns, ramp)
    return replace(recipe, objective=objective, selection=Call("pgd_linf", {"eps": eps, "steps": 10}))
