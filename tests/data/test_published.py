"""Published data sets are known by folder and content: a sister's files are never taken for the one that was asked for."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from robench import DATASETS, DataError, Places, Splits, load_published
from robench.data.loading import load_data
from tests.data.test_data import real_data

GREY, COLOUR = (28, 28), (32, 32, 3)


def png(shape: tuple[int, ...], seed: int) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)).save(stream, "png")
    return stream.getvalue()


def parquet(
    folder: Path,
    classes: int,
    shape: tuple[int, ...],
    names: Sequence[str] = (),
    column: str = "label",
    change: Callable[[dict[str, list[Any]]], None] = lambda _: None,
) -> None:
    """Two random images of each class in both halves, as Hugging Face publishes them."""
    folder.mkdir(parents=True, exist_ok=True)
    for part in ("train", "test"):
        labels = [c for c in range(classes) for _ in range(2)]
        pictures = [{"bytes": png(shape, i + (part == "test") * 10_000), "path": None} for i in range(len(labels))]
        columns: dict[str, list[Any]] = {"image": pictures, column: labels}
        if part == "test":
            change(columns)
        table = pa.table(columns)
        if names:
            said = {"info": {"features": {column: {"names": list(names), "_type": "ClassLabel"}}}}
            table = table.replace_schema_metadata({"huggingface": json.dumps(said)})
        pq.write_table(table, folder / f"{part}-00000-of-00001.parquet")


def loaded(name: str, data: Path) -> Splits:
    return load_data(name, Places(data, data.parent / "cache", data.parent, download=False)).splits


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


@pytest.mark.parametrize(
    ("asked", "there", "classes", "shape"),
    [("fashion_mnist", "mnist", 10, GREY), ("cifar100", "cifar10", 10, COLOUR), ("mnist", "fashion_mnist", 10, GREY)],
)
@pytest.mark.parametrize("inside", ["", "plain_text", "itself"])
def test_another_data_sets_folder_is_not_looked_into(
    data: Path, asked: str, there: str, classes: int, shape: tuple[int, ...], inside: str
) -> None:
    parquet(data / there / (there if inside == "itself" else inside), classes, shape)
    with pytest.raises(DataError, match=rf"^{asked} was not found.*\(there are {there}, which are other data sets\)"):
        loaded(asked, data)
    assert loaded(there, data).classes == classes


@pytest.mark.parametrize("folder", ["kuzushiji", "mnist/fashion_mnist", "mnist/kuzushiji"])
def test_a_folder_of_another_name_says_nothing_even_within_its_own(data: Path, folder: str) -> None:
    parquet(data / folder, 10, GREY)
    with pytest.raises(DataError, match="^mnist was not found") as raised:
        loaded("mnist", data)
    assert "may be mnist" not in str(raised.value)


@pytest.mark.parametrize("name", ["fashion_mnist", "fashion-mnist", "FashionMNIST", "Fashion_MNIST"])
def test_an_unknown_copy_in_a_folder_of_the_name_is_taken_and_said(data: Path, name: str) -> None:
    parquet(data / name, 10, GREY)
    found = loaded("fashion_mnist", data)
    assert found.source == f"Parquet files, a copy taken for fashion_mnist by its folder, in {data / name}"
    assert loaded("fashion_mnist", data / name).source == found.source  # the data folder itself may bear the name


@pytest.mark.parametrize(
    ("asked", "classes", "shape"), [("mnist", 10, GREY), ("fashion_mnist", 10, GREY), ("cifar10", 10, COLOUR)]
)
@pytest.mark.parametrize("inside", ["", "data"])
def test_an_unknown_copy_that_lies_flat_cannot_be_told_from_a_sister(
    data: Path, asked: str, classes: int, shape: tuple[int, ...], inside: str
) -> None:
    parquet(data / inside, classes, shape)
    with pytest.raises(
        DataError, match=rf"Parquet files in {data} may be {asked}, or another data set .* a folder {asked}/"
    ):
        loaded(asked, data)


def test_flat_files_are_known_by_the_names_of_their_classes(data: Path) -> None:
    clothing = ["T - shirt / top", *DATASETS["fashion_mnist"].function.__globals__["CLOTHING"][1:]]
    parquet(data, 10, GREY, clothing)
    assert "a copy taken for fashion_mnist by the names of its classes, in" in loaded("fashion_mnist", data).source
    with pytest.raises(DataError, match="says that its classes are T - shirt / top.*; mnist has none of them"):
        loaded("mnist", data)
    shutil.move(data, data.parent / "mnist")
    with pytest.raises(DataError, match="mnist has none of them"):
        loaded("mnist", data.parent)


@pytest.mark.parametrize(
    ("asked", "classes", "shape", "told"),
    [
        ("cifar100", 10, COLOUR, "cifar100, which has 100 classes: their test images are of 10"),
        ("cifar10", 100, COLOUR, "has the label 10; wanted a whole number from 0 to 9"),
        ("cifar10", 10, GREY, r"cifar10: its images are \(3, 32, 32\), their test images \(1, 28, 28\)"),
        ("fashion_mnist", 10, COLOUR, "its images are"),
        ("mnist", 9, GREY, "which has 10 classes: their test images are of 9"),
    ],
)
@pytest.mark.parametrize("flat", [False, True])
def test_other_classes_or_another_shape_are_refused_in_its_own_folder_too(
    data: Path, asked: str, classes: int, shape: tuple[int, ...], told: str, flat: bool
) -> None:
    parquet(data if flat else data / asked, classes, shape)
    with pytest.raises(DataError, match=told):
        loaded(asked, data)


def test_cifar100_is_read_by_its_fine_labels(data: Path) -> None:
    parquet(data / "cifar100", 100, COLOUR, column="fine_label")
    found = loaded("cifar100", data)
    assert (found.classes, len(found.test), found.test.shape) == (100, 200, (3, 32, 32))


@real_data
@pytest.mark.parametrize("where", ["fashion_mnist", "."])
def test_the_real_mnist_is_never_fashion_mnist(data: Path, where: str) -> None:
    import os

    (data / where).mkdir(exist_ok=True)
    for file in (Path(os.environ["ROBENCH_DATA"]) / "mnist" / "mnist").glob("t*.parquet"):
        (data / where / file.name).symlink_to(file)
    with pytest.raises(
        DataError, match="are mnist, known by their test images' fingerprint 75d660713d947f0b, not fashion"
    ):
        loaded("fashion_mnist", data)


def test_a_copy_that_lies_flat_is_known_by_its_fingerprint(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parquet(data / "mnist", 10, GREY)
    fingerprint = loaded("mnist", data).test.fingerprint
    monkeypatch.setitem(DATASETS["mnist"].card.variants, fingerprint, "a small copy")
    for file in (data / "mnist").iterdir():
        file.rename(data / file.name)
    found = load_data("mnist", Places(data, data.parent / "cache", data.parent, download=False))
    assert (found.splits.source, found.variant) == (f"Parquet files in {data}", "a small copy")
    with pytest.raises(
        DataError, match=f"are mnist, known by their test images' fingerprint {fingerprint}, not fashion_mnist"
    ):
        loaded("fashion_mnist", data)


def test_a_full_copy_with_other_counts_of_its_classes_is_another_set(data: Path) -> None:
    """A compressed MNIST has no known fingerprint, but its digits are not a thousand each."""
    parquet(data / "kmnist", 3, GREY, change=lambda columns: columns["label"].__setitem__(0, 1))
    places = Places(data, data.parent / "cache", data.parent, download=False)
    with pytest.raises(
        DataError, match=r"not kmnist: their classes have \[1, 3, 2\] test images, kmnist's have \[2, 2, 2\]"
    ):
        load_published(places, "kmnist", "KMNIST", "abc", counts=[2, 2, 2])
    for counts in ([1, 3, 2], [5, 5, 5], None):  # as published, a part of it, and not known
        assert len(load_published(places, "kmnist", "KMNIST", "abc", counts=counts).test) == 6


def idx(folder: Path, shape: tuple[int, int] = (28, 28)) -> None:
    """MNIST's own files, as torchvision unpacks them."""
    folder.mkdir(parents=True)
    for part in ("train", "t10k"):
        images = np.random.default_rng(len(part)).integers(0, 256, (20, *shape), dtype=np.uint8)
        head = np.array([0x803, 20, *shape], dtype=">i4").tobytes()
        (folder / f"{part}-images-idx3-ubyte").write_bytes(head + images.tobytes())
        labels = (np.arange(20) % 10).astype(np.uint8)
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(
            np.array([0x801, 20], dtype=">i4").tobytes() + labels.tobytes()
        )


def test_torchvisions_own_folder_says_which_set_it_is(data: Path) -> None:
    idx(data / "FashionMNIST" / "raw")
    assert "by torchvision's folder, in" in loaded("fashion_mnist", data).source
    with pytest.raises(DataError, match="mnist was not found"):
        loaded("mnist", data)
    idx(data / "mnist" / "MNIST" / "raw")
    assert loaded("mnist", data).test.shape == (1, 28, 28)
    images = data / "mnist" / "MNIST" / "raw" / "t10k-images-idx3-ubyte"
    images.write_bytes(images.read_bytes()[:5000])
    with pytest.raises(DataError, match="torchvision cannot read it"):
        loaded("mnist", data)


def folders(root: Path, names: Sequence[str], shape: tuple[int, ...]) -> None:
    for part in ("train", "test"):
        for label, name in enumerate(names):
            (root / part / name).mkdir(parents=True)
            for i in range(2):
                grey = np.full(shape, 10 * label + i + (part == "test"), np.uint8)
                Image.fromarray(grey).save(root / part / name / f"{i}.png")


def test_class_folders_of_a_published_set_have_the_labels_of_their_names(data: Path) -> None:
    clothing = ["T-shirt top", *DATASETS["fashion_mnist"].function.__globals__["CLOTHING"][1:]]
    folders(data / "fashion_mnist", clothing, GREY)
    test = loaded("fashion_mnist", data).test
    assert (test.pixels(slice(None))[:, 0, 0, 0] // 10 == test.targets().numpy()).all()
    folders(data, [str(digit) for digit in range(10)], GREY)
    with pytest.raises(DataError, match=r"ImageFolder files in .* may be mnist, or another"):
        loaded("mnist", data)


def test_class_folders_of_something_else_are_not_a_published_set(data: Path) -> None:
    folders(data, ["zebra", "cat"], COLOUR)
    with pytest.raises(
        DataError, match="cifar10 was not found.* the class folder 'zebra', which is none of its 10 classes"
    ):
        loaded("cifar10", data)
    shutil.move(data, data.parent / "cifar10")
    with pytest.raises(DataError, match=r"^.*the class folder 'zebra'"):
        loaded("cifar10", data.parent)


def set_label(value: Any) -> Callable[[dict[str, list[Any]]], None]:
    def change(columns: dict[str, list[Any]]) -> None:
        kept = {str: str, float: float}.get(type(value), lambda label: label)
        columns["label"][:] = [kept(label) for label in columns["label"]]
        columns["label"][3] = value

    return change


def set_image(value: Any) -> Callable[[dict[str, list[Any]]], None]:
    def change(columns: dict[str, list[Any]]) -> None:
        columns["image"][3] = value

    return change


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (set_label(None), "row 3 of .*test-.* has the label None"),
        (set_label("cat"), "row 0 of .* has the label '0'"),
        (set_label(1.5), "row 0 of .* has the label 0.0"),
        (set_label(-1), "row 3 of .* has the label -1"),
        (set_label(10), "row 3 of .* has the label 10; wanted a whole number from 0 to 9"),
        (set_image(None), "row 3 of .*test-.* holds no image"),
        (set_image({"bytes": None, "path": "x.png"}), "row 3 of .* holds no image"),
        (set_image({"bytes": b"", "path": None}), "the image in row 3 of .* is empty"),
        (set_image({"bytes": b"nothing", "path": None}), "the image in row 3 of .* is not an image"),
        (set_image({"bytes": png((30, 28), 1), "path": None}), r"has shape \(1, 30, 28\)"),
        (lambda columns: columns.pop("label"), "row 0 of .* has no label; .* found image"),
        (lambda columns: columns.pop("image"), "row 0 of .* holds no image; .* found label"),
        (lambda columns: columns.update(label=[], image=[]), "holds no images"),
    ],
)
def test_parquet_with_an_odd_row_names_the_file_and_the_row(
    data: Path, change: Callable[[dict[str, list[Any]]], None], told: str
) -> None:
    parquet(data / "mnist", 10, GREY, change=change)
    with pytest.raises(DataError, match=told):
        loaded("mnist", data)


def test_a_parquet_file_that_is_cut_off_is_named(data: Path) -> None:
    parquet(data / "mnist", 10, GREY)
    file = data / "mnist" / "test-00000-of-00001.parquet"
    whole = file.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", whole[:100] + bytes(2000) + whole[2100:]):
        file.write_bytes(damaged)
        with pytest.raises(DataError, match=r"test-00000-of-00001\.parquet"):
            loaded("mnist", data)
