"""The training engine: schedules, resumption, the epoch that is kept, batches in parts, averages, seeds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import small_run
from torch import Tensor, nn

from robench import DATASETS, Batch, Call, ModelError, Places, Progress, Recipe, Schedule, recipe_of
from robench.data.loading import load_data
from robench.training.adversary import Adversary, robust_accuracy
from robench.training.batches import Pool, augment
from robench.training.building import task_of
from robench.training.checkpoints import Checkpoint
from robench.training.loop import learning_rate, train
from robench.training.snapshots import Average


def test_schedules() -> None:
    steps = Schedule(100, lr=1.0, warmup=0.1, decay="steps")
    assert [round(learning_rate(steps, at), 4) for at in (0, 9, 49, 50, 75, 99)] == [0.1, 1.0, 1.0, 0.1, 0.01, 0.01]
    assert learning_rate(Schedule(100, lr=1.0, decay="none"), 99) == 1.0
    assert learning_rate(Schedule(100, lr=1.0), 99) < 0.001


def test_the_most_robust_epoch_is_kept_and_an_interrupted_training_ends_the_same(tmp_path: Path) -> None:
    data = load_data("digits", Places.of())
    for call in (
        "madry(model=vit(depth=1, epochs=4, lr=0.02), eps=0.05, steps=2)",
        "rspc(model=vit(depth=1, epochs=3))",
        "augmented(model=vit(depth=1, epochs=3), average=0.9, accumulate=2)",
    ):
        found = {}
        for name, stop_at in (("whole", None), ("broken", 65)):
            checkpoint = Checkpoint.of(call, data.splits, data.card, tmp_path / name)

            def stop(progress: Progress, at: int | None = stop_at) -> None:
                if progress.step == at:
                    raise KeyboardInterrupt

            if stop_at:
                with pytest.raises(KeyboardInterrupt):
                    checkpoint.obtain(torch.device("cpu"), report=stop)
            trained = checkpoint.obtain(torch.device("cpu"))
            found[name] = (checkpoint.folder / "weights.safetensors").read_bytes()
        assert found["whole"] == found["broken"], call
        lines = [json.loads(line) for line in (checkpoint.folder / "log.jsonl").read_text().splitlines()]
        if "madry" in call:
            scores = [line["validation_robust_accuracy"] for line in lines]
            assert lines[-1]["kept_epoch"] == 1 + scores.index(max(scores))
            attack = Call("pgd_linf", {"eps": 0.05, "steps": 10})
            assert robust_accuracy(trained.model, data.splits.validation, attack, torch.device("cpu")) == max(scores)


def test_a_batch_in_parts_and_a_moving_average_are_what_they_say() -> None:
    data, found = DATASETS["digits"].function(Places.of()), []
    for parts in (1, 3):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
        schedule = Schedule(5, 32, 1e-2, accumulate=parts)
        found.append(train(Recipe(model, schedule), data.train, data.validation, seed=0, device=torch.device("cpu")))
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(*(m.parameters() for m in found), strict=True))
    average, expected = Average(nn.Linear(1, 1), 0.5), None
    for step in (20, 21):
        model = nn.Linear(1, 1)
        before = average.model.weight.clone()  # type: ignore[union-attr]
        average.update(model, step)
        expected = 0.5 * before + 0.5 * model.weight
        assert torch.allclose(average.model.weight, expected)  # type: ignore[arg-type]


def test_pixels_are_the_same_held_on_the_device_or_moved_and_crops_are_parts_of_the_padded_image() -> None:
    split = load_data("digits", Places.of()).splits.train
    places, cpu = np.array([5, 3, 900]), torch.device("cpu")
    held, moved = (Pool(split, cpu, room).pixels(places) for room in (10**9, 0))
    assert torch.equal(held, moved)
    assert torch.equal(held, torch.from_numpy(split.pixels(places)))
    cropped = augment(held, Schedule(1, crop=2, flip=True), torch.Generator().manual_seed(0))
    padded = torch.nn.functional.pad(held, (2, 2, 2, 2))
    for image, found in zip(padded, cropped, strict=True):
        windows = [image[:, down : down + 8, right : right + 8] for down in range(5) for right in range(5)]
        assert any(torch.equal(found, w) or torch.equal(found, w.flip(-1)) for w in windows)


OWN = """
import torch
from torch import nn
from robench import Objective, Recipe, Schedule, Task, defense


def net(classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, classes))


class Broken(Objective):
    def __init__(self, value):
        self.value = value

    def loss(self, model, batch, progress):
        if self.value is None:
            raise KeyError("no such thing")
        return super().loss(model, batch, progress) * self.value


@defense()
def narrow(task: Task, *, seed: int = 0) -> Recipe:
    \"\"\"Five logits.\"\"\"
    return Recipe(net(5), Schedule(steps=5))


@defense()
def broken(task: Task, *, value: float | None = None, seed: int = 0) -> Recipe:
    \"\"\"Whose loss raises, or is not finite.\"\"\"
    return Recipe(net(10), Schedule(steps=5), Broken(value))
"""


def test_what_cannot_be_trained_is_said_in_one_message() -> None:
    Path("own.py").write_text(OWN)
    with pytest.raises(ModelError, match=r"narrow returned \(1, 5\), but logits of shape \(1, 10\)"):
        small_run(defense="distill(teacher='./own.py::narrow')")
    with pytest.raises(ModelError, match="the training failed at step 0 of 5: KeyError: 'no such thing'"):
        small_run(defense="./own.py::broken")
    with pytest.raises(ModelError, match="the training loss became inf at step 0 of 5; try a smaller lr"):
        small_run(defense="./own.py::broken(value=1e39)")


def test_random_numbers_of_a_training_are_of_its_seed_and_of_the_image() -> None:
    task, images = task_of(DATASETS["digits"].function(Places.of()), DATASETS["digits"].card), torch.rand(4, 1, 8, 8)
    model = recipe_of("vit(depth=1)", task).model
    attack = Adversary(Call("pgd_linf", {"eps": 0.1, "steps": 1, "step_size": 0.001}), 10)

    def found(seed: int, ids: list[int]) -> Tensor:
        batch = Batch(images, torch.arange(4), torch.tensor(ids))
        return attack(model, batch, Progress(0, 10, 0, seed))

    assert torch.equal(found(0, [1, 2, 3, 4]), found(0, [1, 2, 3, 4]))
    assert not torch.allclose(found(0, [1, 2, 3, 4]), found(1, [1, 2, 3, 4]), atol=0.01)
    assert not torch.allclose(found(0, [1, 2, 3, 4])[3], found(0, [1, 2, 3, 5])[3], atol=0.01)


def test_a_nested_seed_is_that_of_the_initial_weights() -> None:
    task = task_of(DATASETS["digits"].function(Places.of()), DATASETS["digits"].card)

    def weights(call: str) -> Tensor:
        torch.manual_seed(0)
        return next(iter(recipe_of(call, task).model.parameters())).detach()

    assert torch.equal(weights("madry(model=vit)"), weights("madry(model=vit)"))
    assert not torch.equal(weights("madry(model=vit(seed=1))"), weights("madry(model=vit(seed=2))"))
    assert torch.equal(weights("vit(seed=1)"), weights("madry(model=vit(seed=1))"))


def test_what_has_the_same_identity_has_the_same_initial_weights() -> None:
    data, found = load_data("digits", Places.of()), {}
    for call in (
        "rspc(model=vit, seed=1)",
        "rspc(model=vit(seed=0), seed=1)",
        "rspc(model=vit(seed=1))",
        "rspc(seed=2)",
    ):
        checkpoint = Checkpoint.of(call, data.splits, data.card, Path("cache"))
        weights = next(checkpoint.recipe().model.parameters()).detach()
        assert torch.equal(found.setdefault(checkpoint.folder, weights), weights), call
    assert len(found) == 3
    first, second, third = found.values()
    assert torch.equal(first, second)
    assert not torch.equal(first, third)
