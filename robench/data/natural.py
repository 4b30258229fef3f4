"""ImageNet-A, -R and -O: pictures of 200 classes each, found in the world instead of made from others.

Which 200 they are is in `wnids.csv`, for each wnid a 1 below the sets that it belongs to.
"""

from __future__ import annotations

import csv
import re
from functools import lru_cache
from pathlib import Path
from typing import Literal

from robench.data.derived import tested_only
from robench.data.finding import named_folders, not_found
from robench.data.folders import Found, contents
from robench.data.imagenet import (
    ORDER,
    ImageNetClass,
    Preparation,
    has_wnids,
    imagenet_classes,
    imagenet_splits,
    split_of,
    validation_folder,
    without,
    wnid_pictures,
)
from robench.data.pictures import Interpolation
from robench.data.splits import Among, Splits
from robench.errors import DataError
from robench.places import Places

NaturalSet = Literal["imagenet_a", "imagenet_r", "imagenet_o"]
TITLES: dict[NaturalSet, str] = {"imagenet_a": "ImageNet-A", "imagenet_r": "ImageNet-R", "imagenet_o": "ImageNet-O"}
IMAGES: dict[NaturalSet, int] = {"imagenet_a": 7_500, "imagenet_r": 30_000, "imagenet_o": 2_000}
"""As they are published."""
OUTSIDE: NaturalSet = "imagenet_o"
INSIDE = 10_000
"""ImageNet's validation images of the 200 classes that ImageNet-O is told from."""


@lru_cache
def natural_classes(name: NaturalSet) -> tuple[ImageNetClass, ...]:
    """The 200 of ImageNet's classes that a set is about, in ImageNet's order.

    Those of ImageNet-A and -R are the classes of their pictures. Those of ImageNet-O are the ones that its pictures, which
    are of none of the 1,000 classes, are to be told from.
    """
    with Path(__file__).with_name("wnids.csv").open(encoding="utf-8", newline="") as file:
        chosen = {row["wnid"] for row in csv.DictReader(file) if row[name] == "1"}
    return tuple(known for known in imagenet_classes() if known.wnid in chosen)


def load_natural(
    places: Places,
    name: Literal["imagenet_a", "imagenet_r"],
    among: Literal["present", "all"] = "present",
    *,
    resize: int = 256,
    size: int = 224,
    interpolation: Interpolation = "bilinear",
) -> Splits:
    """ImageNet-A or ImageNet-R as a test split; there is nothing to train on.

    Args:
        among: "present": the classes are the 200, and of a model with 1,000 outputs those are read; "all": they are
            ImageNet's 1,000, all of which compete.

    Raises:
        DataError: it was not found, a class folder is none of the 200, or a picture cannot be read.
        UsageError: the crop is larger than the shorter side.

    Example:
        splits = load_natural(places, "imagenet_a")
    """
    preparation, place, classes = Preparation(resize, size, interpolation), _folder(places, name), natural_classes(name)
    labels = {known.wnid: known.index if among == "all" else label for label, known in enumerate(classes)}
    title = TITLES[name]
    found = wnid_pictures(place, labels, f"{title}'s 200 classes")
    split = split_of(places, found, labels, preparation, f"{title} in {place}")
    missing = [known.wnid for known in classes if known.wnid not in found.files]
    source = f"{title}{_counted(name, len(split))}{without(missing)} ({preparation}) in {place}"
    if among == "all":
        return imagenet_splits(split, source)
    outputs = Among(tuple(known.index for known in classes), len(imagenet_classes()), everything=False)
    names = tuple(known.word for known in classes)
    return Splits(*tested_only(split), len(classes), source, names, ORDER, outputs)


def load_out_of_distribution(
    places: Places, *, resize: int = 256, size: int = 224, interpolation: Interpolation = "bilinear"
) -> Splits:
    """ImageNet-O as a test split: its pictures, of no class that ImageNet has, beside ImageNet's own images of 200 classes.

    A detector is measured by how well it tells the one from the other. The classes are the 200, of which a model's outputs
    are read, and behind them those of ImageNet-O, for which there are no outputs (`Splits.unseen`).

    Raises:
        DataError: either was not found, a folder of ImageNet-O is of one of ImageNet's classes, or a picture cannot be read.
        UsageError: the crop is larger than the shorter side.

    Example:
        splits = load_out_of_distribution(places)
    """
    preparation, place, classes = (
        Preparation(resize, size, interpolation),
        _folder(places, OUTSIDE),
        natural_classes(OUTSIDE),
    )
    known = {one.wnid for one in imagenet_classes()}
    folders = [inside.name for inside in contents(place) if re.fullmatch(r"n\d{8}", inside.name) and inside.is_dir()]
    if of_imagenet := [folder for folder in folders if folder in known]:
        raise DataError(
            f"{place} has the class folder {of_imagenet[0]!r}, which is one of ImageNet's classes, and ImageNet-O's are of none: "
            "fetch it again; its 200 in-distribution classes are ImageNet's own validation images"
        )
    labels = {wnid: label for label, wnid in enumerate([*(one.wnid for one in classes), *folders])}
    beside = validation_folder(places)
    every = wnid_pictures(beside, {one.wnid: one.index for one in imagenet_classes()}, "ImageNet's 1,000 classes").files
    inside = {wnid: files for wnid, files in every.items() if wnid in labels}
    if not inside:
        raise DataError(
            f"{beside} has images of none of the 200 classes that ImageNet-O's are told from; wanted all of them"
        )
    outside = wnid_pictures(place, labels, "ImageNet-O's").files
    split = split_of(places, Found(inside | outside, [], []), labels, preparation, f"ImageNet-O in {place}")
    counts = [sum(map(len, files.values())) for files in (inside, outside)]
    missing = [one.wnid for one in classes if one.wnid not in inside]
    source = (
        f"ImageNet-O{_counted(OUTSIDE, counts[1])}, beside {counts[0]:,} images of ImageNet's 200 classes"
        f"{'' if counts[0] == INSIDE else f', not the {INSIDE:,} validation images'}{without(missing)} ({preparation}) in {place} and {beside}"
    )
    outputs = Among(tuple(one.index for one in classes), len(imagenet_classes()), everything=False)
    names = (*(one.word for one in classes), *folders)
    return Splits(*tested_only(split), len(labels), source, names, ORDER, outputs, unseen=len(folders))


def _folder(places: Places, name: NaturalSet) -> Path:
    title = TITLES[name]
    folders = named_folders(places, [title.lower(), name], name)
    found = next((folder for folder in folders if has_wnids(folder)), None)
    if found is None:
        raise not_found(places, name, "class folders named by wnid", folders, f"{title.lower()}/WNID/IMAGE.jpg")
    return found


def _counted(name: NaturalSet, count: int) -> str:
    """How many images there are, where they are not as many as were published."""
    return "" if count == IMAGES[name] else f", {count:,} images of the {IMAGES[name]:,} published"
