"""TRADES (Zhang et al., 2019): accuracy on clean images, and the same answer around each of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

import torch.nn.functional as F
from torch import Tensor, nn

from robench import (
    Above0,
    Batch,
    Bounds,
    Call,
    Classifier,
    NotNegative,
    Objective,
    Positive,
    Progress,
    Recipe,
    Share,
    Task,
    Wrapped,
    WrappedObjective,
    defense,
    descend,
    held_still,
    recipe_of,
    untold,
)

VIT = Call("vit")
NEAR = 0.001
"""Deviation of the noise that the inner maximisation begins with: at the image itself the divergence has no slope."""


class Trades(WrappedObjective):
    """Another objective on clean images, plus β times the divergence of the answers at the worst point of the ball."""

    def __init__(
        self, base: Objective, classes: int, eps: float, steps: int, step_size: float, beta: float, ramp: float = 0.0
    ) -> None:
        super().__init__(base)
        self.classes, self.eps, self.steps, self.step_size, self.beta = classes, eps, steps, step_size, beta
        self.ramp = ramp

    def loss(self, model: nn.Module, batch: Batch, progress: Progress) -> Tensor:
        worst = self._worst(model, batch, progress)
        loss, logits = self.loss_and_logits(model, batch, progress)
        divergence = divergences(F.log_softmax(model(worst), 1), F.log_softmax(logits, 1)).mean()
        return loss + self.beta * divergence

    def _worst(self, model: nn.Module, batch: Batch, progress: Progress) -> Tensor:
        inputs, grown = batch.inputs, progress.grown(self.ramp)
        with held_still(model):
            near = Classifier(model, self.classes, batch.names(), seed=progress.draws)
            answers = F.log_softmax(model(inputs), 1).detach()
            return descend(
                near,
                inputs,
                batch.labels,
                None,
                eps=grown * self.eps,
                norm="linf",
                steps=self.steps,
                until_success=False,
                start=lambda restart, rows: NEAR * near.draws.normal("start", restart, rows, inputs.shape[1:]),
                step=lambda gradient, _, __: grown * self.step_size * gradient.sign(),
                loss=lambda logits, rows: divergences(F.log_softmax(logits, 1), answers[rows]),
            ).detach()


def divergences(there: Tensor, here: Tensor) -> Tensor:
    """KL(here ‖ there) of each row of log-probabilities, (N,)."""
    return F.kl_div(there, here, reduction="none", log_target=True).sum(1)


def _canonical(options: dict[str, Any]) -> dict[str, Any]:
    """Without a step that is what None stands for."""
    return untold(options, step_size=options["eps"] / 4)


@defense(paper="arXiv:1901.08573", canonical=_canonical, ball=lambda options: ("linf", options["eps"]))
def trades(
    task: Task,
    *,
    model: Wrapped = VIT,
    eps: Annotated[float, Bounds(0, 1)] = 8 / 255,
    steps: Positive = 10,
    step_size: Above0 | None = None,
    beta: NotNegative = 6.0,
    ramp: Share = 0.0,
    seed: int = 0,
) -> Recipe:
    """TRADES: cross-entropy on clean images plus β times the KL divergence to the worst image of an L∞ ball.

    Args:
        model: what is trained, with its own schedule and objective.
        eps: radius of the ball, for pixels in [0, 1].
        steps, step_size: of the inner maximisation; None: eps / 4.
        beta: the weight of robustness, 1/λ of the paper: 1 to 6.
        ramp: share of the training in which eps and step_size grow to their full size, as in `madry`; the clean term makes it
            needless here.
        seed: of the initial weights, the order of the images and their augmentation.
    """
    recipe = recipe_of(model, task)
    objective = Trades(recipe.objective, task.classes, eps, steps, step_size or eps / 4, beta, ramp)
    return replace(recipe, objective=objective, selection=Call("pgd_linf", {"eps": eps, "steps": 10}))
