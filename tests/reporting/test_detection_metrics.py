"""Detection of unseen classes against scikit-learn and by hand, and calibration errors by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from robench.errors import DataError
from robench.reporting.detection_metrics import (
    detection,
    expected_calibration_error,
)


def test_low_confidence_detects_unseen_images() -> None:
    """From the least confident: unseen .2, known .3, unseen .6, and three known.

    Of the eight pairs seven are in order. Precision is 1 at the first unseen image and 2/3 at the second, where one of
    four known ones is flagged too.
    """
    found = detection([0.9, 0.8, 0.3, 0.7], [0.6, 0.2])
    assert found == pytest.approx((7 / 8, (1 + 2 / 3) / 2, 1 / 4))


@pytest.mark.parametrize(("grid", "sizes"), [(7, (40, 300)), (50, (300, 40)), (10**9, (500, 200))])
def test_areas_are_those_of_scikit_learn_with_and_without_ties(grid: int, sizes: tuple[int, int]) -> None:
    random = np.random.default_rng(grid)
    known, unseen = (np.round(random.beta(a, 2, count) * grid) / grid for a, count in zip((4, 2), sizes, strict=True))
    positive, score = np.repeat([0, 1], sizes), -np.concatenate([known, unseen])
    found = detection(known, unseen)
    assert found.auroc == pytest.approx(roc_auc_score(positive, score))
    assert found.aupr == pytest.approx(average_precision_score(positive, score))


def test_false_alarms_are_counted_at_the_recall_nearest_to_95_percent() -> None:
    """Of 20 unseen images 19 are at most .19 confident, the last .9 or so; of four known ones .1 is below both."""
    most = [i / 100 for i in range(1, 20)]
    assert detection([0.1, 0.5, 0.6, 0.95], [*most, 0.9]).fpr95 == 3 / 4  # of recall 95 % the last threshold counts
    assert detection([0.1, 0.5, 0.6, 0.95], [*most[:-1], 0.9, 0.91]).fpr95 == 3 / 4  # 90, 95, 100 %
    assert detection([0.1, 0.4, 0.5, 0.95], [0.05, 0.2, 0.3]).fpr95 == 1 / 4  # 33, 67, 100 %: of 100 % the first
    thirteen = [*[0.01] * 12, 0.9]  # 12 of 13 are 92.3 %, nearer than 100 %, and below 95 %
    assert detection([0.1, 0.9], thirteen).fpr95 == 1 / 2  # the other known one is flagged with the last unseen one


def test_the_same_confidence_for_all_detects_nothing() -> None:
    assert detection([0.5] * 3, [0.5]) == pytest.approx((0.5, 0.25, 1.0))


def test_expected_calibration_error_by_hand() -> None:
    """.90 and .92 share the bin (13/15, 14/15]: 1 of 2 right at .91 on average. .5 is alone and right."""
    found = expected_calibration_error([0.9, 0.5, 0.92], [True, True, False])
    assert found == pytest.approx((2 * (0.91 - 0.5) + (1 - 0.5)) / 3)


def test_a_confidence_on_the_edge_of_two_bins_is_in_the_lower_one() -> None:
    """.2 is 3/15: with .19, and not with .21. 0 and 1 are in the first and the last bin."""
    found = expected_calibration_error([0.19, 0.2, 0.21], [False, True, False])
    assert found == pytest.approx((abs(1 - 0.39) + 0.21) / 3)
    assert expected_calibration_error([0.0, 1.0, 1.0], [False, True, True]) == 0


@pytest.mark.parametrize(
    ("confidence", "said"),
    [([], "shape \\(0,\\)"), ([[0.5]], "shape \\(1, 1\\)"), ([0.5, 1.5], "1.5 is no"), ([np.nan], "nan is no")],
)
def test_what_is_no_confidence_is_refused(confidence: list[float], said: str) -> None:
    for known, unseen in ((confidence, [0.5]), ([0.5], confidence)):
        with pytest.raises(DataError, match=said):
            detection(known, unseen)
    with pytest.raises(DataError, match=said):
        expected_calibration_error(confidence, [True])
    with pytest.raises(DataError, match="2 confidences and 1 judgements"):
        expected_calibration_error([0.5, 0.6], [True])
