"""What a training sees, and what it is measured by, worked out by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from trainings import CPU, NONE, SQUARES, Watch, linear

from robench import Batch, Call, Progress, Recipe, Schedule, Split
from robench.training import loop
from robench.training.adversary import robust_accuracy
from robench.training.batches import augment
from robench.training.loop import train
from robench.training.recipe import classification_loss, steps_per_epoch


def test_batches_are_small_where_there_are_few_images_and_a_partial_one_is_left_out() -> None:
    assert [steps_per_epoch(size, 128) for size in (1000, 1024, 128, 100)] == [7, 8, 1, 1]
    for images, size in ((1000, 32), (2000, 50), (45_000, 128)):
        made = Schedule.of(replace(SQUARES, train_size=images), None, 128, 0.1)
        assert (made.batch_size, made.steps) == (size, 30 * (images // size))
    assert Schedule.of(SQUARES, 4, 128, 0.1).steps == 4 * (1000 // 32)


def test_a_part_of_a_batch_has_its_own_rows_of_everything_and_soft_labels_are_what_is_learnt() -> None:
    """Of logits (0, 0) the loss is ln 2 for any labels; of (ln 3, 0) it is ln 4 − p ln 3 for a share p of class 0."""
    soft = torch.tensor([[1.0, 0.0], [0.25, 0.75], [0.5, 0.5]])
    batch = Batch(torch.arange(3.0).view(3, 1, 1, 1), torch.tensor([0, 0, 1]), torch.tensor([7, 8, 9]), soft)
    part = batch.part(slice(1, 3))
    assert (part.inputs.flatten().tolist(), part.labels.tolist(), part.ids.tolist()) == ([1, 2], [0, 1], [8, 9])
    assert part.soft is not None
    assert torch.equal(part.soft, soft[1:])
    logits = torch.tensor([[math.log(3), 0.0]]).expand(2, 2)
    mean = math.log(4) - (0.25 + 0.5) / 2 * math.log(3)
    assert classification_loss(logits, part).item() == pytest.approx(mean, rel=1e-5)
    hard = math.log(4) - 0.5 * math.log(3)
    assert classification_loss(logits, part._replace(soft=None)).item() == pytest.approx(hard, rel=1e-5)


class Threshold(nn.Module):
    """Logits (10 x, 10 t) of the mean x of an image: class 0 where it is above t = 100.5 / 255."""

    def forward(self, inputs: Tensor) -> Tensor:
        level = 10 * inputs.flatten(1).mean(1)
        return torch.stack([level, torch.full_like(level, 10 * 100.5 / 255)], 1)


@pytest.mark.parametrize(("reach", "right"), [(0, 7), (3, 6), (5, 4), (12, 2), (30, 0)])
@pytest.mark.parametrize("copies", [1, 20])
def test_robust_accuracy_is_of_the_images_that_the_attack_did_not_break(reach: int, right: int, copies: int) -> None:
    """Of eight images one is wrong; the others are 1.5, 3.5, 3.5, 9.5, 9.5, 19.5 and 19.5 levels from the threshold."""
    levels = [102, 104, 97, 110, 91, 120, 81, 95]
    labels = [0, 0, 1, 0, 1, 0, 1, 0]
    pixels = np.repeat(np.array(levels * copies, dtype=np.uint8), 4).reshape(-1, 1, 2, 2)
    split = Split.of("validation", pixels, np.array(labels * copies), np.array([str(i) for i in range(8 * copies)]))
    model = Threshold().train()
    attack = Call("pgd_linf", {"eps": (reach + 0.01) / 255, "steps": 10})
    assert robust_accuracy(model, split, attack, CPU) == pytest.approx(right / 8)
    assert model.training


class Band(nn.Module):
    """The margin of class 1 rises with the mean x: it is above 0 for x from 0.58 to 0.62, then falls by 5 and rises again."""

    def forward(self, inputs: Tensor) -> Tensor:
        level = inputs.flatten(1).mean(1)
        margin = 10 * (level - 0.58) - 5 * (level > 0.62)
        return torch.stack([torch.zeros_like(margin), margin if not self.training else -margin], 1)


def test_an_attack_that_chooses_the_epoch_stops_where_it_has_won() -> None:
    """Ten steps of 0.02 from 0.5 pass through the band, and would end beyond it."""
    split = Split.of("validation", np.full((1, 1, 2, 2), 127, dtype=np.uint8), np.array([0]))
    attack = Call("pgd_linf", {"eps": 0.3, "steps": 10, "step_size": 0.02, "random_start": False})
    assert robust_accuracy(Band(), split, attack, CPU) == 0.0
    going = Call("pgd_linf", {**attack.options, "until_success": False})
    assert robust_accuracy(Band(), split, going, CPU) == 1.0


def test_accuracy_is_of_the_model_in_eval_mode_and_leaves_its_mode_alone() -> None:
    """Levels of 0.5, 0.6 and 0.7 are of classes 0, 1 and 0; in training mode it would be the other way round."""
    pixels = np.repeat(np.array([127, 153, 179], dtype=np.uint8), 4).reshape(3, 1, 2, 2)
    model = Band()
    for labels, wanted in (([0, 1, 0], 1.0), ([1, 0, 0], pytest.approx(1 / 3))):
        split = Split.of("validation", pixels, np.array(labels))
        for mode in (True, False):
            model.train(mode)
            assert loop.accuracy(model, split, CPU) == wanted
            assert model.training is mode
    assert loop.accuracy(model, NONE, CPU) is None


class Learning(Watch):
    """Keeps its batches; its loss has slopes."""

    def loss(self, model: nn.Module, batch: Batch, progress: Progress) -> Tensor:
        return super().loss(model, batch, progress) + model(batch.inputs).sum()


def test_every_epoch_has_each_image_once_in_an_order_of_its_own_and_is_cropped_anew() -> None:
    """Two epochs with a seed, the same two again, and two with another seed. All images are the same, so that crops tell."""
    orders, crops = list[Tensor](), list[Tensor]()
    pixels = np.tile(np.arange(16, dtype=np.uint8).reshape(1, 1, 4, 4), (48, 1, 1, 1))
    split = Split.of("train", pixels, np.arange(48) % 2, np.array([str(i) for i in range(48)]))
    for seed in (0, 0, 1):
        watch, schedule = Learning(), Schedule(12, 8, 0.1, crop=2, flip=True)
        train(Recipe(linear(), schedule, watch), split, NONE, seed=seed, device=CPU)
        orders += [*torch.cat([batch.ids for batch in watch.seen]).view(2, 48)]
        crops += [*torch.cat([batch.inputs for batch in watch.seen]).view(2, 48, 16)]
    assert all(order.sort().values.tolist() == list(range(48)) for order in orders)
    for found in (orders, crops):
        assert torch.equal(found[0], found[2])
        assert torch.equal(found[1], found[3])
        for one, other in ((0, 1), (0, 4), (1, 5), (4, 5)):
            assert not torch.equal(found[one], found[other])


def test_crops_are_at_every_offset_and_half_of_the_images_are_mirrored() -> None:
    """A single white pixel at (3, 2) of 6 x 6 ends at (5 − down, 4 − right) of a crop with a padding of 2, or at its mirror image."""
    pixels = torch.zeros(4000, 1, 6, 6, dtype=torch.uint8)
    pixels[:, :, 3, 2] = 255
    draws = torch.Generator().manual_seed(0)
    places = augment(pixels, Schedule(1, crop=2), draws).flatten(1).long().argmax(1)
    down, right = 5 - places // 6, 4 - places % 6
    counts = torch.bincount(5 * down + right, minlength=25)
    assert len(counts) == 25
    assert 110 < int(counts.min()) <= int(counts.max()) < 210, "160 of 4000 at each of 25"
    mirrored = augment(pixels, Schedule(1, flip=True), draws).flatten(1).long().argmax(1)
    assert {*mirrored.tolist()} == {3 * 6 + 2, 3 * 6 + 3}
    assert float((mirrored == 3 * 6 + 3).float().mean()) == pytest.approx(0.5, abs=0.03)
    assert torch.equal(augment(pixels, Schedule(1), draws), pixels)
