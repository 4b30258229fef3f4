"""CIFAR-10 and CIFAR-100."""

from __future__ import annotations

from robench import Places, Splits, dataset
from robench.decoding import load_published

GRID = {"linf": [1 / 255, 2 / 255, 4 / 255, 8 / 255], "l2": [0.25, 0.5, 1.0, 2.0]}
PAPER = "Krizhevsky (2009), Learning Multiple Layers of Features from Tiny Images"


@dataset(paper=PAPER, epochs=30, crop=4, flip=True, eps=GRID, variants={"676316fdba4b9da2": "JPEG-75 copy"})
def cifar10(places: Places) -> Splits:
    """CIFAR-10: 60,000 colour photographs in 10 classes, 32 x 32."""
    return load_published(places, "cifar10", "CIFAR10", 10)


@dataset(paper=PAPER, epochs=30, crop=4, flip=True, eps=GRID, variants={"676316fdba4b9da2": "JPEG-75 copy"})
def cifar100(places: Places) -> Splits:
    """CIFAR-100: 60,000 colour photographs in 100 classes, 32 x 32."""
    return load_published(places, "cifar100", "CIFAR100", 100)
