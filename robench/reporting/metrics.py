"""Metrics from records, each with its denominator and a 95 % interval.

All functions take the records of one unit (one attack at one condition on one defense), or of several units of one
defense where they say so. Distances of rows whose attack did not reach its goal are infinite, never zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from robench.attacking.balls import largest_inside
from robench.records.schema import NORMS
from robench.reporting.statistics import Interval, clustered, wilson

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Rate:
    """A share of rows or images: `count` of `total`, with its 95 % interval."""

    count: int
    total: int
    interval: Interval

    @property
    def value(self) -> float:
        return self.count / self.total if self.total else float("nan")


@dataclass(frozen=True)
class Distances:
    """Sizes of perturbations in one norm.

    Attributes:
        mean, median: over the rows whose attack succeeded. A stronger attack adds harder images to them.
        median_all: over all attacked rows, failures counted as infinite: comparable between attacks. Both medians are the
            smallest size within which at least half of their rows lie, so that they agree where nothing failed; between
            a finite size and an infinite one there is no middle.
        mean_all: likewise; infinite as soon as one attack failed.
        successes: rows in mean and median.
    """

    mean: float
    median: float
    mean_all: float
    median_all: float
    successes: int


def _rate(values: NDArray[np.bool_], images: NDArray[np.str_]) -> Rate:
    count, total = int(values.sum()), len(values)
    if total and len(np.unique(images)) < total:
        return Rate(count, total, clustered(values.astype(np.float64), images))
    return Rate(count, total, wilson(count, total))


def rate_of(flags: pd.Series) -> Rate:
    """Of how many images (index, each once) a flag holds, with Wilson's interval."""
    return _rate(flags.to_numpy(dtype=bool), flags.index.to_numpy(dtype=np.str_))


def _images(records: pd.DataFrame) -> NDArray[np.str_]:
    return records["image"].to_numpy(dtype=np.str_)


def clean_accuracy(records: pd.DataFrame) -> Rate:
    """Share of the images that are classified correctly before any attack."""
    images = records.drop_duplicates("image")
    return _rate(images["correct"].to_numpy(dtype=bool), _images(images))


def attack_success_rate(records: pd.DataFrame) -> Rate:
    """Successes over the correctly classified images, the headline; over (image, target) pairs where targets are several."""
    attacked = records[records["correct"]]
    return _rate(attacked["success"].to_numpy(dtype=bool), _images(attacked))


def attack_success_rate_all(records: pd.DataFrame) -> Rate:
    """Successes over all rows; an image that was misclassified before counts as the others do, at distance 0."""
    return _rate(records["success"].to_numpy(dtype=bool), _images(records))


def success_rate_uint8(records: pd.DataFrame) -> Rate:
    """Successes over the correctly classified images that are still successes after rounding to 8 bits a channel."""
    attacked = records[records["correct"]]
    return _rate(attacked["success_uint8"].to_numpy(dtype=bool), _images(attacked))


def target_rates(records: pd.DataFrame) -> tuple[float, float, float]:
    """(average, best, worst) over the targets of an image: success of all pairs, of the easiest and of the hardest target."""
    attacked = records[records["correct"]]
    by_image = attacked.groupby("image")["success"]
    return float(attacked["success"].mean()), float(by_image.max().mean()), float(by_image.min().mean())


def distances(records: pd.DataFrame, norm: str) -> Distances:
    """Sizes of the perturbations of correctly classified images, in one norm."""
    attacked = records[records["correct"]]
    size = attacked[norm].to_numpy(dtype=np.float64)
    success = attacked["success"].to_numpy(dtype=bool)
    hit, every = size[success], np.where(success, size, np.inf)
    nothing = float("nan")
    return Distances(
        float(hit.mean()) if len(hit) else nothing,
        _median(hit),
        float(every.mean()) if len(every) else nothing,
        _median(every),
        len(hit),
    )


def _median(sizes: Array) -> float:
    """The lower median: the smallest size within which at least half of them lie."""
    return float(np.sort(sizes)[(len(sizes) - 1) // 2]) if len(sizes) else float("nan")


def on_the_boundary(records: pd.DataFrame) -> int:
    """Rows that left their label by less than the judge's margin: neither successes nor classified as their label."""
    attacked = records[records["correct"].astype(bool)]
    left = (attacked["prediction"] != attacked["label"]).fillna(False).to_numpy(dtype=bool)
    return int((left & ~attacked["fooled"].to_numpy(dtype=bool)).sum())


def attacked_images(records: pd.DataFrame) -> tuple[int, int]:
    """(attacked, of): correctly classified images that an attack had something for; a file may lack some.

    What was not attacked has neither a margin nor passes.
    """
    right = records[records["correct"].astype(bool)]
    attacked = right["margin"].notna() | (right["forwards"] > 0) | right["success"].astype(bool)
    return int(right.loc[attacked, "image"].nunique()), int(right["image"].nunique())


def confidence(records: pd.DataFrame) -> float:
    """Mean softmax probability of the true class after the attack, over the correctly classified images (and targets)."""
    return float(records.loc[records["correct"].astype(bool), "confidence"].mean())


def all_distances(records: pd.DataFrame) -> dict[str, Distances]:
    """Sizes of the perturbations in L0, L1, L2 and L∞."""
    return {norm: distances(records, norm) for norm in NORMS}


def fooled_within(records: pd.DataFrame, norm: str, eps: float | None) -> pd.Series:
    """For each image, whether any of its rows fools the model with a perturbation of at most eps.

    A targeted attack that missed its target but left the label counts. Misclassified images are fooled at distance 0.

    Args:
        eps: None: at any distance.
    """
    near = records["fooled"].astype(bool)
    if eps is not None:
        near &= records[norm].astype(float) <= largest_inside(norm, eps)
    return near.groupby(records["image"].astype(str)).any()


def success_after(
    records: pd.DataFrame, norm: str, eps: float | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How the success grows with the passes that it took: (passes, share of the attacked images fooled by then).

    The passes of an image are all that the attack made for it; several rows of an image (its targets) count as one after another.
    """
    attacked = records[records["correct"].astype(bool)]
    fooled = fooled_within(attacked, norm, eps)
    passes = (attacked["forwards"] + attacked["backwards"]).groupby(attacked["image"].astype(str)).sum()
    taken = np.sort(passes[fooled].to_numpy(dtype=float))
    share = np.arange(1, len(taken) + 1) / max(1, len(fooled))
    end = float(passes.max()) if len(passes) else 1.0
    return np.array([1.0, *taken, end]), np.array([0.0, *share, share[-1] if len(share) else 0.0])


def worst_case(units: Sequence[pd.DataFrame], norm: str, eps: float | None) -> Rate:
    """Robust accuracy against the strongest of several attacks, chosen for each image.

    Only images that every attack was run on count.
    """
    fooled = pd.concat([fooled_within(records, norm, eps) for records in units], axis=1, join="inner").any(axis=1)
    return rate_of(~fooled)


def robust_accuracy(records: pd.DataFrame, norm: str, eps: float | None) -> Rate:
    """Share of all images that are classified correctly under the attack, at perturbations of at most eps."""
    return worst_case([records], norm, eps)


def curve(units: Sequence[tuple[float | None, pd.DataFrame]], norm: str, grid: Sequence[float]) -> Array:
    """Robust accuracy at each eps of a grid: what any of the units reaches within eps counts.

    Args:
        units: (eps, records) of one attack on one defense; eps is None for a minimal attack.
    """
    values = []
    for eps in grid:
        within = [records for own, records in units if own is None or own <= eps * (1 + 1e-9)]
        values.append(worst_case(within, norm, eps).value if within else np.nan)
    return np.array(values)


def passes(records: pd.DataFrame) -> tuple[float, float, float]:
    """Forwards, backwards and CPU seconds for each attacked row."""
    attacked = records[records["correct"]]
    forwards, backwards, seconds = (
        float(attacked[name].mean()) if len(attacked) else 0.0 for name in ("forwards", "backwards", "seconds")
    )
    return forwards, backwards, seconds
