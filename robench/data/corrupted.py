"""Corrupted images as they are published: CIFAR-10-C and -100-C in files of numpy, ImageNet-C in folders of JPEGs.

A data set is one corruption at one severity. Nothing is downloaded, and there is nothing to train on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from robench.benchmarks import Corruption, Validation
from robench.data.arrays import array_labels, array_splits, mapped_images
from robench.data.decoding import decoded
from robench.data.finding import by_robench, few, named_folders, not_found
from robench.data.folders import contents, pictures_half
from robench.data.imagenet import IMAGES, has_wnids, imagenet_classes, imagenet_splits, without, wnid_pictures
from robench.data.pictures import unchanged
from robench.data.splits import Splits
from robench.entries.kinds import Bounds
from robench.errors import DataError, UsageError, did_you_mean
from robench.places import Places

SEVERITIES = 5
Severity = Annotated[int, Bounds(1, SEVERITIES)]
"""How strong a published corruption is, 1 to 5."""
PublishedCorruption = Literal[Corruption, Validation]
"""The 15 corruptions of the benchmark, and the four that are for choices."""
GROUPS = ("noise", "blur", "weather", "digital", "extra")
"""The archives that ImageNet-C is published in, which some unpack into folders of their names."""
IMAGENET_C, SIDE, CIFAR_SHAPE = "ImageNet-C", 224, (32, 32, 3)


def check_corruption(name: str, severity: int = 1) -> None:
    """Raises UsageError where there is no such corruption or severity."""
    known: tuple[str, ...] = get_args(PublishedCorruption)
    if name not in known:
        raise UsageError(f"no published corruption is named {name!r}{did_you_mean(name, known)}")
    if not isinstance(severity, int) or isinstance(severity, bool) or not 1 <= severity <= SEVERITIES:
        raise UsageError(f"the severity {severity!r} of {name} was given; wanted a whole number from 1 to {SEVERITIES}")


def load_cifar_c(places: Places, folder: str, names: Sequence[str], corruption: str, severity: int) -> Splits:
    """A corruption at a severity from `CORRUPTION.npy`, memory-mapped: a fifth of its rows, in the test set's order.

    The file is uint8, (5N, 32, 32, 3), severity after severity; `labels.npy` beside it holds the N labels once or five
    times. N is 10,000 as published, and may be less in sets that were written here (`layouts.write_cifar_c`).

    Args:
        folder: under the data folder.
        names: of the classes.

    Raises:
        DataError: a file is missing or damaged, or not what is wanted.
        UsageError: there is no such corruption or severity.

    Example:
        splits = load_cifar_c(places, "CIFAR-10-C", names, "fog", 3)
    """
    check_corruption(corruption, severity)
    roots = named_folders(places, [folder], folder)
    file = next((file for root in roots if (file := root / f"{corruption}.npy").is_file()), None)
    if file is None:
        there = sorted({file.stem for root in roots for file in contents(root) if file.suffix == ".npy"} - {"labels"})
        looked = [f"{root} (there are {few(there) or 'none'})" for root in roots]
        raise not_found(places, folder, f"{corruption}.npy", looked, f"{folder}/{corruption}.npy, labels.npy beside it")
    rows = mapped_images(file, (None, *CIFAR_SHAPE))
    count, rest = divmod(len(rows), SEVERITIES)
    if rest:
        raise DataError(
            f"{file} has {len(rows):,} images, which are not {SEVERITIES} severities of as many each; fetch it again"
        )
    labels = _cifar_labels(file.with_name("labels.npy"), count, file)
    if len(labels) == 10_000 and set(np.bincount(labels).tolist()) != {10_000 // len(names)}:
        raise DataError(
            f"{file.with_name('labels.npy')} has {len(set(labels.tolist()))} classes of unequal size or number, and {folder}'s "
            f"{len(names)} have {10_000 // len(names):,} images each: it is of another data set"
        )
    said = "" if count == 10_000 else f", {count:,} images of the 10,000 published"
    start = (severity - 1) * count
    splits = array_splits(
        rows[start : start + count],
        labels,
        names,
        f"{folder}/{file.name}{by_robench(file.parent, corruption)}, severity {severity}{said} in {file.parent}",
    )
    images = np.array([f"{place:05d}" for place in range(count)])
    return _of_condition(splits, images, corruption, severity, file.parent)


def _of_condition(splits: Splits, images: NDArray[np.str_], corruption: str, severity: int, root: Path) -> Splits:
    """A data set as one condition of several that are made of the same images.

    Args:
        images: names of what each was made of, (N,): the same in all conditions.
        root: the folder of all conditions.
    """
    made = bool(by_robench(root))
    return replace(splits, test=splits.test.named(images), corruption=corruption, severity=severity, generated=made)


def load_imagenet_c(places: Places, corruption: str, severity: int) -> Splits:
    """ImageNet-C at a corruption and severity, from `CORRUPTION/SEVERITY/WNID/*.JPEG`: neither resized nor cropped.

    Labels are places among ImageNet's 1,000 classes. Decoded once into the cache, where 50,000 images take 7.5 GB.

    Raises:
        DataError: the folder is missing, a class folder is none of the 1,000, or a picture is damaged or not 224 x 224.
        UsageError: there is no such corruption or severity.

    Example:
        splits = load_imagenet_c(places, "fog", 3)
    """
    check_corruption(corruption, severity)
    labels = {known.wnid: known.index for known in imagenet_classes()}
    place = _imagenet_c_folder(places, corruption, severity)
    found = wnid_pictures(place, labels, "ImageNet's 1,000 classes")
    half = pictures_half(found, labels, lambda file: unchanged(file, SIDE), ["unchanged", SIDE])
    split = decoded(places.cache, half, f"{IMAGENET_C} in {place}")
    said = "" if len(split) == IMAGES else f", {len(split):,} images of the {IMAGES:,} published"
    missing = [wnid for wnid in labels if wnid not in found.files]
    root = next((above for above in place.parents[1:3] if by_robench(above)), place)
    made = by_robench(root, corruption)
    splits = imagenet_splits(
        split, f"{IMAGENET_C}{made and f'{made}, JPEG of quality 85'}{said}{without(missing)} in {place}"
    )
    names = np.array([f"{folder}/{file.stem}" for file, folder in found.pictures()])
    return _of_condition(splits, names, corruption, severity, root)


def _cifar_labels(file: Path, count: int, images: Path) -> NDArray[np.int64]:
    """The labels of one severity."""
    labels = array_labels(file, [SEVERITIES * count, count], images)
    each: NDArray[np.int64] = labels.reshape(-1, count)
    if (each != each[0]).any():
        raise DataError(
            f"{file} has other labels for one severity than for another, and all are of the same images; fetch it again"
        )
    first: NDArray[np.int64] = each[0]
    return first


def _imagenet_c_folder(places: Places, corruption: str, severity: int) -> Path:
    roots = named_folders(places, [IMAGENET_C], IMAGENET_C)
    for root in roots:
        for place in (root / corruption, *(root / group / corruption for group in GROUPS)):
            if has_wnids(place / str(severity)):
                return place / str(severity)
    there = sorted(set(_there(roots)))
    looked = [f"{root} (there are {few(there) or 'none'})" for root in roots]
    wanted = f"class folders named by wnid in {corruption}/{severity}/, perhaps within {', '.join(GROUPS[:-1])} or {GROUPS[-1]}"
    raise not_found(places, IMAGENET_C, wanted, looked, f"{IMAGENET_C}/{corruption}/{severity}/WNID/IMAGE.JPEG")


def _there(roots: Sequence[Path]) -> Iterator[str]:
    """The corruptions and severities that there are."""
    known = get_args(PublishedCorruption)
    for place in [
        inside for root in roots for inside in (root, *(root / group for group in GROUPS)) if inside.is_dir()
    ]:
        for folder in contents(place):
            if folder.name in known and folder.is_dir():
                yield from (f"{folder.name}/{level.name}" for level in contents(folder) if level.is_dir())
