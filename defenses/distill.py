"""Knowledge distillation: a student learns a teacher's answers, soft (Hinton et al., 2015) or hard (DeiT, 2021)."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from robench import (
    Above0,
    Batch,
    Call,
    Objective,
    Progress,
    Recipe,
    Share,
    Source,
    Task,
    UsageError,
    Wrapped,
    WrappedObjective,
    classification_loss,
    defense,
    recipe_of,
)

Form = Literal["soft", "hard", "defensive"]
VIT = Call("vit")


class Taught(WrappedObjective):
    """(1 − α) another objective + α the distance of the student's answers from the teacher's."""

    def __init__(self, base: Objective, teacher: nn.Module, form: Form, alpha: float, temperature: float) -> None:
        super().__init__(base)
        self.teacher, self.form, self.alpha, self.temperature = teacher, form, alpha, temperature

    def to(self, device: torch.device) -> None:
        super().to(device)
        self.teacher.to(device)

    def loss(self, model: nn.Module, batch: Batch, progress: Progress) -> Tensor:
        with torch.no_grad():
            answers = self.teacher(batch.inputs)
        if self.alpha == 1:
            return distillation(model(batch.inputs), answers, self.form, self.temperature)
        loss, logits = self.loss_and_logits(model, batch, progress)
        return (1 - self.alpha) * loss + self.alpha * distillation(logits, answers, self.form, self.temperature)


class Tempered(Objective):
    """Cross-entropy of the logits over a temperature: what the teacher of defensive distillation is trained with."""

    def __init__(self, temperature: float) -> None:
        self.temperature = temperature

    def loss(self, model: nn.Module, batch: Batch, progress: Progress) -> Tensor:
        return classification_loss(model(batch.inputs) / self.temperature, batch)


def distillation(student: Tensor, teacher: Tensor, form: Form, temperature: float) -> Tensor:
    """Mean distance of a student's logits from a teacher's, both (N, classes).

    "soft": KL divergence at a temperature, times its square; "hard": cross-entropy to the teacher's class; "defensive":
    cross-entropy to the teacher's probabilities, both at the temperature.
    """
    if form == "hard":
        return F.cross_entropy(student, teacher.argmax(1))
    own, wanted = (F.log_softmax(logits / temperature, 1) for logits in (student, teacher))
    if form == "defensive":
        return -(wanted.exp() * own).sum(1).mean()
    return F.kl_div(own, wanted, reduction="batchmean", log_target=True) * temperature**2


@defense(paper="arXiv:1503.02531, arXiv:2012.12877")
def distill(
    task: Task,
    *,
    teacher: Source,
    model: Wrapped = VIT,
    form: Form = "soft",
    alpha: Share | None = None,
    temperature: Above0 | None = None,
    seed: int = 0,
) -> Recipe:
    """Distillation: a model learns from a teacher's answers, as a ViT from a CNN.

    Args:
        teacher: the defense that teaches; trained and cached as every defense.
        model: the student, with its own schedule and objective.
        form: "soft" (Hinton et al., 2015: KL divergence, mean over images, times the square of the temperature; DeiT's code
            divides it by the number of classes too), "hard" as DeiT has it, without a token of its own; "defensive" for
            defensive distillation (Papernot et al., 2016), whose teacher is `tempered`.
        alpha: weight of the teacher, against the student's own objective; None: 0.5, in "defensive" 1.
        temperature: of both softmaxes, in "soft" and "defensive"; None: 1, in "defensive" 100, as in `tempered`. The student
            answers at 1 in the end.
        seed: of the initial weights, the order of the images and their augmentation.
    """
    recipe, usual = recipe_of(model, task), (1.0, 100.0) if form == "defensive" else (0.5, 1.0)
    alpha, temperature = (u if given is None else given for given, u in zip((alpha, temperature), usual, strict=True))
    return replace(recipe, objective=Taught(recipe.objective, teacher, form, alpha, temperature))


@defense(paper="arXiv:1511.04508")
def tempered(task: Task, *, model: Wrapped = VIT, temperature: Above0 = 100.0, seed: int = 0) -> Recipe:
    """Trained at a high softmax temperature and used at 1: the teacher of defensive distillation.

    Its logits are large, so that softmax and cross-entropy saturate in float32: attacks that follow them stand still. Such
    a model is not robust (Carlini & Wagner, 2017).

    Args:
        model: what is trained, with its own schedule; a defense whose objective is plain cross-entropy.
        seed: of the initial weights, the order of the images and their augmentation.
    """
    recipe = recipe_of(model, task)
    if type(recipe.objective) is not Objective:
        raise UsageError(
            f"tempered divides the logits of plain cross-entropy; {model} has an objective of its own: wrap its model instead, "
            "such as tempered(model=vit)"
        )
    return replace(recipe, objective=Tempered(temperature))
