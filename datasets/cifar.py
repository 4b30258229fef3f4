"""CIFAR-10 and CIFAR-100."""

from __future__ import annotations

from robench import (
    CIFAR10_CLASSES,
    CIFAR100_CLASSES,
    Places,
    PositiveShare,
    Splits,
    dataset,
    load_published,
    trained_on,
)

GRID = {"linf": [1 / 255, 2 / 255, 4 / 255, 8 / 255], "l2": [0.25, 0.5, 1.0, 2.0]}
SHAPE = (3, 32, 32)
PAPER = "Krizhevsky (2009), Learning Multiple Layers of Features from Tiny Images"


@dataset(paper=PAPER, epochs=30, crop=4, flip=True, eps=GRID, variants={"676316fdba4b9da2": "JPEG-75 copy"})
def cifar10(places: Places, *, train_share: PositiveShare = 1.0) -> Splits:
    """CIFAR-10: 60,000 colour photographs in 10 classes, 32 x 32.

    Args:
        train_share: of the training images that are trained on, class-balanced and pinned, to see how accuracy grows with them.
    """
    return trained_on(
        load_published(places, "cifar10", "CIFAR10", CIFAR10_CLASSES, shape=SHAPE, counts=[1000] * 10), train_share
    )


@dataset(paper=PAPER, epochs=30, crop=4, flip=True, eps=GRID)
def cifar100(places: Places, *, train_share: PositiveShare = 1.0) -> Splits:
    """CIFAR-100: 60,000 colour photographs in 100 classes, 32 x 32.

    Args:
        train_share: of the training images that are trained on, class-balanced and pinned, to see how accuracy grows with them.
    """
    return trained_on(
        load_published(places, "cifar100", "CIFAR100", CIFAR100_CLASSES, shape=SHAPE, counts=[100] * 100), train_share
    )
