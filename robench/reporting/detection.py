"""Tables of images of classes that a model has no output for: how well its confidence tells them from the others (ImageNet-O)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from robench.records.arrays import Arrays
from robench.records.unit import Measured, Unit
from robench.reporting.detection_metrics import detection
from robench.reporting.groups import Group
from robench.reporting.metrics import clean_accuracy
from robench.reporting.statistics import Interval
from robench.reporting.tables import About, Cell, Column, Table

Array = NDArray[np.float64]
RESAMPLES = 500
COLUMNS = (
    Column("", "AUPR", True, percent=True),
    Column("", "AUROC", True, percent=True),
    Column("", "FPR95", False, percent=True),
    Column("", "Accuracy on known", True, percent=True),
)


def of_unseen(unit: Unit) -> bool:
    """Whether a unit has images of classes that no output stands for."""
    return bool(unit.facts.unseen)


def known_and_unseen(one: Measured) -> tuple[Arrays, Arrays]:
    """The records of images of the model's classes, and of the others."""
    facts = one.unit.facts
    known = one.arrays.classes("label") < facts.classes - facts.unseen
    return one.arrays.where(known), one.arrays.where(~known)


def detection_table(group: Group) -> Table | None:
    """Rows models, columns how well unseen classes are detected; None where there are none."""
    own = group.where(of_unseen)
    if not own.units:
        return None
    rows, of, counts = [], list[About](), set[tuple[int, int]]()
    for one in own.units:
        known, unseen = known_and_unseen(one)
        counts.add((len(known), len(unseen)))
        rows.append((own.label(one), _cells(known, unseen)))
        of.append(own.about(one.unit.row))
    counted = " or ".join(
        f"{inside:,} images of known classes and {outside:,} of unseen ones" for inside, outside in sorted(counts)
    )
    chance = " or ".join(f"{100 * outside / (inside + outside):.1f}" for inside, outside in sorted(counts))
    caption = [
        f"{counted} ({own.units[0].unit.facts.source}). The score of an image is minus its largest softmax probability; an unseen class is a positive. "
        f"AUPR and AUROC in %, chance is {chance} and 50; FPR95: share of the known images, in %, that are flagged where 95 % of the unseen ones are.",
        f"95 % intervals are of a bootstrap over images ({RESAMPLES} draws, the known and the unseen each by themselves) and cover no training seeds. "
        "Nothing is marked: differences between rows are not tested.",
    ]
    return Table(f"Detection of unseen classes, {group.name}", [*COLUMNS], rows, caption, of=of, name="detection")


def _cells(known: Arrays, unseen: Arrays) -> list[Cell]:
    if not (len(known) and len(unseen)):
        return [column.cell(float("nan")) for column in COLUMNS]
    values = detected(known, unseen)
    inside, outside = (_confidence(part) for part in (known, unseen))
    random = np.random.default_rng(0)
    draws = np.array(
        [
            [*detection(random.choice(inside, len(inside)), random.choice(outside, len(outside)))]
            for _ in range(RESAMPLES)
        ]
    )
    ends = dict(zip(("auroc", "aupr", "fpr95"), np.quantile(draws, [0.025, 0.975], axis=0).T.tolist(), strict=True))
    cells = [
        column.cell(values[name], Interval(*ends[name]))
        for column, name in zip(COLUMNS, ("aupr", "auroc", "fpr95"), strict=False)
    ]
    rate = clean_accuracy(known)
    return [*cells, COLUMNS[-1].cell(rate.value, rate.interval)]


def detected(known: Arrays, unseen: Arrays) -> Mapping[str, float]:
    """AUROC, AUPR and FPR95 of a model's records."""
    return detection(_confidence(known), _confidence(unseen))._asdict()


def _confidence(cell: Arrays) -> Array:
    return cell.numbers("certainty")
