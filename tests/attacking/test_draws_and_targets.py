"""Random numbers that belong to images, and the classes that are aimed at."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from robench import ATTACKS, Classifier
from robench.attacking.draws import Draws
from robench.attacking.expectation import Expectation
from robench.attacking.targets import resolve_targets
from robench.running.subject import Subject

IDS = [f"image {i}" for i in range(400)]
LOGITS = torch.tensor([[4.0, 1.0, 3.0, 2.0], [9.0, 8.0, 7.0, 6.0], [0.0, 1.0, 2.0, 3.0]])
LABELS = torch.tensor([0, 3, 3])


def aimed(rule: str, labels: Tensor = LABELS, logits: Tensor = LOGITS, seed: int = 0) -> Tensor:
    return resolve_targets(rule, labels, logits, Draws(seed, IDS[: len(labels)]))


def test_the_least_likely_class_has_the_smallest_logit_of_the_others() -> None:
    """Where the label has the smallest it is the second smallest."""
    assert aimed("least_likely").tolist() == [[1], [2], [0]]


def test_the_next_class_and_all_classes_leave_the_label_out() -> None:
    assert aimed("next").tolist() == [[1], [0], [0]]
    assert aimed("all").tolist() == [[1, 2, 3], [0, 1, 2], [0, 1, 2]]


def test_random_targets_are_each_of_the_other_classes_equally_often_and_of_the_seed() -> None:
    labels = torch.arange(400) % 4
    found = aimed("random", labels, torch.zeros(400, 4)).squeeze(1)
    shifts = ((found - labels) % 4).bincount(minlength=4)
    assert shifts[0] == 0
    assert shifts[1:].tolist() == pytest.approx([400 / 3] * 3, rel=0.2)
    assert not torch.equal(found, aimed("random", labels, torch.zeros(400, 4), seed=1).squeeze(1))


def test_draws_are_uniform_and_normal() -> None:
    draws = Draws(0, IDS)
    uniform, normal = draws.uniform("start", 0, None, (50,)), draws.normal("start", 0, None, (50,))
    assert (float(uniform.min()) >= 0, float(uniform.max()) < 1) == (True, True)
    assert uniform.flatten().quantile(torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64)).tolist() == pytest.approx(
        [0.1, 0.5, 0.9], abs=0.01
    )
    assert float(normal.mean()) == pytest.approx(0, abs=0.02)
    assert float(normal.std()) == pytest.approx(1, rel=0.02)
    assert float((normal.abs() < 1).double().mean()) == pytest.approx(0.6827, abs=0.01)


def test_draws_in_bulk_are_uniform_and_normal_and_of_the_image_alone() -> None:
    draws = Draws(0, IDS[:40])
    uniform, normal = draws.bulk_uniform("noise", 0, (3, 21, 21)), draws.bulk_normal("noise", 0, (3, 21, 21))
    assert (uniform.dtype, normal.dtype, normal.shape) == (torch.float32, torch.float32, (40, 3, 21, 21))
    assert (float(uniform.min()) >= 0, float(uniform.max()) < 1) == (True, True)
    assert uniform.flatten().quantile(torch.tensor([0.1, 0.5, 0.9])).tolist() == pytest.approx(
        [0.1, 0.5, 0.9], abs=0.01
    )
    assert (float(normal.mean()), float(normal.std())) == pytest.approx((0, 1), abs=0.01)
    assert float((normal.abs() < 1).double().mean()) == pytest.approx(0.6827, abs=0.01)
    flat = normal.flatten(1)
    neighbours = torch.corrcoef(torch.stack([flat[:, :-1].flatten(), flat[:, 1:].flatten()]))[0, 1]
    images = torch.corrcoef(flat) - torch.eye(40)
    assert abs(float(neighbours)) < 0.02, "the two numbers of a pair are independent"
    assert float(images.abs().max()) < 0.15
    alone = draws.of(torch.tensor([7])).bulk_normal("noise", 0, (3, 21, 21))
    assert torch.equal(alone[0], normal[7])
    for other in (
        Draws(1, IDS[:40]).bulk_uniform("noise", 0, (3, 21, 21)),
        draws.bulk_uniform("start", 0, (3, 21, 21)),
        draws.bulk_uniform("noise", 1, (3, 21, 21)),
    ):
        assert float((other == uniform).float().mean()) < 0.01


def test_a_draw_is_of_the_seed_the_image_the_purpose_the_step_and_the_element() -> None:
    first = Draws(0, IDS[:3]).uniform("start", 0, None, (4,))
    assert len(set(first.flatten().tolist())) == 12, "of each image and element"
    others = [
        Draws(1, IDS[:3]).uniform("start", 0, None, (4,)),
        Draws(0, IDS[3:6]).uniform("start", 0, None, (4,)),
        Draws(0, IDS[:3]).uniform("noise", 0, None, (4,)),
        Draws(0, IDS[:3]).uniform("start", 1, None, (4,)),
    ]
    for other in others:
        assert not set(other.flatten().tolist()) & set(first.flatten().tolist())
    rows = torch.tensor([2, 0])
    assert torch.equal(Draws(0, IDS[:3]).uniform("start", 0, rows, (4,)), first[rows])
    assert torch.equal(Draws(0, IDS[:3]).of(rows).uniform("start", 0, None, (4,)), first[rows])


class Coin(nn.Module):
    """Two logits of which one is ln 3, by a random number; it writes down its numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.thrown: list[float] = []

    def forward(self, inputs: Tensor) -> Tensor:
        side = torch.rand(())
        self.thrown.append(float(side))
        heads = torch.tensor([1.0, 0.0]) if side < 0.5 else torch.tensor([0.0, 1.0])
        return torch.log(torch.tensor(3.0)) * heads.expand(len(inputs), 2)


def test_a_random_model_answers_with_its_mean_probabilities_over_16_draws() -> None:
    coin = Coin()
    answer = Expectation(coin)(torch.rand(1, 1, 2, 2)).exp()[0]
    heads = sum(side < 0.5 for side in coin.thrown)
    assert len(coin.thrown) == 16
    assert answer.tolist() == pytest.approx([(0.75 * heads + 0.25 * (16 - heads)) / 16, 1 - answer[0].item()], rel=1e-5)


def test_the_judge_of_a_random_model_asks_64_times_and_sees_none_of_the_attacks_draws() -> None:
    image, attacked, judged = torch.rand(1, 1, 2, 2), Coin(), Coin()
    Expectation(attacked)(image)
    Expectation(judged).judging()(image)
    assert (len(attacked.thrown), len(judged.thrown)) == (16, 64)
    assert not set(attacked.thrown) & set(judged.thrown)
    again = Coin()
    Expectation(again)(image)
    assert again.thrown == attacked.thrown, "the same image, the same draws"
    subject = Subject("coin", Expectation(Coin()), 2, torch.device("cpu"), None)  # type: ignore[arg-type]
    assert (subject.module.draws, subject.judged.draws) == (16, 64)
    assert subject.judged.purpose == "judge"


class Shaken(nn.Module):
    """A linear model whose logits are shaken a little; class 1 wins everywhere."""

    def forward(self, inputs: Tensor) -> Tensor:
        level = inputs.flatten(1).sum(1, keepdim=True)
        return torch.cat([-level, level + 5], 1) + 0.01 * torch.rand(len(inputs), 2)


def test_an_attack_on_a_random_model_goes_on_after_a_success_and_each_of_its_draws_is_a_pass() -> None:
    """Of three images two are asked about once more: each pass is of 16 draws, forwards and backwards."""
    inputs, labels = torch.full((3, 1, 2, 2), 0.5), torch.zeros(3, dtype=torch.int64)
    for module, steps, draws in ((Expectation(Shaken()), 4, 16), (Shaken(), 0, 1)):
        model = Classifier(module, 2, IDS[:3])
        ATTACKS["pgd_linf"].function(model, inputs, labels, eps=0.1, steps=4)
        assert model.backwards.tolist() == [draws * steps] * 3
        assert model.forwards.tolist() == [draws * max(1, steps)] * 3
        model(inputs[:2].requires_grad_(), torch.tensor([0, 2])).sum().backward()
        more = [draws, 0, draws]
        assert model.backwards.tolist() == [draws * steps + extra for extra in more]
        assert model.forwards.tolist() == [draws * max(1, steps) + extra for extra in more]
