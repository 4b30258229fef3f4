"""The images that attacks try, one after another, worked out by hand from their papers."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from cases import Linear
from scripted import Scripted, Spy, attacked, grey, levels

from robench import ATTACKS, Call, RowAdam, spread
from robench.attacking.losses import STOP_SHARE, SUCCESS_SHARE


def test_the_sphere_of_ddn_shrinks_after_a_success_and_grows_after_a_failure() -> None:
    """By a tenth from 0.2. A failure at the image itself, then two successes, a failure, a success."""
    model = Scripted([-1, 1, 1, -1, 1, 1])
    found, _ = attacked("ddn", model, grey(), steps=5, initial_norm=0.2, gamma=0.1)
    sizes = [0.0, 0.22, 0.198, 0.1782, 0.19602, 0.176418]
    assert levels(model.seen) == pytest.approx([0.5 + size for size in sizes], abs=1e-9)
    assert found.item() == pytest.approx(0.676418, abs=1e-9), "the nearest of the successes"
    model = Scripted([-1, 1, -1])
    attacked("ddn", model, grey(), steps=2, initial_norm=0.2)
    assert levels(model.seen) == pytest.approx([0.5, 0.5 + 0.2 * 1.05, 0.5 + 0.2 * 1.05 * 0.95], abs=1e-9)


@pytest.mark.parametrize("lr", [1.0, 0.5])
def test_a_step_of_ddn_falls_with_a_cosine_to_a_hundredth(lr: float) -> None:
    """In radii of the first sphere. Two pixels: the first step goes along one, the second along the other."""
    model = Scripted([-1], [[1.0, 0.0], [0.0, 1.0]])
    attacked("ddn", model, grey(1, 2), steps=4, initial_norm=0.2, gamma=0.1, lr=lr)
    x, y = (model.seen[2] - 0.5).flatten().tolist()
    rate = 0.01 + 0.99 * (1 + 0.5**0.5) / 2  # a quarter of the way
    assert y / x == pytest.approx(lr * rate * 0.2 / 0.22, rel=1e-6)
    assert math.hypot(x, y) == pytest.approx(0.242, rel=1e-6)


@pytest.mark.parametrize("name", ["fab_linf", "fab_l2"])
@pytest.mark.parametrize(("alpha_max", "beta"), [(0.1, 0.9), (0.02, 0.9), (0.0, 0.5), (0.3, 0.5)])
def test_fab_takes_a_mean_of_the_projections_of_its_point_and_of_the_image(
    name: str, alpha_max: float, beta: float
) -> None:
    """One pixel at a distance d of its boundary: both projections end there, 1.05 times each way is beyond it by other amounts."""
    model = Linear(torch.tensor([[0.0], [10.0]]).double(), torch.tensor([0.0, -6.0]).double())
    spy = Spy(model)
    attacked(name, spy, grey(), spread=1.0, steps=4, alpha_max=alpha_max, beta=beta)
    d, place, wanted = 0.1 + 2e-5, 0.0, [0.5]  # success is aimed at by twice its margin of 1e-4 logits
    for _ in range(3):
        near = abs(d - place)
        alpha = min(near / (near + d), alpha_max)
        moved = (1 - alpha) * (place + 1.05 * (d - place)) + alpha * 1.05 * d
        assert moved > 0.1 + 1e-5
        place = beta * moved
        wanted.append(0.5 + place)
    assert levels(spy.gradients) == pytest.approx(wanted, abs=1e-7)


CONSTANTS = [0.001, 0.01, 0.1, 1.0, 0.55, 0.775, 0.6625, 0.71875, 0.746875]
"""Of a search in which 1 and 0.775 succeed: tenfold until then, halves of what is left from there."""


def test_the_constant_of_carlini_and_wagner_grows_tenfold_and_is_then_bisected() -> None:
    """A step for each c, at the image itself: the loss is c times the margin that is missing, 1.001. A success has none."""
    script = [-1.0, -1, -1, 1, -1, 1, -1, -1, -1, -1]
    for searches, last in ((9, []), (10, [0.775])):
        _, losses = attacked("cw_l2", Scripted(script), grey(), search_steps=searches, steps=1, lr=0.01)
        wanted = [c * (margin < 0) for c, margin in zip(CONSTANTS + last, script, strict=False)]
        assert [loss / 1.001 for loss in losses] == pytest.approx(wanted, abs=1e-9)


def test_the_constant_of_ead_grows_tenfold_and_is_then_bisected() -> None:
    """A step for each c begins at the image and ends at a second one, whose margin says whether the c succeeded."""
    script = [margin for end in (-1, -1, -1, 1, -1, 1, -1, -1, -1) for margin in (-1.0, end)]
    _, losses = attacked("ead", Scripted(script), grey(), search_steps=9, steps=1)
    assert [loss / 1.001 for loss in losses] == pytest.approx(CONSTANTS, abs=1e-9)


@pytest.mark.parametrize("spread", [10.0, 1.0])
def test_the_first_constant_is_for_logits_of_a_spread_of_10(spread: float) -> None:
    for name in ("cw_l2", "ead"):
        options = {"lr": 0.01, "search_steps": 1, "steps": 1, "initial_c": 0.3}
        _, losses = attacked(name, Scripted([-1]), grey(), spread=spread, **options)
        assert losses[0] == pytest.approx(0.3 * 10 / spread * (1 + 1e-4 * spread), rel=1e-6)


@pytest.mark.parametrize("name", ["cw_l2", "ead"])
def test_confidence_is_the_margin_that_is_wanted(name: str) -> None:
    """Of a margin of −1 three are missing for a confidence of 2, and a ten-thousandth of the spread."""
    _, losses = attacked(name, Scripted([-1]), grey(), confidence=2.0, lr=0.01, search_steps=1, steps=1, initial_c=1.0)
    assert losses[0] == pytest.approx(3.001, rel=1e-6)


@pytest.mark.parametrize(("steps", "look"), [(25, 10), (60, 10), (150, 15)])
def test_a_constant_is_given_up_when_the_loss_has_not_fallen_in_a_tenth_of_the_steps(steps: int, look: int) -> None:
    """At least 10: a loss that never falls is looked at at the first step and one look later."""
    options = {"search_steps": 2, "steps": steps, "lr": 1e-9, "initial_c": 1.0}
    for name in ("cw_l2", "ead"):
        for stop in (True, False):
            _, losses = attacked(name, Scripted([-1]), grey(), abort_early=stop, **options)
            assert len(losses) == 2 * (look + 1 if stop else steps), name
        falling = [-10 * 0.95**step for step in range(steps + 1)]
        one = {**options, "search_steps": 1}
        _, losses = attacked(name, Scripted(falling), grey(), abort_early=True, **one)
        assert len(losses) == steps, name


def test_adam_is_that_of_kingma_and_ba_for_each_row() -> None:
    """Slopes of 1 and 2: means 0.1 and 0.29, squares 0.001 and 0.004999, each over what its weights sum up to."""
    adam = RowAdam(torch.zeros(2, 1, dtype=torch.float64), 0.1)
    slope = torch.tensor([[1.0], [-1.0]], dtype=torch.float64)
    assert adam.step(slope).flatten().tolist() == pytest.approx([0.1, -0.1], rel=1e-6)
    wanted = 0.1 * (0.29 / (1 - 0.81)) / (0.004999 / (1 - 0.998001)) ** 0.5
    assert adam.step(2 * slope).flatten().tolist() == pytest.approx([wanted, -wanted], rel=1e-6)
    adam.reset(torch.tensor([True, False]))
    assert adam.step(slope, torch.tensor([0.5, 1.0]).double())[0].item() == pytest.approx(0.05, rel=1e-6)


def test_the_first_step_of_carlini_and_wagner_in_l2_is_three_tenths_of_the_way_to_the_boundary() -> None:
    """Four pixels at the distance (1 + 0.001) / 20 of theirs: each moves by half the sine of 2 · 0.3 · distance / √4."""
    model = Linear(torch.tensor([[0.0] * 4, [10.0] * 4]).double(), torch.tensor([0.0, -21.0]).double())
    spy = Spy(model)
    attacked("cw_l2", spy, grey(2, 2), search_steps=1, steps=2)
    moved = math.sin(0.3 * 1.001 / 20) / 2
    assert spy.gradients[2].flatten().tolist() == pytest.approx([0.5 + moved] * 4, abs=1e-6)


def test_the_constant_of_carlini_and_wagner_in_linf_grows_tenfold_after_so_many_steps_up_to_20() -> None:
    for steps in (1, 3):
        _, losses = attacked("cw_linf", Scripted([-1]), grey(), steps=steps)
        wanted = [c for c in (0.001, 0.01, 0.1, 1, 10) for _ in range(steps)]
        assert [loss / 1.002 for loss in losses] == pytest.approx(wanted, rel=1e-3)
    _, losses = attacked("cw_linf", Scripted([-1]), grey(), steps=1, c_factor=2.0, initial_c=1.0, largest_c=5.0)
    assert [loss / 1.002 for loss in losses] == pytest.approx([1, 2, 4], rel=1e-3)


def test_carlini_and_wagner_in_linf_go_on_from_a_success_with_nine_tenths_of_its_radius() -> None:
    """A step of ten times 0.005 where τ is 1: to a half of sin 0.05. That succeeds, so that τ is 0.9 of it and 0.1 is in excess.

    From there steps are in proportion to τ / 0.02, and go back.
    """
    model = Scripted([-1, 1, 1, 1, -1])
    _, losses = attacked("cw_linf", model, grey(), steps=2, initial_c=1.0, largest_c=5.0)
    size = math.sin(0.05) / 2
    assert losses[:3] == pytest.approx([1.002, 0, 0.1 * size], rel=1e-5)
    back = 0.05 - 0.005 * 0.9 * size / 0.02
    assert levels(model.seen)[:4] == pytest.approx([0.5, 0.5 + size, 0.5 + size, 0.5 + math.sin(back) / 2], abs=1e-6)


def test_the_steps_of_ead_are_shrunk_fall_with_a_root_and_have_nesterovs_momentum() -> None:
    """c = 1, slope 1, β = 0.01: a step of 0.1 · √(1 − k/4) · (1 − 2 δ), less β; then k / (k + 3) of the last move on top."""
    model = Scripted([-1])
    attacked("ead", model, grey(), search_steps=1, steps=4, lr=0.1, initial_c=1.0, beta=0.01)
    first = 0.1 - 0.01
    second = first + 0.1 * 0.75**0.5 * (1 - 2 * first) - 0.01
    ahead = second + (second - first) / 4
    third = ahead + 0.1 * 0.5**0.5 * (1 - 2 * ahead) - 0.01
    further = third + (third - second) * 2 / 5
    fourth = further + 0.1 * 0.5 * (1 - 2 * further) - 0.01
    wanted = [0, first, ahead, further, fourth]
    assert levels(model.seen) == pytest.approx([0.5 + moved for moved in wanted], abs=1e-9)


@pytest.mark.parametrize("turned", [False, True])
def test_ead_keeps_the_success_that_its_rule_says(turned: bool) -> None:
    """(0.2, 0.2) is the nearer by ‖δ‖² + β ‖δ‖₁, (0.35, 0) by ‖δ‖₁, whichever is found first.

    A step of 0.5 c times the slope, less β = 0.01, for c = 1 and then, after a success, for 1/2.
    """
    both, single = [0.42, 0.42], [0.72, 0.0]
    slopes = [single, both] if turned else [both, single]
    slopes[1] = [2 * slope for slope in slopes[1]]
    for rule, wanted in (("l1", [0.85, 0.5]), ("elastic-net", [0.7, 0.7])):
        model = Scripted([-1, 1, -1, 1], [slopes[0], slopes[0], slopes[1], slopes[1]])
        found, _ = attacked(
            "ead", model, grey(1, 2), search_steps=2, steps=1, lr=0.5, initial_c=1.0, beta=0.01, decision=rule
        )
        assert found.flatten().tolist() == pytest.approx(wanted, abs=1e-9), rule


def test_the_elastic_net_rule_weighs_both_norms() -> None:
    """(0.2, 0.2) is the nearer by ‖δ‖², 0.08 to 0.0807; with 0.01 ‖δ‖₁ on top, 0.084 to 0.0835, it is (0.284, 0)."""
    model = Scripted([-1, 1, -1, 1], [[0.42, 0.42]] * 2 + [[4 * 0.294, 0.0]] * 2)
    options: dict[str, Any] = {"search_steps": 2, "steps": 1, "lr": 0.5, "initial_c": 1.0, "beta": 0.01}
    found, _ = attacked("ead", model, grey(1, 2), decision="elastic-net", **options)
    assert found.flatten().tolist() == pytest.approx([0.784, 0.5], abs=1e-9)


def test_deepfool_goes_to_the_nearest_boundary_and_not_to_the_likeliest_class() -> None:
    """Logits of three rivals are 0.3, 1 and 2 below; their slopes are 1, 10 and 4 long: 0.3, 0.1 and 0.5 away."""
    weight = torch.tensor([[0.0, 0, 0, 0], [1, 0, 0, 0], [0, 6, 8, 0], [0, 0, 0, 4]]).double()
    inputs = grey(2, 2)
    bias = torch.tensor([0.0, -0.3, -1.0, -2.0]).double() - weight @ inputs.flatten()
    options: dict[str, Any] = {"classes": 4, "spread": 1.0}
    found, _ = attacked("deepfool", Linear(weight, bias), inputs, **options)
    moved = 1.02 * (0.1 + 1e-5)
    assert (found - inputs).flatten().tolist() == pytest.approx([0, 0.6 * moved, 0.8 * moved, 0], abs=1e-7)
    found, _ = attacked("deepfool", Linear(weight, bias), inputs, candidates=2, **options)
    assert (found - inputs).flatten().tolist() == pytest.approx([1.02 * 0.3001, 0, 0, 0], abs=1e-6)
    found, _ = attacked("deepfool", Linear(weight, bias), inputs, overshoot=0.5, **options)
    assert (found - inputs).flatten().tolist() == pytest.approx([0, 0.9 * 0.10001, 1.2 * 0.10001, 0], abs=1e-7)


def test_a_transfer_attacks_the_defense_that_its_mode_says() -> None:
    """The source itself; or one trained on the target's answers: of 1 % of the training data and in 4 rounds, or of none and in 6."""
    target, source = Call("madry"), Call("resnet")
    sources = ATTACKS["transfer"].card.sources
    assert sources is not None

    def named(**options: Any) -> dict[str, Call]:
        return sources({"source": source, "share": 0.01, "rounds": None, **options}, target)

    asked = {"target": target, "model": source}
    assert named(mode="pure") == {"source": source}
    assert named(mode="oracle") == {"source": Call("substitute", {**asked, "share": None, "rounds": 6})}
    assert named(mode="mixed") == {"source": Call("substitute", {**asked, "share": 0.01, "rounds": 4})}
    assert named(mode="mixed", rounds=2) == {"source": Call("substitute", {**asked, "share": 0.01, "rounds": 2})}


def test_success_is_taken_at_ten_times_the_judges_share_of_a_spread_that_is_not_below_a_tenth_of_the_largest() -> None:
    assert (SUCCESS_SHARE, STOP_SHARE) == (1e-5, 1e-4)
    logits = torch.tensor([[100.0, 99, 98, 0], [-50, -51, -52, -90], [3, 1, 0, 0], [100, 99, 40, 0]])
    assert spread(logits).tolist() == pytest.approx([10, 5, 3, 60])
    assert spread(logits[:, :2]).tolist() == pytest.approx([10, 5, 2, 10])
