"""What is made of other attacks' ends, by hand: ART's last images, and AutoAttack's parts one after another."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from cases import Linear
from scripted import attacked, grey
from torch import Tensor

from robench import ATTACKS, Call, Classifier


def step(dtype: torch.dtype = torch.float32) -> Linear:
    """Class 1 where its one pixel is above 0.6. Success needs 0.0001 more, where the spread is 10."""
    return Linear(torch.tensor([[0.0], [10.0]], dtype=dtype), torch.tensor([0.0, -6.0], dtype=dtype))


def pixels(*values: float) -> Tensor:
    return torch.tensor(values).view(-1, 1, 1, 1)


def asked_of_art(clean: float, eps: float | None = None, count: int = 1) -> Any:
    """What ART is given: images of this pixel, of class 0."""
    model = Classifier(step(), 2, [str(i) for i in range(count)], spread=torch.full((count,), 10.0))
    labels = torch.zeros(count, dtype=torch.int64)
    made = ATTACKS["art"].function.__globals__["_Asked"]
    return made(model, pixels(*[clean] * count), labels, None, "linf", eps)


def test_what_art_leaves_on_the_boundary_is_moved_on_by_the_least_share_that_is_enough() -> None:
    """Shares of 1e-5 · 4^k of a perturbation of 0.1: 0.001 is wanted, 2.56e-3 is the first above it, on either side."""
    for end in (0.600001, 0.59999):
        found = asked_of_art(0.5).mended(pixels(end))
        assert found.item() == pytest.approx(0.5 + (end - 0.5) * (1 + 2.56e-3), abs=1e-6)
    for stays in (0.5998, 0.6002):
        assert asked_of_art(0.5).mended(pixels(stays)).item() == pytest.approx(stays, abs=1e-7)


def test_it_is_not_moved_out_of_the_ball_nor_by_more_than_a_hundredth() -> None:
    """A ball that ends at 0.60005 lets nothing succeed; from 0.598 a hundredth of 0.0020 is not enough either."""
    assert asked_of_art(0.5, eps=0.10005).mended(pixels(0.600001)).item() == pytest.approx(0.600001, abs=1e-6)
    assert asked_of_art(0.598).mended(pixels(0.600001)).item() == pytest.approx(0.600001, abs=1e-6)


@pytest.mark.parametrize(
    ("eps", "end", "wanted"),
    [
        (None, 0.8, 0.65),  # the nearest that it asked about
        (None, 0.62, 0.62),  # which its end is nearer than
        (None, 0.55, 0.65),  # its end fails
        (0.4, 0.8, 0.8),  # inside the ball the end counts
        (0.4, 0.55, 0.65),
        (0.12, 0.55, 0.55),  # what it asked about lies outside
    ],
)
def test_without_a_radius_the_nearest_success_that_art_asked_about_is_taken(
    eps: float | None, end: float, wanted: float
) -> None:
    asked = asked_of_art(0.5, eps)
    for level in (0.7, 0.65, 0.9, 0.59):
        asked(pixels(level))
    assert asked.mended(pixels(end)).item() == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_autoattack_is_four_attacks_of_the_standard_budgets(norm: str) -> None:
    """100 steps of each, the 9 likeliest targets, 5,000 queries; no restarts."""
    parts = ATTACKS["autoattack" if norm == "linf" else "autoattack_l2"].options["parts"].default
    names = [f"apgd_{norm}", f"apgd_{norm}", f"fab_{norm}", f"square_{norm}"]
    assert [part.name for part in parts] == names
    full = [ATTACKS[part.name].resolve(part.options, partial=True) for part in parts]
    assert [options["loss"] for options in full[:2]] == ["ce", "dlr_targeted"]
    assert all(
        (options["steps"], options["restarts"], options["target_classes"]) == (100, 1, 9) for options in full[:2]
    )
    assert (full[2]["steps"], full[2]["target_classes"]) == (100, 9)
    assert (full[3]["queries"], full[3]["share"], full[3]["rescale"]) == (5000, 0.8, False)


def test_autoattack_gives_each_part_what_is_left() -> None:
    """Images 0.05, 0.15 and 0.25 from the boundary, in a ball of 0.2: one step of 0.1 breaks the first, one of 0.2 the second."""
    inputs = grey().expand(3, 1, 1, 1) + pixels(0.05, -0.05, -0.15).double()
    parts = [Call("pgd_linf", {"steps": 1, "step_size": size, "random_start": False}) for size in (0.1, 0.2, 0.2)]
    options: dict[str, Any] = {"eps": 0.2, "parts": parts}
    model = Seen(step(torch.float64))
    found, _ = attacked("autoattack", model, inputs, **options)
    assert (found - inputs).flatten().tolist() == pytest.approx([0.1, 0.2, 0.0], abs=1e-9)
    assert model.counts == [3, 3, 2, 2, 1, 1], "a pass with slopes and one that looks, of each part"


def test_autoattack_takes_what_is_on_the_edge_of_the_ball_as_float32_has_it() -> None:
    """The sum of a pixel and 0.003 is rounded to 2e-8 more, 7e-6 of the radius: still inside, as the judge has it."""
    inputs, eps = torch.linspace(0.5975, 0.5998, 9).view(-1, 1, 1, 1), 0.003
    assert bool(((inputs + eps) - inputs > eps * (1 + 5e-6)).all())
    parts = [Call("pgd_linf", {"steps": 1, "step_size": eps, "random_start": False})]
    found, _ = attacked("autoattack", step(), inputs, eps=eps, parts=parts)
    assert bool((found > 0.6).all())


class Seen(torch.nn.Module):
    """How many images a model is asked about at once."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model, self.counts = model, list[int]()

    def forward(self, inputs: Tensor) -> Tensor:
        self.counts.append(len(inputs))
        logits: Tensor = self.model(inputs)
        return logits
