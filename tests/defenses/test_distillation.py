"""Distillation: who teaches whom, at which temperature, and how much of it."""

from __future__ import annotations

import math

import pytest
import torch
from cases import Linear
from torch import nn
from trainings import HALF, Watch, batch_of, digits_task, own

from robench import DEFENSES, Call, UsageError, recipe_of


def test_distillation_is_the_distance_of_answers() -> None:
    distance = own("distill", "distillation")
    student, teacher = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 2.0]])
    p, q = 1 / (1 + math.exp(1)), 1 / (1 + math.exp(-1))  # at a temperature of 2
    soft = 4 * (p * math.log(p / q) + q * math.log(q / p))
    assert float(distance(student, teacher, "soft", 2.0)) == pytest.approx(soft, rel=1e-5)
    assert float(distance(student, teacher, "hard", 2.0)) == pytest.approx(math.log(1 + math.exp(2)), rel=1e-5)
    assert float(distance(student, teacher, "defensive", 2.0)) == pytest.approx(
        -p * math.log(q) - q * math.log(p), rel=1e-5
    )


def test_defensive_distillation_has_defaults_of_its_own_and_other_norms_want_a_radius() -> None:
    teacher = Linear(torch.ones(10, 64), torch.zeros(10))
    for form, alpha, temperature in (("soft", 0.5, 1.0), ("defensive", 1.0, 100.0)):
        made = DEFENSES["distill"].function(digits_task(), teacher=teacher, form=form).objective
        assert (made.alpha, made.temperature) == (alpha, temperature)
    with pytest.raises(UsageError, match=r"in l2 needs eps, such as 128/255"):
        recipe_of("madry(norm='l2')", digits_task())


LOG3, LOG9 = math.log(3), math.log(9)
WORKED = {
    # Students of (1/2, 1/2) and a teacher of (3/4, 1/4): the two ways of the KL divergence are 0.1308 and 0.1438.
    "soft": ([0.0, 0.0], [LOG3, 0.0], 0.75 * math.log(1.5) + 0.25 * math.log(0.5)),
    # A student of (3/4, 1/4) and a teacher that answers 1.
    "hard": ([LOG3, 0.0], [0.0, 0.1], -math.log(0.25)),
    # A student of (3/4, 1/4) and a teacher of (9/10, 1/10).
    "defensive": ([LOG3, 0.0], [LOG9, 0.0], -0.9 * math.log(0.75) - 0.1 * math.log(0.25)),
}
"""Logits of a student and of a teacher, and what the student pays for them at a temperature of 1."""


def constant(logits: list[float]) -> Linear:
    """A model that answers the same to every image of one pixel."""
    return Linear(torch.zeros(2, 1), torch.tensor(logits))


@pytest.mark.parametrize("temperature", [1.0, 2.0, 5.0])
@pytest.mark.parametrize("form", WORKED)
def test_the_student_learns_from_the_teacher_and_not_the_other_way_round(form: str, temperature: float) -> None:
    """Logits that are T times as large are the same at a temperature of T; the soft form is multiplied with T²."""
    student, teacher, wanted = WORKED[form]
    scale = 1.0 if form == "hard" else temperature
    pupil = constant([scale * logit for logit in student])
    master = constant([scale * logit for logit in teacher])
    objective = own("distill", "Taught")(Watch(2.0), master, form, 0.5, temperature)
    loss = objective.loss(pupil, batch_of(torch.rand(3, 1, 1, 1)), HALF)
    wanted *= temperature**2 if form == "soft" else 1
    assert loss.item() == pytest.approx(0.5 * 2 + 0.5 * wanted, rel=1e-5)
    loss.backward()
    assert pupil.layer.bias.grad is not None
    assert bool(pupil.layer.bias.grad.any())
    assert master.layer.bias.grad is None


@pytest.mark.parametrize("alpha", [0.0, 0.25, 1.0])
def test_alpha_is_the_weight_of_the_teacher(alpha: float) -> None:
    student, teacher, wanted = WORKED["hard"]
    objective = own("distill", "Taught")(Watch(2.0), constant(teacher), "hard", alpha, 1.0)
    loss = objective.loss(constant(student), batch_of(torch.rand(3, 1, 1, 1)), HALF)
    assert loss.item() == pytest.approx((1 - alpha) * 2 + alpha * wanted, rel=1e-5)


def test_what_is_trained_is_the_model_and_what_teaches_is_the_teacher() -> None:
    teacher = Linear(torch.ones(10, 64), torch.zeros(10))
    recipe = DEFENSES["distill"].function(digits_task(), teacher=teacher, model=Call("vit", {"depth": 1}))
    assert recipe.objective.teacher is teacher
    assert recipe.model is not teacher
    assert isinstance(recipe.model, nn.Sequential)


def test_the_teacher_of_defensive_distillation_is_trained_at_its_temperature() -> None:
    """Logits (T ln 3, 0) are (3/4, 1/4) at T, of which class 0 costs −ln 3/4."""
    for temperature in (2.0, 100.0):
        objective = own("distill", "Tempered")(temperature)
        loss = objective.loss(constant([temperature * LOG3, 0.0]), batch_of(torch.rand(3, 1, 1, 1)), HALF)
        assert loss.item() == pytest.approx(-math.log(0.75), rel=1e-5)
    assert recipe_of("tempered", digits_task()).objective.temperature == 100  # type: ignore[attr-defined]
