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
from robench.running.judge import judge
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
    "spoil",
    [
        spoil_weights,
        spoil_mode,
        spoil_buffers,
        spoil_learning,
        replace_weights,
        change_precision,
        replace_a_layer,
        add_a_layer,
        hook,
        replace_forward,
        change_a_number,
    ],
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
        return (inputs + 0.001).clamp(0, 1)

    before = copy.deepcopy(net).eval()(own.inputs(slice(None)))
    with pytest.raises(AttackError, match="meddler changed the model that it attacks"):
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
