"""The judge believes nothing that it has not seen itself."""

from __future__ import annotations

import pandas as pd
import pytest
import torch
from cases import linear_case, split_of
from torch import Tensor, nn

import robench
from robench import AttackError, Attention, Classifier, ModelError, attack, evaluate, watched
from robench.reporting.metrics import attack_success_rate, clean_accuracy, distances, robust_accuracy
from robench.running.judge import judge


def judged(adversarial: Tensor, eps: float | None = 0.1, norm: str = "linf", targets: Tensor | None = None) -> object:
    model, inputs, labels = linear_case(4, torch.float32)
    ids = [f"id{i}" for i in range(4)]
    return judge(model, inputs, adversarial, labels, targets, classes=2, norm=norm, eps=eps, ids=ids, attack="mine")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda x: x[:2], "returned .2, 1, 4, 4., but images of shape"),
        (lambda x: x.index_fill(0, torch.tensor([2]), torch.nan), "id2 holds values that are not finite"),
        (lambda x: x.index_fill(0, torch.tensor([1]), 1.5), "id1 leaves the box"),
        (lambda x: (x + 0.11).clamp(0, 1), "id0 lies outside the linf ball"),
    ],
)
def test_what_the_threat_model_does_not_allow_is_an_error_that_names_attack_and_image(spoil: object, said: str) -> None:
    _, inputs, _ = linear_case(4, torch.float32)
    with pytest.raises(AttackError, match=said) as raised:
        judged(spoil(inputs))  # type: ignore[operator]
    assert "mine" in str(raised.value)


def test_success_needs_a_margin() -> None:
    model, inputs, labels = linear_case(4, torch.float32)
    weight = (model.layer.weight[0] - model.layer.weight[1]).reshape(1, 1, 4, 4)
    gap = model(inputs)[:, 0] - model(inputs)[:, 1]
    on_the_boundary = inputs - (gap / weight.square().sum())[:, None, None, None] * weight
    verdict = judge(
        model, inputs, on_the_boundary, labels, None, classes=2, norm="l2", eps=None, ids=["a"] * 4, attack="x"
    )
    assert not bool((verdict.success & (verdict.margin <= 1e-5)).any())
    assert float(verdict.margin.abs().max()) < 1e-4


def test_a_targeted_attack_that_misses_its_target_has_fooled_but_not_succeeded() -> None:
    class Three(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            level = x.flatten(1).mean(1, keepdim=True)
            return torch.cat([0.5 - level, level - 0.5, torch.full_like(level, -1)], 1)

    inputs = torch.full((1, 1, 2, 2), 0.4)
    label, target = torch.tensor([0]), torch.tensor([2])
    verdict = judge(
        Three(), inputs, inputs + 0.3, label, target, classes=3, norm="linf", eps=0.31, ids=["a"], attack="x"
    )
    assert bool(verdict.fooled)
    assert not bool(verdict.success)


@attack(norm="linf", goal="minimal", knowledge="none")
def lazy(model: Classifier, inputs: Tensor, labels: Tensor) -> Tensor:
    """Returns its inputs."""
    return inputs.clone()


def constant(value: int) -> nn.Module:
    class Constant(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return 2 * nn.functional.one_hot(torch.full((len(x),), value), 2).float() + 0 * x.flatten(1).sum(
                1, keepdim=True
            )

    return Constant()


def test_a_failed_minimal_attack_is_infinitely_far_and_not_at_distance_zero() -> None:
    records = evaluate(constant(0), lazy, split_of(20))
    size = distances(records, "linf")
    assert clean_accuracy(records).value == 0.5
    assert attack_success_rate(records).count == 0
    assert size.median_all == float("inf")
    assert size.mean_all == float("inf")
    assert size.successes == 0
    assert robust_accuracy(records, "linf", 1.0).value == 0.5


def spoiled(kind: str) -> nn.Module:
    class Spoiled(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            if kind == "raises":
                raise ValueError("my own trouble")
            if kind == "nan":
                return torch.full((len(x), 2), torch.nan)
            return torch.zeros(len(x), 3)

    return Spoiled()


@pytest.mark.parametrize(
    ("kind", "said"),
    [("raises", "raised ValueError.*my own trouble"), ("nan", "not finite"), ("shape", r"logits of shape \(20, 2\)")],
)
def test_a_model_that_does_wrong_is_named_with_what_was_wanted(kind: str, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        evaluate(spoiled(kind), "fgsm(eps=0.1)", split_of(20))


def test_a_model_without_gradients_is_told_which_attacks_need_none() -> None:
    class Blind(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            level = x.detach().flatten(1).mean(1, keepdim=True)
            return torch.cat([level, 2 - level], 1)

    with pytest.raises(ModelError, match="score- or decision-based"):
        evaluate(Blind(), "fgsm(eps=0.1)", split_of(20))


def test_evaluate_leaves_the_model_as_it_was() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 2)).train()
    records = evaluate(model, "pgd_linf(eps=0.5, steps=5)", split_of(20))
    assert isinstance(records, pd.DataFrame)
    assert model.training
    assert all(p.requires_grad for p in model.parameters())
    assert isinstance(robench.__version__, str)


def test_an_attack_that_writes_into_its_inputs_is_refused() -> None:
    @attack(norm="linf", goal="budget")
    def greedy(model: Classifier, inputs: Tensor, labels: Tensor, *, eps: float) -> Tensor:
        """Adds in place."""
        return inputs.add_(0.001)

    with pytest.raises(AttackError, match="changed its inputs"):
        from robench.entries.registry import ATTACKS
        from robench.running.conditions import Condition

        entry, call = ATTACKS.call(greedy)
        model, inputs, labels = linear_case(4, torch.float32)
        condition = Condition(entry, robench.Call(call.name, {"eps": 0.1}), robench.Call("greedy"))
        condition.run(Classifier(model, 2, ["a"] * 4), inputs, labels)


class Wrong(nn.Module):
    """A linear model with one thing wrong."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.kind, self.layer = kind, nn.Linear(16, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(1)
        if self.kind == "rounded":
            x = x.round()
        logits: Tensor = self.layer(x - x.mean(0) if self.kind == "batch" else x)
        if self.kind == "softmax":
            return logits.softmax(1)
        if self.kind == "dropout":
            return nn.functional.dropout(logits, 0.5, training=True)
        if self.kind == "nan gradient":
            return logits + (x - x)[:, :2].sqrt()
        return logits


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("nan gradient", "gradients that are not finite"),
        ("softmax", "returns probabilities.*leave the last softmax out"),
        ("dropout", "other logits when the same images are given again"),
        ("batch", "depend on the batch"),
        ("rounded", "gradients that are zero everywhere"),
    ],
)
def test_what_would_make_numbers_false_is_found_before_the_attack(kind: str, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        evaluate(Wrong(kind), "fgsm(eps=0.1)", split_of(20))


def test_a_model_without_slopes_can_be_attacked_by_its_scores() -> None:
    records = evaluate(Wrong("rounded"), "square_linf(eps=0.5, queries=20)", split_of(20))
    assert records["success"].any()
    assert (records["backwards"] == 0).all()


def test_an_attack_sees_through_a_hard_top_k() -> None:
    torch.manual_seed(0)
    layer = Attention(16, 2, "softmax").eval()
    layer.hard_k = 2
    with watched([layer]) as seen:
        mixed = layer(torch.randn(3, 9, 16).requires_grad_())
    (slope,) = torch.autograd.grad(mixed.square().sum(), seen[0])
    assert bool((slope != 0).all())  # also where the cut has left nothing
