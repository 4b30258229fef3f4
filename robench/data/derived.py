"""Data sets made of others: fewer training images, none at all, a margin around the images."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from robench.data.splits import Split, Splits
from robench.errors import UsageError


def trained_on(splits: Splits, share: float) -> Splits:
    """The same data set with a class-balanced, pinned share of its training images; larger shares hold smaller ones.

    Example:
        >>> len(trained_on(DATASETS["digits"].function(Places.of()), 0.5).train)
        647
    """
    if share == 1:
        return splits
    order = splits.train.pinned_order()
    return replace(splits, train=splits.train.select(np.sort(order[: max(1, round(share * len(order)))])))


def padded(splits: Splits, side: int) -> Splits:
    """The same images in the middle of black ones of this side; they have other ids.

    Raises:
        UsageError: the images are not square, are larger, or cannot be in the middle.

    Example:
        >>> padded(DATASETS["digits"].function(Places.of()), 12).test.shape
        (1, 12, 12)
    """
    _, height, width = splits.test.shape
    margin, odd = divmod(side - height, 2)
    if height != width or margin < 0 or odd:
        raise UsageError(
            f"size={side}: images of {height} x {width} pixels are put in the middle of square ones, whose side is theirs or an "
            "even number of pixels more"
        )
    train, validation, test = (_padded(part, margin) for part in (splits.train, splits.validation, splits.test))
    return replace(splits, train=train, validation=validation, test=test)


def tested_only(split: Split) -> tuple[Split, Split, Split]:
    """Training, validation and test images of a data set that nothing can be trained on: none, none, all."""
    nothing = split.select(np.array([], dtype=np.int64), "train")
    return nothing, nothing, split.select(np.arange(len(split)), "test")


def _padded(split: Split, margin: int) -> Split:
    if not margin:
        return split
    edges = (margin, margin)
    return Split.of(
        split.name, np.pad(split.pixels(slice(None)), ((0, 0), (0, 0), edges, edges)), split.targets().numpy()
    )
