"""Data sets on disk, in the layouts that they are published in.

Files are looked for in the user's data folder, then in the cache, then torchvision downloads them into the cache.
In a folder they may lie as Hugging Face Parquet, as torchvision's own layout, or as an ImageFolder.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from robench.data.decoding import Half, LabelledImage, decoded
from robench.data.splits import Split, Splits, hold_out
from robench.errors import DataError
from robench.places import Places

IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"}
VALIDATION_SHARE = 0.1


def load_published(places: Places, name: str, torchvision_name: str, names: Sequence[str]) -> Splits:
    """A data set that is published with a train and a test half, from wherever it is found.

    Args:
        name: of the folder it is looked for in, besides the data folder itself.
        torchvision_name: of the class in torchvision.datasets that reads and downloads it.
        names: of the classes, in their order.

    Raises:
        DataError: it was found nowhere, or a file of it cannot be read.

    Example:
        splits = load_published(places, "kmnist", "KMNIST", ["o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"])
    """
    roots = [root for base in (places.data, places.cache / "data") if base for root in (base / name, base)]
    looked: list[str] = []
    for root in roots:
        for layout, find in (("Parquet", _parquet), ("torchvision", _torchvision), ("ImageFolder", _image_folder)):
            halves = [find(root, part, torchvision_name) for part in ("train", "test")]
            if all(halves):
                train, test = (decoded(places.cache, found, f"{name} {layout}") for found in halves if found)
                return _with_validation(train, test, names, f"{layout} files in {root}")
        looked.append(str(root))
    problem = _download(places, torchvision_name)
    if problem is None:
        return load_published(Places(None, places.cache, places.store, download=False), name, torchvision_name, names)
    raise DataError(
        f"{name} was not found. Looked for Parquet (train-*.parquet, test-*.parquet), torchvision's layout and an ImageFolder in: "
        f"{', '.join(looked)}; {problem}. Put the files in one of these folders, or name their folder with --data or ROBENCH_DATA"
    )


def load_folder(places: Places, path: Path, size: int) -> Splits:
    """An ImageFolder: `train/CLASS/*.jpg` and `test/` (or `val/`) beside it, or the class folders alone as a test split.

    Images are resized to `size` on their shorter side and cropped to the centre, size x size, RGB.

    Example:
        splits = load_folder(places, Path("photos"), size=224)
    """
    if not path.is_dir():
        raise DataError(
            f"there is no folder {str(path)!r}; give the folder that holds train/ and test/ or val/, or the classes' folders"
        )
    halves = {part: _image_files(path / part) for part in ("train", "val", "validation", "test")}
    test = halves["test"] or halves["val"] or halves["validation"] or _image_files(path)
    if not test:
        raise DataError(
            f"{str(path)!r} holds no images; wanted {path}/test/CLASS/IMAGE.jpg (or val/, or {path}/CLASS/IMAGE.jpg)"
        )
    names = sorted({file.parent.name for file in [*test, *halves["train"]]})

    def half(files: list[Path]) -> Half:
        return Half(
            files, len(files), lambda: ((_cropped(file, size), names.index(file.parent.name)) for file in files)
        )

    source = f"ImageFolder {path}"
    tested = decoded(places.cache, half(test), f"folder {size} {len(names)}")
    if halves["train"]:
        return _with_validation(
            decoded(places.cache, half(halves["train"]), f"folder {size} {len(names)}"), tested, names, source
        )
    nothing = tested.select(np.array([], dtype=np.int64), "train")
    return Splits(nothing, nothing, tested, len(names), source, tuple(names))


def _with_validation(train: Split, test: Split, names: Sequence[str], source: str) -> Splits:
    rest, held = hold_out(train, VALIDATION_SHARE, "validation")
    whole = test.select(np.arange(len(test)), "test")
    return Splits(rest.select(np.arange(len(rest)), "train"), held, whole, len(names), source, tuple(names))


def _parquet(root: Path, part: str, _: str) -> Half | None:
    files = sorted(file for folder in (root, *root.glob("*/")) for file in folder.glob(f"{part}-*.parquet"))
    if not files:
        return None
    import pyarrow.parquet as pq

    try:
        count = sum(pq.ParquetFile(file).metadata.num_rows for file in files)
    except Exception as error:
        raise DataError(
            f"a Parquet file among {', '.join(map(str, files))} is truncated or damaged ({error}); fetch it again"
        ) from error

    def rows() -> Iterator[LabelledImage]:
        for file in files:
            try:
                for batch in pq.ParquetFile(file).iter_batches(1024):
                    for row in batch.to_pylist():
                        picture = next(value for value in row.values() if isinstance(value, dict) and "bytes" in value)
                        label = next(row[key] for key in ("label", "fine_label", "labels") if key in row)
                        yield _pixels(picture["bytes"]), int(label)
            except (OSError, StopIteration) as error:
                raise DataError(f"{file} is damaged or is not images with labels ({error}); fetch it again") from error

    return Half(files, count, rows)


def _torchvision(root: Path, part: str, torchvision_name: str) -> Half | None:
    from torchvision import datasets

    kind = getattr(datasets, torchvision_name)
    marker = root / (getattr(kind, "base_folder", None) or f"{torchvision_name}/raw")
    if not marker.is_dir():
        return None
    try:
        loaded = kind(str(root), train=part == "train", download=False)
    except Exception as error:
        raise DataError(f"{marker} is there but torchvision cannot read it ({error}); fetch it again") from error
    images, labels = np.asarray(loaded.data), [int(label) for label in loaded.targets]
    files = sorted(file for file in marker.rglob("*") if file.is_file())
    return Half([*files, Path(part)], len(images), lambda: zip(images, labels, strict=True))


def _image_folder(root: Path, part: str, _: str) -> Half | None:
    files = _image_files(root / part)
    if not files:
        return None
    names = sorted({file.parent.name for file in files})
    return Half(
        files, len(files), lambda: ((_pixels(file.read_bytes()), names.index(file.parent.name)) for file in files)
    )


def _image_files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.glob("*/*") if file.suffix.lower() in IMAGE_SUFFIXES)


def _pixels(encoded: bytes) -> NDArray[np.uint8]:
    from PIL import Image

    with Image.open(io.BytesIO(encoded)) as picture:
        return np.asarray(picture if picture.mode in ("L", "RGB") else picture.convert("RGB"))


def _cropped(file: Path, size: int) -> NDArray[np.uint8]:
    from PIL import Image

    try:
        with Image.open(file) as picture:
            width, height = picture.size
            scale = size / min(width, height)
            resized = picture.convert("RGB").resize(
                (max(size, round(width * scale)), max(size, round(height * scale))), Image.Resampling.BICUBIC
            )
    except OSError as error:
        raise DataError(f"{file} is truncated or is not an image ({error}); replace it or take it away") from error
    left, top = (resized.width - size) // 2, (resized.height - size) // 2
    return np.asarray(resized.crop((left, top, left + size, top + size)))


def _download(places: Places, torchvision_name: str) -> str | None:
    """Download into the cache; what went wrong, or None."""
    if not places.download:
        return "the download was not usable"
    from torchvision import datasets

    target = places.cache / "data"
    try:
        target.mkdir(parents=True, exist_ok=True)
        for train in (True, False):
            getattr(datasets, torchvision_name)(str(target), train=train, download=True)
    except Exception as error:
        return f"torchvision could not download it ({type(error).__name__}: {error})"
    return None
