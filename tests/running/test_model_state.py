"""A model is judged as it is, and comes back as it was, whatever it does to its inputs and an attack does to it."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch
from networks import network, split
from torch import Tensor, nn

import robench
from robench import ATTACKS, AttackError, Classifier, ModelError, attack
from robench.attacking.stillness import Kept
from robench.running.subject import Subject


class InPlace(nn.Module):
    """Works on its input itself, unless a gradient is wanted."""

    def __init__(self, net: nn.Module, in_place: bool, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.net, self.in_place, self.function = net, in_place, function

    def forward(self, x: Tensor) -> Tensor:
        x = x if self.in_place and not x.requires_grad else x.clone()
        logits: Tensor = self.net(self.function(x))
        return logits


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.mul_(3).round_().div_(3),
        lambda x: x.sub_(0.5).div_(0.25),
        lambda x: x.clamp_(0.2, 0.8),
        lambda x: x.pow_(2),
    ],
)
@pytest.mark.parametrize("name", ["rays(queries=60)", "patch_noise(share=0.5)", "square_linf(eps=0.2, queries=20)"])
def test_a_model_that_works_in_place_has_the_records_of_one_that_does_not(
    name: str, function: Callable[[Tensor], Tensor], subject: Subject
) -> None:
    part = subject.split.select(np.arange(12))
    found = [
        robench.evaluate(InPlace(subject.module, in_place, function), name, part, classes=10)
        .drop(columns="seconds")
        .set_index("image")
        .sort_index()
        for in_place in (False, True)
    ]
    assert found[0].equals(found[1])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_a_model_of_another_precision_is_judged_in_it_and_comes_back_in_it(dtype: torch.dtype) -> None:
    net = network().to(dtype)
    kept = Kept([net])
    own = split(net)
    records = robench.evaluate(net, "pgd_linf(eps=0.3)", own, classes=10)
    assert kept.changed() is None
    assert records["correct"].astype(bool).all()
    assert records["success"].astype(bool).any()
    row = records.iloc[0]
    image = torch.frombuffer(bytearray(row["adversarial"]), dtype=torch.float32).view(1, 1, 8, 8)
    with torch.no_grad():
        logits = net.eval()(image.to(dtype)).float()
    assert int(logits.argmax()) == row["prediction"]
    assert float(logits.softmax(1)[0, row["label"]]) == pytest.approx(row["confidence"], abs=2e-3)


@pytest.mark.parametrize("alone", [True, False])
def test_modes_weights_and_what_learns_are_as_before_also_after_an_error(alone: bool) -> None:
    net = network()
    own, kept = split(net), Kept([net])

    def go(name: object) -> None:
        if alone:
            entry, _ = ATTACKS.find(name)  # type: ignore[arg-type]
            entry(net, own.inputs(slice(None)), own.targets())
        else:
            robench.evaluate(net, name, own, classes=10)  # type: ignore[arg-type]

    go("deepfool")
    assert kept.changed() is None

    @attack(norm="linf", goal="minimal")
    def breaks(model: Classifier, inputs: Tensor, labels: Tensor) -> Tensor:
        """Raises."""
        raise RuntimeError("out of ideas")

    with pytest.raises((AttackError, RuntimeError), match="out of ideas"):
        go(breaks)
    assert kept.changed() is None


@pytest.mark.parametrize("way", ["script", "trace"])
@pytest.mark.filterwarnings("ignore")
def test_compiled_models_are_attacked_too(way: str) -> None:
    net = network()
    own = split(net)
    net.eval()
    compiled = torch.jit.script(net) if way == "script" else torch.jit.trace(net, torch.rand(2, 1, 8, 8))
    assert ATTACKS["fgsm"](compiled, own.inputs(slice(None)), own.targets(), eps=0.1).shape == (8, 1, 8, 8)
    assert len(robench.evaluate(compiled, "fgsm(eps=0.1)", own, classes=10)) == 8


def test_a_models_precision_is_that_of_most_of_its_numbers() -> None:
    net = network()
    own = split(net)

    class Mixed(nn.Module):
        """Its first parameter is of another precision than the others."""

        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(1, dtype=torch.float16))
            self.net = net

        def forward(self, inputs: Tensor) -> Tensor:
            logits: Tensor = self.net(inputs) * self.scale.float()
            return logits

    assert robench.evaluate(Mixed(), "fgsm(eps=0.1)", own, classes=10)["correct"].astype(bool).all()

    class Constant(nn.Module):
        """It has buffers alone, in float64."""

        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("weights", torch.ones(10, 64, dtype=torch.float64))

        def forward(self, inputs: Tensor) -> Tensor:
            logits: Tensor = inputs.flatten(1) @ self.weights.T * torch.arange(10)  # type: ignore[operator, union-attr]
            return logits

    assert len(robench.evaluate(Constant(), "fgsm(eps=0.1)", own, classes=10)) == 8


def test_layers_without_weights_are_said() -> None:
    net = nn.Sequential(nn.Flatten(), nn.LazyLinear(10))
    own = split(network())
    with pytest.raises(ModelError, match=r"layers without weights yet \(1.weight"):
        robench.evaluate(net, "fgsm(eps=0.1)", own, classes=10)
    with pytest.raises(ModelError, match="pass a batch through it once"):
        ATTACKS["fgsm"](net, own.inputs(slice(None)), own.targets(), eps=0.1)


def test_bfloat16_logits_are_numbers_too() -> None:
    net = network()
    own = split(net)

    class Cast(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = copy.deepcopy(net).eval()

        def forward(self, x: Tensor) -> Tensor:
            with torch.autocast("cpu", torch.bfloat16):
                logits: Tensor = self.net(x)
            return logits

    assert len(robench.evaluate(Cast(), "cw_l2(preset='quick')", own, classes=10)) == 8
