"""The normalisation in front of weights from elsewhere is declared, printed and hashed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from conftest import small_run
from foreign import TASK, answers, expected, loaded, network, own_file, under

from robench import DATASETS, Places, UsageError, recipe_of
from robench.data.splits import Split, Splits
from robench.training.checkpoints import Checkpoint


@pytest.fixture(autouse=True)
def own_entries() -> None:
    own_file()


@pytest.mark.parametrize("arch", ["own", "behind"])
def test_the_normalisation_in_front_is_what_is_declared(arch: str) -> None:
    torch.save(network().state_dict(), "w.pt")
    byte = loaded(", mean=[0], std=[1/255]", arch)
    assert torch.allclose(answers(byte), expected(0, 1 / 255), rtol=1e-4)
    assert "as given: mean [0.0], std [0.003922]" in byte.note
    assert torch.equal(answers(loaded(", mean='none'", arch)), expected())
    assert "not normalised" in loaded(", mean='none'", arch).note
    if arch == "behind":
        assert torch.equal(answers(loaded("", arch)), expected(0.3, 0.4))
        assert "mean [0.3], std [0.4]" in loaded("", arch).note
    else:
        assert "no normalisation that robench knows of" in loaded("", arch).note


@pytest.mark.parametrize(
    "options", ["mean=[0.5]", "std=[0.5]", "mean='none', std=[1]", "mean=[0, 0, 0], std=[1]", "mean=[0], std=[0]"]
)
def test_half_a_normalisation_is_refused(options: str) -> None:
    torch.save(network().state_dict(), "w.pt")
    with pytest.raises(UsageError, match=r"together|channels|above 0"):
        loaded(f", {options}")


@pytest.mark.parametrize(
    ("mean", "std"),
    [
        ("module.normalizer.new_mean", "module.normalizer.new_std"),
        ("module.normalize.mean", "module.normalize.std"),
        ("module.mu", "module.sigma"),
    ],
)
def test_a_normalisation_in_the_file_is_used_and_named(mean: str, std: str) -> None:
    weights = under("module.model.", network().state_dict())
    both = {mean: torch.full((1, 1, 1), 0.25), std: torch.full((1, 1, 1), 0.5)}
    torch.save({"model": weights | both}, "w.pt")
    for arch in ("own", "behind"):
        assert torch.equal(answers(loaded("", arch)), expected(0.25, 0.5))
        assert "from w.pt: mean [0.25], std [0.5]" in loaded("", arch).note
    assert torch.equal(answers(loaded(", mean='none'")), expected())
    torch.save(
        {
            "model": weights
            | both
            | {"module.attacker.normalize.mean": torch.ones(1)}
            | {"module.attacker.normalize.std": torch.ones(1)}
        },
        "w.pt",
    )
    loaded()  # beside other weights, and so not of these


def test_a_run_says_what_is_in_front() -> None:
    torch.save(network().state_dict(), "w.pt")
    _, said = small_run(defense="checkpoint(path='w.pt', arch='./own.py::behind')", attack="fgsm(eps=0.1)")
    assert any("normalised in front" in line and "mean [0.3" in line for line in said)


def splits_of(images: Any, train: bool) -> Splits:
    empty = Split.of("train", images, np.zeros(len(images), dtype=np.int64)).select(np.zeros(0, dtype=np.int64))
    labels = np.arange(len(images)) % 10
    split = Split.of("test", images, labels)
    return Splits(split if train else empty, empty, split, 10)


def test_constants_of_the_test_images_are_part_of_the_identity() -> None:
    """Of data without training images; another test set does not silently reuse weights behind the first one's mean."""
    torch.save(network().state_dict(), "w.pt")
    random = np.random.default_rng(0)
    dark, light = (random.integers(low, low + 99, (40, 1, 8, 8), dtype=np.uint8) for low in (0, 150))
    card, cache = DATASETS["digits"].card, Places.of().cache
    call = "checkpoint(path='w.pt', arch='./own.py::behind')"
    first, second = (Checkpoint.of(call, splits_of(images, False), card, cache) for images in (dark, light))
    assert first.folder != second.folder
    assert first.identity["task"][-2:] == [list(first.task.mean), list(first.task.std)]  # type: ignore[index]
    trained = Checkpoint.of(call, splits_of(dark, True), card, cache)
    assert len(trained.identity["task"]) == 5, "as it was"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "call", ["vit(depth=1)", "ksa(model=vit(depth=1))", "noise", "timm(name='resnet18')", "madry_cnn"]
)
@pytest.mark.parametrize("prefix", ["", "module.", "state_dict.model."])
def test_weights_of_robenchs_own_defenses_come_back(call: str, prefix: str) -> None:
    torch.manual_seed(3)
    trained = recipe_of(call, replace(TASK, mean=(0.2,), std=(0.1,)))
    state = trained.model.state_dict()
    torch.save(under(prefix, state), "w.pt")
    again = recipe_of(f"checkpoint(path='w.pt', arch={call})", TASK)
    assert torch.equal(answers(again), answers(trained)), "with the normalisation that is in the file"
    torch.save({"model": state, "ema": {name: value.clone() for name, value in state.items()}}, "w.pt")
    assert torch.equal(answers(recipe_of(f"checkpoint(path='w.pt', arch={call})", TASK)), answers(trained))
    torch.save({"model": state, "ema": {name: value + 1 for name, value in state.items()}}, "w.pt")
    with pytest.raises(UsageError, match="holds several weights that fit"):
        recipe_of(f"checkpoint(path='w.pt', arch={call})", TASK)


@pytest.mark.parametrize(
    ("mean", "std"),
    [
        ({"mean": [0.25]}, {"std": [0.5]}),
        ({"mean": (0.25,)}, {"std": (0.5,)}),
        ({"pixel_mean": torch.tensor([0.25])}, {"pixel_std": torch.tensor([0.5])}),
        ({"pixel_mean": [0.25 * 255]}, {"pixel_std": [0.5 * 255]}),
        ({"normalize_mean": [0.25]}, {"normalize_std": [0.5]}),
    ],
)
def test_a_normalisation_is_known_however_it_was_saved(mean: dict[str, Any], std: dict[str, Any]) -> None:
    torch.save({"state_dict": network().state_dict(), **mean, **std}, "w.pt")
    for arch in ("own", "behind"):
        assert torch.allclose(answers(loaded("", arch)), expected(0.25, 0.5), atol=1e-6)
        assert "from w.pt: mean [0.25], std [0.5]" in loaded("", arch).note
