"""Data sets: read once, mapped after that, and named when they are missing or damaged."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import robench
from robench import DataError
from robench.data.loading import load_data
from robench.places import Places

real_data = pytest.mark.skipif(
    "ROBENCH_DATA" not in os.environ, reason="needs real data: set ROBENCH_DATA to a folder with mnist/ and cifar10/"
)


def test_missing_data_says_where_it_looked(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="was not found. Looked for.*ROBENCH_DATA"):
        from robench.data.published import load_published

        load_published(Places(tmp_path, tmp_path / "cache", tmp_path, download=False), "cifar10", "CIFAR10", 10)


def test_a_truncated_parquet_file_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "mnist"
    folder.mkdir()
    for part in ("train", "test"):
        (folder / f"{part}-00000-of-00001.parquet").write_bytes(b"PAR1 and then nothing")
    with pytest.raises(DataError, match="truncated or damaged"):
        load_data("mnist", Places(tmp_path, tmp_path / "cache", tmp_path, download=False))


def test_a_folder_of_images_is_a_data_set(tmp_path: Path) -> None:
    from PIL import Image

    random = np.random.default_rng(0)
    for part, count in (("train", 12), ("test", 6)):
        for name in ("cat", "dog"):
            folder = tmp_path / "pets" / part / name
            folder.mkdir(parents=True)
            for i in range(count):
                Image.fromarray(random.integers(0, 256, (20, 30, 3), dtype=np.uint8)).save(folder / f"{i}.png")
    data = load_data(f"folder(path='{tmp_path}/pets', size=16)", Places.of())
    assert (len(data.splits.train) + len(data.splits.validation), len(data.splits.test)) == (24, 12)
    assert data.splits.test.shape == (3, 16, 16)
    (tmp_path / "pets" / "test" / "cat" / "0.png").write_bytes(b"not an image")
    with pytest.raises(DataError, match="0.png is truncated or is not an image"):
        load_data(f"folder(path='{tmp_path}/pets', size=16)", Places.of())


@real_data
@pytest.mark.parametrize(("name", "train", "shape"), [("mnist", 54_000, (1, 28, 28)), ("cifar10", 45_000, (3, 32, 32))])
def test_published_files_are_decoded_once_and_mapped_after_that(
    name: str, train: int, shape: tuple[int, int, int]
) -> None:
    first = load_data(name, Places.of())
    again = load_data(name, Places.of())
    assert len(first.splits.train) == train
    assert len(first.splits.test) == 10_000
    assert first.splits.test.shape == shape
    assert isinstance(again.splits.train.images.base, np.memmap) or isinstance(again.splits.train.images, np.memmap)
    assert again.fingerprint == first.fingerprint
    assert sorted(np.bincount(first.splits.test.first(1000).targets().numpy())) == [100] * 10


@real_data
def test_a_small_run_on_mnist(tmp_path: Path) -> None:
    (tmp_path / "brief.py").write_text(
        "from dataclasses import replace\nimport robench\n\n\n@robench.defense()\n"
        "def brief(task: robench.Task) -> robench.Recipe:\n"
        '    """The standard ViT after 150 steps."""\n'
        '    recipe = robench.recipe_of("vit(depth=2)", task)\n'
        "    return replace(recipe, schedule=replace(recipe.schedule, steps=150))\n"
    )
    result = robench.run("./brief.py", "pgd_linf(steps=10)", "mnist", n=40, workers=1)
    told = result.summary()
    assert len(told) > 1  # a radius each of the data set's own
    assert told[0]["clean_accuracy"]["value"] > 0.5
    robust = [row["robust_accuracy"]["value"] for row in told]
    assert robust == sorted(robust, reverse=True)


def test_a_share_of_the_training_images_is_balanced_and_part_of_a_larger_one() -> None:
    ids: list[set[str]] = []
    for share in (0.1, 0.3, 1.0):
        splits = load_data(f"digits(train_share={share})", Places.of()).splits
        counts = np.bincount(splits.train.targets().numpy(), minlength=10)
        assert len(splits.train) == round(share * 1294) and (share == 1 or counts.max() - counts.min() <= 1)
        assert (len(splits.validation), len(splits.test)) == (144, 359)
        ids.append(set(splits.train.image_ids().tolist()))
    assert ids[0] < ids[1] < ids[2]


def test_a_margin_is_black_and_even() -> None:
    splits = load_data("digits", Places.of()).splits
    larger = robench.padded(splits, 12)
    before, now = splits.test.pixels(slice(None)), larger.test.pixels(slice(None))
    assert now.shape == (359, 1, 12, 12) and (now[:, :, 2:10, 2:10] == before).all()
    assert now.sum(dtype=np.int64) == before.sum(dtype=np.int64)
    assert (larger.test.targets() == splits.test.targets()).all()
    larger.train.verify()
    for side in (7, 11):
        with pytest.raises(robench.UsageError, match=f"size={side}"):
            robench.padded(splits, side)
    assert robench.padded(splits, 8).test is splits.test


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_mnist_and_its_sister_take_both_options(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    images = np.random.default_rng(0).integers(0, 256, (40, 1, 28, 28), dtype=np.uint8)
    parts = [
        robench.Split.of(part, images[i : i + 10], np.arange(10))
        for i, part in ((0, "train"), (20, "validation"), (30, "test"))
    ]
    splits = robench.Splits(*parts, 10)
    function = robench.DATASETS[name].function
    monkeypatch.setitem(function.__globals__, "load_published", lambda *_, **__: splits)
    assert function(Places.of()).test.shape == (1, 28, 28)
    changed = function(Places.of(), train_share=0.5, size=32)
    assert changed.test.shape == changed.train.shape == changed.validation.shape == (1, 32, 32)
    assert (len(changed.train), len(changed.test)) == (5, 10)
