"""Published corruptions: read from their layouts without a copy, written so that they read back, refused by name."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from photographs import photographs
from PIL import Image

import robench
from robench import DATASETS, DataError, Places, Splits, UsageError, load_cifar_c, load_imagenet_c
from robench.benchmarks import CIFAR10_CLASSES, CORRUPTIONS, PERTURBATIONS
from robench.data import layouts
from robench.data.layouts import write_cifar_c, write_imagenet_c
from robench.data.loading import data_calls, load_data
from robench.training.outputs import outputs_of

TENCH, FIRST_CRANE = "n01440764", "n02012849"
LABELS = np.array([3, 0, 9, 3], dtype=np.uint8)


def places(data: Path) -> Places:
    return Places(data, data.parent / "cache", data.parent / "store", download=False)


def rows(count: int = 4) -> NDArray[np.uint8]:
    """(5 x count, 32, 32, 3): severity s of image i has the greys 10 s + i, and 1 more for each channel after red."""
    greys = np.repeat(np.arange(10, 60, 10), count) + np.tile(np.arange(count), 5)
    return (greys[:, None, None, None] + np.zeros((1, 32, 32, 1), int) + np.arange(3)).astype(np.uint8)


def by_hand(folder: Path, *, once: bool = False) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "fog.npy", rows())
    np.save(folder / "labels.npy", LABELS if once else np.tile(LABELS, 5))
    return folder


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def red(splits: Splits) -> list[int]:
    """The red of each image's last pixel."""
    return splits.test.pixels(slice(None))[:, 0, -1, -1].tolist()  # type: ignore[no-any-return]


@pytest.mark.parametrize("severity", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("once", [False, True])
def test_a_severity_is_its_fifth_of_the_rows_in_the_test_sets_order(data: Path, severity: int, once: bool) -> None:
    by_hand(data / "CIFAR-10-C", once=once)
    splits = load_data(f"cifar10_c(names='fog', severities={severity})", places(data)).splits
    assert red(splits) == [10 * severity + i for i in range(4)]
    assert splits.test.targets().tolist() == LABELS.tolist()
    assert splits.test.pixels([0])[0, :, 5, 7].tolist() == [10 * severity, 10 * severity + 1, 10 * severity + 2]
    assert (splits.classes, splits.names[3], len(splits.train)) == (10, "cat", 0)
    assert (
        splits.source
        == f"CIFAR-10-C/fog.npy, severity {severity}, 4 images of the 10,000 published in {data}/CIFAR-10-C"
    )


@pytest.mark.parametrize("folder", ["CIFAR-10-C", "cifar10_c", "CIFAR10-C", "CIFAR-10-C/CIFAR-10-C"])
def test_the_folder_is_known_by_any_spelling(data: Path, folder: str) -> None:
    by_hand(data / folder)
    assert red(load_cifar_c(places(data), "CIFAR-10-C", CIFAR10_CLASSES, "fog", 2)) == [20, 21, 22, 23]


def test_images_stay_on_the_disk(data: Path) -> None:
    folder, count = data / "CIFAR-10-C", 1000
    folder.mkdir()
    random = np.random.default_rng(0)
    np.save(folder / "fog.npy", random.integers(0, 256, (5 * count, 32, 32, 3), dtype=np.uint8))
    np.save(folder / "labels.npy", np.tile(random.integers(0, 10, count), 5))
    load_cifar_c(places(data), "CIFAR-10-C", CIFAR10_CLASSES, "fog", 1)  # what is imported late is imported
    tracemalloc.start()
    images = load_cifar_c(places(data), "CIFAR-10-C", CIFAR10_CLASSES, "fog", 4).test.images
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert isinstance(images, np.memmap) and not images.flags.owndata
    assert peak < images.nbytes / 3


def test_lists_of_both_options_are_a_data_set_for_each() -> None:
    entry = DATASETS["cifar10_c"]
    every = data_calls("cifar10_c(names=['fog', 'snow'], severities=[1, 5])")
    assert [str(entry.shown(one)) for one in every] == [
        "cifar10_c(names='fog', severities=1)",
        "cifar10_c(names='fog', severities=5)",
        "cifar10_c(names='snow', severities=1)",
        "cifar10_c(names='snow', severities=5)",
    ]


@pytest.mark.parametrize("name", ["cifar10_c", "cifar100_c", "imagenet_c"])
@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("names='fogg', severities=1", "wanted 'gaussian_noise' or .* 'fog' or"),
        ("names='fog', severities=0", "severities=0 .* at least 1 and at most 5"),
        ("names='fog', severities=6", "severities=6 .* at least 1 and at most 5"),
    ],
)
def test_what_is_no_corruption_or_severity_is_refused_before_any_file(name: str, options: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        DATASETS.find(f"{name}({options})")


@pytest.mark.parametrize(
    ("corruption", "severity", "told"),
    [
        ("fogg", 1, "named 'fogg'; did you mean 'fog'"),
        ("fog", 0, "the severity 0 of fog"),
        ("fog", 6, "the severity 6 of fog"),
        ("fog", True, "the severity True of fog"),
    ],
)
def test_the_functions_refuse_the_same(data: Path, corruption: str, severity: int, told: str) -> None:
    for read in (
        lambda: load_cifar_c(places(data), "CIFAR-10-C", CIFAR10_CLASSES, corruption, severity),
        lambda: load_imagenet_c(places(data), corruption, severity),
    ):
        with pytest.raises(UsageError, match=told):
            read()


def cut(folder: Path) -> None:
    whole = (folder / "fog.npy").read_bytes()
    (folder / "fog.npy").write_bytes(whole[: len(whole) // 2])


def saved(file: str, array: NDArray[Any]) -> Callable[[Path], None]:
    return lambda folder: np.save(folder / file, array)


def as_archive(folder: Path) -> None:
    with (folder / "fog.npy").open("wb") as stream:
        np.savez(stream, rows())


OTHER = np.tile(LABELS, 5)
OTHER[-1] = 1


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            lambda folder: (folder / "fog.npy").rename(folder / "snow.npy"),
            r"Looked for fog.npy in: .*CIFAR-10-C \(there are 'snow'\)",
        ),
        (lambda folder: (folder / "labels.npy").unlink(), r"no .*labels.npy beside fog.npy \(there are 'fog.npy'\)"),
        (cut, "fog.npy is truncated or no array of numpy"),
        (lambda folder: (folder / "fog.npy").write_bytes(b""), "fog.npy is truncated or no array of numpy"),
        (lambda folder: (folder / "fog.npy").write_text("<html>"), "fog.npy is truncated or no array of numpy"),
        (as_archive, "fog.npy is an archive"),
        (saved("fog.npy", rows() / 255), r"fog.npy holds float64 of shape \(20, 32, 32, 3\); wanted uint8"),
        (
            saved("fog.npy", rows().transpose(0, 3, 1, 2)),
            r"of shape \(20, 3, 32, 32\); wanted uint8 of shape \(any, 32",
        ),
        (saved("fog.npy", rows()[:, :28]), r"of shape \(20, 28, 32, 3\); wanted uint8 of shape \(any, 32, 32, 3\)"),
        (saved("fog.npy", rows()[:0]), r"of shape \(0, 32, 32, 3\); wanted"),
        (saved("fog.npy", rows()[:19]), "fog.npy has 19 images, which are not 5 severities"),
        (saved("labels.npy", LABELS[:3]), r"labels.npy holds uint8 of shape \(3,\); wanted 20 or 4 whole numbers"),
        (saved("labels.npy", LABELS / 2), r"labels.npy holds float64 of shape \(4,\); wanted 20 or 4"),
        (saved("labels.npy", OTHER), "labels.npy has other labels for one severity than for another"),
        (saved("labels.npy", LABELS + 1), "the label 10 .*fog.npy, severity 3.* is none of the 10 classes"),
        (saved("labels.npy", LABELS.astype(int) - 1), "labels.npy holds the label -1"),
    ],
)
def test_a_file_that_is_missing_or_damaged_is_one_error(
    data: Path, change: Callable[[Path], object], told: str
) -> None:
    change(by_hand(data / "CIFAR-10-C"))
    with pytest.raises(DataError, match=told):
        load_cifar_c(places(data), "CIFAR-10-C", CIFAR10_CLASSES, "fog", 3)


def test_without_its_folder_what_to_lay_is_said(data: Path) -> None:
    with pytest.raises(
        DataError, match=r"^CIFAR-100-C was not found, .* Lay it as .*/data/CIFAR-100-C/fog.npy, labels.npy"
    ):
        load_data("cifar100_c(names='fog', severities=1)", places(data))


def sparse(folder: Path, labels: NDArray[np.int64]) -> None:
    """A file as large as the published ones, of zeros that take no room."""
    folder.mkdir()
    np.lib.format.open_memmap(folder / "fog.npy", mode="w+", dtype=np.uint8, shape=(50_000, 32, 32, 3))
    np.save(folder / "labels.npy", labels)


def test_a_whole_set_in_the_other_ones_folder_is_told_by_its_classes(data: Path) -> None:
    sparse(data / "CIFAR-100-C", np.arange(10_000) % 10)
    with pytest.raises(DataError, match=r"labels.npy has 10 classes .* CIFAR-100-C's 100 have 100 images each"):
        load_data("cifar100_c(names='fog', severities=1)", places(data))
    sparse(data / "CIFAR-10-C", np.arange(10_000) % 100)
    with pytest.raises(DataError, match=r"labels.npy has 100 classes .* CIFAR-10-C's 10 have 1,000 images each"):
        load_data("cifar10_c(names='fog', severities=1)", places(data))


@pytest.mark.parametrize("inside", ["", "datasets"])
@pytest.mark.parametrize(("version", "published"), [("v6", "2,000"), ("v4", "2,021")])
def test_photographs_collected_anew_are_read_in_both_versions(
    data: Path, inside: str, version: str, published: str
) -> None:
    folder = data / "CIFAR-10.1" / inside
    folder.mkdir(parents=True)
    for other, shift in (("v4", 0), ("v6", 1)):
        np.save(folder / f"cifar10.1_{other}_data.npy", rows()[:4] + shift)
        np.save(folder / f"cifar10.1_{other}_labels.npy", LABELS.astype(np.int32))
    splits = load_data(f"cifar10_1(version='{version}')", places(data)).splits
    assert red(splits) == [10 + i + (version == "v6") for i in range(4)]
    assert splits.test.targets().tolist() == [3, 0, 9, 3]
    assert splits.source.startswith(f"cifar10.1_{version}_data.npy, 4 images of the {published} published in ")
    np.save(folder / f"cifar10.1_{version}_labels.npy", LABELS[:3])
    with pytest.raises(DataError, match=rf"{version}_labels.npy holds uint8 of shape \(3,\); wanted 4 whole numbers"):
        load_data(f"cifar10_1(version='{version}')", places(data))


def test_version_6_is_the_one_that_is_read_unless_another_is_named(data: Path) -> None:
    with pytest.raises(DataError, match=r"^CIFAR-10.1 was not found, .* Looked for cifar10.1_v6_data.npy"):
        load_data("cifar10_1", places(data))


def jpegs(folder: Path, wnids: tuple[str, ...] = (TENCH, FIRST_CRANE), side: int = 224) -> None:
    for place, wnid in enumerate(wnids):
        (folder / wnid).mkdir(parents=True)
        Image.new("RGB", (side, side), (50 + 100 * place,) * 3).save(folder / wnid / f"{place}.JPEG")


@pytest.mark.parametrize(
    "folder", ["ImageNet-C", "imagenet_c", "ImageNet-C/weather", "ImageNet-C/extra", "imagenet-c/ImageNet-C"]
)
def test_imagenets_corruptions_are_found_with_their_archives_folders_and_without(data: Path, folder: str) -> None:
    jpegs(data / folder / "fog" / "3")
    splits = load_data("imagenet_c(names='fog', severities=3)", places(data)).splits
    assert (splits.test.targets().tolist(), splits.classes) == ([0, 134], 1000)
    assert red(splits) == [50, 150]
    assert outputs_of(splits, 1000, "a model").chosen is None
    assert splits.source.startswith("ImageNet-C, 2 images of the 50,000 published, without images of 998")
    assert splits.source.endswith(f" in {data / folder}/fog/3")


def test_pictures_are_neither_resized_nor_cropped_and_one_of_another_size_is_named(data: Path) -> None:
    folder = data / "ImageNet-C" / "fog" / "3"
    jpegs(folder)
    noise = np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    Image.fromarray(noise).save(folder / TENCH / "0.JPEG")
    read = load_imagenet_c(places(data), "fog", 3).test.pixels([0])[0].transpose(1, 2, 0)
    with Image.open(folder / TENCH / "0.JPEG") as stored:
        assert (read == np.asarray(stored)).all()
    for side in (223, 256):
        Image.new("RGB", (side, 224)).save(folder / FIRST_CRANE / "1.JPEG")
        with pytest.raises(DataError, match=rf"{FIRST_CRANE}/1.JPEG is {side} x 224, and 224 x 224 was wanted"):
            load_imagenet_c(places(data), "fog", 3)


def test_a_corruption_or_severity_that_is_not_there_is_told_with_those_that_are(data: Path) -> None:
    jpegs(data / "ImageNet-C" / "fog" / "3")
    jpegs(data / "ImageNet-C" / "noise" / "shot_noise" / "1")
    for name, severity in (("snow", 3), ("fog", 4)):
        with pytest.raises(
            DataError, match=rf"in {name}/{severity}/.*\(there are 'fog/3', 'shot_noise/1'\). Lay it as"
        ):
            load_imagenet_c(places(data), name, severity)


def test_a_class_folder_of_no_class_is_refused(data: Path) -> None:
    jpegs(data / "ImageNet-C" / "fog" / "3", (TENCH, "n99999999"))
    with pytest.raises(DataError, match="fog/3 has the class folder 'n99999999', which is none of ImageNet's 1,000"):
        load_imagenet_c(places(data), "fog", 3)


def test_what_is_written_as_cifars_reads_back_exactly(data: Path) -> None:
    folder = data / "CIFAR-10-C"
    images = np.random.default_rng(0).integers(0, 256, (5, 6, 32, 32, 3), dtype=np.uint8)
    labels = np.array([5, 4, 3, 2, 1, 0])
    assert write_cifar_c(folder, "fog", images, labels) == folder / "fog.npy"
    write_cifar_c(folder, "snow", 255 - images, labels)
    published = np.load(folder / "labels.npy")
    assert (published.dtype, published.tolist()) == (np.uint8, [5, 4, 3, 2, 1, 0] * 5)
    for severity in range(1, 6):
        splits = load_cifar_c(places(data), "CIFAR-10-C", CIFAR10_CLASSES, "fog", severity)
        assert (splits.test.pixels(slice(None)).transpose(0, 2, 3, 1) == images[severity - 1]).all()
        assert splits.test.targets().tolist() == labels.tolist()
    with pytest.raises(DataError, match="labels.npy holds other labels than those given; write to another folder"):
        write_cifar_c(folder, "frost", images, labels[::-1])
    assert sorted(file.name for file in folder.iterdir()) == ["fog.npy", "labels.npy", "snow.npy"]


@pytest.mark.parametrize(
    ("name", "images", "labels", "told"),
    [
        ("fogg", rows().reshape(5, 4, 32, 32, 3), LABELS, "did you mean 'fog'"),
        ("fog", rows(), LABELS, r"uint8 of shape \(20, 32, 32, 3\); wanted uint8 of shape \(5, any, 32, 32, 3\)"),
        ("fog", rows().reshape(4, 5, 32, 32, 3), LABELS, r"\(4, 5, 32, 32, 3\); wanted"),
        ("fog", rows().reshape(5, 4, 32, 32, 3) / 255, LABELS, "images are float64"),
        ("fog", rows().reshape(5, 4, 32, 32, 3), LABELS[:3], r"labels are uint8 of shape \(3,\); wanted 4"),
        ("fog", rows().reshape(5, 4, 32, 32, 3), LABELS / 1, r"labels are float64"),
        ("fog", rows().reshape(5, 4, 32, 32, 3), LABELS + np.int64(250), "labels are from 250 to 259; in this"),
    ],
)
def test_what_does_not_fit_the_layout_is_not_written(
    data: Path, name: str, images: NDArray[Any], labels: NDArray[Any], told: str
) -> None:
    with pytest.raises(UsageError, match=told):
        write_cifar_c(data / "CIFAR-10-C", name, images, labels)
    assert not (data / "CIFAR-10-C").exists()


def test_photographs_written_as_imagenets_are_jpegs_of_quality_85_and_read_back(data: Path) -> None:
    images = photographs(4).numpy().transpose(0, 2, 3, 1)
    files = [f"ILSVRC2012_val_0000000{i}.JPEG" for i in range(4)]
    folder = data / "ImageNet-C"
    written = write_imagenet_c(folder, "fog", 3, images, [134, 0, 517, 0], files)
    assert written[0] == folder / "fog" / "3" / FIRST_CRANE / files[0]
    Image.fromarray(images[0]).save(data / "wanted.jpg", quality=85, optimize=True)
    assert written[0].read_bytes() == (data / "wanted.jpg").read_bytes()
    splits = load_imagenet_c(places(data), "fog", 3)
    assert splits.test.targets().tolist() == [0, 0, 134, 517]
    read = splits.test.pixels(slice(None)).transpose(0, 2, 3, 1)[[2, 0, 3, 1]].astype(int)
    assert 0 < np.abs(read - images).mean() < 6
    assert [file for file in folder.rglob("*") if file.name.startswith(".")] == []


SQUARES = np.full((2, 224, 224, 3), 9, np.uint8)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"name": "fogg"}, "did you mean 'fog'"),
        ({"severity": 6}, "the severity 6 of fog"),
        ({"images": SQUARES[:, :200]}, r"of shape \(2, 200, 224, 3\); wanted uint8 of shape \(any, 224, 224, 3\)"),
        ({"images": SQUARES / 255}, "images are float64"),
        ({"labels": [0, 1000]}, "the label 1000 is none of ImageNet's 1,000 classes"),
        ({"labels": [0]}, "2 images, 1 labels and 2 files"),
        ({"files": ["a.JPEG"]}, "2 images, 2 labels and 1 files"),
        ({"files": ["a.JPEG", "../b.JPEG"]}, "'../b.JPEG' is no plain name of a JPEG"),
        ({"files": ["a.JPEG", "b.png"]}, "'b.png' is no plain name of a JPEG"),
        ({"files": ["a.JPEG", "a.JPEG"], "labels": [7, 7]}, "two images would be .*n01514668/a.JPEG"),
    ],
)
def test_what_cannot_be_one_file_an_image_is_not_written(data: Path, change: dict[str, Any], told: str) -> None:
    given = {"name": "fog", "severity": 1, "images": SQUARES, "labels": [0, 1], "files": ["a.JPEG", "b.JPEG"]} | change
    with pytest.raises(UsageError, match=told):
        write_imagenet_c(data / "ImageNet-C", **given)
    assert not (data / "ImageNet-C").exists()


def test_a_picture_that_could_not_be_written_leaves_nothing_behind(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Image.Image, file: Path, *_: Any, **__: Any) -> None:
        file.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(layouts.StoreError, match="cannot write .*a.JPEG: No space left on device"):
        write_imagenet_c(data / "ImageNet-C", "fog", 1, SQUARES[:1], [0], ["a.JPEG"])
    assert not [file for file in data.rglob("*") if file.is_file()]


def test_without_options_a_set_is_the_fifteen_at_five_severities() -> None:
    every = data_calls("imagenet_c")
    assert [(c.options["names"], c.options["severities"]) for c in every] == [
        (name, severity) for name in CORRUPTIONS for severity in range(1, 6)
    ]
    assert [c.options["names"] for c in data_calls("cifar10_p")] == list(PERTURBATIONS)


def test_images_have_the_same_names_in_all_conditions_and_the_subset_is_of_the_same_images(data: Path) -> None:
    by_hand(data / "CIFAR-10-C")
    one, other = (load_data(f"cifar10_c(names='fog', severities={s})", places(data), 2) for s in (1, 4))
    assert one.split.image_ids().tolist() == other.split.image_ids().tolist()
    assert (one.splits.corruption, one.splits.severity, one.family) == ("fog", 1, "cifar10_c")
    assert one.fingerprint != other.fingerprint, "although names and labels are the same"
    one.split.verify()
    changed = replace(one.split, digests=np.array(["0" * 16] * 4))
    with pytest.raises(DataError, match="pixels are not those"):
        changed.verify()


def test_a_run_over_published_conditions_is_one_table(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Greys 10 s + i: the darker the image, the surer a model that looks at brightness alone."""
    by_hand(data / "CIFAR-10-C")
    np.save(data / "CIFAR-10-C" / "snow.npy", rows()[::-1])
    mine = data.parent / "mine.py"
    mine.write_text(MINE)
    call = "cifar10_c(names=['fog', 'snow'], severities=[1, 2, 3, 4, 5])"
    result = robench.run(f"{mine}", "clean", call, data=data, store=data.parent / "results")
    (group,) = result.groups()
    assert group.name == "cifar10_c"
    (table,) = [t for t in result.tables() if "error by corruption" in t.title]
    cells = {name: [cell.text for cell in row] for name, row in table.rows}
    assert cells["fog"] == ["0.0", "0.0", "100.0", "100.0", "100.0", "60.0"], "from 30 on none is right"
    assert cells["snow"] == ["100.0", "100.0", "100.0", "50.0", "50.0", "80.0"], "in its rows the order is turned round"


MINE = """
import torch
from torch import nn
import robench


class Bright(nn.Module):
    def forward(self, x):
        grey = (x[:, 0, 0, 0] * 255).round()
        place = (grey % 10).long()
        labels = torch.tensor([3, 0, 9, 3])[place % 4]
        found = torch.where(grey < 30, labels, torch.full_like(labels, 5))
        return nn.functional.one_hot(found, 10).float() * 10 + 0 * x.flatten(1).sum(1, keepdim=True)


@robench.defense()
def bright(task):
    \"\"\"Looks at one pixel.\"\"\"
    return robench.Recipe(Bright(), robench.Schedule(steps=0))
"""
