"""What the tests share: places of their own, and a small ViT trained on the digits once."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # torch and timm warn about each other's deprecations when they are imported
    import timm.models.vision_transformer  # noqa: F401
    import torch

import numpy as np
import pytest
from torch import Tensor, nn

import robench
from robench.classifier import Classifier
from robench.execution import Subject, clean_logits
from robench.harness import Settings, obtain, rows_of, subject_of
from robench.console import Silent

SMALL = "vit(depth=2, epochs=12)"
"""A ViT that learns the digits in a few seconds."""


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
    return subject_of(row, trained, torch.device("cpu"))


@pytest.fixture(scope="session")
def attackable(subject: Subject) -> tuple[Tensor, Tensor, list[str]]:
    """Images that the small ViT classifies correctly, their labels and ids."""
    labels = subject.split.targets()
    right = (subject.clean.argmax(1) == labels).nonzero().squeeze(1).numpy()
    return subject.split.inputs(right), labels[right], subject.split.image_ids()[right].tolist()


class Linear(nn.Module):
    """A linear classifier, whose closest adversarial examples are known in closed form."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.layer = nn.Linear(weight.shape[1], weight.shape[0]).to(weight.dtype)
        self.layer.weight.data, self.layer.bias.data = weight.clone(), bias.clone()

    def forward(self, inputs: Tensor) -> Tensor:
        return self.layer(inputs.flatten(1))  # type: ignore[no-any-return]


def linear_case(count: int = 24, dtype: torch.dtype = torch.float64) -> tuple[Linear, Tensor, Tensor]:
    """A two-class linear model on 1 x 4 x 4 images near mid-grey, classified correctly with small margins."""
    generator = torch.Generator().manual_seed(3)
    direction = torch.randn(16, generator=generator, dtype=torch.float64)
    model = Linear(torch.stack([direction, -direction]).to(dtype), torch.zeros(2, dtype=dtype))
    inputs = 0.5 + 0.03 * torch.randn(count, 1, 4, 4, generator=generator, dtype=torch.float64)
    model.layer.bias.data[:] = torch.tensor([-(0.5 * direction.sum()).item(), (0.5 * direction.sum()).item()], dtype=dtype)
    inputs = inputs.to(dtype)
    return model.requires_grad_(False).eval(), inputs, model(inputs).argmax(1)


def wrapped(model: nn.Module, count: int, classes: int = 2, seed: int = 0) -> Classifier:
    """A model as an attack is given it."""
    return Classifier(model, classes, [f"image {i}" for i in range(count)], seed=seed)


def split_of(count: int = 20, side: int = 4, classes: int = 2) -> robench.Split:
    """Random images with labels."""
    random = np.random.default_rng(0)
    return robench.Split.of("test", random.integers(0, 256, (count, 1, side, side), dtype=np.uint8), np.arange(count) % classes)


__all__ = ["SMALL", "Linear", "clean_logits", "linear_case", "split_of", "wrapped"]
