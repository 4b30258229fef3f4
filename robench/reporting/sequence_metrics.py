"""Metrics of perturbation benchmarks (ImageNet-P, CIFAR-P; Hendrycks & Dietterich, 2019): how steady predictions are over a clip.

They ask for no label. Each is per clip; the benchmark's figure is the mean over clips. Pairs of frames are compared: of noise every
frame with the first, which has none; of all other perturbations each frame with the one before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from robench.benchmarks import NOISE_SEQUENCES, PERTURBATIONS
from robench.errors import DataError

Array = NDArray[np.float64]
Classes = NDArray[np.integer[Any]]
RANKED = 5


def is_noise(perturbation: str) -> bool:
    """Whether frames of this perturbation are noise that is drawn anew, and so are compared with the first."""
    return perturbation in NOISE_SEQUENCES


def clips(records: pd.DataFrame) -> tuple[NDArray[np.str_], Classes]:
    """The ids of the images, and the likeliest classes of every frame of their clips, from the records of one perturbation.

    Returns:
        (clips,) and (clips, frames, ranks), sorted by the ids.

    Raises:
        DataError: clips differ in their frames.
    """
    ordered = records.assign(image=records["image"].astype(str)).sort_values(["image", "frame"])
    frames = ordered.groupby("image")["frame"].agg(list)
    if len(odd := frames[frames.map(lambda own: own != list(range(len(frames.iloc[0]))))]):
        raise DataError(
            f"the clip of image {odd.index[0]} has the frames {odd.iloc[0]}; all frames of all clips are wanted"
        )
    top = np.stack(ordered["top5"].to_list())
    return frames.index.to_numpy(dtype=np.str_), top.reshape(len(frames), -1, top.shape[1])


def flip_probability(top: Classes, *, noise: bool, difficulty: int = 1) -> Array:
    """Share of the pairs of frames whose predicted classes differ, of each clip, (clips,).

    Args:
        top: the most likely classes of each frame, the likeliest first, (clips, frames, 1 or more).
        noise: compare every frame with the first.
        difficulty: compare frames that are so many apart, all of them. Not of noise, whose harder levels are clips of their own.

    Raises:
        DataError: there are too few frames for a pair.

    Example:
        >>> import numpy as np
        >>> flip_probability(np.array([[[0], [0], [1]]]), noise=False)
        array([0.5])
    """
    before, after = _pairs(_checked(top, 1)[..., 0], noise, difficulty)
    return np.asarray((before != after).mean(1), dtype=np.float64)


def top5_distance(top: Classes, *, noise: bool, difficulty: int = 1) -> Array:
    """How far the five likeliest classes move, mean over the pairs of frames of each clip, (clips,); from 0 to 15.

    Of a pair it is Σ |i − min(r_i, 6)| over i = 1 … 5, where r_i is the later frame's rank of the class that is the earlier
    frame's i-th: all ranks beyond the fifth are one.

    Args:
        top: the five likeliest classes of each frame, the likeliest first, (clips, frames, 5 or more).
        noise, difficulty: as of `flip_probability`.

    Raises:
        DataError: there are too few frames for a pair, or fewer than five classes.

    Example:
        >>> import numpy as np
        >>> top5_distance(np.array([[[0, 1, 2, 3, 4], [1, 0, 2, 3, 4]]]), noise=False)
        array([2.])
    """
    before, after = _pairs(_checked(top, RANKED)[..., :RANKED], noise, difficulty)
    ranks = np.full(after.shape, RANKED + 1, dtype=np.int8)
    for place in range(RANKED):
        ranks[before == after[..., place : place + 1]] = place + 1
    moved = np.abs(ranks - np.arange(1, RANKED + 1, dtype=np.int8)).sum(2)
    return np.asarray(moved.mean(1), dtype=np.float64)


def mean_flip_rate(flips: Mapping[str, float], baseline: Mapping[str, float]) -> float:
    """mFR, %: flip probability over the baseline's, mean of ImageNet-P's ten perturbations; 100 is as unsteady as the baseline.

    Raises:
        DataError: one of the ten is missing, of the model or of the baseline.

    Example:
        >>> mean_flip_rate(dict.fromkeys(PERTURBATIONS, 0.25), dict.fromkeys(PERTURBATIONS, 0.5))
        50.0
    """
    return _mean_ratio(flips, baseline, "flip probabilities")


def mean_top5_distance(distances: Mapping[str, float], baseline: Mapping[str, float]) -> float:
    """mT5D, %: top-5 distance over the baseline's, mean of ImageNet-P's ten perturbations.

    Raises:
        DataError: one of the ten is missing, of the model or of the baseline.

    Example:
        >>> mean_top5_distance(dict.fromkeys(PERTURBATIONS, 1.0), dict.fromkeys(PERTURBATIONS, 2.0))
        50.0
    """
    return _mean_ratio(distances, baseline, "top-5 distances")


def _mean_ratio(values: Mapping[str, float], baseline: Mapping[str, float], what: str) -> float:
    own = [_value(values, name, f"the model's {what}") for name in PERTURBATIONS]
    below = [_value(baseline, name, f"the baseline's {what}") for name in PERTURBATIONS]
    if zero := [name for name, value in zip(PERTURBATIONS, below, strict=True) if value <= 0]:
        raise DataError(f"the baseline's {what} are {baseline[zero[0]]:g} for {zero[0]}; a number above 0 is wanted")
    return 100 * float(np.mean(np.divide(own, below)))


def _value(values: Mapping[str, float], name: str, whose: str) -> float:
    if name not in values:
        raise DataError(f"{whose} lack {name}; this mean is over all ten perturbations or is not printed")
    return float(values[name])


def _checked(top: Classes, wanted: int) -> Classes:
    if top.ndim != 3 or not len(top) or top.shape[2] < wanted:
        raise DataError(
            f"classes of the shape {top.shape} were given; (clips, frames, {wanted} or more ranks) is wanted"
        )
    return top


def _pairs(frames: Classes, noise: bool, difficulty: int) -> tuple[Classes, Classes]:
    """(earlier, later) frame of every pair, each (clips, pairs, …)."""
    if noise and difficulty != 1:
        raise DataError(f"noise has no difficulty {difficulty} within a clip; its harder levels are clips of their own")
    if not 0 < difficulty < frames.shape[1]:
        raise DataError(f"frames {difficulty} apart were asked for, of clips of {frames.shape[1]} frames")
    later = frames[:, difficulty:]
    return np.broadcast_to(frames[:, :1], later.shape) if noise else frames[:, :-difficulty], later
