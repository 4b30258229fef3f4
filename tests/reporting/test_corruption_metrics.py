"""Metrics of corruption benchmarks by hand, and against published figures of AlexNet and ResNet-50."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from measured import records

from robench.benchmarks import CORRUPTIONS, NOISES, SEVERITIES
from robench.errors import DataError
from robench.reporting.corruption_metrics import (
    CLEAN,
    breaking_severity,
    by_corruption,
    corruption_error,
    mce_without_noise,
    mean_corruption_error,
    mean_error,
    on_common_images,
    outcomes,
    relative_corruption_error,
    relative_mean_corruption_error,
)
from robench.reporting.normalisers import corruption_baseline

ALEXNET = corruption_baseline()
EVEN = {name: np.array([0.1, 0.2, 0.3, 0.4, 0.5]) for name in CORRUPTIONS}
RESNET50 = dict(
    zip(
        sorted(CORRUPTIONS),
        # brightness contrast defocus elastic fog frost gaussian glass impulse jpeg motion pixelate shot snow zoom
        [56.64, 71.43, 74.71, 84.75, 66.11, 74.84, 79.77, 88.61, 82.58, 76.82, 78.03, 76.92, 81.58, 77.83, 79.86],
        strict=True,
    )
)
"""CE of torchvision's ResNet-50 in %, as bethgelab/game-of-noise publishes them."""


def test_a_corruption_error_is_a_ratio_of_sums_not_a_mean_of_ratios() -> None:
    """0.2 + 0.8 over 0.8 + 0.8; the mean of the ratios would be the same only where the baseline is even."""
    assert corruption_error(np.array([0.2, 0.8]), np.array([0.8, 0.8])) == pytest.approx(62.5)
    assert corruption_error(np.array([0.1, 0.1, 0.1, 0.1, 0.6]), EVEN["fog"]) == pytest.approx(100 * 1.0 / 1.5)


def test_a_relative_corruption_error_leaves_the_clean_errors_out() -> None:
    """(0.1 + 0.3) over (0.2 + 0.6) with clean errors of 0.2 and 0.3."""
    found = relative_corruption_error(np.array([0.3, 0.5]), 0.2, np.array([0.5, 0.9]), 0.3)
    assert found == pytest.approx(50)


def test_the_mean_weighs_corruptions_evenly_and_knows_no_validation_corruption() -> None:
    """Noise twice as bad as the baseline, the rest half as bad: (3 · 200 + 12 · 50) / 15."""
    baseline = {name: errors / 2 for name, errors in EVEN.items()}
    errors = {name: baseline[name] * (2 if name in NOISES else 0.5) for name in CORRUPTIONS}
    more = errors | {"saturate": np.ones(5), "gaussian_blur": np.full(5, np.nan)}
    assert mean_corruption_error(more, baseline) == pytest.approx(80)
    assert mce_without_noise(more, baseline) == pytest.approx(50)
    assert mean_error(more) == pytest.approx(0.15 * (3 * 2 + 12 * 0.5) / 15)
    assert mean_error(EVEN) == pytest.approx(0.3)


def test_relative_means_use_each_models_own_clean_error() -> None:
    """Of each corruption Σ(e − 0.1) = 1.0 over Σ(2e − 0.2) = 2.0."""
    doubled = {name: 2 * errors for name, errors in EVEN.items()}
    assert relative_mean_corruption_error(EVEN, 0.1, doubled, 0.2) == pytest.approx(50)


def test_alexnet_is_100_of_itself_and_has_the_published_means() -> None:
    assert mean_corruption_error(ALEXNET.errors, ALEXNET.errors) == pytest.approx(100)
    assert ALEXNET.clean is not None
    assert relative_mean_corruption_error(ALEXNET.errors, ALEXNET.clean, ALEXNET.errors, 0.4345) == pytest.approx(100)
    published = [0.886428, 0.894468, 0.922640, 0.819880, 0.826268, 0.785948, 0.798360, 0.866816, 0.826572, 0.819324]
    published += [0.564592, 0.853204, 0.646056, 0.717840, 0.606500]
    means = [ALEXNET.errors[name].mean() for name in CORRUPTIONS]
    assert means == pytest.approx(published, abs=1e-9)
    assert mean_error(ALEXNET.errors) == pytest.approx(0.788993, abs=1e-6)


def test_resnet50_has_its_published_mce_and_mean_error() -> None:
    """Published: mCE 76.70, mean accuracy 39.17 %, and 42.29 % without noise; the mCE without noise is 75.55."""
    errors = {name: ALEXNET.errors[name] * RESNET50[name] / 100 for name in CORRUPTIONS}
    assert mean_corruption_error(errors, ALEXNET.errors) == pytest.approx(76.70, abs=0.005)
    assert mce_without_noise(errors, ALEXNET.errors) == pytest.approx(75.55, abs=0.005)
    assert mean_error(errors) == pytest.approx(1 - 0.3917, abs=1e-4)
    quiet = [errors[name].mean() for name in CORRUPTIONS if name not in NOISES]
    assert np.mean(quiet) == pytest.approx(1 - 0.4229, abs=1e-4)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"fog": None}, "lack fog;"),
        ({"fog": np.array([0.1, 0.2, np.nan, 0.4, 0.5])}, "lack fog at severity 3"),
        ({"fog": np.array([0.1, 0.2, 0.3, 0.4])}, "4 values for fog"),
        (
            {"fog": np.array([10.0, 20, 30, 40, 50])},
            "10 for fog at severity 1; a share from 0 to 1 is wanted, not perc",
        ),
    ],
)
def test_what_is_missing_or_no_share_is_named(changed: dict[str, np.ndarray | None], said: str) -> None:
    wrong = {name: errors for name, errors in (EVEN | changed).items() if errors is not None}
    for mean in (mean_corruption_error, mce_without_noise):
        with pytest.raises(DataError, match=f"the errors .*{said}"):
            mean(wrong, EVEN)
        with pytest.raises(DataError, match=f"the baseline .*{said}"):
            mean(EVEN, wrong)
    with pytest.raises(DataError, match=said):
        mean_error(wrong)
    with pytest.raises(DataError, match=said):
        relative_mean_corruption_error(EVEN, 0.1, wrong, 0.1)


def test_a_baseline_that_makes_no_error_divides_nothing() -> None:
    with pytest.raises(DataError, match="sum up to 0"):
        corruption_error(np.full(5, 0.1), np.zeros(5))
    with pytest.raises(DataError, match="exceed its clean error, 0.5, by -0.5 in sum"):
        relative_corruption_error(np.full(5, 0.3), 0.1, np.full(5, 0.4), 0.5)


def test_a_model_breaks_where_its_accuracy_is_first_below_half_of_the_clean_one() -> None:
    """Clean 80 % right, half of it 40 %: exactly 40 % is not below."""
    assert breaking_severity(np.array([0.3, 0.6, 0.61, 0.5, 0.9]), 0.2) == 3
    assert breaking_severity(np.array([0.7, 0.1, 0.1, 0.1, 0.1]), 0.2) == 1
    assert breaking_severity(np.array([0.3, 0.4, 0.5, 0.55, 0.6]), 0.2) is None


def corrupted(**wrong: list[bool]) -> pd.DataFrame:
    """Records of the images b, a, c, of which b was wrong before; keys are the corruption and the severity: fog1."""
    images = {"image": ["b", "a", "c"], "correct": [False, True, True]}
    return pd.concat([records(hit, **images, corruption=key[:-1], severity=int(key[-1])) for key, hit in wrong.items()])


def test_outcomes_are_a_row_an_image_and_a_column_a_condition() -> None:
    """An image that was wrong before may be right once it is corrupted, as b is."""
    table = outcomes(corrupted(snow2=[False, True, False], fog1=[True, True, False], fog2=[True, False, True]))
    assert list(table) == [CLEAN, ("fog", 1), ("fog", 2), ("snow", 2)]
    assert list(table.index) == ["a", "b", "c"]
    assert table.to_numpy().tolist() == [
        [False, True, False, True],
        [True, True, True, False],
        [False, False, True, False],
    ]
    assert set(table.dtypes) == {np.dtype(bool)}


def test_an_image_without_a_condition_or_with_one_twice_is_refused() -> None:
    given = corrupted(fog1=[True, True, False], fog2=[True, False, True])
    with pytest.raises(DataError, match="1 of 3 images lack fog at severity 2, the first of them c"):
        outcomes(given.iloc[:-1])
    with pytest.raises(DataError, match="image b has several rows of fog at severity 1"):
        outcomes(pd.concat([given, given.iloc[:1]]))


def test_two_models_are_paired_on_the_images_that_both_have() -> None:
    first = outcomes(corrupted(fog1=[True, True, False], fog2=[True, False, True]))
    second = first.iloc[[2, 1]][[("fog", 2), CLEAN, ("fog", 1)]]
    ours, theirs = on_common_images(first, second)
    assert list(ours.index) == ["b", "c"]
    pd.testing.assert_frame_equal(ours, theirs)
    with pytest.raises(DataError, match="only one of two models has fog at severity 2"):
        on_common_images(first, second.drop(columns=[("fog", 2)]))
    with pytest.raises(DataError, match="none is common"):
        on_common_images(first.iloc[:1], second)


def test_means_of_conditions_find_their_corruption_and_severity() -> None:
    found = by_corruption(np.array([0.05, 0.3, 0.1, 0.2]), [CLEAN, ("fog", 3), ("snow", 5), ("fog", 1)])
    assert set(found) == {"fog", "snow"}
    np.testing.assert_equal(found["fog"], [0.2, np.nan, 0.3, np.nan, np.nan])
    np.testing.assert_equal(found["snow"], [np.nan] * 4 + [0.1])
    every = [(name, severity) for name in CORRUPTIONS for severity in SEVERITIES]
    assert mean_error(by_corruption(np.tile(EVEN["fog"], 15), every)) == pytest.approx(0.3)
