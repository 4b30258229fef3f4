"""scikit-learn's handwritten digits: real data that comes with the installation."""

from __future__ import annotations

import numpy as np

from robench import Places, PositiveShare, Split, Splits, dataset, hold_out, trained_on


@dataset(
    paper="Alpaydin & Kaynak (1998), UCI: Optical Recognition of Handwritten Digits",
    epochs=60,
    crop=1,
    eps={"linf": [0.02, 0.05, 0.1, 0.2], "l2": [0.25, 0.5, 1.0, 1.5]},
)
def digits(places: Places, *, train_share: PositiveShare = 1.0) -> Splits:
    """scikit-learn's digits: 1,797 handwritten digits, 8 x 8 grey; needs no files.

    The 17 grey levels 0 to 16 of the source become 0 to 255. A fifth of the images is the test split, a tenth of the
    rest the validation split, both class-balanced and chosen by the pixels.

    Args:
        train_share: of the training images that are trained on, class-balanced and pinned, to see how accuracy grows with them.
    """
    from sklearn.datasets import load_digits

    source = load_digits()
    images = np.round(source.images * (255 / 16)).astype(np.uint8)[:, None]
    rest, test = hold_out(Split.of("all", images, source.target), 0.2, "test")
    train, validation = hold_out(rest, 0.1, "validation")
    names = tuple(str(digit) for digit in range(10))
    splits = Splits(train.select(np.arange(len(train)), "train"), validation, test, 10, "scikit-learn", names)
    return trained_on(splits, train_share)
