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
from robench.data.derived import tested_only
from robench.data.pictures import cropped
from robench.data.splits import Split, Splits, with_validation
from robench.entries.calls import Json
from robench.errors import DataError
from robench.places import Places, home

SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif", ".ppm", ".pgm"}
LITTER = {
    "__macosx",
    "__pycache__",
    "@eadir",
    "#recycle",
    "@recycle",
    "$recycle.bin",
    "system volume information",
    "lost+found",
}
"""Folders of systems and tools, which are no more classes than hidden ones are; in small letters."""
PARTS = {
    "train": ("train", "training"),
    "validation": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
"""What the folders of the parts of a data set are called, in small or capital letters."""
SPELLINGS = {name for names in PARTS.values() for name in names}
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
        for inside in contents(root):
            if not inside.is_dir():
                if inside.suffix.lower() in SUFFIXES:
                    found.others.append(inside)
            elif not _hidden(inside.name):
                files = list(_files(inside))
                pictures = [file for file in files if file.suffix.lower() in SUFFIXES]
                found.others.extend(sorted(set(files) - set(pictures)))
                if pictures:
                    found.files[inside.name] = pictures
                else:
                    found.empty.append(inside.name)
    except OSError as error:
        raise DataError(f"{error.filename or root} cannot be read ({error.strerror or error})") from error
    return found


def pictures_half(
    found: Found, labels: dict[str, int], read: Callable[[Path], NDArray[np.uint8]], how: Json = None
) -> Half:
    """The pictures of class folders with the folders' labels, as one half of a data set.

    Args:
        how: what decides how a picture is read, such as its size.
    """
    rows = [(file, labels[folder]) for file, folder in found.pictures()]
    key: list[Json] = ["folder", how, *(label for _, label in rows)]
    return Half([file for file, _ in rows], len(rows), lambda: ((read(file), label) for file, label in rows), key)


def load_folder(places: Places, path: str | Path, size: int, among: Literal["present", "all"] = "present") -> Splits:
    """An ImageFolder: `train/CLASS/*.jpg` and `test/` (or `val/`) beside it, or the class folders alone as a test split.

    Where there are all three, val/ is the validation split; else it is a tenth of train/. The three may be called Training,
    valid or TEST, too. Images are resized to `size` on their shorter side and cropped to the centre, size x size, RGB. How
    pictures are read is said in `data.pictures`, how classes are ordered in `data.classes`.

    Args:
        among: for a model with more outputs than there are classes: "present" reads those of the classes alone, with
            "all" its other outputs compete.

    Raises:
        DataError: there are no pictures, one cannot be read, folders lie within each other in another way, or what the
            classes are is contradictory.

    Example:
        splits = load_folder(places, Path("photos"), size=224)
    """
    path = home(path, "the folder")
    if not path.is_dir():
        raise DataError(
            f"there is no folder {str(path)!r}; give the folder that holds train/ and test/ or val/, or the classes' folders"
        )
    parts = _parts(path)
    train, held, within = parts.get("train"), parts.get("validation"), parts.get("test") or parts.get("validation")
    if train and not within:
        raise DataError(
            f"{str(path)!r} has {train.name}/ with pictures, but no test/ or val/ beside it; add one of them"
        )
    found = {
        folder: class_folders(folder)
        for folder in [within or path, *([train] if train else []), *([held] if held else [])]
    }
    test = found[within or path]
    if not test.files:
        there = _few([file.name for file in test.others]) or _few(test.empty) or "nothing"
        raise DataError(
            f"{str(path)!r} holds no images in class folders (it has {there}); wanted {path}/test/CLASS/IMAGE.jpg (or val/, "
            f"or {path}/CLASS/IMAGE.jpg), with one of the suffixes {', '.join(sorted(SUFFIXES))}"
        )
    held = held if train and held != within else None
    used = [folder for folder in (within or path, train, held) if folder]
    for folder in used:
        _refuse_nested(folder, found[folder])
        if train and (unknown := sorted(set(found[folder].files) - set(found[train].files))):
            raise DataError(
                f"{train.name}/ and {folder.name}/ of {str(path)!r} disagree: {folder.name}/ has pictures of {_few(unknown)}, "
                f"{train.name}/ has none; move them there, or give {folder} alone to measure a model that is trained"
            )
    classes = classes_of(path, [name for folder in used for name in found[folder].files], parts.values())
    labels, names = _labels(classes, among)

    def split(folder: Path) -> Split:
        half = pictures_half(found[folder], labels, lambda file: cropped(file, size), size)
        return decoded(places.cache, half, f"the folder {folder}")

    tested = split(within or path)
    whole = tested.select(np.arange(len(tested)), "test")
    if train and held:
        trained, chosen = split(train), split(held)
        three = (
            trained.select(np.arange(len(trained)), "train"),
            chosen.select(np.arange(len(chosen)), "validation"),
            whole,
        )
    elif train:
        three = with_validation(split(train), tested)
    else:
        three = tested_only(tested)
    source = f"ImageFolder {path}{_roles(path, within, held, used)}{_left_out(test, found[train] if train else Found({}, [], []))}"
    wide = classes.among(everything=among == "all")
    return Splits(*three, len(names), source, names, classes.order, wide)


def contents(folder: Path) -> list[Path]:
    """What lies in a folder, sorted.

    Raises:
        DataError: it cannot be read.
    """
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise DataError(f"{folder} cannot be read ({error.strerror or error})") from error


def _parts(path: Path) -> dict[str, Path]:
    """The folders of a data set's parts that hold class folders with pictures.

    Raises:
        DataError: two of them are the same part.
    """
    found: dict[str, Path] = {}
    for folder in contents(path):
        part = next((part for part, names in PARTS.items() if folder.name.lower() in names), None)
        if part and class_folders(folder).files:
            if part in found:
                raise DataError(
                    f"{path} has both {found[part].name}/ and {folder.name}/; which is it? Rename one of them"
                )
            found[part] = folder
    return found


def _refuse_nested(root: Path, found: Found) -> None:
    """Refuse class folders that hold parts of a data set, and a single one that holds class folders.

    Raises:
        DataError: naming the folder that may be meant.
    """
    within = [file.relative_to(root).parts for file, _ in found.pictures()]
    for parts in within:
        place = next((i for i, name in enumerate(parts[1:-1], 1) if name.lower() in SPELLINGS), None)
        if place is not None:
            whole = len(parts) > place + 2
            way = (
                f"give {root.joinpath(*parts[:place])}"
                if whole
                else f"wanted {root}/{parts[place]}/{parts[0]}/IMAGE.jpg"
            )
            raise DataError(f"the class folder {str(root / parts[0])!r} holds {'/'.join(parts[1 : place + 1])}/; {way}")
    shared = len(os.path.commonprefix(within))
    if len(found.files) == 1 and shared and all(len(parts) > shared + 1 for parts in within):
        raise DataError(
            f"{str(root)!r} has a single class folder, {within[0][0]!r}, and in it are folders again, such as {within[0][shared]!r}: "
            f"give {root.joinpath(*within[0][:shared])}"
        )


def _labels(classes: Classes, among: str) -> tuple[dict[str, int], tuple[str, ...]]:
    """The label of each class folder, and the names of all labels."""
    if among == "present" or classes.outputs is None:
        return {folder: label for label, folder in enumerate(classes.folders)}, classes.names
    labels = dict(zip(classes.folders, classes.outputs, strict=True))
    known = dict(zip(classes.outputs, classes.names, strict=True))
    width = classes.width or max(classes.outputs) + 1
    return labels, classes.everything or tuple(known.get(place, str(place)) for place in range(width))


def _roles(path: Path, within: Path | None, held: Path | None, used: list[Path]) -> str:
    """What of a data set's source says which folder is what, and which ones are not looked at."""
    beside = [
        folder.name
        for folder in contents(path)
        if folder.is_dir() and within and not _hidden(folder.name) and folder not in used
    ]
    said = f", {held.name}/ as validation" if held else ""
    return f"{said}, without {_few(beside)} beside {within.name}/" if within and beside else said


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
    return name.startswith(".") or name.lower() in LITTER


def _files(folder: Path) -> Iterator[Path]:
    """All files within a folder, but hidden ones and those in hidden folders; links are followed, a circle of them ends."""
    seen: set[str] = set()
    for at, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(at)
        folders[:] = [] if real in seen else sorted(name for name in folders if not _hidden(name))
        if real not in seen:
            yield from (Path(at) / name for name in sorted(files) if not name.startswith("."))
        seen.add(real)
