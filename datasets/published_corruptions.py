"""CIFAR-10-C, CIFAR-100-C, CIFAR-10.1 and ImageNet-C, read from the files that are published."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from robench import (
    CIFAR10_CLASSES,
    CIFAR100_CLASSES,
    CORRUPTIONS,
    DATASETS,
    PERTURBATIONS,
    DataError,
    Places,
    PositiveShare,
    PublishedCorruption,
    PublishedPerturbation,
    Severity,
    Splits,
    dataset,
    load_arrays,
    load_cifar_c,
    load_cifar_p,
    load_imagenet_c,
    load_imagenet_p,
)

GRID = {"linf": [1 / 255, 2 / 255, 4 / 255, 8 / 255], "l2": [0.25, 0.5, 1.0, 2.0]}
LARGE = {"linf": [0.5 / 255, 1 / 255, 2 / 255, 4 / 255], "l2": [0.5, 1.0, 2.0, 3.0]}
PAPER = "arXiv:1903.12261"
GRIDS = {"names": CORRUPTIONS, "severities": [1, 2, 3, 4, 5]}


@dataset(paper=PAPER, epochs=30, crop=4, flip=True, eps=GRID, each=GRIDS)
def cifar10_c(
    places: Places,
    *,
    names: PublishedCorruption | None = None,
    severities: Severity | None = None,
    train_share: PositiveShare = 1.0,
) -> Splits:
    """CIFAR-10-C: CIFAR-10's test images under 19 corruptions at 5 severities, from the published files; not downloaded.

    Looked for in the data folder as CIFAR-10-C/NAME.npy with labels.npy beside it. Each corruption at each severity is a data
    set; run them with `--attack clean`. What is trained is trained on CIFAR-10, where that is found.

    Args:
        names: of the corruptions; None: the 15 of the benchmark.
        severities: 1 to 5; None: all.
        train_share: of CIFAR-10's training images, as of `cifar10`.
    """
    splits = load_cifar_c(places, "CIFAR-10-C", CIFAR10_CLASSES, *_one(names, severities))
    return _trained_on(splits, places, "cifar10", train_share)


@dataset(paper=PAPER, epochs=30, crop=4, flip=True, eps=GRID, each=GRIDS)
def cifar100_c(
    places: Places,
    *,
    names: PublishedCorruption | None = None,
    severities: Severity | None = None,
    train_share: PositiveShare = 1.0,
) -> Splits:
    """CIFAR-100-C: CIFAR-100's test images under 19 corruptions at 5 severities, from the published files; not downloaded.

    Looked for in the data folder as CIFAR-100-C/NAME.npy with labels.npy beside it. Each corruption at each severity is a data
    set; run them with `--attack clean`. What is trained is trained on CIFAR-100, where that is found.

    Args:
        names: of the corruptions; None: the 15 of the benchmark.
        severities: 1 to 5; None: all.
        train_share: of CIFAR-100's training images, as of `cifar100`.
    """
    splits = load_cifar_c(places, "CIFAR-100-C", CIFAR100_CLASSES, *_one(names, severities))
    return _trained_on(splits, places, "cifar100", train_share)


@dataset(paper="arXiv:1806.00451", epochs=30, crop=4, flip=True, eps=GRID)
def cifar10_1(places: Places, *, version: Literal["v6", "v4"] = "v6") -> Splits:
    """CIFAR-10.1: 2,000 photographs collected anew as CIFAR-10's test images were; not downloaded, nothing to train on.

    Looked for in the data folder as CIFAR-10.1/cifar10.1_v6_data.npy with cifar10.1_v6_labels.npy beside it, or within
    datasets/ there.

    Args:
        version: v6 has 200 images of each class; v4, which the first results are on, 2,021 images in unequal classes.
    """
    images = {"v6": 2_000, "v4": 2_021}[version]
    return load_arrays(places, "CIFAR-10.1", f"cifar10.1_{version}", CIFAR10_CLASSES, shape=(32, 32, 3), images=images)


@dataset(paper=PAPER, epochs=30, crop=16, flip=True, eps=LARGE, each=GRIDS, normaliser="alexnet_imagenet_c")
def imagenet_c(
    places: Places, *, names: PublishedCorruption | None = None, severities: Severity | None = None
) -> Splits:
    """ImageNet-C: ImageNet's validation images under 19 corruptions at 5 severities, from the published files; not downloaded.

    Looked for in the data folder as ImageNet-C/NAME/SEVERITY/WNID/*.JPEG, or with the archives' folders noise/, blur/,
    weather/, digital/ and extra/ between. The images are 224 x 224 already, and neither resized nor cropped; labels are
    places among ImageNet's 1,000 classes. Each corruption at each severity is a data set, whose 50,000 images take 7.5 GB in
    the cache; run them with `--attack clean`.

    Args:
        names: of the corruptions; None: the 15 of the benchmark.
        severities: 1 to 5; None: all.
    """
    return load_imagenet_c(places, *_one(names, severities))


@dataset(paper=PAPER, epochs=30, crop=4, flip=True, eps=GRID, each={"names": PERTURBATIONS})
def cifar10_p(
    places: Places, *, names: PublishedPerturbation | None = None, train_share: PositiveShare = 1.0
) -> Splits:
    """CIFAR-10-P: sequences of small changes to CIFAR-10's test images, from the published files; not downloaded.

    Looked for in the data folder as CIFAR-10-P/NAME.npy. Each perturbation is a data set; run them with `--attack clean`.

    Args:
        names: of the perturbations; None: the 10 of ImageNet-P (CIFAR-P's own ten have spatter in the place of snow).
        train_share: of CIFAR-10's training images, as of `cifar10`.
    """
    if names is None:
        raise DataError("cifar10_p is of one perturbation here; give names='tilt'")
    splits = load_cifar_p(places, "CIFAR-10-P", names, CIFAR10_CLASSES)
    return _trained_on(splits, places, "cifar10", train_share)


@dataset(
    paper=PAPER,
    epochs=30,
    crop=16,
    flip=True,
    eps=LARGE,
    each={"names": PERTURBATIONS},
    normaliser="alexnet_imagenet_p",
)
def imagenet_p(places: Places, *, names: PublishedPerturbation | None = None) -> Splits:
    """ImageNet-P: films of small changes to ImageNet's validation images, as published; not downloaded, extra [video].

    Looked for in the data folder as ImageNet-P/NAME/WNID/*.mp4. Frames are neither resized nor cropped. Each perturbation is a
    data set; run them with `--attack clean`.

    Args:
        names: of the perturbations; None: the 10 of the benchmark.
    """
    if names is None:
        raise DataError("imagenet_p is of one perturbation here; give names='tilt'")
    return load_imagenet_p(places, names)


def _one(name: PublishedCorruption | None, severity: int | None) -> tuple[PublishedCorruption, int]:
    if name is None or severity is None:
        raise DataError("a data set is one corruption at one severity here; give names='fog', severities=3")
    return name, severity


def _trained_on(splits: Splits, places: Places, name: str, share: float) -> Splits:
    """The same test images with the training images of the set that they were made from, where that is on this machine."""
    try:
        whole = DATASETS[name].function(replace(places, download=False), train_share=share)
    except DataError:
        return splits
    return replace(splits, train=whole.train, validation=whole.validation)
