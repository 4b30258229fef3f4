"""Images decoded once to uint8 in the cache, and memory-mapped after that."""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
from collections.abc import Callable, Iterable
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robench.data.checking import set_aside
from robench.data.splits import Split
from robench.entries.calls import Json
from robench.errors import DataError, StoreError
from robench.files import parse_json
from robench.hashing import digest, file_digest, pixel_ids

log = logging.getLogger(__name__)
LabelledImage = tuple[NDArray[np.uint8], int]
"""An image (H, W) or (H, W, C), and its label."""


DECODER = 3
"""Raised when pictures or labels are read by other rules; what was decoded before is then decoded again."""
MOST_HASHED = 2 * 10**9
"""Bytes of pixels that are hashed when they are opened (a second or two); of more, images are looked at when they are used."""


NAMES = ("images.npy", "labels.npy", "ids.npy")


class Half(NamedTuple):
    """One half of a data set as found on disk: its files, how many images, and how to read them in order.

    Attributes:
        key: what else decides what is read, such as the labels of the folders.
    """

    files: list[Path]
    images: int
    rows: Callable[[], Iterable[LabelledImage]]
    key: Json = None


def decoded(cache: Path, half: Half, what: str) -> Split:
    """The images of one half as a memory-mapped array, decoded now if they were not before, or that copy is damaged."""
    stamps = [(str(f), f.stat().st_size, f.stat().st_mtime_ns) if f.exists() else str(f) for f in half.files]
    folder = cache / "decoded" / digest([DECODER, half.key, stamps], 24)
    if not (folder / "facts.json").exists():
        _decode(folder, half, what)
    try:
        return _read(folder)
    except (ValueError, OSError, KeyError, TypeError, EOFError) as error:
        log.warning("the decoded copy of %s in %s was damaged (%s); decoding it anew", what, folder, error)
        set_aside(folder)
    _decode(folder, half, what)
    try:
        return _read(folder)
    except (ValueError, OSError, KeyError, TypeError, EOFError) as error:
        raise DataError(
            f"the decoded copy of {what} in {folder} was damaged, and again after decoding it anew ({error}); is the disk sound? "
            "Choose another cache with ROBENCH_CACHE"
        ) from error


def _read(folder: Path) -> Split:
    facts: dict[str, Any] = parse_json((folder / "facts.json").read_text(encoding="utf-8"))
    images = np.load(folder / "images.npy", mmap_mode="r")
    labels, ids = np.load(folder / "labels.npy"), np.load(folder / "ids.npy")
    if not len(images) == len(labels) == len(ids) == facts["count"]:
        raise ValueError("the parts do not fit together")
    small = images.nbytes <= MOST_HASHED
    if any(file_digest(folder / name) != facts["sha256"][name] for name in NAMES if small or name != "images.npy"):
        raise ValueError("its pixels, labels or ids are not those that were written")
    return Split.of("all", images, labels, ids)


def _decode(folder: Path, half: Half, what: str) -> None:
    rows = iter(half.rows())
    first = next(rows, None)
    if first is None:
        raise DataError(f"{what} holds no images")
    shape = _channels_first(first[0]).shape
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=".decoding-", dir=folder.parent))
    except OSError as error:
        raise StoreError(
            f"cannot write to the cache {folder.parent}: {error.strerror}; choose another with ROBENCH_CACHE"
        ) from error
    try:
        images = np.lib.format.open_memmap(
            temporary / "images.npy", mode="w+", dtype=np.uint8, shape=(half.images, *shape)
        )
        labels, done = np.empty(half.images, dtype=np.int64), 0
        for image, label in chain([first], rows):
            pixels = _channels_first(image)
            if pixels.shape != shape:
                raise DataError(
                    f"image {done} of {what} has shape {pixels.shape}, the first one {shape}; all must be alike: try folder(path=..., size=...)"
                )
            if done == half.images:
                raise DataError(f"{what} holds more than the {half.images} images it says; fetch it again")
            images[done], labels[done] = pixels, label
            done += 1
        if done != half.images:
            raise DataError(f"{what} ended after {done} of {half.images} images; fetch it again")
        images.flush()
        np.save(temporary / "labels.npy", labels)
        np.save(temporary / "ids.npy", pixel_ids(images))
        facts = {"what": what, "count": done, "sha256": {name: file_digest(temporary / name) for name in NAMES}}
        (temporary / "facts.json").write_text(json.dumps(facts), encoding="utf-8")
        if not folder.exists():
            temporary.replace(folder)
    except OSError as error:
        raise StoreError(
            f"cannot decode {what} into {folder}: {error.strerror or error}; free some space or set ROBENCH_CACHE"
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _channels_first(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return image[None] if image.ndim == 2 else image.transpose(2, 0, 1)
