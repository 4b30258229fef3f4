"""An attack that changes what it attacks is an error that names it, and the model comes back as it was."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from networks import network, split
from torch import Tensor, nn

import robench
from robench import ATTACKS, AttackError, Classifier, attack
from robench.attacking.stillness import Kept
from robench.running.judge import judge


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


def replace_a_layer(net: nn.Module) -> None:
    net[5] = nn.Linear(144, 10)  # type: ignore[index]


def add_a_layer(net: nn.Module) -> None:
    net.add_module("further", nn.Linear(10, 10))


def hook(net: nn.Module) -> None:
    net.register_forward_hook(lambda _, __, logits: -logits)


def replace_forward(net: nn.Module) -> None:
    net.forward = lambda inputs: -nn.Sequential.forward(net, inputs)  # type: ignore[arg-type, method-assign, assignment]


def change_a_number(net: nn.Module) -> None:
    net[1].eps = 100.0  # type: ignore[index]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (spoil_weights, "weight"),
        (spoil_mode, "its mode"),
        (spoil_buffers, "running_mean"),
        (spoil_learning, "weight"),
        (replace_weights, "bias"),
        (change_precision, "running_mean"),
        (replace_a_layer, "5"),
        (add_a_layer, "further"),
        (hook, "a hook"),
        (replace_forward, "forward"),
        (change_a_number, "eps"),
    ],
)
@pytest.mark.parametrize("alone", [True, False])
def test_an_attack_that_changes_the_model_is_an_error_and_the_model_is_put_back(
    alone: bool, spoil: Callable[[nn.Module], None], said: str
) -> None:
    net = network()
    own, kept = split(net), Kept([net])

    @attack(norm="linf", goal="minimal")
    def meddler(model: Classifier, inputs: Tensor, labels: Tensor) -> Tensor:
        """Changes what it attacks."""
        spoil(model._module)
        return (inputs + 0.001).clamp(0, 1)

    before = copy.deepcopy(net).eval()(own.inputs(slice(None)))
    with pytest.raises(AttackError, match=rf"meddler changed the model that it attacks \({said}\)"):
        if alone:
            ATTACKS.find(meddler)[0](net, own.inputs(slice(None)), own.targets())
        else:
            robench.evaluate(net, meddler, own, classes=10)
    assert kept.changed() is None
    assert torch.equal(net.eval()(own.inputs(slice(None))), before)


class Counting(nn.Module):
    """Weights in int8, and buffers that count the images it was asked about."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.register_buffer("weights", torch.randint(-9, 9, (10, 64), generator=generator, dtype=torch.int8))
        self.register_buffer("asked", torch.zeros((), dtype=torch.int64))
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, inputs: Tensor) -> Tensor:
        self.asked += len(inputs)
        self.seen += len(inputs)
        return inputs.flatten(1) @ self.weights.to(inputs).T  # type: ignore[operator]


@pytest.mark.parametrize("alone", [True, False])
def test_a_model_may_count_and_its_counts_are_put_back(alone: bool) -> None:
    net = Counting()
    images = robench.DATASETS["digits"].function(robench.Places.of()).test.first(8)
    if alone:
        ATTACKS["fgsm"](net, images.inputs(slice(None)), images.targets(), eps=0.1)
    else:
        robench.evaluate(net, "fgsm(eps=0.1)", images, classes=10)
    assert (int(net.asked), float(net.seen)) == (0, 0.0)  # type: ignore[arg-type]

    @attack(norm="linf", goal="minimal")
    def meddler(model: Classifier, inputs: Tensor, labels: Tensor) -> Tensor:
        """Turns weights round that are no floating-point numbers."""
        model._module.weights.neg_()  # type: ignore[operator, union-attr]
        return (inputs + 0.001).clamp(0, 1)

    before = net.weights.clone()  # type: ignore[operator]
    with pytest.raises(AttackError, match=r"meddler changed the model .* answers otherwise"):
        if alone:
            ATTACKS.find(meddler)[0](net, images.inputs(slice(None)), images.targets())
        else:
            robench.evaluate(net, meddler, images, classes=10)
    assert torch.equal(net.weights, before)  # type: ignore[arg-type]


def test_a_random_model_blames_no_attack_that_is_called_alone() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))

    class Random(nn.Module):
        def forward(self, inputs: Tensor) -> Tensor:
            logits: Tensor = net(inputs)
            return logits + torch.randn_like(logits)

    inputs = torch.rand(8, 1, 8, 8)
    assert ATTACKS["fgsm"](Random(), inputs, torch.arange(8), eps=0.1).shape == inputs.shape


def test_a_success_at_an_image_that_did_not_change_names_the_attack() -> None:
    net = network()
    own = split(net)

    class Otherwise(nn.Module):
        """What the judge meets in the place of the model that gave the clean logits."""

        def forward(self, x: Tensor) -> Tensor:
            logits: Tensor = -net.eval()(x)
            return logits

    inputs, ids = own.inputs(slice(None)), own.image_ids().tolist()
    clean = net.eval()(inputs)
    with pytest.raises(AttackError, match=r"idle broke its threat model: .* although nothing of it changed"):
        judge(
            Otherwise(),
            inputs,
            inputs.clone(),
            own.targets(),
            None,
            classes=10,
            norm="linf",
            eps=None,
            ids=ids,
            attack="idle",
            clean=clean,
        )
