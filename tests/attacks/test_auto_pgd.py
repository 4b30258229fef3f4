"""The images that Auto-PGD tries, one after another, beside its paper's Algorithm 1."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from cases import Linear
from scripted import Scripted, Spy, attacked, grey, levels
from torch import Tensor, nn

LOOKS = (22, 41, 57, 70, 80, 87, 93, 99)
"""Of 100 steps: 0.22, and each time 0.03 fewer than before, but at least 0.06 of them."""


def algorithm_1(answer: Callable[[int, float], tuple[float, float]], start: float, eps: float) -> list[float]:
    """100 steps of Auto-PGD around a pixel of 0.5 (Croce & Hein, 2020). As their code has it, and not Algorithm 1, it looks
    before a step and not after it, and halves at exactly ρ too.

    Args:
        answer: (step, pixel) → (loss, slope).
    """

    def ball(x: float) -> float:
        return min(max(x, 0.5 - eps), 0.5 + eps)

    x, size, since, reduced = start, 2 * eps, 0, True
    path, losses = [x], list[float]()
    before, best, best_then = x, x, -math.inf
    for step in range(100):
        loss, slope = answer(step, x)
        if not losses or loss > max(losses):
            best, best_slope = x, slope
        losses.append(loss)
        if step == 0:
            best_then = loss
        if step in LOOKS:
            rises = sum(losses[k + 1] > losses[k] for k in range(since, step))
            reduced = rises <= 0.75 * (step - since) or (not reduced and best_then == max(losses))
            if reduced:
                size, x, slope = size / 2, best, best_slope
            since, best_then = step, max(losses)
        moved = ball(x + size * (1 if slope > 0 else -1))
        if step:
            moved = ball(x + 0.75 * (moved - x) + 0.25 * (x - before))
        before, x = x, moved
        path.append(x)
    return path


class Valley(nn.Module):
    """Logits (10 (x − 0.5234567)², 0) of one pixel: never fooled; keeps what it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = list[Tensor]()

    def forward(self, inputs: Tensor) -> Tensor:
        self.seen.append(inputs.detach())
        height = 10 * (inputs.flatten(1) - 0.5234567).square()
        return torch.cat([height + 0.1, torch.zeros_like(height)], 1)


@pytest.mark.parametrize("name", ["apgd_linf", "apgd_l2"])
def test_auto_pgd_moves_by_three_quarters_of_a_step_and_a_quarter_of_the_last(name: str) -> None:
    """From an end of the ball to the other, then by three quarters of the way back and a quarter of the step before, and so on.

    From 0.7 that is 0.3 + 0.3 − 0.1 and 0.5 + 0.15 + 0.05; from 0.3 it is 0.7 − 0.3 + 0.1, 0.5 + 0.15 − 0.05, 0.6 − 0.225 + 0.025.
    """
    model = Valley()
    attacked(name, model, grey(), eps=0.2, steps=22)
    wanted = [0.3, 0.7, 0.5, 0.6, 0.4] if model.seen[0].item() < 0.5 else [0.7, 0.3, 0.5, 0.7]
    assert levels(model.seen)[: len(wanted)] == pytest.approx(wanted, abs=1e-9)


@pytest.mark.parametrize("name", ["apgd_linf", "apgd_l2"])
@pytest.mark.parametrize("eps", [0.2, 0.07])
def test_auto_pgd_halves_its_step_and_goes_back_to_the_best_where_the_loss_swings(name: str, eps: float) -> None:
    model = Valley()
    attacked(name, model, grey(), eps=eps, steps=100)

    def answer(step: int, x: float) -> tuple[float, float]:
        height = 10 * (x - 0.5234567) ** 2
        return math.log1p(math.exp(-height - 0.1)), 0.5234567 - x

    assert levels(model.seen) == pytest.approx(algorithm_1(answer, model.seen[0].item(), eps), abs=1e-9)
    assert abs(model.seen[-1].item() - 0.5234567) < eps / 20


@pytest.mark.parametrize("drift", [-0.01, 0.01])
@pytest.mark.parametrize("period", [3, 4, 5, 7])
def test_auto_pgd_counts_rises_and_looks_whether_the_best_is_a_better_one(period: int, drift: float) -> None:
    """A loss like a saw rises in (period − 1) of so many steps: in more than three quarters from 5 on.

    There the step is halved at every other look if its teeth become lower, and never if they become higher.
    """
    margins = [-10 + step % period + drift * step for step in range(101)]
    slopes = [1.0 if step * 7 % 5 < 3 else -1.0 for step in range(101)]
    model = Scripted(margins, slopes)
    attacked("apgd_linf", model, grey(), eps=0.2, steps=100)

    def answer(step: int, x: float) -> tuple[float, float]:
        return margins[step], slopes[step]

    assert levels(model.seen) == pytest.approx(algorithm_1(answer, model.seen[0].item(), 0.2), abs=1e-9)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_auto_pgd_begins_at_the_surface_of_its_ball_elsewhere_at_each_restart(norm: str) -> None:
    model, inputs = Scripted([-1], [[1.0] * 16]), grey(4, 4)
    attacked(f"apgd_{norm}", model, inputs, eps=0.1, steps=1, restarts=3)
    begun = [seen - inputs for seen in model.seen[::2]]
    assert len(begun) == 3
    for start in begun:
        size = start.abs().max() if norm == "linf" else start.norm()
        assert size.item() == pytest.approx(0.1, rel=1e-6)
        assert start.flatten().unique().numel() == 16
    assert not torch.allclose(begun[0], begun[1], atol=0.01)
    assert not torch.allclose(begun[1], begun[2], atol=0.01)


def test_targeted_auto_pgd_goes_for_so_many_of_the_likeliest_classes() -> None:
    """Of five classes the others' logits are 1, 2, 3 and 4 below; each is aimed at in a row of its own, the likeliest first."""
    model = Linear(torch.eye(5, 4).double(), torch.tensor([10.0, 9, 6, 8, 7]).double())
    for count, classes in ((9, 4), (2, 2)):
        spy = Spy(model)
        attacked("apgd_linf", spy, grey(2, 2), classes=5, eps=0.1, steps=1, loss="dlr_targeted", target_classes=count)
        assert [len(seen) for seen in spy.gradients] == [classes] * 2
