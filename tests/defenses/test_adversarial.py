"""Madry, half-half, friendly training and TRADES: what is attacked, how far, and what the model pays for it."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from trainings import HALF, SQUARES, Watch, at_distance, batch_of, digits_task, linear_batch, margins, own

from robench import DEFENSES, Batch, Call, Objective, Progress, UsageError, recipe_of
from robench.attacking.draws import Draws
from robench.training.adversary import Adversary


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_adversarial_training_pays_for_the_worst_point_of_the_ball(share: float) -> None:
    model, given, slope = linear_batch()
    attack = Call("pgd_linf", {"eps": 0.02, "steps": 20, "step_size": 0.01})
    objective = own("madry", "Adversarial")(Objective(), Adversary(attack, 2), share, 0.0)
    moved = torch.where(torch.arange(16) >= 16 - share * 16, 0.02 * slope, 0.0)
    expected = F.softplus(-(margins(model, given) - moved)).mean()
    assert float(objective.loss(model, given, HALF)) == pytest.approx(float(expected), rel=1e-4)
    assert objective.report()["attack_passes"] == 20
    early = own("madry", "Adversarial")(Objective(), Adversary(attack, 2), share, 1.0)
    halfway = F.softplus(-(margins(model, given) - 0.51 * moved)).mean()
    assert float(early.loss(model, given, HALF)) == pytest.approx(float(halfway), rel=1e-4)
    assert not model.training


def test_trades_pays_for_the_largest_divergence_in_the_ball() -> None:
    model, given, slope = linear_batch()
    objective = own("trades", "Trades")(Objective(), 2, 0.02, 20, 0.01, 3.0)

    def divergence(moved: float) -> Tensor:
        here, there = (torch.stack([m, torch.zeros_like(m)], 1).log_softmax(1) for m in (clean, clean + moved))
        return (here.exp() * (here - there)).sum(1)

    clean = margins(model, given)
    worst = torch.maximum(divergence(0.02 * slope), divergence(-0.02 * slope))
    expected = F.softplus(-clean).mean() + 3.0 * worst.mean()
    assert float(objective.loss(model, given, HALF)) == pytest.approx(float(expected), rel=2e-2)


def test_friendly_training_stops_when_an_image_is_fooled() -> None:
    model, given, slope = linear_batch()
    attack = Call(
        "pgd_linf", {"eps": 1.0, "steps": 50, "step_size": 0.002, "until_success": True, "random_start": False}
    )
    adversary = Adversary(attack, 2)
    reached = {}
    for tau in (0, 2):
        found = adversary(model, given, HALF, slack=tau)
        reached[tau] = margins(model, given._replace(inputs=found))
    fooled = reached[0] < 0
    assert fooled.sum() >= 5
    assert (reached[0][fooled] > -0.002 * slope).all(), "a single step beyond the boundary"
    assert torch.allclose(reached[2][fooled], reached[0][fooled] - 2 * 0.002 * slope, atol=1e-4)
    objective = own("fat", "Friendly")(Objective(), adversary, [0, 1, 2], [0.4, 0.75])
    taus = []
    for step in (0, 39, 40, 74, 75, 99):
        objective.loss(model, given, Progress(step, 100, 0))
        taus.append(objective.report()["tau"])
    assert taus == [0, 0, 1, 1, 2, 2]
    with pytest.raises(UsageError, match="one fewer than taus"):
        DEFENSES["fat"].function(digits_task(), taus=[0, 1], turns=[0.1, 0.2])


class Modes(nn.Module):
    """A linear model that writes down how it is asked: in training mode or not, with gradients of its weights or not."""

    def __init__(self) -> None:
        super().__init__()
        self.model = linear_batch()[0].requires_grad_(True)
        self.asked: list[tuple[bool, bool]] = []

    def forward(self, inputs: Tensor) -> Tensor:
        self.asked.append((self.training, all(p.requires_grad for p in self.model.parameters())))
        logits: Tensor = self.model(inputs)
        return logits


@pytest.mark.parametrize("defense", ["madry", "half_half", "fat", "trades"])
def test_the_attack_sees_the_model_in_eval_mode_and_the_loss_sees_it_in_training_mode(defense: str) -> None:
    model = Modes().train()
    objective = DEFENSES[defense].function(SQUARES, steps=3).objective
    objective.loss(model, linear_batch()[1], HALF)
    attack, lesson = (False, False), (True, True)
    last = 2 if defense == "trades" else 1
    assert model.asked[-last:] == [lesson] * last
    assert len(model.asked) > last
    assert set(model.asked[:-last]) == {attack}


class Seen(nn.Module):
    """A model that keeps what it is given."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model, self.inputs = model, list[Tensor]()

    def forward(self, inputs: Tensor) -> Tensor:
        self.inputs.append(inputs.detach())
        logits: Tensor = self.model(inputs)
        return logits


def changes(defense: str, step: int, **options: Any) -> Tensor:
    """By how much a training changes the pixels of 16 images of mid-grey, at a step of 100."""
    watch, recipe = Watch(), DEFENSES[defense].function(digits_task(), **options)
    recipe.objective.base = watch
    grey = torch.full((16, 1, 8, 8), 0.5)
    recipe.objective.loss(recipe.model, batch_of(grey), Progress(step, 100, 0))
    (seen,) = watch.seen
    return (seen.inputs - grey).flatten(1)


@pytest.mark.parametrize(("step", "reach"), [(0, 0.01), (14, 0.15), (29, 0.3), (99, 0.3)])
def test_the_radius_grows_in_the_first_third_of_the_training(step: int, reach: float) -> None:
    """By (step + 1) / 30 with the ramp of 0.3 that is the default."""
    for defense in ("madry", "half_half"):
        assert float(changes(defense, step, eps=0.3).abs().amax()) == pytest.approx(reach, rel=1e-4)
    assert float(changes("madry", 0, eps=0.3, ramp=0.0).abs().amax()) == pytest.approx(0.3, rel=1e-4)


@pytest.mark.parametrize(("step", "reach"), [(0, 0.01), (14, 0.15), (29, 0.3), (99, 0.3)])
def test_so_does_that_of_friendly_training_and_of_trades_where_it_is_asked_to(step: int, reach: float) -> None:
    found = changes("fat", step, eps=0.3).abs()
    assert reach * 0.9 < float(found.amax()) <= reach * (1 + 1e-4)
    assert float(changes("fat", 0, eps=0.3, ramp=0.0).abs().amax()) > 0.25
    grey = torch.full((16, 1, 8, 8), 0.5)
    for options, wanted in (({"ramp": 0.3}, reach), ({}, 0.3)):
        recipe = DEFENSES["trades"].function(digits_task(), eps=0.3, **options)
        worst = recipe.objective._worst(recipe.model, batch_of(grey), Progress(step, 100, 0))
        assert float((worst - grey).abs().amax()) == pytest.approx(wanted, rel=1e-3)


def test_madry_attacks_all_of_a_batch_and_half_half_its_second_half() -> None:
    assert (changes("madry", 99).abs().amax(1) > 0.01).all()
    sizes = changes("half_half", 99).abs().amax(1)
    assert (sizes[:8] == 0).all()
    assert (sizes[8:] > 0.01).all()


@pytest.mark.parametrize("defense", ["madry", "half_half"])
def test_the_attack_of_a_training_starts_at_a_random_point_of_the_ball(defense: str) -> None:
    """A step of no length leaves the start: uniform from −eps to eps, so of deviation eps / √3."""
    begun = changes(defense, 99, eps=0.3, steps=1, step_size=1e-9)[8:]
    assert float(begun.mean()) == pytest.approx(0, abs=0.03)
    assert float(begun.std()) == pytest.approx(0.3 / 3**0.5, rel=0.1)
    other = changes(defense, 98, eps=0.3, steps=1, step_size=1e-9)[8:]
    assert not torch.equal(begun, other), "at every step anew"


def test_without_a_radius_it_is_that_of_the_paper() -> None:
    """8 / 255 with 7 steps of a quarter of it; the epoch is chosen by 10 steps."""
    assert float(changes("madry", 99).abs().amax()) == pytest.approx(8 / 255, rel=1e-4)
    for defense in ("madry", "half_half"):
        options = recipe_of(defense, digits_task()).objective.adversary.options  # type: ignore[attr-defined]
        assert (options["steps"], options["step_size"]) == (7, pytest.approx(2 / 255))


@pytest.mark.parametrize("defense", ["madry", "half_half", "fat", "trades"])
def test_the_epoch_is_chosen_by_ten_steps_of_pgd_at_the_radius_of_the_training(defense: str) -> None:
    for call, eps in ((Call(defense), 8 / 255), (Call(defense, {"eps": 0.1}), 0.1)):
        assert recipe_of(call, digits_task()).selection == Call("pgd_linf", {"eps": eps, "steps": 10})


@pytest.mark.parametrize(("share", "tau"), [(0.0, 0), (0.41, 0), (0.42, 1), (0.74, 1), (0.75, 2), (0.99, 2)])
def test_friendly_training_goes_tau_steps_beyond_the_boundary(share: float, tau: int) -> None:
    """Steps of 0.0005 along the slope of a linear model; τ grows at 50 and 90 of 120 epochs."""
    model, given, slope = at_distance(torch.linspace(0.02, 0.04, 16))
    objective = DEFENSES["fat"].function(SQUARES, eps=0.05, steps=200, step_size=0.0005, ramp=0.0).objective
    objective.base = watch = Watch()
    objective.adversary.options["random_start"] = False
    objective.loss(model, given, Progress(round(100 * share), 100, 0))
    (seen,) = watch.seen
    beyond = -margins(model, seen) / (0.0005 * slope)
    assert float(beyond.min()) > tau
    assert float(beyond.max()) < tau + 1.01  # success needs a margin of 1e-4


def test_the_divergence_of_trades_is_that_of_the_clean_answers_from_the_attacked_ones() -> None:
    """Of (3/4, 1/4) from (1/2, 1/2): 3/4 ln 3/2 + 1/4 ln 1/2 = 0.1308; the other way round it is 0.1438."""
    clean, attacked = torch.tensor([[0.75, 0.25]]).log(), torch.tensor([[0.5, 0.5]]).log()
    wanted = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    assert own("trades", "divergences")(attacked, clean).item() == pytest.approx(wanted, rel=1e-5)


class Slope(nn.Module):
    """Logits (a · x, 0) of images of one pixel; a is ln 3, so that white is class 0 with a probability of 3/4."""

    def __init__(self) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(math.log(3)))

    def forward(self, inputs: Tensor) -> Tensor:
        score = self.slope * inputs.flatten(1)
        return torch.cat([score, torch.zeros_like(score)], 1)


def test_without_options_trades_and_friendly_training_are_those_of_their_papers() -> None:
    """Ten steps of a quarter of 8 / 255, and a weight of robustness of 6."""
    trades: Any = recipe_of("trades", digits_task()).objective
    assert (trades.eps, trades.steps, trades.step_size, trades.beta) == (8 / 255, 10, pytest.approx(2 / 255), 6.0)
    fat: Any = recipe_of("fat", digits_task()).objective
    options = fat.adversary.options
    assert (options["eps"], options["steps"], options["step_size"]) == (8 / 255, 10, pytest.approx(2 / 255))


def test_trades_takes_as_many_steps_as_it_is_told() -> None:
    """Of 0.01 from beside mid-grey: after three steps 0.03 away; the model is asked once more for its clean answers, and twice to learn."""
    seen = Seen(Slope().double())
    own("trades", "Trades")(Objective(), 2, 0.1, 3, 0.01, 1.0).loss(
        seen, batch_of(torch.full((4, 1, 1, 1), 0.5).double()), HALF
    )
    assert len(seen.inputs) == 1 + 3 + 2
    assert (seen.inputs[-1] - 0.5).abs().flatten().tolist() == pytest.approx([0.03] * 4, abs=0.005)


def test_trades_goes_away_from_the_clean_answers_and_not_from_the_label() -> None:
    """The divergence grows on both sides of the clean image, so that each of 40 ends on the side that its noise lay on.

    Cross-entropy would take all of them towards black, where class 0 is less likely.
    """
    seen, grey = Seen(Slope().double()), torch.full((40, 1, 1, 1), 0.5, dtype=torch.float64)
    own("trades", "Trades")(Objective(), 2, 0.1, 5, 0.05, 1.0).loss(seen, batch_of(grey), HALF)
    noise = Draws(HALF.draws, [str(i) for i in range(40)]).normal("start", 0, None, (1, 1, 1))
    assert 10 < int((noise > 0).sum()) < 30
    assert torch.allclose(seen.inputs[-1], 0.5 + 0.1 * noise.sign())


@pytest.mark.parametrize("beta", [0.0, 1.0, 6.0])
def test_trades_adds_beta_times_the_divergence_to_the_loss_of_clean_images(beta: float) -> None:
    """A white pixel may become black: (1/2, 1/2). Its random start leads there, or it is stuck at white.

    The slopes: −1/4 of the cross-entropy, and p (1 − p) ln 3 of the divergence at p = 3/4, through the clean answers; the
    attacked ones do not depend on a where x is 0.
    """
    divergence = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    found = []
    for image in range(6):
        model = Slope()
        loss = own("trades", "Trades")(Objective(), 2, 1.0, 10, 0.25, beta).loss(
            model, Batch(torch.ones(1, 1, 1, 1), torch.tensor([0]), torch.tensor([image])), HALF
        )
        loss.backward()
        assert model.slope.grad is not None
        found.append((loss.item(), model.slope.grad.item()))
    plain = -math.log(0.75)
    moved = [(loss, slope) for loss, slope in found if loss > plain + 1e-4]
    assert bool(moved) is (beta > 0)
    for loss, slope in moved:
        assert loss == pytest.approx(plain + beta * divergence, rel=1e-4)
        assert slope == pytest.approx(-1 / 4 + beta * 3 / 16 * math.log(3), rel=1e-3)
