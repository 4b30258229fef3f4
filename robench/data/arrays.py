"""Images in files of numpy, (N, H, W, C): memory-mapped, never read as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robench.data.derived import tested_only
from robench.data.finding import few, named_folders, not_found
from robench.data.folders import contents
from robench.data.splits import Split, Splits
from robench.errors import DataError
from robench.places import Places


def load_arrays(
    places: Places, folder: str, stem: str, names: Sequence[str], *, shape: tuple[int, int, int], images: int
) -> Splits:
    """A test split from `STEM_data.npy` and `STEM_labels.npy`, as CIFAR-10.1 is published; there is nothing to train on.

    Args:
        folder: that it lies in, or in `datasets/` within it, under the data folder.
        stem: of the two files' names.
        names: of the classes.
        shape: (H, W, C) of an image.
        images: how many there are as published; another number is told.

    Raises:
        DataError: a file is missing or damaged, or not what is wanted.

    Example:
        splits = load_arrays(places, "CIFAR-10.1", "cifar10.1_v6", names, shape=(32, 32, 3), images=2000)
    """
    roots = [place for root in named_folders(places, [folder], folder) for place in (root, root / "datasets")]
    data = next((file for root in roots if (file := root / f"{stem}_data.npy").is_file()), None)
    if data is None:
        raise not_found(
            places, folder, f"{stem}_data.npy", roots, f"{folder}/{stem}_data.npy, {stem}_labels.npy beside it"
        )
    pixels = mapped_images(data, (None, *shape))
    labels = array_labels(data.with_name(f"{stem}_labels.npy"), [len(pixels)], data)
    said = "" if len(pixels) == images else f", {len(pixels):,} images of the {images:,} published"
    return array_splits(pixels, labels, names, f"{data.name}{said} in {data.parent}")


def array_splits(pixels: NDArray[np.uint8], labels: NDArray[np.int64], names: Sequence[str], source: str) -> Splits:
    """Images (N, H, W, C) with labels as a data set without training images; no pixel is copied."""
    split = Split.of("test", pixels.transpose(0, 3, 1, 2), labels)
    return Splits(*tested_only(split), len(names), source, tuple(names))


def mapped_images(file: Path, wanted: tuple[int | None, ...]) -> NDArray[np.uint8]:
    """The 8-bit images of a file of numpy, memory-mapped.

    Args:
        wanted: their shape; None: any number of at least 1.

    Raises:
        DataError: it is damaged, or holds something else.
    """
    array = _mapped(file)
    said = ", ".join("any" if side is None else str(side) for side in wanted)
    fits = array.ndim == len(wanted) and all(
        side == given or (side is None and given) for side, given in zip(wanted, array.shape, strict=True)
    )
    if array.dtype != np.uint8 or not fits:
        raise DataError(
            f"{file} holds {array.dtype} of shape {array.shape}; wanted uint8 of shape ({said}): fetch it again"
        )
    return array


def array_labels(file: Path, counts: Sequence[int], images: Path) -> NDArray[np.int64]:
    """The labels of a file of numpy.

    Args:
        counts: how many there may be.
        images: the file that they belong to, for messages.

    Raises:
        DataError: it is missing or damaged, or holds no whole numbers or another number of them.
    """
    wanted = f"wanted {' or '.join(f'{count:,}' for count in dict.fromkeys(counts))} whole numbers from 0, for {images}"
    if not file.is_file():
        beside = [near.name for near in contents(file.parent)]
        raise DataError(f"there is no {file} beside {images.name} (there are {few(beside)}); {wanted}: fetch it too")
    array = _mapped(file)
    if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer) or len(array) not in counts:
        raise DataError(f"{file} holds {array.dtype} of shape {array.shape}; {wanted}: fetch both again")
    if len(array) and array.min() < 0:
        raise DataError(f"{file} holds the label {array.min()}; {wanted}: fetch both again")
    return np.asarray(array, dtype=np.int64)


def _mapped(file: Path) -> NDArray[Any]:
    try:
        array = np.load(file, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # numpy raises many kinds for a header that is none
        raise DataError(f"{file} is truncated or no array of numpy ({error}); fetch it again") from error
    if not isinstance(array, np.ndarray):
        raise DataError(f"{file} is an archive of several arrays, and one was wanted; fetch it again")
    return array
