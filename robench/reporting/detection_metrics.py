"""How well confidence tells what a model knows: detecting images of unseen classes (ImageNet-O), and calibration.

Confidence is the largest softmax probability of an image, over the classes that count. An image of an unseen class is a positive,
its anomaly score is minus its confidence.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from robench.errors import DataError

Array = NDArray[np.float64]
RECALL = 0.95
ECE_BINS = 15


class Detection(NamedTuple):
    """Shares.

    Attributes:
        auroc: area under the receiver operating characteristic; 0.5 is chance.
        aupr: average precision, Σ (recall step) · precision; chance is the share of unseen images.
        fpr95: share of the known images that are flagged at the threshold whose recall of the unseen ones is nearest to 95 %, above or
            below, as the authors of ImageNet-O count. Of thresholds of the same recall that counts which flags the most known images,
            but at a recall of 1 that which flags the fewest.
    """

    auroc: float
    aupr: float
    fpr95: float


def detection(known: ArrayLike, unseen: ArrayLike) -> Detection:
    """How well low confidence detects images of unseen classes; images of one confidence are flagged together.

    Args:
        known: confidence of images of the model's classes, in [0, 1], (images,).
        unseen: of images of other classes.

    Raises:
        DataError: either is empty, or is no confidence.
    """
    inside, outside = _confidence(known), _confidence(unseen)
    thresholds = np.unique(np.concatenate([inside, outside]))
    flagged = np.searchsorted(np.sort(outside), thresholds, side="right")  # unseen images at most as confident
    alarms = np.searchsorted(np.sort(inside), thresholds, side="right")
    recall, false = np.append(0, flagged) / len(outside), np.append(0, alarms) / len(inside)
    auroc = np.sum(np.diff(false) * (recall[1:] + recall[:-1]) / 2)
    aupr = np.sum(np.diff(recall) * flagged / (flagged + alarms))
    useful = recall[1 : np.argmax(recall == 1) + 1]  # lower thresholds only add false alarms
    gap = np.abs(useful - RECALL)
    nearest = np.flatnonzero(gap == gap.min())[-1]
    return Detection(float(auroc), float(aupr), float(false[1 + nearest]))


def expected_calibration_error(confidence: ArrayLike, correct: ArrayLike) -> float:
    """ECE, a share: |accuracy − mean confidence| in 15 bins of equal width, (low, high], weighted by their images.

    Args:
        confidence: in [0, 1], (images,).
        correct: whether each image is classified correctly, (images,).

    Raises:
        DataError: they are empty, of different lengths, or no confidence.
    """
    sure, right = _judged(confidence, correct)
    edges = np.linspace(0, 1, ECE_BINS + 1)[1:-1]
    place = np.searchsorted(edges, sure)
    gaps = np.bincount(place, right - sure, ECE_BINS)
    return float(np.abs(gaps).sum() / len(sure))


def _judged(confidence: ArrayLike, correct: ArrayLike) -> tuple[Array, Array]:
    sure, right = _confidence(confidence), np.asarray(correct, dtype=bool)
    if right.shape != sure.shape:
        raise DataError(
            f"{sure.size} confidences and {right.size} judgements were given; one of each an image is wanted"
        )
    return sure, right.astype(np.float64)


def _confidence(given: ArrayLike) -> Array:
    values = np.asarray(given, dtype=np.float64)
    if values.ndim != 1 or not len(values):
        raise DataError(f"confidences of the shape {values.shape} were given; one an image, (images,), is wanted")
    if not ((values >= 0) & (values <= 1)).all():
        wrong = values[~((values >= 0) & (values <= 1))][0]
        raise DataError(f"{wrong:g} is no confidence; the largest softmax probability, from 0 to 1, is wanted")
    return values
