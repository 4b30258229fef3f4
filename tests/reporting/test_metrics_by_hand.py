"""Metrics by hand: several rows of an image, even numbers of sizes, intervals over images and over none."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from measured import records

from robench.reporting.metrics import clean_accuracy, distances, fooled_within, target_rates
from robench.reporting.statistics import clustered, wilson


def rows(*given: tuple[str, bool, bool, float]) -> pd.DataFrame:
    """Records of (image, correct, success, L∞)."""
    image, correct, success, linf = (list(column) for column in zip(*given, strict=True))
    return records(success, image=image, correct=correct, linf=linf, eps=None)  # type: ignore[arg-type]


PAIRS = rows(
    ("a", True, False, 0.3),
    ("a", True, True, 0.2),
    ("a", True, True, 0.1),
    ("b", True, False, 0.1),
    ("c", False, True, 0.0),
    ("c", False, True, 0.0),
)
"""An image with three targets, one with a single one, and one that was misclassified."""


def test_rates_over_targets_leave_out_images_that_were_misclassified() -> None:
    """Of the four pairs of a and b two succeed; the easiest target of a, and none of b; the hardest of neither."""
    assert target_rates(PAIRS) == (0.5, 0.5, 0.0)


def test_clean_accuracy_counts_an_image_once_however_many_targets_it_has() -> None:
    found = clean_accuracy(PAIRS)
    assert (found.count, found.total) == (2, 3)


def test_an_image_is_fooled_if_any_of_its_rows_is_within_the_radius() -> None:
    """Whichever comes first: of a the second and the third."""
    for eps, wanted in ((None, True), (0.25, True), (0.15, True), (0.05, False)):
        assert fooled_within(PAIRS, "linf", eps).tolist() == [wanted, False, True], eps


def test_of_an_even_number_of_sizes_the_median_is_the_lower_of_the_two_in_the_middle() -> None:
    """Also where the other is infinite: within it lie at least half."""
    sizes = [(str(i), True, True, i / 10) for i in (4, 1, 3, 2)]
    assert distances(rows(*sizes), "linf").median == pytest.approx(0.2)
    found = distances(rows(*sizes[:2], ("x", True, False, 0.0), ("y", True, False, 0.0)), "linf")
    assert (found.median, found.median_all) == (pytest.approx(0.1), pytest.approx(0.4))
    worse = rows(*sizes[:1], ("x", True, False, 0.0), ("y", True, False, 0.0))
    assert distances(worse, "linf").median_all == math.inf


def test_an_interval_over_images_weighs_an_image_by_its_rows() -> None:
    """Images of nine successes beside as many of a single failure: 0.9 of the rows, though the mean of the images' means is 0.5.

    Of one of each, drawn again are both (0.9), the first twice (1) or the second twice (0), a quarter each of the latter.
    """
    values, images = np.array([1.0] * 9 + [0.0]), np.array(["a"] * 9 + ["b"])
    assert clustered(values, images) == (0.0, 1.0)
    many = np.array([f"{i}{name}" for i in range(40) for name in images])
    found = clustered(np.tile(values, 40), many)
    assert 0.8 < found.low < 0.9 < found.high < 0.96


def test_of_no_images_there_is_no_interval() -> None:
    assert all(math.isnan(end) for end in wilson(0, 0))
    assert wilson(0, 10).low == 0
    assert wilson(0, 10).high == pytest.approx(1.96**2 / (10 + 1.96**2), rel=1e-3)  # z² / (n + z²)
