"""Corrupted images written as the benchmarks lay them, for whoever reads those layouts, robench among them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robench.data.corrupted import CIFAR_SHAPE, SEVERITIES, SIDE, check_corruption
from robench.data.imagenet import imagenet_classes
from robench.data.sequences import check_perturbation, pyav
from robench.errors import DataError, StoreError, UsageError
from robench.files import atomic_path

QUALITY = 85
"""Of the JPEGs of ImageNet-C."""
RATE = 30
"""Frames a second of the films of ImageNet-P, which nobody watches."""


def write_cifar_c(folder: Path, name: str, images: NDArray[np.uint8], labels: NDArray[Any]) -> Path:
    """Write a corruption as CIFAR-10-C has it: `NAME.npy`, severity after severity, and `labels.npy`.

    Args:
        folder: made if it is not there; another corruption's labels there must be the same.
        name: of the corruption.
        images: uint8, (5, N, 32, 32, 3), by severity; a memory map is not read as a whole.
        labels: of the N images, 0 to 255, (N,).

    Returns:
        The file of the images.

    Raises:
        UsageError: there is no such corruption, or shapes or types are others.
        DataError: the folder holds other labels.
        StoreError: it cannot be written.

    Example:
        write_cifar_c(Path("CIFAR-10-C"), "fog", images, labels)
    """
    check_corruption(name)
    _check(images, (SEVERITIES, None, *CIFAR_SHAPE))
    given = np.asarray(labels)
    if given.shape != (images.shape[1],) or not np.issubdtype(given.dtype, np.integer):
        raise UsageError(f"labels are {given.dtype} of shape {given.shape}; wanted {images.shape[1]:,} whole numbers")
    if given.min() < 0 or given.max() > 255:
        raise UsageError(f"labels are from {given.min()} to {given.max()}; in this layout they are 0 to 255")
    repeated = np.tile(given.astype(np.uint8), SEVERITIES)
    known = folder / "labels.npy"
    if known.is_file() and not np.array_equal(np.load(known), repeated):
        raise DataError(f"{known} holds other labels than those given; write to another folder")
    _save(known, repeated)
    return _save(folder / f"{name}.npy", images.reshape(-1, *CIFAR_SHAPE))


def write_cifar_p(folder: Path, name: str, sequences: NDArray[np.uint8]) -> Path:
    """Write perturbation sequences as CIFAR-10-P has them: `NAME.npy`.

    Args:
        name: of the perturbation.
        sequences: uint8, (N, T, H, W, 3).

    Returns:
        The file.

    Raises:
        UsageError: there is no such perturbation, or shape or type are others.
        StoreError: it cannot be written.

    Example:
        write_cifar_p(Path("CIFAR-10-P"), "tilt", sequences)
    """
    check_perturbation(name)
    _check(sequences, (None, None, None, None, 3))
    return _save(folder / f"{name}.npy", sequences)


def write_imagenet_c(
    folder: Path, name: str, severity: int, images: NDArray[np.uint8], labels: Sequence[int], files: Sequence[str]
) -> list[Path]:
    """Write images as ImageNet-C has them: `NAME/SEVERITY/WNID/FILE`, JPEGs of quality 85.

    May be called for batch after batch; a file that is there is replaced.

    Args:
        folder: made if it is not there.
        name: of the corruption.
        severity: 1 to 5.
        images: uint8, (N, 224, 224, 3).
        labels: places among ImageNet's 1,000 classes, (N,).
        files: names of the pictures that they were made from, such as ILSVRC2012_val_00000293.JPEG, (N,).

    Returns:
        The files, in the order of the images.

    Raises:
        UsageError: there is no such corruption, severity or class, shapes or types are others, or two images would be one file.
        StoreError: a file cannot be written.

    Example:
        write_imagenet_c(Path("ImageNet-C"), "fog", 3, images, [0], ["ILSVRC2012_val_00000293.JPEG"])
    """
    check_corruption(name, severity)
    _check(images, (None, SIDE, SIDE, 3))
    classes = imagenet_classes()
    places = [int(label) for label in labels]
    if wrong := [place for place in places if not 0 <= place < len(classes)]:
        raise UsageError(f"the label {wrong[0]} is none of ImageNet's {len(classes):,} classes, counted from 0")
    if not len(images) == len(places) == len(files):
        raise UsageError(f"{len(images):,} images, {len(places):,} labels and {len(files):,} files; give one of each")
    if wrong_names := [
        file for file in files if Path(file).name != file or not file.endswith((".JPEG", ".jpg", ".jpeg"))
    ]:
        raise UsageError(
            f"the file {wrong_names[0]!r} is no plain name of a JPEG, such as ILSVRC2012_val_00000293.JPEG"
        )
    written = [
        folder / name / str(severity) / classes[place].wnid / file for place, file in zip(places, files, strict=True)
    ]
    if len(set(written)) < len(written):
        twice = next(file for at, file in enumerate(written) if file in written[:at])
        raise UsageError(f"two images would be {twice}; give each a name of its own within its class")
    for file, pixels in zip(written, images, strict=True):
        _save_jpeg(file, pixels)
    return written


def write_imagenet_p(
    folder: Path, name: str, sequences: NDArray[np.uint8], labels: Sequence[int], files: Sequence[str]
) -> list[Path]:
    """Write sequences as ImageNet-P has them: `NAME/WNID/FILE.mp4`, but without loss, so that every pixel reads back.

    Needs PyAV. May be called for batch after batch; a file that is there is replaced.

    Args:
        name: of the perturbation.
        sequences: uint8, (N, T, 224, 224, 3).
        labels: places among ImageNet's 1,000 classes, (N,).
        files: names of the pictures that they were made from, without a suffix, (N,).

    Returns:
        The files, in the order of the sequences.

    Raises:
        UsageError: there is no such perturbation, shapes or types are others, or PyAV is not installed.
        StoreError: a file cannot be written.

    Example:
        write_imagenet_p(Path("ImageNet-P"), "tilt", sequences, [0], ["ILSVRC2012_val_00000293"])
    """
    check_perturbation(name)
    _check(sequences, (None, None, SIDE, SIDE, 3))
    library, classes = pyav(), imagenet_classes()
    written = [
        folder / name / classes[int(label)].wnid / f"{file}.mp4" for label, file in zip(labels, files, strict=True)
    ]
    for path, frames in zip(written, sequences, strict=True):
        with _quickly(path) as temporary, library.open(str(temporary), "w", format="mp4") as film:
            stream = film.add_stream("libx264rgb", rate=RATE, options={"qp": "0"})
            stream.height, stream.width, stream.pix_fmt = SIDE, SIDE, "rgb24"
            for pixels in frames:
                film.mux(stream.encode(library.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")))
            film.mux(stream.encode())
    return written


def _check(images: NDArray[np.uint8], wanted: tuple[int | None, ...]) -> None:
    fits = images.ndim == len(wanted) and all(
        given and side in (None, given) for side, given in zip(wanted, images.shape, strict=True)
    )
    if images.dtype != np.uint8 or not fits:
        said = ", ".join("any" if side is None else str(side) for side in wanted)
        raise UsageError(f"images are {images.dtype} of shape {images.shape}; wanted uint8 of shape ({said})")


def _save(file: Path, array: NDArray[np.uint8]) -> Path:
    with atomic_path(file) as temporary, temporary.open("wb") as stream:
        np.save(stream, array)
    return file


def _save_jpeg(file: Path, pixels: NDArray[np.uint8]) -> None:
    from PIL import Image as pillow

    with _quickly(file) as temporary:
        pillow.fromarray(pixels).save(temporary, "JPEG", quality=QUALITY, optimize=True)


@contextmanager
def _quickly(file: Path) -> Iterator[Path]:
    """A file that a reader sees whole or not at all; not flushed to the disk, which for 50,000 files would take minutes."""
    temporary = file.with_name(f".{file.name}.part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(file)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise StoreError(
            f"cannot write {file}: {error.strerror or error}; free some space or choose another folder"
        ) from error
