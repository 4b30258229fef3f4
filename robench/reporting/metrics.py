"""Metrics from records, each with its denominator and a 95 % interval.

All functions take the records of one unit (one attack at one condition on one defense), or of several units of one
defense where they say so. Distances of rows whose attack did not reach its goal are infinite, never zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from robench.attacking.balls import largest_inside
from robench.records.arrays import Arrays
from robench.records.schema import NORMS
from robench.reporting.rates import Rate, Records, arrays_of, rate, rate_of

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]


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


def clean_accuracy(records: Records) -> Rate:
    """Share of the images that are classified correctly before any attack.

    Example:
        >>> import pandas as pd
        >>> cell = pd.DataFrame({"image": ["a", "b"], "correct": [True, False]})
        >>> clean_accuracy(cell).value
        0.5
    """
    cell = arrays_of(records)
    return rate_of(cell.flags("correct")[cell.first])


def first_right(units: Sequence[Arrays]) -> tuple[NDArray[np.str_], Flags]:
    """(all images of several attacks on one defense, whether it is right on each before, as the first of them says)."""
    images, right = units[0].names, units[0].flags("correct")[units[0].first]
    for cell in units[1:]:
        if not np.array_equal(cell.names, images):
            new = ~np.isin(cell.names, images)
            images = np.concatenate([images, cell.names[new]])
            right = np.concatenate([right, cell.flags("correct")[cell.first][new]])
            order = np.argsort(images)
            images, right = images[order], right[order]
    return images, right


def attack_success_rate(records: Records) -> Rate:
    """Successes over the correctly classified images, the headline; over (image, target) pairs where targets are several.

    Example:
        >>> import pandas as pd
        >>> cell = pd.DataFrame({"image": ["a", "b"], "correct": [True, False], "success": [True, True]})
        >>> rate = attack_success_rate(cell); rate.count, rate.total
        (1, 1)
    """
    cell = arrays_of(records)
    attacked = cell.flags("correct")
    return rate(cell.flags("success")[attacked], cell.of[attacked])


def attack_success_rate_all(records: Records) -> Rate:
    """Successes over all rows; an image that was misclassified before counts as the others do, at distance 0.

    Example:
        >>> import pandas as pd
        >>> cell = pd.DataFrame({"image": ["a", "b"], "correct": [True, False], "success": [False, True]})
        >>> attack_success_rate_all(cell).value
        0.5
    """
    cell = arrays_of(records)
    return rate(cell.flags("success"), cell.of)


def success_rate_uint8(records: Records) -> Rate:
    """Successes over the correctly classified images that are still successes after rounding to 8 bits a channel.

    Example:
        >>> import pandas as pd
        >>> cell = pd.DataFrame({"image": ["a", "b"], "correct": [True, True], "success": [True, True], "success_uint8": [True, False]})
        >>> success_rate_uint8(cell).value
        0.5
    """
    cell = arrays_of(records)
    attacked = cell.flags("correct")
    return rate(cell.flags("success_uint8")[attacked], cell.of[attacked])


def target_rates(records: Records) -> tuple[float, float, float]:
    """(average, best, worst) over the targets of an image: success of all pairs, of the easiest and of the hardest target."""
    cell = arrays_of(records)
    attacked, success = cell.flags("correct"), cell.flags("success")
    among = cell.any_row(attacked)
    shares = success[attacked], cell.any_row(attacked & success)[among], ~cell.any_row(attacked & ~success)[among]
    average, best, worst = (float(share.mean()) if len(share) else float("nan") for share in shares)
    return average, best, worst


def distances(records: Records, norm: str) -> Distances:
    """Sizes of the perturbations of correctly classified images, in one norm.

    Example:
        >>> import pandas as pd
        >>> cell = pd.DataFrame({"image": ["a", "b"], "correct": [True, True], "success": [True, False], "l2": [0.5, 9.0]})
        >>> distances(cell, "l2").mean
        0.5
    """
    cell = arrays_of(records)
    attacked = cell.flags("correct")
    size, success = cell.numbers(norm)[attacked], cell.flags("success")[attacked]
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


def on_the_boundary(records: Records) -> int:
    """Rows that left their label by less than the judge's margin: neither successes nor classified as their label."""
    cell = arrays_of(records)
    said, label = cell.classes("prediction"), cell.classes("label")
    left = (said != label) & (said >= 0) & (label >= 0)
    return int((cell.flags("correct") & left & ~cell.flags("fooled")).sum())


def attacked_images(records: Records) -> tuple[int, int]:
    """(attacked, of): correctly classified images that an attack had something for; a file may lack some.

    What was not attacked has neither a margin nor passes.
    """
    cell = arrays_of(records)
    right = cell.flags("correct")
    attacked = ~np.isnan(cell.numbers("margin")) | (cell.numbers("forwards") > 0) | cell.flags("success")
    return int(cell.any_row(right & attacked).sum()), int(cell.any_row(right).sum())


def confidence(records: Records) -> float:
    """Mean softmax probability of the true class after the attack, over the correctly classified images (and targets).

    Example:
        >>> import pandas as pd
        >>> cell = pd.DataFrame({"correct": [True, True], "confidence": [0.25, 0.75]})
        >>> confidence(cell)
        0.5
    """
    cell = arrays_of(records)
    return _mean(cell.numbers("confidence")[cell.flags("correct")])


def _mean(values: Array) -> float:
    """Of those that are known."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def all_distances(records: Records) -> dict[str, Distances]:
    """Sizes of the perturbations in L0, L1, L2 and L∞."""
    return {norm: distances(records, norm) for norm in NORMS}


def fooled_within(records: Records, norm: str, eps: float | None) -> Flags:
    """For each image, in the order of their ids, whether any of its rows fools the model with a perturbation of at most eps.

    A targeted attack that missed its target but left the label counts. Misclassified images are fooled at distance 0.

    Args:
        eps: None: at any distance.
    """
    cell = arrays_of(records)
    near = cell.flags("fooled")
    return cell.any_row(near if eps is None else near & (cell.numbers(norm) <= largest_inside(norm, eps)))


def success_after(records: Records, norm: str, eps: float | None) -> tuple[Array, Array]:
    """How the success grows with the passes that it took: (passes, share of the attacked images fooled by then).

    The passes of an image are all that the attack made for it; several rows of an image (its targets) count as one after another.
    """
    whole = arrays_of(records)
    cell = whole.where(whole.flags("correct"))
    fooled = fooled_within(cell, norm, eps)
    passes = cell.sums(np.nan_to_num(cell.numbers("forwards") + cell.numbers("backwards")))
    taken = np.sort(passes[fooled])
    share = np.arange(1, len(taken) + 1) / max(1, len(fooled))
    end = float(passes.max()) if len(passes) else 1.0
    return np.array([1.0, *taken, end]), np.array([0.0, *share, share[-1] if len(share) else 0.0])


def fooled_by_any(units: Sequence[Records], norm: str, eps: float | None) -> tuple[NDArray[np.str_], Flags]:
    """(images that every attack was run on, whether any of the attacks fools the model on each within eps)."""
    cells = [arrays_of(records) for records in units]
    shared = cells[0].names
    for cell in cells[1:]:
        if not np.array_equal(cell.names, shared):
            shared = np.intersect1d(shared, cell.names, assume_unique=True)
    fooled = np.zeros(len(shared), dtype=np.bool_)
    for cell in cells:
        own = fooled_within(cell, norm, eps)
        fooled |= own if len(own) == len(shared) else own[np.searchsorted(cell.names, shared)]
    return shared, fooled


def worst_case(units: Sequence[Records], norm: str, eps: float | None) -> Rate:
    """Robust accuracy against the strongest of several attacks, chosen for each image.

    Only images that every attack was run on count.

    Example:
        >>> import pandas as pd
        >>> cell = pd.DataFrame({"image": ["a", "b"], "fooled": [True, False], "linf": [0.1, 0.1]})
        >>> worst_case([cell, cell], "linf", eps=0.1).value
        0.5
    """
    return rate_of(~fooled_by_any(units, norm, eps)[1])


def robust_accuracy(records: Records, norm: str, eps: float | None) -> Rate:
    """Share of all images that are classified correctly under the attack, at perturbations of at most eps.

    Example:
        >>> import pandas as pd
        >>> cell = pd.DataFrame({"image": ["a", "b"], "fooled": [True, True], "linf": [0.1, 0.3]})
        >>> robust_accuracy(cell, "linf", eps=0.1).value
        0.5
    """
    return worst_case([records], norm, eps)


def curve(units: Sequence[tuple[float | None, Records]], norm: str, grid: Sequence[float]) -> Array:
    """Robust accuracy at each eps of a grid: what any of the units reaches within eps counts.

    Args:
        units: (eps, records) of one attack on one defense; eps is None for a minimal attack.
    """
    values = []
    for eps in grid:
        within = [records for own, records in units if own is None or own <= eps * (1 + 1e-9)]
        values.append(worst_case(within, norm, eps).value if within else np.nan)
    return np.array(values)


def passes(records: Records) -> tuple[float, float, float]:
    """Forwards, backwards and CPU seconds for each attacked row.

    Example:
        >>> import pandas as pd
        >>> cell = pd.DataFrame({"image": ["a", "b"], "correct": [True, True], "forwards": [2, 4], "backwards": [1, 3], "seconds": [0.5, 0.5]})
        >>> passes(cell)
        (3.0, 2.0, 0.5)
    """
    cell = arrays_of(records)
    attacked = cell.flags("correct")
    forwards, backwards, seconds = (
        _mean(cell.numbers(name)[attacked]) if attacked.any() else 0.0 for name in ("forwards", "backwards", "seconds")
    )
    return forwards, backwards, seconds
