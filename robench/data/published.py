"""Data sets on disk, in the layouts that they are published in.

Files are looked for in the user's data folder, then in the cache, then they are downloaded into the cache.
In a folder they may lie as Hugging Face Parquet, as torchvision's own layout, or as an ImageFolder.

A data set is known by folder and content. Files in a folder of its name are taken for it, unless their content says
otherwise: another data set's fingerprint, other classes, another shape, other counts of its classes. Files that lie in
the data folder itself are taken for it only where something says so: its fingerprint, its classes' names, torchvision's
own folder.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from robench.data.classes import numbers_of
from robench.data.decoding import Half, decoded
from robench.data.downloading import download
from robench.data.folders import class_folders, pictures_half
from robench.data.parquet import parquet_half, parquet_names
from robench.data.pictures import picture_pixels
from robench.data.splits import Split, Splits, with_validation
from robench.entries.registry import DATASETS
from robench.errors import DataError
from robench.places import Places

PLAIN = ("data", "default", "plain_text")
"""Folders that Parquet files are published in, which do not say of which data set they are."""


@dataclass(frozen=True)
class Wanted:
    """A data set as it is looked for; see `load_published`."""

    name: str
    torchvision_name: str
    names: Sequence[str]
    shape: tuple[int, int, int] | None
    counts: Sequence[int] | None

    def named(self, folder: Path) -> bool:
        """Whether a folder bears its name."""
        return _plain(folder.name) in {_plain(self.name), _plain(self.torchvision_name)}

    def roots(self, base: Path) -> Iterator[tuple[Path, bool]]:
        """The folders to look in, and whether they bear its name."""
        yield base / self.name, True
        if base.is_dir():
            inside = sorted(folder for folder in base.iterdir() if folder.name != self.name)
            yield from ((folder, True) for folder in inside if self.named(folder) and folder.is_dir())
        yield base, self.named(base)


@dataclass(frozen=True)
class Candidate:
    """The two halves of what may be the data set.

    Attributes:
        said: what says that it is this one, besides a folder's name; empty where nothing does.
    """

    layout: str
    root: Path
    train: Half
    test: Half
    said: str


def load_published(
    places: Places,
    name: str,
    torchvision_name: str,
    names: Sequence[str],
    *,
    shape: tuple[int, int, int] | None = None,
    counts: Sequence[int] | None = None,
) -> Splits:
    """A data set that is published with a train and a test half, from wherever it is found.

    Args:
        name: of the folder it is looked for in, besides the data folder itself.
        torchvision_name: of the class in torchvision.datasets that reads it; those in `downloading.REMOTE` are downloaded.
        names: of the classes, in their order.
        shape: (C, H, W) of its images, where it is known.
        counts: test images of each class as published, by which a copy of the same size is told from a sister.

    Raises:
        DataError: it was found nowhere, a file of it cannot be read, or what was found is not it.

    Example:
        splits = load_published(places, "kmnist", "KMNIST", ["o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"])
    """
    wanted = Wanted(name, torchvision_name, names, shape, counts)
    looked: list[str] = []
    for base in (places.data, places.cache / "data"):
        for root, named in wanted.roots(base) if base else ():
            looked.append(str(root))
            for find in (_parquet, _torchvision, _image_folder):
                try:
                    found = find(root, wanted)
                    if found:
                        return _loaded(places, wanted, found, named)
                except DataError as error:
                    if named:
                        raise
                    looked[-1] += f" ({error})"
    problem = download(places, torchvision_name)
    if problem is None:
        again = Places(None, places.cache, places.store, download=False)
        return load_published(again, name, torchvision_name, names, shape=shape, counts=counts)
    others = _elsewhere(places, wanted)
    raise DataError(
        f"{name} was not found. Looked for Parquet (train-*.parquet, test-*.parquet), torchvision's layout and an ImageFolder in: "
        f"{', '.join(looked)}{others}; {problem}. Put the files in the folder {name}/ in one of these, or name theirs with --data "
        "or ROBENCH_DATA"
    )


def _loaded(places: Places, wanted: Wanted, found: Candidate, named: bool) -> Splits:
    """What was found, if it is what was wanted."""
    where = f"{found.layout} files in {found.root}"
    test = decoded(places.cache, found.test, f"{wanted.name}: {where}")
    _refuse_others(test, "test", wanted, where)
    owner = _owner(test.fingerprint)
    if owner not in (None, wanted.name):
        raise DataError(
            f"{where} are {owner}, known by their test images' fingerprint {test.fingerprint}, not {wanted.name}; "
            f"put {wanted.name}'s into a folder {wanted.name}/ of the data folder"
        )
    if wanted.counts and len(test) == sum(wanted.counts) and _counts(test, wanted) != list(wanted.counts):
        raise DataError(
            f"{where} are not {wanted.name}: their classes have {_counts(test, wanted)} test images, {wanted.name}'s have "
            f"{list(wanted.counts)}"
        )
    if owner is None and not found.said and not named:
        raise DataError(
            f"{where} may be {wanted.name}, or another data set of such images with {len(wanted.names)} classes: the test "
            f"images' fingerprint {test.fingerprint} is not known; if they are {wanted.name}, put them into a folder {wanted.name}/"
        )
    train = decoded(places.cache, found.train, f"{wanted.name}: {where}")
    _refuse_others(train, "training", wanted, where)
    known = found.said == "torchvision" or owner == wanted.name
    note = "" if known else f", a copy taken for {wanted.name} by {found.said or 'its folder'},"
    source = f"{found.layout} files{note} in {found.root}"
    return Splits(*with_validation(train, test), len(wanted.names), source, tuple(wanted.names))


def _refuse_others(part: Split, what: str, wanted: Wanted, where: str) -> None:
    """Refuse images of another shape, and other classes."""
    if wanted.shape and part.shape != wanted.shape:
        raise DataError(
            f"{where} are not {wanted.name}: its images are {wanted.shape}, their {what} images {part.shape}"
        )
    classes = len(set(part.labels.tolist()))
    if classes < len(wanted.names):
        raise DataError(
            f"{where} are not {wanted.name}, which has {len(wanted.names)} classes: their {what} images are of {classes}"
        )


def _counts(part: Split, wanted: Wanted) -> list[int]:
    counted: list[int] = np.bincount(part.labels, minlength=len(wanted.names)).tolist()
    return counted


def _owner(fingerprint: str) -> str | None:
    """The data set whose card knows this fingerprint."""
    return next((name for name in DATASETS if fingerprint in DATASETS[name].card.variants), None)


def _elsewhere(places: Places, wanted: Wanted) -> str:
    """Folders of other data sets beside, which are not taken for this one."""
    others = {_plain(name) for name in DATASETS} - {_plain(wanted.name)}
    there = places.data.iterdir() if places.data and places.data.is_dir() else ()
    found = sorted(folder.name for folder in there if folder.is_dir() and _plain(folder.name) in others)
    return f" (there are {', '.join(found)}, which are other data sets)" if found else ""


def _plain(name: str) -> str:
    return re.sub("[^a-z0-9]", "", name.lower())


def _parquet(root: Path, wanted: Wanted) -> Candidate | None:
    inside = [folder for folder in root.glob("*/") if wanted.named(folder) or folder.name in PLAIN]
    halves = []
    for part in ("train", "test"):
        there = {folder: sorted(folder.glob(f"{part}-*.parquet")) for folder in (root, *inside)}
        full = {folder: files for folder, files in there.items() if files}
        if len(full) > 1:
            raise DataError(
                f"{root} has {part} images in several folders ({', '.join(map(str, full))}); leave one of them"
            )
        halves.append(next(iter(full.values()), []))
    train, test = halves
    if not train or not test:
        return None
    said = parquet_names(test[0])
    own, theirs = {_plain(name) for name in wanted.names}, {_plain(name) for name in said}
    if said and not own & theirs:
        raise DataError(f"{test[0]} says that its classes are {', '.join(said)[:80]}; {wanted.name} has none of them")
    names = "the names of its classes" if 2 * len(own & theirs) >= len(own) else ""
    classes = len(wanted.names)
    return Candidate("Parquet", root, parquet_half(train, classes), parquet_half(test, classes), names)


def _torchvision(root: Path, wanted: Wanted) -> Candidate | None:
    from torchvision import datasets

    kind = getattr(datasets, wanted.torchvision_name)
    checked = getattr(kind, "base_folder", None)
    marker = root / (checked or f"{wanted.torchvision_name}/raw")
    if not marker.is_dir():
        return None
    files = sorted(file for file in marker.rglob("*") if file.is_file())

    def half(part: str) -> Half:
        try:
            loaded = kind(str(root), train=part == "train", download=False)
            images, labels = np.asarray(loaded.data), [int(label) for label in loaded.targets]
        except Exception as error:
            raise DataError(f"{marker} is there but torchvision cannot read it ({error}); fetch it again") from error
        return Half(files, len(images), lambda: zip(images, labels, strict=True), part)

    # torchvision checks the digests of the files that have a base folder, of the others it only knows the folder's name
    return Candidate(
        "torchvision", root, half("train"), half("test"), "torchvision" if checked else "torchvision's folder"
    )


def _image_folder(root: Path, wanted: Wanted) -> Candidate | None:
    found = [class_folders(root / part) for part in ("train", "test")]
    if not all(half.files for half in found):
        return None
    train, test = (
        pictures_half(
            half, numbers_of(list(half.files), wanted.names, str(root)), lambda file: picture_pixels(file, str(file))
        )
        for half in found
    )
    numbered = all(folder.isdecimal() for half in found for folder in half.files)
    return Candidate("ImageFolder", root, train, test, "" if numbered else "the names of its classes")
