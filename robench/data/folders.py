"""Folders of pictures, one folder a class."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robench.data.classes import Classes, classes_of
from robench.data.decoding import Half, decoded
from robench.data.pictures import cropped
from robench.data.splits import Splits, with_validation
from robench.entries.calls import Json
from robench.errors import DataError
from robench.places import Places, home

SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif", ".ppm", ".pgm"}
LITTER = {"__MACOSX", "__pycache__", "@eaDir", "lost+found"}
"""Folders of systems and tools, which are no more classes than hidden ones are."""
HALVES = ("train", "val", "validation", "test")
LISTED = 3


class Found(NamedTuple):
    """What lies under class folders.

    Attributes:
        files: the pictures by class folder, those in folders within it too.
        empty: class folders without pictures.
        others: files that are no pictures by their names, and pictures in no class folder.
    """

    files: dict[str, list[Path]]
    empty: list[str]
    others: list[Path]

    def pictures(self) -> list[tuple[Path, str]]:
        """Each picture with its class folder, sorted."""
        return sorted((file, folder) for folder, files in self.files.items() for file in files)


def class_folders(root: Path) -> Found:
    """What lies under the class folders of a folder; hidden folders and those of systems are left out.

    Raises:
        DataError: a folder cannot be read.
    """
    found = Found({}, [], [])
    if not root.is_dir():
        return found
    try:
        for inside in sorted(root.iterdir()):
            if not inside.is_dir():
                if inside.suffix.lower() in SUFFIXES:
                    found.others.append(inside)
            elif not _hidden(inside.name):
                files = list(_files(inside))
                pictures = [file for file in files if file.suffix.lower() in SUFFIXES]
                found.others.extend(
                    file for file in files if file not in set(pictures) and not file.name.startswith(".")
                )
                if pictures:
                    found.files[inside.name] = pictures
                else:
                    found.empty.append(inside.name)
    except OSError as error:
        raise DataError(f"{error.filename or root} cannot be read ({error.strerror or error})") from error
    return found


def pictures_half(
    found: Found, labels: dict[str, int], read: Callable[[Path], NDArray[np.uint8]], size: int | None = None
) -> Half:
    """The pictures of class folders with the folders' labels, as one half of a data set."""
    rows = [(file, labels[folder]) for file, folder in found.pictures()]
    key: list[Json] = ["folder", size, *(label for _, label in rows)]
    return Half([file for file, _ in rows], len(rows), lambda: ((read(file), label) for file, label in rows), key)


def load_folder(places: Places, path: str | Path, size: int, among: Literal["present", "all"] = "present") -> Splits:
    """An ImageFolder: `train/CLASS/*.jpg` and `test/` (or `val/`) beside it, or the class folders alone as a test split.

    Images are resized to `size` on their shorter side and cropped to the centre, size x size, RGB. How pictures are read
    is said in `data.pictures`, how classes are ordered in `data.classes`.

    Args:
        among: for a model with more outputs than there are classes: "present" reads those of the classes alone, with
            "all" its other outputs compete.

    Raises:
        DataError: there are no pictures, one cannot be read, or what the classes are is contradictory.

    Example:
        splits = load_folder(places, Path("photos"), size=224)
    """
    path = home(path, "the folder")
    if not path.is_dir():
        raise DataError(
            f"there is no folder {str(path)!r}; give the folder that holds train/ and test/ or val/, or the classes' folders"
        )
    halves = {part: class_folders(path / part) for part in HALVES}
    train, within = halves["train"], next((part for part in ("test", "val", "validation") if halves[part].files), None)
    if train.files and not within:
        raise DataError(f"{str(path)!r} has train/ with pictures, but no test/ or val/ beside it; add one of them")
    test = halves[within] if within else class_folders(path)
    if not test.files:
        there = _few([file.name for file in test.others]) or _few(test.empty) or "nothing"
        raise DataError(
            f"{str(path)!r} holds no images in class folders (it has {there}); wanted {path}/test/CLASS/IMAGE.jpg (or val/, "
            f"or {path}/CLASS/IMAGE.jpg), with one of the suffixes {', '.join(sorted(SUFFIXES))}"
        )
    if train.files and (unknown := sorted(set(test.files) - set(train.files))):
        raise DataError(
            f"train/ and {within}/ of {str(path)!r} disagree: {within}/ has pictures of {_few(unknown)}, train/ has none; "
            f"move them there, or give {path / str(within)} alone to measure a model that is trained"
        )
    classes = classes_of(path, [*test.files, *train.files])
    labels, names = _labels(classes, among)

    def half(found: Found) -> Half:
        return pictures_half(found, labels, lambda file: cropped(file, size), size)

    tested = decoded(places.cache, half(test), f"the folder {path}")
    if train.files:
        parts = with_validation(decoded(places.cache, half(train), f"the folder {path / 'train'}"), tested)
    else:
        nothing = tested.select(np.array([], dtype=np.int64), "train")
        parts = (nothing, nothing, tested.select(np.arange(len(tested)), "test"))
    source = f"ImageFolder {path}{_left_out(test, train)}"
    wide = classes.among(everything=among == "all")
    return Splits(*parts, len(names), source, names, classes.order, wide)


def _labels(classes: Classes, among: str) -> tuple[dict[str, int], tuple[str, ...]]:
    """The label of each class folder, and the names of all labels."""
    if among == "present" or classes.outputs is None:
        return {folder: label for label, folder in enumerate(classes.folders)}, classes.names
    labels = dict(zip(classes.folders, classes.outputs, strict=True))
    known = dict(zip(classes.outputs, classes.names, strict=True))
    width = classes.width or max(classes.outputs) + 1
    return labels, classes.everything or tuple(known.get(place, str(place)) for place in range(width))


def _left_out(test: Found, train: Found) -> str:
    """The end of a data set's source: what of its folders is not in it."""
    empty = [name for name in {*test.empty, *train.empty} if name not in test.files and name not in train.files]
    unseen = sorted(set(train.files) - set(test.files)) if train.files else []
    others = [file.name for file in [*train.others, *test.others]]
    said = [
        f"without {len(others)} files that are no pictures in class folders ({_few(others)})" if others else "",
        f"without the empty folders {_few(sorted(empty))}" if empty else "",
        f"without test images of {_few(unseen)}" if unseen else "",
    ]
    return "".join(f", {part}" for part in said if part)


def _few(names: list[str]) -> str:
    """The first few of many names."""
    more = [f"and {len(names) - LISTED} more"] if len(names) > LISTED else []
    return ", ".join([*map(repr, names[:LISTED]), *more])


def _hidden(name: str) -> bool:
    return name.startswith(".") or name in LITTER


def _files(folder: Path) -> Iterator[Path]:
    """All files within a folder, but those in hidden folders; links are followed, a circle of them ends."""
    seen: set[str] = set()
    for at, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(at)
        folders[:] = [] if real in seen else sorted(name for name in folders if not _hidden(name))
        if real not in seen:
            yield from (Path(at) / name for name in sorted(files))
        seen.add(real)
