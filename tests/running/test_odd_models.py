"""Models that differentiate inside run, wherever a gradient is wanted; outputs that are no logits are one message."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import small_run
from PIL import Image
from torch import Tensor, nn
from typer.testing import CliRunner

import robench
from robench import ModelError, Places, Split
from robench.cli import app

Function = Callable[[nn.Module, Tensor], Any]
Output = namedtuple("Output", "logits loss")


class Wraps(nn.Module):
    def __init__(self, function: Function) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.net, self.function = nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), function

    def forward(self, x: Tensor) -> Any:
        return self.function(self.net, x)


def energy(net: nn.Module, x: Tensor) -> Tensor:
    return net(x).logsumexp(1).sum()  # type: ignore[no-any-return]


def backward_on_a_copy(net: nn.Module, x: Tensor) -> Tensor:
    z = x.clone().detach().requires_grad_(True)
    energy(net, z).backward()  # type: ignore[no-untyped-call]
    return net(x + 0.1 * z.grad)  # type: ignore[no-any-return, operator]


def grad_of_the_input(net: nn.Module, x: Tensor) -> Tensor:
    z = x.requires_grad_()
    return net(x + 0.1 * torch.autograd.grad(energy(net, z), z)[0])  # type: ignore[no-any-return]


def grad_without_asking(net: nn.Module, x: Tensor) -> Tensor:
    return net(x + 0.1 * torch.autograd.grad(energy(net, x), x, create_graph=True)[0])  # type: ignore[no-any-return]


def grad_that_is_followed(net: nn.Module, x: Tensor) -> Tensor:
    z = x if x.requires_grad else x.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(energy(net, z), z, create_graph=True)
    return net(z + 0.1 * gradient)  # type: ignore[no-any-return]


def enabled(net: nn.Module, x: Tensor) -> Tensor:
    with torch.enable_grad():
        return backward_on_a_copy(net, x)


def digits(count: int = 12) -> Split:
    return robench.DATASETS["digits"].function(Places.of()).test.first(count)


INSIDE = [backward_on_a_copy, grad_of_the_input, grad_without_asking, grad_that_is_followed, enabled]


@pytest.mark.parametrize(
    "attack", ["fgsm(eps=0.1)", "square_linf(eps=0.1, queries=5)", "cw_l2(steps=3, search_steps=1)"]
)
@pytest.mark.parametrize("function", INSIDE)
def test_a_model_that_differentiates_inside_is_attacked_and_judged(function: Function, attack: str) -> None:
    split = digits()
    given, expected = (robench.evaluate(Wraps(f), attack, split) for f in (function, enabled))
    assert given.correct.tolist() == expected.correct.tolist()
    assert given.success.tolist() == expected.success.tolist()


@pytest.mark.parametrize("way", ["backward", "grad"])
def test_a_defense_that_differentiates_inside_is_trained_and_run(way: str) -> None:
    ways = {
        "backward": "z = x.clone().detach().requires_grad_(True); self.net(z).logsumexp(1).sum().backward(); g = z.grad",
        "grad": "z = x.requires_grad_(); g, = torch.autograd.grad(self.net(z).logsumexp(1).sum(), z)",
    }
    Path("mine.py").write_text(
        f"""import torch
from torch import nn
import robench

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))

    def forward(self, x):
        {ways[way]}
        return self.net(x + 0.1 * g)

@robench.defense()
def own(task: robench.Task, *, steps: int = 10) -> robench.Recipe:
    \"\"\"Energy.\"\"\"
    return robench.Recipe(Net(), robench.Schedule(steps=steps))
"""
    )
    result, _ = small_run(defense=["./mine.py::own", "./mine.py::own(steps=0)"], attack="fgsm(eps=0.1)", n=12)
    assert not result.refused and len(result.measured) == 2


def test_what_cannot_be_differentiated_inside_names_what_helps() -> None:
    def cut(net: nn.Module, x: Tensor) -> Any:
        return torch.autograd.grad(net(x.detach()).sum(), x)

    with pytest.raises(ModelError, match=r"does not require grad.*torch\.enable_grad\(\)"):
        robench.evaluate(Wraps(cut), "fgsm(eps=0.1)", digits())


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (lambda net, x: net(x)[:, :1], r"returned \(1, 1\).*a logit for each class, at least two.*cat\(\[-z, z\]"),
        (lambda net, x: net(x)[:, 0], r"returned \(1,\).*a logit for each class"),
        (lambda net, x: net(x)[:, :, None, None], r"returned \(1, 10, 1, 1\).*flatten\(1\)"),
        (lambda net, x: (net(x), x), r"returned tuple.*the logits alone, such as output\[0\]"),
        (lambda net, x: [net(x)], r"returned list.*the logits alone, such as output\[0\]"),
        (lambda net, x: Output(net(x), None), r"returned Output.*such as output\.logits"),
        (lambda net, x: {"loss": x, "logits": net(x)}, r"returned dict.*such as output\['logits'\]"),
        (lambda net, x: {"cls_logits": net(x)}, r"returned dict.*such as output\['cls_logits'\]"),
        (lambda net, x: None, "returned NoneType.*return a tensor"),
        (lambda net, x: net(x).numpy(), "returned ndarray.*return a tensor"),
        (lambda net, x: net(x).to(torch.complex64), r"returned \(1, 10\) .torch\.complex64.*real numbers"),
        (lambda net, x: net(x).T, r"returned \(10, 1\)"),
    ],
)
def test_outputs_that_are_no_logits_are_one_message_about_the_model(function: Function, told: str) -> None:
    with pytest.raises(ModelError, match=f"the model {told}"):
        robench.evaluate(Wraps(function), "fgsm(eps=0.1)", digits())


def test_a_data_set_of_a_single_class_is_one_message_about_the_class() -> None:
    for place in range(4):
        path = Path("photos/dog") / f"{place}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (40 * place, 9, 9)).save(path)
    words = [
        "run",
        "--defense",
        "vit(depth=1)",
        "--attack",
        "fgsm(eps=0.1)",
        "--dataset",
        "folder(path='photos', size=8)",
    ]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 2, done.output
    assert "has 1 class ('dog')" in done.stderr
