"""Weights as other tools write them, put into a small network by `checkpoint`."""

from __future__ import annotations

import argparse
import collections
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from robench import Recipe, Task, recipe_of

TASK = Task((1, 8, 8), 10, 1000, (0.3,), (0.4,))
ARCH = """
from torch import nn
import robench
@robench.defense()
def own(task: robench.Task) -> robench.Recipe:
    \"\"\"A network without normalisation.\"\"\"
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10))
    return robench.Recipe(net, robench.Schedule(steps=0))
@robench.defense()
def behind(task: robench.Task) -> robench.Recipe:
    \"\"\"The same behind robench's normalisation.\"\"\"
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10))
    return robench.Recipe(nn.Sequential(robench.Normalize(task.mean, task.std), net), robench.Schedule(steps=0))
"""
Named = dict[str, Tensor]


def network(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10))
    net(torch.rand(20, 1, 8, 8))
    return net.eval()


def under(prefix: str, weights: Named) -> Named:
    return {prefix + name: tensor for name, tensor in weights.items()}


def own_file() -> None:
    Path("own.py").write_text(ARCH)


def loaded(options: str = "", arch: str = "own") -> Recipe:
    return recipe_of(f"checkpoint(path='w.pt', arch='./own.py::{arch}'{options})", TASK)


def answers(recipe: Recipe) -> Tensor:
    with torch.no_grad():
        result: Tensor = recipe.model.eval()(torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(0)))
    return result


def expected(mean: float = 0.0, std: float = 1.0) -> Tensor:
    images = torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        result: Tensor = network()((images - mean) / std)
    return result


class Scale(nn.Module):
    """A layer of a single number."""

    def __init__(self) -> None:
        super().__init__()
        self.by = nn.Parameter(torch.tensor(2.0))


def of_tools() -> dict[str, Any]:
    """Files as tools write them."""
    net = network()
    plain = net.state_dict()
    average = torch.optim.swa_utils.AveragedModel(net)
    optimizer = torch.optim.Adam(net.parameters())
    net(torch.rand(2, 1, 8, 8)).sum().backward()
    optimizer.step()
    optimizer.zero_grad()
    net.load_state_dict(average.module.state_dict())
    net.register_buffer("passing", torch.ones(2), persistent=False)
    return {
        "plain": plain,
        "compiled": under("_orig_mod.", plain),
        "ddp": under("module.", plain),
        "ddp of compiled": under("module._orig_mod.", plain),
        "compiled parts": {name.replace(".", "._orig_mod.", 1): tensor for name, tensor in plain.items()},
        "lightning": {"state_dict": under("model.", plain), "epoch": 3, "optimizer_states": [optimizer.state_dict()]},
        "lightning with a weighted loss": {"state_dict": under("net.", plain) | {"criterion.weight": torch.ones(10)}},
        "madry": {"model": under("module.model.", plain) | under("module.attacker.model.", plain), "epoch": 1},
        "swa": average.state_dict(),
        "swa within": {"swa_state_dict": average.state_dict(), "optim": optimizer.state_dict()},
        "timm": {"state_dict": plain, "state_dict_ema": plain, "arch": "own", "args": argparse.Namespace(lr=0.1)},
        "scalars": {"net": plain, "acc": np.float64(95.2), "best": np.float32(1), "when": np.datetime64("2024-01-01")},
        "objects": {"state_dict": plain, "args": argparse.Namespace(path=Path("x"), s={1}, d=collections.Counter("a"))},
        "defaults": collections.defaultdict(list, {"weights": collections.OrderedDict(plain), "losses": [1.0, 2.0]}),
        "old": {name: tensor for name, tensor in plain.items() if "num_batches" not in name},
        "unknown nest": {"a": {"b": {"my_model": plain}}, "optimizer": optimizer.state_dict()},
        "list": [plain, optimizer.state_dict()],
        "parts": {"0": network()[0].state_dict(), "1": network()[1].state_dict(), "4": network()[4].state_dict()},
        "parameters": {name: nn.Parameter(t) if t.is_floating_point() else t for name, t in plain.items()},
        "counted by thop": plain | {"total_ops": torch.zeros(1), "0.total_params": torch.zeros(1)},
        "half": {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in plain.items()},
        "whole module": net,
        "whole module in a dict": {"model": torch.nn.DataParallel(net), "epoch": 1},
    }
