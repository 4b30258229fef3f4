"""The margin within a ball, by hand: which points a line search tries, and what it ends with."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from robench import ATTACKS, Classifier


class Level(nn.Module):
    """Logits (0, height(x)) of images of one pixel; remembers the pixels that it was asked about."""

    def __init__(self, peak: float | None) -> None:
        super().__init__()
        self.peak = peak
        self.asked: list[float] = []

    def forward(self, inputs: Tensor) -> Tensor:
        x = inputs.flatten(1)
        self.asked += x.detach().flatten().tolist()
        height = x - 0.6 if self.peak is None else -10 * (x - self.peak).square()
        return torch.cat([torch.zeros_like(height), height], 1)


def attacked(model: Level, level: float = 0.5, **options: object) -> float:
    """The pixel after the attack: 0.5 + 0.3 tanh(p) where it was 0.5; margins are taken of a spread of 10."""
    inputs = torch.full((1, 1, 1, 1), level, dtype=torch.float64)
    classifier = Classifier(model, 2, ["a"], spread=torch.tensor([10.0]))
    found: Tensor = ATTACKS["cw_linf_ball"].function(classifier, inputs, torch.tensor([0]), **options)
    return float(found)


def test_a_step_that_helps_is_doubled_until_the_goal_is_reached() -> None:
    """The slope at p = 0 is 0.3: p is 0.03, 0.06, 0.12, 0.24, 0.48, and 0.5 + 0.3 tanh(0.48) is the first above 0.601."""
    model = Level(None)
    assert attacked(model, lr=0.1) == pytest.approx(0.6338728, abs=1e-6)
    assert model.asked[1:] == pytest.approx([0.5089973, 0.5179784, 0.5358282, 0.5706482, 0.6338728], abs=1e-6)


def test_the_next_step_begins_with_half_of_the_last_doubling() -> None:
    """After three doublings p is 0.24 and the rate 0.4; the slope is 0.3 (1 − tanh² 0.24) = 0.2834: p is 0.3533."""
    assert attacked(Level(None), lr=0.1, doublings=3, steps=1) == 0.5
    assert attacked(Level(None), lr=0.1, doublings=3, steps=2) == pytest.approx(0.6017994, abs=1e-5)


def test_a_step_that_goes_too_far_is_halved() -> None:
    """A peak at 0.52 that fools nothing: the slope at 0.5 is 0.12, so that p is 1.2, 0.6, 0.3, 0.15, 0.075 and only the last
    is higher than 0.5; there the next step begins. With four tries there is none, and the next step goes on halving."""
    model = Level(0.52)
    assert attacked(model, lr=10.0, steps=1) == 0.5
    assert model.asked[1:] == pytest.approx([0.7500964, 0.6611149, 0.5873938, 0.5446656, 0.5224578], abs=1e-6)
    model = Level(0.52)
    attacked(model, lr=10.0, steps=2, halvings=4)
    assert model.asked[5:8] == pytest.approx([0.5, 0.5446656, 0.5224578], abs=1e-6)


def test_pixels_stay_between_the_ends_of_the_ball_and_of_the_box() -> None:
    model = Level(None)
    assert attacked(model, radius=0.05, lr=1e3, steps=50) == 0.5, "0.6 is outside"
    assert max(model.asked) <= 0.55
    assert attacked(Level(None), radius=0.0) == 0.5
    model = Level(None)
    assert attacked(model, level=0.45, radius=1.0, lr=1e6) == pytest.approx(1.0)
    assert max(model.asked) <= 1


def test_a_black_pixel_has_a_slope_if_a_small_one() -> None:
    """1e-6 at 0 in a ball of radius 1, which doubled rates make up for; at the bound itself there is none."""
    assert attacked(Level(None), level=0.0, radius=1.0) > 0.601
    assert attacked(Level(None), level=0.0, radius=1.0, steps=1) == 0.0


def test_the_rate_is_for_logits_whose_spread_is_ten() -> None:
    inputs, labels = torch.full((1, 1, 1, 1), 0.5, dtype=torch.float64), torch.tensor([0])
    found = []
    for factor in (1.0, 1e6, 1e-6):

        class Scaled(Level):
            def forward(self, inputs: Tensor, by: float = factor) -> Tensor:
                return by * super().forward(inputs)

        classifier = Classifier(Scaled(None), 2, ["a"], spread=torch.tensor([10.0 * factor]))
        found.append(float(ATTACKS["cw_linf_ball"].function(classifier, inputs, labels, lr=0.1)))
    assert found == pytest.approx([0.6338728] * 3, abs=1e-6)
