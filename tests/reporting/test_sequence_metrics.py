"""Flip probabilities and top-5 distances of clips by hand, and against the definition with ranks of all classes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from measured import records

from robench.benchmarks import PERTURBATION_VALIDATION, PERTURBATIONS
from robench.errors import DataError
from robench.reporting.normalisers import sequence_baseline
from robench.reporting.sequence_metrics import (
    clips,
    flip_probability,
    is_noise,
    mean_flip_rate,
    mean_top5_distance,
    top5_distance,
)

PREDICTIONS = np.array([[1, 1, 2, 1, 1], [7, 8, 8, 8, 8]])[:, :, None]
"""Two clips of five frames, only the likeliest class of each."""


def test_frames_are_compared_with_the_one_before_and_noise_with_the_first() -> None:
    """1 1 2 1 1 flips twice in four pairs, and once from its first; 7 8 8 8 8 once, and every frame differs from the first."""
    assert flip_probability(PREDICTIONS, noise=False).tolist() == [0.5, 0.25]
    assert flip_probability(PREDICTIONS, noise=True).tolist() == [0.25, 1.0]
    ranked = np.concatenate([PREDICTIONS, np.full_like(PREDICTIONS, 9)], axis=2)  # only the likeliest counts
    assert flip_probability(ranked, noise=False).tolist() == [0.5, 0.25]


def test_a_difficulty_compares_frames_further_apart_in_all_phases() -> None:
    """Two apart: 1-2, 1-1 and 2-1, of which two differ; 7-8, 8-8, 8-8. Four apart there is one pair."""
    assert flip_probability(PREDICTIONS, noise=False, difficulty=2).tolist() == pytest.approx([2 / 3, 1 / 3])
    assert flip_probability(PREDICTIONS, noise=False, difficulty=4).tolist() == [0.0, 1.0]


@pytest.mark.parametrize(
    ("after", "distance"),
    [
        ([1, 2, 3, 4, 5], 0),
        ([2, 1, 3, 4, 5], 2),  # |1 − 2| + |2 − 1|
        ([1, 2, 3, 4, 9], 1),  # the fifth is sixth or worse: |5 − 6|
        ([2, 3, 4, 5, 9], 9),  # |1 − 6| and four times 1
        ([9, 1, 2, 3, 4], 5),  # four classes a rank down, and |5 − 6|
        ([6, 7, 8, 9, 10], 15),  # 5 + 4 + 3 + 2 + 1
    ],
)
def test_a_distance_sums_how_far_the_earlier_five_move(after: list[int], distance: int) -> None:
    assert top5_distance(np.array([[[1, 2, 3, 4, 5], after]]), noise=False).tolist() == [distance]


def test_distances_of_a_clip_are_averaged_over_its_pairs() -> None:
    """Swapped, then back: 2 and 2 from frame to frame; 2 and 0 from the first."""
    one, two = [1, 2, 3, 4, 5], [2, 1, 3, 4, 5]
    top = np.array([[one, two, one], [one, one, one]])
    assert top5_distance(top, noise=False).tolist() == [2, 0]
    assert top5_distance(top, noise=True).tolist() == [1, 0]
    assert top5_distance(top, noise=False, difficulty=2).tolist() == [0, 0]
    assert top5_distance(np.concatenate([top, top + 1], axis=2), noise=True).tolist() == [
        1,
        0,
    ]  # of ten ranks, five count


@pytest.mark.parametrize("noise", [True, False])
def test_distances_are_those_of_the_paper_with_all_ranks(noise: bool) -> None:
    """Σ over i = 1 … 5 of how many j in (min(i, σ(i)), max(i, σ(i))] have 1 ≤ j − 1 ≤ 5, σ ranking twelve classes."""
    random = np.random.default_rng(3)
    order = np.argsort(random.normal(size=(6, 1, 12)) + random.normal(size=(6, 7, 12)), axis=2)
    ranks = np.argsort(order, axis=2) + 1
    wanted = []
    for clip, rank in zip(order, ranks, strict=True):
        steps = [(0 if noise else later - 1, later) for later in range(1, 7)]
        sums = []
        for earlier, later in steps:
            sigma = [rank[later][clip[earlier][i]] for i in range(5)]
            spans = [range(min(i, s) + 1, max(i, s) + 1) for i, s in enumerate(sigma, 1)]
            sums.append(sum(1 <= j - 1 <= 5 for span in spans for j in span))
        wanted.append(np.mean(sums))
    assert max(wanted) > min(wanted) > 1
    assert top5_distance(order, noise=noise).tolist() == pytest.approx(wanted)


@pytest.mark.parametrize("noise", [True, False])
def test_what_makes_no_pair_is_refused(noise: bool) -> None:
    with pytest.raises(DataError, match="frames 1 apart were asked for, of clips of 1 frames"):
        flip_probability(PREDICTIONS[:, :1], noise=noise)
    with pytest.raises(DataError, match=r"\(2, 5, 1\) were given; \(clips, frames, 5 or more ranks\)"):
        top5_distance(PREDICTIONS, noise=noise)
    with pytest.raises(DataError, match=r"\(0, 5, 1\) were given"):
        flip_probability(PREDICTIONS[:0], noise=noise)
    said = "noise has no difficulty 5" if noise else "frames 5 apart were asked for, of clips of 5 frames"
    with pytest.raises(DataError, match=said):
        flip_probability(PREDICTIONS, noise=noise, difficulty=5)


def test_the_flip_rate_is_the_mean_of_ratios_over_the_ten() -> None:
    """Nine half of the baseline and one, of another size, three times: (9 · 50 + 300) / 10."""
    baseline = dict.fromkeys(PERTURBATIONS, 0.1) | {"tilt": 0.02, "shear": 0.5}
    flips = dict.fromkeys(PERTURBATIONS, 0.05) | {"tilt": 0.06} | dict.fromkeys(PERTURBATION_VALIDATION, 0.9)
    assert mean_flip_rate(flips, baseline) == pytest.approx(75)
    assert mean_top5_distance(flips, baseline) == pytest.approx(75)


def test_a_perturbation_that_is_missing_is_named() -> None:
    whole = dict.fromkeys(PERTURBATIONS, 0.1)
    less = {name: value for name, value in whole.items() if name != "rotate"}
    for mean, what in ((mean_flip_rate, "flip probabilities"), (mean_top5_distance, "top-5 distances")):
        with pytest.raises(DataError, match=f"the model's {what} lack rotate"):
            mean(less, whole)
        with pytest.raises(DataError, match=f"the baseline's {what} lack rotate"):
            mean(whole, less)
        with pytest.raises(DataError, match=f"the baseline's {what} are 0 for rotate"):
            mean(whole, whole | {"rotate": 0.0})


def test_alexnet_ships_unverified_without_top5_distances_and_agrees_with_resnet50s_rate() -> None:
    """ResNet-50's flip probabilities are recalled as AlexNet's are; its mFR, 58.0, is published."""
    alexnet = sequence_baseline()
    assert not alexnet.verified
    assert "recalled" in alexnet.title
    resnet50 = [14.04, 17.38, 6.00, 4.29, 7.54, 3.03, 4.86, 6.79, 4.01, 11.32]
    flips = {name: percent / 100 for name, percent in zip(PERTURBATIONS, resnet50, strict=True)}
    assert mean_flip_rate(flips, alexnet.flip_probability) == pytest.approx(58.02, abs=0.005)
    with pytest.raises(DataError, match="the baseline's top-5 distances lack gaussian_noise"):
        mean_top5_distance(dict.fromkeys(PERTURBATIONS, 1.0), alexnet.top5_distance)


def test_only_noise_is_compared_with_the_first_frame() -> None:
    every = [*PERTURBATIONS, *PERTURBATION_VALIDATION]
    assert {name for name in every if is_noise(name)} == {"gaussian_noise", "shot_noise", "speckle_noise"}


def test_clips_are_put_in_order_from_records() -> None:
    top5 = [[3, 1, 2, 4, 5], [0, 2, 3, 4, 5], [9, 1, 2, 3, 4], [9, 2, 1, 3, 5]]
    rows = records([False] * 4, image=["b", "b", "a", "a"], frame=[1, 0, 0, 1], corruption="tilt", top5=top5)
    images, top = clips(rows)
    assert images.tolist() == ["a", "b"]
    assert top.tolist() == [[top5[2], top5[3]], [top5[1], top5[0]]]
    for short in (rows.iloc[1:], pd.concat([rows, rows.iloc[:1]])):
        with pytest.raises(DataError, match="the clip of image b has the frames"):
            clips(short)
