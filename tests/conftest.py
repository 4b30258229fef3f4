"""What the tests share: places of their own, and a small ViT trained on the digits once."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line has it

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # torch and timm warn about each other's deprecations when they are imported
    import timm.models.vision_transformer  # noqa: F401
    import torch

import pytest
from torch import Tensor

import robench
from robench import ATTACKS, DATASETS, Classifier, Places
from robench.console import Silent
from robench.running.harness import obtain
from robench.running.rows import rows_of
from robench.running.settings import Settings
from robench.running.subject import Subject

os.environ.pop("COLUMNS", None)  # which pytest's workers are given: tables would be fitted to it


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Of a test that is run for every entry, representatives of each kind stay; the others are slow.

    `@pytest.mark.matrix(name={"pgd_linf", "cw_l2"})` keeps the cases whose parameter `name` is one of these.
    """
    for item in items:
        for mark in item.iter_markers("matrix"):
            given = getattr(item, "callspec", None)
            values = {name: given.params[name] for name in mark.kwargs} if given else {}
            if any(str(values[name]) not in kept for name, kept in mark.kwargs.items()):
                item.add_marker(pytest.mark.slow)


SMALL = "vit(depth=2, epochs=12)"
"""A ViT that learns the digits in a few seconds."""
PGD = "pgd_linf(eps=0.1, steps=5)"


@pytest.fixture(autouse=True)
def own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared_cache: Path) -> Iterator[None]:
    """No test reads or writes the user's folders; trained weights are shared between tests."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ROBENCH_CACHE", str(shared_cache))
    torch.set_num_threads(1)
    yield


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def subject(shared_cache: Path) -> Subject:
    """The small ViT, trained on the digits, with 100 pinned test images."""
    places = robench.Places(None, shared_cache, shared_cache / "results")
    (row,) = rows_of([SMALL], [], ["digits"], Settings(n=100), places)
    trained = obtain(row, Settings(workers=1), Silent())
    return row.subject(trained, torch.device("cpu")).with_clean_logits()


@pytest.fixture(scope="session")
def attackable(subject: Subject) -> tuple[Tensor, Tensor, list[str]]:
    """Images that the small ViT classifies correctly, their labels and ids."""
    labels = subject.split.targets()
    right = (subject.clean.argmax(1) == labels).nonzero().squeeze(1).numpy()
    return subject.split.inputs(right), labels[right], subject.split.image_ids()[right].tolist()


def small_run(**changes: object) -> tuple[robench.Result, list[str]]:
    """A run of the small ViT on 60 digits, and what was said meanwhile."""
    told = Silent()
    settings = {
        "defense": SMALL,
        "attack": PGD,
        "dataset": "digits",
        "n": 60,
        "workers": 2,
        "reporter": told,
        **changes,
    }
    return robench.run(**settings), told.messages  # type: ignore[arg-type]


@pytest.fixture(scope="session", params=["vit", "cnn", "robust"])
def victim(request: pytest.FixtureRequest, subject: Subject) -> tuple[Subject, tuple[Tensor, Tensor, list[str]]]:
    """The small ViT, a small CNN, and the CNN trained against PGD; with the images that each classifies correctly."""
    if request.param != "vit":
        module = small_cnn(subject, adversarially=request.param == "robust")
        with torch.no_grad():
            clean = module(subject.split.inputs(slice(None)))
        subject = Subject(request.param, module, 10, subject.device, subject.split, clean)
    labels = subject.split.targets()
    right = (subject.clean.argmax(1) == labels).nonzero().squeeze(1).numpy()
    return subject, (subject.split.inputs(right), labels[right], subject.split.image_ids()[right].tolist())


def small_cnn(subject: Subject, *, adversarially: bool) -> torch.nn.Module:
    """Two convolutions, trained on the digits; against PGD at 0.15 in L∞ where that is asked for."""
    from torch import nn

    train = DATASETS["digits"].function(Places.of()).train
    inputs, labels = train.inputs(slice(None)), train.targets()
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(288, 10),
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(400):
        rows = torch.randint(len(inputs), (128,))
        batch, wanted = inputs[rows], labels[rows]
        if adversarially:
            attacked = Classifier(model, 10, [""] * len(batch))
            batch = ATTACKS["pgd_linf"].function(attacked, batch, wanted, eps=0.15, steps=5, until_success=False)
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(batch), wanted).backward()
        optimizer.step()
    return model.eval().requires_grad_(False)
