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
from robench.reporting.rates import Rate, images_of, one_cell, rate, rate_of

Array = NDArray[np.float64]


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

    Example:
        >>> import pandas as pd
        >>> cell = pd.DataFrame({"image": ["a", "b"], "correct": [True, True], "success": [True, False], "l2": [0.5, 9.0]})
        >>> found = distances(cell, "l2"); found.median, found.mean_all
        (0.5, inf)
    """

    mean: float
    median: float
    mean_all: float
    median_all: float
    successes: int


def clean_accuracy(records: pd.DataFrame) -> Rate:
    """Share of the images that are classified correctly before any attack.

    Example:
        >>> import pandas as pd
        >>> cell = pd.DataFrame({"image": ["a", "b"], "correct": [True, False]})
        >>> clean_accuracy(cell).value
        0.5
    """
    one_cell(records)
    images = records.drop_duplicates("image")
    return rate(images["correct"].to_numpy(dtype=bool), images_of(images))


def attack_success_rate(records: pd.DataFrame) -> Rate:
    """Successes over the correctly classified images, the headline; over (image, target) pairs where targets are several.

    Example:
        >>> import pandas as pd
        >>> cell = pd.DataFrame({"image": ["a", "b"], "correct": [True, False], "success": [True, True]})
        >>> rate = attack_success_rate(cell); rate.count, rate.total
        (1, 1)
    """
    one_cell(records)
    attacked = records[records["correct"]]
    return rate(attacked["success"].to_numpy(dtype=bool), images_of(attacked))


def attack_success_rate_all(records: pd.DataFrame) -> Rate:
    """Successes over all rows; an image that was misclassified before counts as the others do, at distance 0.

    Example:
        >>> import pandas as pd
        >>> cell = pd.DataFrame({"image": ["a", "b"], "correct": [True, False], "success": [False, True]})
        >>> attack_success_rate_all(cell).value
        0.5
    """
    one_cell(records)
    return rate(records["success"].to_numpy(dtype=bool), images_of(records))


def success_rate_uint8(records: pd.DataFrame) -> Rate:
    """Successes over the correctly classified images that are still successes after rounding to 8 bits a channel.

    Example:
        >>> import pandas as pd
        >>> cell = pd.DataFrame({"image": ["a", "b"], "correct": [True, True], "success": [True, True], "success_uint8": [True, False]})
        >>> success_rate_uint8(cell).value
        0.5
    """
    one_cell(records)
    attacked = records[records["correct"]]
    return rate(attacked["success_uint8"].to_numpy(dtype=bool), images_of(attacked))


def target_rates(records: pd.DataFrame) -> tuple[float, float, float]:
    """(average, best, worst) over the targets of an image: success of all pairs, of the easiest and of the hardest target."""
    attacked = records[records["correct"]]
    by_image = attacked.groupby("image")["success"]
    return float(attacked["success"].mean()), float(by_image.max().mean()), float(by_image.min().mean())


def distances(records: pd.DataFrame, norm: str) -> Distances:
    """Sizes of the perturbations of correctly classified images, in one norm.

    Example:
        >>> import pandas as pd
        >>> cell = pd.DataFrame({"image": ["a", "b"], "correct": [True, True], "success": [True, False], "l2": [0.5, 9.0]})
        >>> distances(cell, "l2").mean
        0.5
    """
    one_cell(records)
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
    """Mean softmax probability of the true class after the attack, over the correctly classified images (and targets).

    Example:
        >>> import pandas as pd
        >>> cell = pd.DataFrame({"correct": [True, True], "confidence": [0.25, 0.75]})
        >>> confidence(cell)
        0.5
    """
    one_cell(records)
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
    one_cell(records)
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

    Example:
        >>> import pandas as pd
        >>> cell = pd.DataFrame({"image": ["a", "b"], "fooled": [True, False], "linf": [0.1, 0.1]})
        >>> worst_case([cell, cell], "linf", eps=0.1).value
        0.5
    """
    fooled = pd.concat([fooled_within(records, norm, eps) for records in units], axis=1, join="inner").any(axis=1)
    return rate_of(~fooled)


def robust_accuracy(records: pd.DataFrame, norm: str, eps: float | None) -> Rate:
    """Share of all images that are classified correctly under the attack, at perturbations of at most eps.

    Example:
        >>> import pandas as pd
        >>> cell = pd.DataFrame({"image": ["a", "b"], "fooled": [True, True], "linf": [0.1, 0.3]})
        >>> robust_accuracy(cell, "linf", eps=0.1).value
        0.5
    """
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
    """Forwards, backwards and CPU seconds for each attacked row.

    Example:
        >>> import pandas as pd
        >>> cell = pd.DataFrame({"image": ["a", "b"], "correct": [True, True], "forwards": [2, 4], "backwards": [1, 3], "seconds": [0.5, 0.5]})
        >>> passes(cell)
        (3.0, 2.0, 0.5)
    """
    one_cell(records)
    attacked = records[records["correct"]]
    forwards, backwards, seconds = (
        float(attacked[name].mean()) if len(attacked) else 0.0 for name in ("forwards", "backwards", "seconds")
    )
    return forwards, backwards, seconds
