"""A model is judged as it is, and comes back as it was, whatever it does to its inputs and an attack does to it."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import robench
from robench import ATTACKS, AttackError, Classifier, ModelError, attack
from robench.attacking.stillness import Kept
from robench.running.subject import Subject


def network() -> nn.Sequential:
    """Untrained, with batch norm that is frozen while the rest trains, one parameter that does not learn, and dropout."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5), nn.Flatten(), nn.Linear(144, 10)
    )
    net.train()
    net[1].eval()
    net[0].weight.requires_grad_(False)
    return net


def split(net: nn.Module, count: int = 8) -> robench.Split:
    """Digits, labelled as the network has them."""
    images = robench.DATASETS["digits"].function(robench.Places.of()).test.first(count)
    was = [(part, part.training) for part in net.modules()]
    with torch.no_grad():
        dtype = next(net.parameters()).dtype
        labels = net.eval()(images.inputs(slice(None)).to(dtype)).argmax(1)
    for part, mode in was:
        part.training = mode
    return robench.Split.of("own", images.pixels(slice(None)), labels.numpy())


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


def spoil_weights(net: nn.Module) -> None:
    net[5].weight.data.zero_()  # type: ignore[index]


def spoil_mode(net: nn.Module) -> None:
    net.train()


def spoil_buffers(net: nn.Module) -> None:
    net.train()
    net(torch.rand(4, 1, 8, 8))
    net.eval()


def spoil_learning(net: nn.Module) -> None:
    net.requires_grad_(True)


def replace_weights(net: nn.Module) -> None:
    net[5].bias = nn.Parameter(torch.zeros(10))  # type: ignore[index]


def change_precision(net: nn.Module) -> None:
    net.double()


@pytest.mark.parametrize(
    "spoil", [spoil_weights, spoil_mode, spoil_buffers, spoil_learning, replace_weights, change_precision]
)
@pytest.mark.parametrize("alone", [True, False])
def test_an_attack_that_changes_the_model_is_an_error_and_the_model_is_put_back(
    alone: bool, spoil: Callable[[nn.Module], None]
) -> None:
    net = network()
    own, kept = split(net), Kept([net])

    @attack(norm="linf", goal="minimal")
    def meddler(model: Classifier, inputs: Tensor, labels: Tensor) -> Tensor:
        """Changes what it attacks."""
        spoil(model._module)
        return inputs.clone()

    with pytest.raises(AttackError, match=r"meddler changed the model that it attacks|meddler broke its threat model"):
        if alone:
            ATTACKS.find(meddler)[0](net, own.inputs(slice(None)), own.targets())
        else:
            robench.evaluate(net, meddler, own, classes=10)
    assert kept.changed() is None


def test_a_success_at_an_image_that_did_not_change_names_the_attack() -> None:
    net = network()
    own = split(net)

    class Forgetful(nn.Module):
        """Answers otherwise from its seventh batch on: the judge meets another model than the clean images did."""

        def __init__(self) -> None:
            super().__init__()
            self.net, self.asked = net, 0

        def forward(self, x: Tensor) -> Tensor:
            self.asked += len(x) == 5
            logits: Tensor = self.net(x)
            return -logits if self.asked > 1 else logits

    @attack(norm="linf", goal="minimal", knowledge="none")
    def idle(model: Classifier, inputs: Tensor, labels: Tensor) -> Tensor:
        """Does nothing."""
        return inputs.clone()

    part = own.select(np.arange(5))
    with pytest.raises(AttackError, match=r"idle broke its threat model: .* although nothing of it changed"):
        robench.evaluate(Forgetful(), idle, part, classes=10)


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
