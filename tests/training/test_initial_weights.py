"""Weights that a defense's code reads from a file beside it belong to what names the trained model."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from robench import DATASETS, DEFENSES, Places
from robench.training.building import weights_digest
from robench.training.checkpoints import Checkpoint

FILE = """from pathlib import Path
import torch
from torch import nn
import robench
@robench.defense()
def own(task: robench.Task, *, steps: int = 0) -> robench.Recipe:
    '''A net from a file.'''
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    net.load_state_dict(torch.load(Path(__file__).parent / "w.pt"))
    return robench.Recipe(net, robench.Schedule(steps=steps))
"""
RANDOM = """import os
import torch
from torch import nn
import robench
@robench.defense()
def own(task: robench.Task) -> robench.Recipe:
    '''Other weights each time.'''
    torch.manual_seed(int.from_bytes(os.urandom(4), "big"))
    return robench.Recipe(nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), robench.Schedule(steps=0))
"""


def save(folder: str, seed: int) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    state = nn.Sequential(nn.Flatten(), nn.Linear(64, 10)).state_dict()
    Path(folder).mkdir(exist_ok=True)
    torch.save(state, Path(folder) / "w.pt")
    (Path(folder) / "mine.py").write_text(FILE, encoding="utf-8")
    return state


@pytest.fixture(scope="module")
def digits() -> object:
    return DATASETS["digits"].function(Places.of())


def checkpoint(defense: str, digits: object) -> Checkpoint:
    return Checkpoint.of(defense, digits, DATASETS["digits"].card, Path("cache"))  # type: ignore[arg-type]


def test_two_files_of_one_code_each_have_the_weights_beside_them(digits: object) -> None:
    states = {folder: save(folder, seed) for seed, folder in enumerate("ab")}
    for _ in range(2):
        for folder, state in states.items():
            trained = checkpoint(f"{folder}/mine.py", digits).obtain(torch.device("cpu"))
            assert torch.equal(trained.model.state_dict()["1.weight"], state["1.weight"])


def test_a_file_that_is_replaced_is_read_again(digits: object) -> None:
    save("a", 0)
    before = checkpoint("a/mine.py", digits).obtain(torch.device("cpu"))
    state = save("a", 1)
    after = checkpoint("a/mine.py", digits).obtain(torch.device("cpu"))
    assert before.weights != after.weights
    assert torch.equal(after.model.state_dict()["1.weight"], state["1.weight"])


@pytest.mark.parametrize("defense", ["{}/mine.py(steps=5)", "madry(model='{}/mine.py')"])
def test_what_is_trained_further_and_what_is_wrapped_is_told_apart_too(defense: str, digits: object) -> None:
    folders = set()
    for seed, folder in enumerate("ab"):
        save(folder, seed)
        folders.add(checkpoint(defense.format(folder), digits).folder)
    assert len(folders) == 2


def test_weights_that_are_other_ones_each_time_name_nothing_and_are_kept(digits: object) -> None:
    Path("mine.py").write_text(RANDOM, encoding="utf-8")
    first, second = (checkpoint("mine.py", digits).obtain(torch.device("cpu")) for _ in range(2))
    assert first.weights == second.weights


@pytest.mark.parametrize("defense", ["vit(depth=1)", "ksa", "madry(model=vit(depth=1))"])
def test_the_key_of_a_built_in_defense_holds_no_weights(defense: str, digits: object) -> None:
    assert "initial" not in checkpoint(defense, digits).identity
    assert DEFENSES["vit"].origin == "vit.py"


def test_a_digest_of_weights_sees_values_shapes_and_names() -> None:
    nets = [nn.Linear(2, 3), nn.Linear(3, 2), nn.Sequential(nn.Linear(2, 3))]
    for net in nets:
        for parameter in net.parameters():
            nn.init.zeros_(parameter)
    ones = nn.Linear(2, 3)
    nn.init.ones_(ones.weight)
    assert len({weights_digest(net) for net in [*nets, ones]}) == 4
    assert weights_digest(nn.Linear(2, 3).bfloat16())
    assert weights_digest(nn.BatchNorm2d(2))
