"""Metrics of corruption benchmarks (Hendrycks & Dietterich, 2019): mCE and its relatives.

Errors are top-1 errors as shares, five of a corruption, at severities 1 to 5. What is divided by a baseline's errors is in percent, as
it is published: 100 is as bad as the baseline. Figures on corruptions that were made anew are not comparable with figures on the
published files: those were stored as JPEG, which by itself raises errors.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from robench.benchmarks import CORRUPTIONS, NOISES, SEVERITIES
from robench.errors import DataError

Array = NDArray[np.float64]
Errors = Mapping[str, Array]
"""By corruption, top-1 errors at severities 1 to 5: shares, (5,)."""
Condition = tuple[str, int]
"""Corruption and severity."""
CLEAN: Condition = ("clean", 0)
"""Images that are not corrupted."""


def mean_error(errors: Errors) -> float:
    """Top-1 error, a share: the mean over the 15 corruptions and the severities, divided by no baseline.

    Raises:
        DataError: a corruption or a severity is missing.

    Example:
        >>> import numpy as np
        >>> mean_error({name: np.full(5, 0.5) for name in CORRUPTIONS})
        0.5
    """
    return float(np.mean([_five(errors, name, "the errors") for name in CORRUPTIONS]))


def corruption_error(errors: Array, baseline: Array) -> float:
    """CE of one corruption, %: the sum of the errors over its severities, over the baseline's.

    Raises:
        DataError: the baseline makes no error.
    """
    if not (below := float(np.sum(baseline))) > 0:
        raise DataError(f"the baseline's errors of a corruption sum up to {below:g}; nothing can be divided by them")
    return 100 * float(np.sum(errors)) / below


def relative_corruption_error(errors: Array, clean: float, baseline: Array, baseline_clean: float) -> float:
    """Relative CE of one corruption, %: what the errors exceed the clean error by, over what the baseline's do.

    Raises:
        DataError: the baseline is as good on these corrupted images as on clean ones.
    """
    below = float(np.sum(baseline - baseline_clean))
    if not below > 0:
        raise DataError(
            f"the baseline's errors of a corruption exceed its clean error, {baseline_clean:g}, by {below:g} in sum; "
            "relative errors need a baseline that the corruption harms"
        )
    return 100 * float(np.sum(errors - clean)) / below


def mean_corruption_error(errors: Errors, baseline: Errors) -> float:
    """mCE, %: the mean of the 15 corruptions' CE, all of equal weight.

    Raises:
        DataError: a corruption or a severity is missing, of the errors or of the baseline.

    Example:
        >>> import numpy as np
        >>> own, baseline = ({name: np.full(5, error) for name in CORRUPTIONS} for error in (0.25, 0.5))
        >>> mean_corruption_error(own, baseline)
        50.0
    """
    return _mean_corruption_error(errors, baseline, CORRUPTIONS)


def mce_without_noise(errors: Errors, baseline: Errors) -> float:
    """mCE over the 12 corruptions that are no noise, %: fair to models that were trained with noise.

    Raises:
        DataError: one of the 12 or a severity is missing, of the errors or of the baseline.
    """
    return _mean_corruption_error(errors, baseline, [name for name in CORRUPTIONS if name not in NOISES])


def _mean_corruption_error(errors: Errors, baseline: Errors, names: Sequence[str]) -> float:
    pairs = [(_five(errors, name, "the errors"), _five(baseline, name, "the baseline")) for name in names]
    return float(np.mean([corruption_error(own, other) for own, other in pairs]))


def relative_mean_corruption_error(errors: Errors, clean: float, baseline: Errors, baseline_clean: float) -> float:
    """Relative mCE, %: the mean of the 15 corruptions' relative CE.

    Args:
        clean, baseline_clean: top-1 errors on images that are not corrupted, shares.

    Raises:
        DataError: a corruption or a severity is missing, of the errors or of the baseline.

    Example:
        >>> import numpy as np
        >>> own, baseline = ({name: np.full(5, error) for name in CORRUPTIONS} for error in (0.5, 0.75))
        >>> relative_mean_corruption_error(own, 0.25, baseline, 0.25)
        50.0
    """
    pairs = [(_five(errors, name, "the errors"), _five(baseline, name, "the baseline")) for name in CORRUPTIONS]
    return float(np.mean([relative_corruption_error(own, clean, other, baseline_clean) for own, other in pairs]))


def breaking_severity(errors: Array, clean: float) -> int | None:
    """The first severity at which the accuracy is below half of the clean accuracy; None: it is at none.

    Args:
        errors: of one corruption, (5,).
        clean: top-1 error on images that are not corrupted, a share.
    """
    broken = np.flatnonzero(1 - np.asarray(errors) < (1 - clean) / 2)
    return SEVERITIES[broken[0]] if len(broken) else None


def outcomes(records: pd.DataFrame) -> pd.DataFrame:
    """Whether each image is wrong under each condition, from the records of one model under corruptions.

    Returns:
        Booleans; a row an image, a column a `Condition`: `CLEAN` first.

    Raises:
        DataError: an image lacks a condition that another has, or has one twice.
    """
    table = pd.DataFrame(
        {
            "image": records["image"].astype(str),
            "condition": [*zip(records["corruption"].astype(str), records["severity"].astype(int), strict=True)],
            "wrong": records["fooled"].astype(bool),
            "clean": ~records["correct"].astype(bool),
        }
    )
    if (again := table.duplicated(["image", "condition"])).any():
        image, (corruption, severity) = table.loc[again, ["image", "condition"]].iloc[0]
        raise DataError(f"image {image} has several rows of {corruption} at severity {severity}; one is wanted")
    wrong = table.pivot(index="image", columns="condition", values="wrong")
    conditions: list[Condition] = sorted(set(table["condition"]))
    for condition in conditions:
        if (lacking := wrong[condition].isna()).any():
            raise DataError(
                f"{int(lacking.sum())} of {len(wrong)} images lack {condition[0]} at severity {condition[1]}, the first of "
                f"them {lacking.idxmax()}; all conditions must be measured on the same images"
            )
    clean = table.groupby("image")["clean"].first()  # in the order of the pivot's rows, by id
    matrix = np.column_stack([clean.to_numpy(dtype=bool), *(wrong[name].to_numpy(dtype=bool) for name in conditions)])
    columns = pd.MultiIndex.from_tuples([CLEAN, *conditions], names=["corruption", "severity"])
    return pd.DataFrame(matrix, wrong.index, columns)


def on_common_images(first: pd.DataFrame, second: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Outcomes of two models on the images that both have, in one order of images and of conditions.

    Raises:
        DataError: they have no image in common, or not the same conditions.
    """
    if len(differing := first.columns.symmetric_difference(second.columns)):
        named = " at severity ".join(map(str, differing[0]))
        raise DataError(f"only one of two models has {named}; give both the same conditions")
    images = first.index.intersection(second.index)
    if not len(images):
        raise DataError("two models were run on different images, of which none is common; run both on the same")
    return first.loc[images], second.loc[images, first.columns]


def by_corruption(means: Array, conditions: Iterable[Condition]) -> dict[str, Array]:
    """Errors of each corruption from the mean outcome of each condition.

    Args:
        means: (conditions,), as a statistic of `bootstrap` is given them.
        conditions: (corruption, severity) of each, as the columns of `outcomes` have them; `CLEAN` is left out.

    Returns:
        (5,) of each corruption; NaN at a severity that is not there.
    """
    found: dict[str, Array] = {}
    for mean, (corruption, severity) in zip(means, conditions, strict=True):
        if (corruption, severity) != CLEAN:
            found.setdefault(corruption, np.full(len(SEVERITIES), np.nan))[SEVERITIES.index(severity)] = mean
    return found


def _five(errors: Errors, corruption: str, whose: str) -> Array:
    """The errors of one corruption, known to be five shares."""
    if corruption not in errors:
        raise DataError(f"{whose} lack {corruption}; this mean is over all of its corruptions or is not printed")
    values = np.asarray(errors[corruption], dtype=np.float64)
    if values.shape != (len(SEVERITIES),):
        raise DataError(f"{whose} have {values.size} values for {corruption}; one for each severity, 1 to 5, is wanted")
    if not ((values >= 0) & (values <= 1)).all():
        place = int(np.flatnonzero(~((values >= 0) & (values <= 1)))[0])
        if np.isnan(values[place]):
            raise DataError(f"{whose} lack {corruption} at severity {SEVERITIES[place]}")
        raise DataError(
            f"{whose} say {values[place]:g} for {corruption} at severity {SEVERITIES[place]}; a share from 0 to 1 is wanted, not percent"
        )
    return values
