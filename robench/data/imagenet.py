"""ImageNet's 1,000 classes by index, wnid and word, and pictures of them in class folders named by wnid."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import astuple, dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from robench.data.classes import imagenet_wnids
from robench.data.decoding import decoded
from robench.data.derived import tested_only
from robench.data.finding import few, named_folders, not_found
from robench.data.folders import SUFFIXES, Found, class_folders, contents, pictures_half
from robench.data.pictures import Interpolation, prepared
from robench.data.splits import Among, Split, Splits
from robench.errors import DataError, UsageError
from robench.places import Places

NAMES = ("imagenet", "ILSVRC2012", "imagenet-1k", "imagenet2012", "ILSVRC", "ILSVRC2012_img_val")
"""What ImageNet's folder is called."""
VALIDATION = ("val", "validation", "valid", "Data/CLS-LOC/val", "")
"""Where within it the class folders of the validation images are."""
EACH, IMAGES = 50, 50_000
"""Validation images of each class, and of all."""
ORDER = "in ImageNet's order of wnids"


@dataclass(frozen=True)
class ImageNetClass:
    """One of the 1,000 classes.

    Attributes:
        index: its place among the outputs of published models.
        wnid: WordNet's id, by which folders are named.
        word: the first of its words; with the wnid behind it where two classes share it, as the two cranes do.
    """

    index: int
    wnid: str
    word: str


@lru_cache
def imagenet_classes() -> tuple[ImageNetClass, ...]:
    """The 1,000 classes in their order, as timm ships them."""
    from timm.data import ImageNetInfo

    wnids = imagenet_wnids()
    words = [said.partition(",")[0].strip() for said in ImageNetInfo("imagenet-1k").label_descriptions()]
    times = Counter(words)
    return tuple(
        ImageNetClass(index, wnid, word if times[word] == 1 else f"{word} {wnid}")
        for index, (wnid, word) in enumerate(zip(wnids, words, strict=True))
    )


@dataclass(frozen=True)
class Preparation:
    """How a photograph becomes an input, as torchvision's `Resize` and `CenterCrop` do it.

    Attributes:
        resize: pixels of the shorter side before the crop.
        size: pixels of the crop's sides.

    Raises:
        UsageError: the crop is larger than what it is cut from.
    """

    resize: int = 256
    size: int = 224
    interpolation: Interpolation = "bilinear"

    def __post_init__(self) -> None:
        if self.size > self.resize:
            raise UsageError(
                f"size={self.size} is a larger crop than resize={self.resize} leaves on the shorter side; give a resize of at "
                f"least {self.size}"
            )

    def __str__(self) -> str:
        return f"shorter side {self.resize} ({self.interpolation}), centre {self.size} x {self.size}"

    def read(self, file: Path) -> NDArray[np.uint8]:
        """A picture's pixels, (size, size, 3)."""
        return prepared(file, self.resize, self.size, self.interpolation)


def load_imagenet(
    places: Places, *, resize: int = 256, size: int = 224, interpolation: Interpolation = "bilinear"
) -> Splits:
    """ImageNet's validation images as a test split; there is nothing to train on.

    Labels are places among the 1,000 classes, also where the folder holds fewer. What is not 50 images of each class is told
    to be no validation set.

    Raises:
        DataError: they were not found, a class folder is none of the 1,000, or a picture cannot be read.
        UsageError: the crop is larger than the shorter side.

    Example:
        splits = load_imagenet(places, resize=256, size=224)
    """
    preparation = Preparation(resize, size, interpolation)
    place = validation_folder(places)
    labels = {known.wnid: known.index for known in imagenet_classes()}
    found = wnid_pictures(place, labels, "ImageNet's 1,000 classes")
    split = split_of(places, found, labels, preparation, f"ImageNet's images in {place}")
    return imagenet_splits(split, f"{_kind(found)} ({preparation}) in {place}")


def imagenet_splits(split: Split, source: str) -> Splits:
    """Images with labels among the 1,000 classes as a data set without training images."""
    present = tuple(np.unique(split.labels).tolist())
    names = tuple(known.word for known in imagenet_classes())
    among = Among(present, len(names), everything=True)
    return Splits(*tested_only(split), len(names), source, names, ORDER, among)


def split_of(places: Places, found: Found, labels: Mapping[str, int], preparation: Preparation, what: str) -> Split:
    """The pictures of class folders, decoded once."""
    half = pictures_half(found, dict(labels), preparation.read, list(astuple(preparation)))
    return decoded(places.cache, half, what)


def wnid_pictures(place: Path, labels: Mapping[str, int], whose: str) -> Found:
    """The pictures of class folders that are named by wnid.

    Args:
        labels: by wnid, of all classes that there are.
        whose: what these classes are, for messages.

    Raises:
        DataError: there are none, or a class folder is none of the classes.
    """
    found = class_folders(place)
    if unknown := sorted(set(found.files) - set(labels)):
        raise DataError(
            f"{place} has the class folder {unknown[0]!r}, which is none of {whose} ({few(list(labels))}); take it away, or "
            f"read all with folder(path={str(place)!r})"
        )
    if not found.files:
        raise DataError(
            f"the class folders of {place} hold no pictures ({few(found.empty) or 'there are none'}); wanted WNID/IMAGE with one of the "
            f"suffixes {', '.join(sorted(SUFFIXES))}: fetch them again"
        )
    return found


def has_wnids(place: Path) -> bool:
    """Whether a folder has class folders named by wnid; nothing within them is looked at."""
    return place.is_dir() and any(
        re.fullmatch(r"n\d{8}", inside.name) and inside.is_dir() for inside in contents(place)
    )


def without(missing: list[str]) -> str:
    """The end of a data set's source: which of its classes have no images."""
    words = {known.wnid: known.word for known in imagenet_classes()}
    if not missing:
        return ""
    return f", without images of {len(missing):,} of its classes ({few([words[wnid] for wnid in missing])})"


def validation_folder(places: Places) -> Path:
    """Where ImageNet's validation images lie, in class folders.

    Raises:
        DataError: nowhere.
    """
    looked = []
    for place in _possible(places):
        if has_wnids(place):
            return place
        flat = place.is_dir() and any(file.suffix.lower() in SUFFIXES for file in contents(place))
        looked.append(f"{place} (it holds pictures, but in no class folders: sort them by wnid)" if flat else place)
    raise not_found(
        places,
        "imagenet",
        "class folders named by wnid, as torchvision lays them too",
        looked,
        "imagenet/val/n01440764/ILSVRC2012_val_00000293.JPEG",
    )


def _possible(places: Places) -> Iterator[Path]:
    for root in named_folders(places, NAMES, "imagenet"):
        yield from (root / inside for inside in VALIDATION)


def _kind(found: Found) -> str:
    """What pictures of ImageNet's classes are: the validation set, or not."""
    counts = {len(files) for files in found.files.values()}
    count, classes = sum(len(files) for files in found.files.values()), len(found.files)
    if counts == {EACH} and count == IMAGES:
        return f"ImageNet's {IMAGES:,} validation images"
    of = "one a class" if counts == {1} and classes == IMAGES // EACH else f"of {classes:,} classes"
    return (
        f"{count:,} photographs, {of}: not the validation set of {IMAGES:,} images, {EACH} a class, and figures on them are no "
        "ImageNet accuracies"
    )
