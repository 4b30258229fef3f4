"""Training by hand: what a step moves and by how far, which weights are kept, and what is counted on the way."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from trainings import CPU, NONE, SQUARES, linear, squares

from robench import Batch, Call, Objective, Progress, Recipe, Schedule, recipe_of
from robench.training import loop
from robench.training.loop import learning_rate, train
from robench.training.snapshots import Average, Best, Snapshot


class Slopes(Objective):
    """A loss whose slope in every weight is the same number; it keeps the weights after each step."""

    def __init__(self, slope: float) -> None:
        self.slope, self.after = slope, list[dict[str, Tensor]]()

    def loss(self, model: nn.Module, batch: Batch, progress: Progress) -> Tensor:
        return self.slope * torch.stack([p.sum() for p in model.parameters()]).sum()

    def after_step(self, model: nn.Module, progress: Progress) -> None:
        self.after.append({name: tensor.clone() for name, tensor in model.state_dict().items()})


@pytest.mark.parametrize(("slope", "clip", "step"), [(100.0, 1.0, 1.0), (100.0, 2.5, 2.5), (0.01, 1.0, 0.01 * 34**0.5)])
def test_gradients_are_clipped_to_a_norm(slope: float, clip: float, step: float) -> None:
    """A first step of SGD with Nesterov momentum of 0.9 is 1.9 times the rate times the slope, here of 34 equal parts."""
    model = linear()
    before = [p.detach().clone() for p in model.parameters()]
    schedule = Schedule(1, 8, 0.1, weight_decay=0.0, warmup=0.0, optimizer="sgd", clip=clip)
    train(Recipe(model, schedule, Slopes(slope)), squares(8), NONE, seed=0, device=CPU)
    for was, now in zip(before, model.parameters(), strict=True):
        assert torch.allclose(now, was - 0.19 * step / 34**0.5, atol=1e-6)


def test_gradients_are_clipped_to_a_norm_of_one_by_default() -> None:
    assert Schedule(1).clip == 1.0


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_matrices_decay_and_biases_norms_and_embeddings_do_not(optimizer: Any) -> None:
    """Without slopes a step leaves 1 − rate · decay = 0.95 of a weight; of SGD with momentum 1 − 1.9 · 0.05."""
    model = recipe_of("vit(depth=1)", SQUARES).model
    for parameter in model.parameters():
        parameter.data.fill_(1.0)
    schedule = Schedule(1, 8, 0.1, weight_decay=0.5, warmup=0.0, optimizer=optimizer)
    train(Recipe(model, schedule, Slopes(0.0)), squares(8), NONE, seed=0, device=CPU)
    left = 0.95 if optimizer == "adamw" else 1 - 1.9 * 0.05
    matrices = {f"{n}.weight" for n, part in model.named_modules() if isinstance(part, nn.Linear | nn.Conv2d)}
    assert len(matrices) >= 5
    assert {n.rpartition(".")[2] for n, _ in model.named_parameters()} >= {"bias", "pos_embed", "cls_token", "weight"}
    for name, parameter in model.named_parameters():
        wanted = left if name in matrices else 1.0
        assert torch.allclose(parameter, torch.full_like(parameter, wanted)), name


def averaged(begun: dict[str, Tensor], after: list[dict[str, Tensor]], decay: float) -> dict[str, Tensor]:
    """The moving average after each step, whose decay is at most (1 + steps) / (10 + steps)."""
    found = {name: tensor.clone() for name, tensor in begun.items()}
    for steps, now in enumerate(after, 1):
        kept = min(decay, (1 + steps) / (10 + steps))
        found = {name: kept * found[name] + (1 - kept) * now[name] for name in now}
    return found


@pytest.mark.parametrize("decay", [0.25, 0.9])
@pytest.mark.parametrize("chosen", [False, True])
def test_a_moving_average_is_what_is_kept_looked_at_and_chosen(
    decay: float, chosen: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Decays of 2/11, 3/12, 4/13, … until they reach that of the schedule."""
    looked: dict[str, list[dict[str, Tensor]]] = {"robust": [], "clean": []}

    def look(name: str, score: float) -> Any:
        def scored(model: nn.Module, *_: Any) -> float:
            looked[name].append({key: tensor.clone() for key, tensor in model.state_dict().items()})
            return score

        return scored

    monkeypatch.setattr(loop, "robust_accuracy", look("robust", 0.5))
    monkeypatch.setattr(loop, "accuracy", look("clean", 0.75))
    model, objective = linear(), Slopes(1.0)
    begun = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    recipe = Recipe(model, Schedule(6, 8, 0.1, average=decay), objective, Call("pgd_linf") if chosen else None)
    log = tmp_path / "log.jsonl"
    train(recipe, squares(48), squares(8), seed=0, device=CPU, log=log)
    wanted = averaged(begun, objective.after, decay)
    assert len(looked["robust"]) == chosen
    for found in (model.state_dict(), *looked["robust"], *looked["clean"]):
        for name, tensor in found.items():
            assert torch.allclose(tensor, wanted[name], atol=1e-6), name
            assert not torch.allclose(tensor, objective.after[-1][name], atol=1e-3)
    (line,) = (json.loads(written) for written in log.read_text().splitlines())
    assert line["validation_accuracy"] == 0.75
    assert line.get("validation_robust_accuracy") == (0.5 if chosen else None)


def test_without_an_average_the_last_weights_are_kept_and_with_a_choice_those_of_the_best_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of epochs that score 0.2, 0.6, 0.6 and 0.4 the second: the earliest of equals. An epoch is of two steps."""
    scores = [0.2, 0.6, 0.6, 0.4]
    for selection, step in ((None, 8), (Call("pgd_linf"), 4)):
        given = iter(scores)
        monkeypatch.setattr(loop, "robust_accuracy", lambda *_, given=given: next(given))
        model, objective = linear(), Slopes(1.0)
        log = tmp_path / f"{step}.jsonl"
        train(
            Recipe(model, Schedule(8, 8, 0.1), objective, selection),
            squares(16),
            squares(4),
            seed=0,
            device=CPU,
            log=log,
        )
        for name, tensor in model.state_dict().items():
            assert torch.equal(tensor, objective.after[step - 1][name]), (selection, name)
    kept = [json.loads(written)["kept_epoch"] for written in log.read_text().splitlines()]
    assert kept == [1, 2, 2, 2]


def test_the_best_epoch_is_not_changed_by_the_training_that_goes_on() -> None:
    model, best = nn.Linear(1, 1), Best()
    model.weight.data.fill_(2.0)
    best.consider(0.5, model, 1)
    model.weight.data.fill_(3.0)
    best.consider(None, model, 2)
    best.consider(0.4, model, 3)
    assert best.weights["weight"].item() == 2.0
    assert best.report() == {"validation_robust_accuracy": 0.4, "kept_epoch": 1}


def test_a_snapshot_holds_the_best_epoch_too(tmp_path: Path) -> None:
    def made(value: float) -> Snapshot:
        model = nn.Linear(1, 1)
        model.weight.data.fill_(value)
        return Snapshot(model, torch.optim.SGD(model.parameters(), 0.1), Objective(), Average(model, 0.5))

    saved, loaded = made(2.0), made(5.0)
    saved.best.consider(0.5, saved.model, 3)
    saved.model.weight.data.fill_(3.0)
    saved.epoch, saved.step = 4, 40
    saved.save(tmp_path / "state")
    loaded.load(tmp_path / "state")
    assert (loaded.epoch, loaded.step, loaded.best.epoch, loaded.best.score) == (4, 40, 3, 0.5)
    found = (loaded.model.weight, loaded.best.weights["weight"], loaded.kept.weight)
    assert [weight.item() for weight in found] == [3.0, 2.0, 2.0]  # type: ignore[operator,union-attr]


def test_statistics_of_batch_norm_are_averaged_and_its_count_is_copied() -> None:
    model = nn.BatchNorm1d(1)
    average = Average(model, 0.5)
    model.running_mean.fill_(4.0)  # type: ignore[union-attr]
    model.num_batches_tracked.fill_(7)  # type: ignore[union-attr]
    average.update(model, 100)
    assert average.model.running_mean.item() == 2.0  # type: ignore[operator,union-attr]
    assert average.model.num_batches_tracked.item() == 7  # type: ignore[operator,union-attr]
    assert not average.model.training


def test_the_rate_rises_in_a_line_and_falls_with_half_a_cosine() -> None:
    """Of 100 steps the first 20 rise to 2; a quarter and a half of the other 80 later it is 1 + √½ and 1; the last is not yet 0."""
    schedule = Schedule(100, lr=2.0, warmup=0.2)
    found = [learning_rate(schedule, step) for step in (0, 9, 19, 20, 40, 60, 99)]
    assert found == pytest.approx([0.1, 1, 2, 2, 1 + 0.5**0.5, 1, 1 - math.cos(math.pi / 80)], rel=1e-9)


def test_every_step_and_every_seed_has_random_numbers_of_its_own() -> None:
    found = {Progress(step, 100_000, 0, seed).draws for seed in range(5) for step in range(0, 100_000, 1000)}
    assert len(found) == 500
    assert Progress(5, 100, 0, 2).draws == Progress(5, 900, 7, 2).draws
