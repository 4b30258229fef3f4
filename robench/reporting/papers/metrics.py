"""What a number of a report may be: a metric of the records of one cell, or a fact of the model."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from robench.attacking.balls import largest_inside
from robench.records.cards import ModelCard
from robench.reporting.masks import accuracies
from robench.reporting.metrics import attack_success_rate, clean_accuracy, robust_accuracy
from robench.reporting.printed import Printed
from robench.reporting.rates import arrays_of
from robench.reporting.statistics import Interval, clustered, draws, ratio_interval, wilson


class Found(NamedTuple):
    """What is there of one training under one attack.

    Attributes:
        card: of the model, where it is known.
    """

    printed: Printed
    records: pd.DataFrame
    card: ModelCard | None


class Value(NamedTuple):
    """A number of one training.

    Attributes:
        interval: 95 %, over test images; None where it has none.
        n: images that it is of, such as those that were broken; 0 where it is of none.
        seen: images that were looked at, broken or not; None: all that the cell has.
    """

    value: float
    interval: Interval | None = None
    n: int = 0
    seen: int | None = None


@dataclass(frozen=True)
class Metric:
    """A kind of number.

    Attributes:
        name: as papers head its column.
        higher_is_better: for the defender; None: neither is.
        measure: (what is there, radius that minimal attacks are scored at) → the number.
        compare: of a metric that is relative to the base row: (own, base's) → the number.
        of_model: it is of the model, whatever it was attacked with.
        scored: of minimal attacks it is told within a radius.
        of_architecture: it needs no weights and no data; from the model's card.
    """

    name: str
    higher_is_better: bool | None
    digits: int = 1
    percent: bool = False
    measure: Callable[[Found, float | None], Value] | None = None
    compare: Callable[[Found, Found], Value] | None = None
    of_model: bool = False
    scored: bool = False
    of_architecture: Callable[[ModelCard], float] | None = None

    @property
    def measured(self) -> bool:
        """Whether robench can measure it here; else it is published alone."""
        return any(each is not None for each in (self.measure, self.compare, self.of_architecture))


def _asr(found: Found, eps: float | None) -> Value:
    """Of the correctly classified images; within eps, where one is given."""
    records = found.records
    if eps is not None:
        norm = found.printed.norm
        within = records[norm].astype(float) <= largest_inside(norm, eps)
        records = records.assign(success=records["success"].astype(bool) & within)
    share = attack_success_rate(records)
    return Value(share.value, share.interval, records["image"].nunique())


def _robust(found: Found, eps: float | None) -> Value:
    share = robust_accuracy(found.records, found.printed.norm, eps if eps is not None else found.printed.eps)
    return Value(share.value, share.interval, share.total)


def _clean(found: Found, eps: float | None) -> Value:
    share = clean_accuracy(found.records)
    return Value(share.value, share.interval, share.total)


def _confidence(found: Found, eps: float | None) -> Value:
    """Of the true class, after the attack, over the correctly classified images."""
    right = found.records[found.records["correct"].astype(bool)]
    return _mean(right["confidence"], right["image"])


def _norm(norm: str) -> Callable[[Found, float | None], Value]:
    def measure(found: Found, eps: float | None) -> Value:
        broken = found.records[found.records["correct"].astype(bool) & found.records["success"].astype(bool)]
        return _mean(broken[norm], broken["image"])

    return measure


def _mean(values: pd.Series, images: pd.Series) -> Value:
    """A mean over rows, and its interval; images are drawn again, since several rows may share one."""
    plain: NDArray[np.float64] = values.to_numpy(dtype=np.float64)
    if not len(plain):
        return Value(math.nan)
    names = images.to_numpy(dtype=np.str_)
    count = len(set(names.tolist()))
    return Value(float(plain.mean()), clustered(plain, names) if count > 1 else None, count)


def _ratio(norm: str) -> Callable[[Found, Found], Value]:
    """The mean size over the (image, target) pairs that were broken in both rows, as a multiple of the base row's."""

    def compare(own: Found, base: Found) -> Value:
        sizes = []
        for found in (own, base):
            broken = found.records[found.records["correct"].astype(bool) & found.records["success"].astype(bool)]
            keys = [broken["image"].astype(str), broken["target"].fillna(-1).astype(int)]
            sizes.append(broken[norm].astype(float).groupby(keys).mean())
        both = pd.concat(sizes, axis=1, join="inner", keys=["own", "base"])
        both = both.groupby(level=0).sum()  # of an image all targets that were reached in both
        if len(both) < 2 or not both["base"].sum():
            return Value(math.nan)
        above, below = both.to_numpy(dtype=np.float64).T
        return Value(float(above.sum() / below.sum()), ratio_interval(above, below), len(both))

    return compare


def _size(of: Callable[[ModelCard], float]) -> Callable[[Found, float | None], Value]:
    def measure(found: Found, eps: float | None) -> Value:
        return Value(math.nan if found.card is None else of(found.card))

    return measure


def _gaps(of: Callable[[list[float]], float]) -> Callable[[Found, float | None], Value]:
    """Of where the largest gaps are, in layer 1."""

    def measure(found: Found, eps: float | None) -> Value:
        study = found.card.study if found.card else None
        return Value(of(study.gaps[0]), n=study.images, seen=study.images) if study else Value(math.nan)

    return measure


def _cosine(layer: int | None) -> Callable[[Found, float | None], Value]:
    """Of a row of attention before and after noise in patches, of one layer or of all; its interval is over images."""

    def measure(found: Found, eps: float | None) -> Value:
        study = found.card.study if found.card else None
        if study is None or (layer is not None and layer > len(study.cosines)):
            return Value(math.nan)
        chosen = study.cosines if layer is None else [study.cosines[layer - 1]]
        of_images: NDArray[np.float64] = np.asarray(chosen, dtype=np.float64).mean(0)
        names = np.arange(len(of_images)).astype(np.str_)
        return Value(
            float(of_images.mean()), clustered(of_images, names) if len(names) > 1 else None, len(names), len(names)
        )

    return measure


def _over_masks(share: float) -> Callable[[Found, float | None], Value]:
    """A quantile of the accuracies under each of an attack's masks; its interval is over images, each with all of its masks."""

    def measure(found: Found, eps: float | None) -> Value:
        under = accuracies(found.records)
        if not len(under):
            return Value(math.nan)
        cell = arrays_of(found.records)
        drawn = cell.where(cell.classes("draw") >= 0)
        images, masks = len(drawn.names), len(under)
        right = np.zeros((images, masks))
        right[drawn.of, np.unique(drawn.classes("draw"), return_inverse=True)[1]] = ~drawn.flags("fooled")
        value, ends = float(np.quantile(under, share)), None
        if images > 1 and len(drawn) == images * masks:
            means = np.concatenate([weights @ right / images for weights in draws(images, 2000)])
            low, high = np.quantile(np.quantile(means, share, axis=1), [0.025, 0.975])
            sure = low == high  # where all draws agree, as of an attack that breaks every image, they say too much
            ends = wilson(round(value * images), images) if sure else Interval(float(low), float(high))
        return Value(value, ends, images)

    return measure


OF_IMAGENET = {
    "imagenet_c": ("IN-C", False),
    "imagenet_c_without_noise": ("IN-C w/o noise", False),
    "imagenet_p": ("IN-P", False),
}
"""Columns that are published alone; robench measures them with `robench run --dataset imagenet_c` and its kin, where data and weights are."""
NORMS = {"l1": ("L1", 2), "l2": ("L2", 2), "linf": ("L∞", 3)}
METRICS = {
    "asr": Metric("ASR", False, percent=True, measure=_asr, scored=True),
    "robust_accuracy": Metric("Robust", True, percent=True, measure=_robust, scored=True),
    "clean_accuracy": Metric("Clean", True, percent=True, measure=_clean, of_model=True),
    "confidence": Metric("True class", True, percent=True, measure=_confidence),
    **{norm: Metric(name, True, digits, measure=_norm(norm)) for norm, (name, digits) in NORMS.items()},
    **{f"{norm}_ratio": Metric(f"{name} ratio", True, 2, compare=_ratio(norm)) for norm, (name, _) in NORMS.items()},
    "mask_least": Metric("least", True, percent=True, measure=_over_masks(0.0)),
    "mask_quarter": Metric("lower quartile", True, percent=True, measure=_over_masks(0.25)),
    "mask_median": Metric("median", True, percent=True, measure=_over_masks(0.5)),
    "mask_three_quarters": Metric("upper quartile", True, percent=True, measure=_over_masks(0.75)),
    "mask_largest": Metric("largest", True, percent=True, measure=_over_masks(1.0)),
    "gap_peak": Metric("Peak", None, 0, measure=_gaps(lambda gaps: 1.0 + int(np.argmax(gaps))), of_model=True),
    "gap_within_4": Metric(
        "At most 4", None, percent=True, measure=_gaps(lambda gaps: sum(gaps[:4]) / sum(gaps)), of_model=True
    ),
    "cosine": Metric("All layers", True, 2, measure=_cosine(None), of_model=True),
    **{f"cosine_{n}": Metric(f"Layer {n}", True, 2, measure=_cosine(n), of_model=True) for n in range(1, 25)},
    "parameters": Metric("Parameters (M)", None, 2, measure=_size(lambda card: card.parameters / 1e6), of_model=True),
    "macs": Metric("MACs (G)", None, 3, measure=_size(lambda card: card.macs / 1e9), of_model=True),
    "parameters_224": Metric("Parameters (M)", None, 1, of_architecture=lambda card: card.parameters / 1e6),
    "macs_224": Metric("MACs (G)", None, 1, of_architecture=lambda card: card.macs / 1e9),
    **{name: Metric(head, better, percent=True) for name, (head, better) in OF_IMAGENET.items()},
}
"""By the names that a report calls them."""
