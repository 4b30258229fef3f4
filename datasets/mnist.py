"""MNIST and its clothing-shaped sister."""

from __future__ import annotations

from typing import Literal

from robench import Places, PositiveShare, Splits, dataset, load_published, padded, trained_on

Side = Literal[28, 32]

CLOTHING = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]
SHAPE = (1, 28, 28)
DIGITS = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
"""Test images of each digit."""
GRID = {"linf": [0.05, 0.1, 0.2, 0.3], "l2": [0.5, 1.0, 1.5, 2.5]}


@dataset(paper="LeCun et al. (1998)", epochs=12, crop=2, eps=GRID, variants={"75d660713d947f0b": "as published"})
def mnist(places: Places, *, train_share: PositiveShare = 1.0, size: Side = 28) -> Splits:
    """MNIST: 70,000 handwritten digits, 28 x 28 grey.

    Args:
        train_share: of the training images that are trained on, class-balanced and pinned, to see how accuracy grows with them.
        size: of the images' sides; 32: in the middle of a black margin, so that patches of 8 pixels divide them.
    """
    names = [str(digit) for digit in range(10)]
    splits = load_published(places, "mnist", "MNIST", names, shape=SHAPE, counts=DIGITS)
    return padded(trained_on(splits, train_share), size)


@dataset(paper="arXiv:1708.07747", epochs=20, crop=2, flip=True, eps=GRID)
def fashion_mnist(places: Places, *, train_share: PositiveShare = 1.0, size: Side = 28) -> Splits:
    """Fashion-MNIST: 70,000 pictures of clothing in 10 classes, 28 x 28 grey.

    Args:
        train_share: of the training images that are trained on, class-balanced and pinned, to see how accuracy grows with them.
        size: of the images' sides; 32: in the middle of a black margin, so that patches of 8 pixels divide them.
    """
    splits = load_published(places, "fashion_mnist", "FashionMNIST", CLOTHING, shape=SHAPE, counts=[1000] * 10)
    return padded(trained_on(splits, train_share), size)
