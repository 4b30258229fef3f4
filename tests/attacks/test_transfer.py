"""Transfer attacks: from a source that is named, and from one trained on the target's answers."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from cases import linear_case, split_of, wrapped
from conftest import SMALL, small_run
from torch import Tensor, nn

from robench import ATTACKS, DEFENSES, Call, ModelError, Places, Task, UsageError
from robench.data.loading import load_data
from robench.running.plan import plan_rows
from robench.running.rows import rows_of
from robench.running.settings import Settings
from robench.training.checkpoints import Checkpoint
from robench.training.facts import WeightFacts

CARLINI = "carlini(width=8, epochs=8, lr=0.003)"


class Always(nn.Module):
    """A target that answers the same class to every image."""

    def forward(self, inputs: Tensor) -> Tensor:
        return torch.tensor([0.0, 1.0]).expand(len(inputs), 2)


def answers(target: nn.Module, **options: object) -> object:
    """The objective of `substitute`, alone."""
    made = {"share": 0.5, "images": 4, "epochs": 2, "step": 0.1, **options}
    return DEFENSES["substitute"].function.__globals__["Answers"](target, **made)


def test_a_source_of_small_logits_is_left_where_it_is_fooled() -> None:
    """What the attack on the source takes for success is measured by the source's own scale."""
    source, inputs, labels = linear_case(count=6, dtype=torch.float32)

    class Small(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            logits: Tensor = 1e-6 * source(images)
            return logits

    found = [
        ATTACKS["transfer"].function(
            wrapped(source, 6), inputs, labels, eps=0.2, source=model, attack=Call("mim", {"until_success": True})
        )
        for model in (source, Small())
    ]
    assert (found[0] - inputs).abs().max() < 0.15, "it stops before the edge of the ball"
    assert torch.allclose(found[0], found[1], atol=1e-6)


def test_a_transfer_trains_its_source_once_and_asks_the_target_nothing() -> None:
    """A matrix of sources and targets: the same network fools itself best."""
    settings, places = Settings(n=60), Places.of()
    rows = rows_of([SMALL], ["transfer(source='carlini(epochs=2, width=4)', eps=0.15)"], ["digits"], settings, places)
    trainings, _ = plan_rows(rows, settings, places)
    assert [t.defense for t in trainings if "carlini" in t.defense] == ["carlini(width=4, epochs=2)"]
    defenses = [SMALL, CARLINI]
    result, _ = small_run(defense=defenses, attack=f"transfer(source=[{', '.join(defenses)}], eps=0.15)")
    sources = [f"transfer(eps=0.15, source={defense})" for defense in defenses]
    asr = {(row["defense"], row["attack"]): row["asr"]["value"] for row in result.summary()}
    assert set(asr) == {(defense, source) for defense in defenses for source in sources}
    for target in defenses:
        own, other = (f"transfer(eps=0.15, source={source})" for source in sorted(defenses, key=lambda d: d != target))
        assert asr[target, own] > asr[target, other] > 0
    assert (result.records["forwards"] == 0).all()
    with pytest.raises(UsageError, match="did you mean 'carlini'"):
        small_run(attack="transfer(source=carlni, eps=0.1)")
    with pytest.raises(UsageError, match="has no rounds"):
        small_run(attack="transfer(eps=0.1, rounds=2)")
    with pytest.raises(UsageError, match="square_linf is not one"):
        small_run(attack="transfer(eps=0.1, attack=square_linf)")
    with pytest.raises(UsageError, match="takes an attack in an L∞ ball, such as mim or pgd_linf; cw_l2 is minimal"):
        plan_rows(rows_of([SMALL], ["transfer(eps=0.1, attack=cw_l2)"], ["digits"], settings, places), settings, places)


STEEP = """
import torch
from torch import nn
from robench import Recipe, Schedule, Task, defense


class Net(nn.Module):
    def __init__(self, levels, task):
        super().__init__()
        self.levels, self.layer = levels, nn.Linear(64, task.classes)

    def forward(self, x):
        return self.layer(((x * 4).round() / 4 if self.levels else x).flatten(1))


@defense()
def rounded(task: Task, *, seed: int = 0) -> Recipe:
    \"\"\"Without slopes, so that it cannot be trained.\"\"\"
    return Recipe(Net(True, task), Schedule(steps=0))


@defense()
def linear(task: Task, *, seed: int = 0) -> Recipe:
    \"\"\"A linear model.\"\"\"
    return Recipe(Net(False, task), Schedule(steps=40, lr=0.01))
"""


def test_a_source_of_a_users_own_is_looked_at_and_can_be_told_in_a_table() -> None:
    Path("mine.py").write_text(STEEP)
    with pytest.raises(ModelError, match=r"rounded has gradients that are zero everywhere"):
        small_run(attack="transfer(source='./mine.py::rounded', eps=0.1)")
    wrapped = "noise(model=noise(model='./mine.py::linear'), seed=[0, 1])"
    result, _ = small_run(defense=[SMALL, wrapped], attack="transfer(source='./mine.py::linear', eps=0.15)")
    assert "transfer(source='./mine.py::linear')" in result.table()
    assert "noise(model=noise(model='./mine.py::linear')) (2 seeds)" in result.table()
    assert result.summary()[1]["asr"]["value"] > 0.3


def test_a_substitute_learns_answers_and_not_labels() -> None:
    model, train, held_out = linear_case(dtype=torch.float32)[0], split_of(40), split_of(20)
    mixed = answers(Always()).examples(model, train, held_out, 0)  # type: ignore[attr-defined]
    assert len(mixed) == 20
    assert mixed.targets().tolist() == [1] * 20
    assert (mixed.pixels(slice(None)) == train.pixels(train.pinned_order()[:20])).all()
    oracle = answers(Always(), share=None).examples(model, train, held_out, 0)  # type: ignore[attr-defined]
    assert (oracle.pixels(slice(None)) == held_out.pixels(held_out.pinned_order()[:4])).all()


def test_a_round_doubles_the_images_by_a_step_along_the_slope_of_the_answered_class() -> None:
    model, train = linear_case(dtype=torch.float32)[0], split_of(8)
    slope = (model.layer.weight[1]).sign().reshape(1, 4, 4)
    objective = answers(Always(), share=1.0)
    first = objective.examples(model, train, train, 0)  # type: ignore[attr-defined]
    assert len(first) == len(objective.examples(model, train, train, 1)) == 8  # type: ignore[attr-defined]
    grown = objective.examples(model, train, train, 2)  # type: ignore[attr-defined]
    assert len(grown) == 16
    begun = grown.pixels(slice(0, 8)).astype(float) / 255
    moved = np.clip(begun + 0.1 * slope.numpy(), 0, 1) * 255
    assert np.abs(grown.pixels(slice(8, 16)) - moved).max() <= 1  # 0.1 is 25.5 levels
    for epoch in (4, 6):
        objective.examples(model, train, train, epoch)  # type: ignore[attr-defined]
    back = objective.examples(model, train, train, 8)  # type: ignore[attr-defined]
    assert len(back) == 128
    turned = np.clip(back.pixels(slice(0, 8)) / 255 - 0.1 * slope.numpy(), 0, 1) * 255
    assert np.abs(back.pixels(slice(64, 72)) - turned).max() <= 1, "the fourth step goes the other way"


def test_a_substitute_says_how_many_epochs_it_is_trained_for() -> None:
    task = Task((1, 8, 8), 10, 1294, (0.5,), (0.2,), held_out=144)
    recipe = DEFENSES["substitute"].function(task, target=torch.nn.Identity(), rounds=3, epochs=2)
    assert recipe.schedule.epochs(1294) == 6


@pytest.mark.slow
def test_a_mixed_transfer_makes_its_substitute_once_and_counts_its_questions(shared_cache: Path) -> None:
    options = "eps=0.15, mode='mixed', share=0.1, source=carlini(width=8, lr=0.003)"
    result, said = small_run(attack=[f"transfer({options})", f"transfer({options}, targets='random')"])
    assert sum("training substitute(target=vit(depth=2, epochs=12)" in line for line in said) == 1
    asr = [row["asr"]["value"] for row in result.summary()]
    assert asr[0] > asr[1] >= 0
    assert asr[0] > 0.2
    (log,) = [folder / "log.jsonl" for folder in (shared_cache / "weights").glob("substitute-*")]
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["queries"] for line in lines[9::10]] == [lines[0]["queries"] * factor for factor in (1, 2, 4, 8)]
    assert len(lines) == 40


def test_other_weights_of_the_target_make_another_substitute(tmp_path: Path) -> None:
    data, told = load_data("digits", Places.of()), []
    call = "substitute(target=vit(depth=1, epochs=1), model=carlini(width=2), rounds=1, epochs=1)"
    checkpoint = Checkpoint.of(call, data.splits, data.card, tmp_path)
    checkpoint.obtain(torch.device("cpu"))
    assert checkpoint.load() is not None
    folder = next(tmp_path.rglob("vit-*/facts.json")).parent
    known = WeightFacts.read(folder)
    assert known
    replace(known, sha256="0" * 64).write(folder)
    assert checkpoint.load(told.append) is None
    assert "made with others of its sources" in told[0]


def test_an_interrupted_substitute_ends_with_the_same_weights(tmp_path: Path) -> None:
    data = load_data("digits", Places.of())
    call = "substitute(target=vit(depth=1, epochs=1), model=carlini(width=2), share=0.1, rounds=3, epochs=2)"

    def weights(folder: Path, stop_at: int | None) -> bytes:
        checkpoint = Checkpoint.of(call, data.splits, data.card, folder)

        def stop(progress: object) -> None:
            if progress.step == stop_at and progress.steps > 30:  # type: ignore[attr-defined]
                raise KeyboardInterrupt

        if stop_at:
            next(iter(checkpoint.sources.values())).obtain(torch.device("cpu"))
            with pytest.raises(KeyboardInterrupt):
                checkpoint.obtain(torch.device("cpu"), report=stop)
        checkpoint.obtain(torch.device("cpu"))
        return (checkpoint.folder / "weights.safetensors").read_bytes()

    assert weights(tmp_path / "whole", None) == weights(tmp_path / "broken", 27)


def test_a_substitute_keeps_its_models_optimiser_and_sees_no_labels() -> None:
    from robench.training.recipe import Task

    task = Task((1, 8, 8), 10, 1000, (0.3,), (0.3,), epochs=2)
    make = DEFENSES["substitute"].function
    recipe = make(task, target=Always(), model=Call("wide_resnet", {"width": 1, "depth": 10}))
    assert (recipe.schedule.optimizer, recipe.schedule.lr, recipe.schedule.decay) == ("sgd", 0.1, "none")
    assert make(task, target=Always(), model=Call("madry", {"model": Call("carlini")})).selection is None
    with pytest.raises(UsageError, match="validation split is empty"):
        make(task, target=Always(), share=None)
