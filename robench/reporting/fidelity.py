"""Fidelity: the same weights here and as others published them, and the difference."""

from __future__ import annotations

import math
from dataclasses import replace

from robench.benchmarks import CORRUPTIONS, SEVERITIES
from robench.entries.calls import written_float
from robench.records.unit import Measured
from robench.reporting.captions import copy_of
from robench.reporting.columns import NORM_NAMES
from robench.reporting.corrupted import Corrupted, of_corruptions
from robench.reporting.groups import Group
from robench.reporting.metrics import first_right, worst_case
from robench.reporting.rates import rate_of
from robench.reporting.same_weights import Known, known
from robench.reporting.statistics import Interval
from robench.reporting.tables import About, Cell, Column, Table

NAMES = {
    "clean_accuracy": "Clean",
    "robust_accuracy": "Robust",
    "mean_corruption_accuracy": "Mean under corruptions",
}


def fidelity_table(group: Group) -> Table | None:
    """Rows (model, number): ours, the published one, the difference; None where nothing is known of any model of a group."""
    columns = [Column("", name, None, percent=True) for name in ("Here", "Published", "Difference")]
    rows, of = list[tuple[str, list[Cell]]](), list[About]()
    sources = dict[str, None]()
    for model, label in group.defenses.items():
        units = group.of(model)
        if not units:
            continue
        spec = units[0].unit.spec
        dataset = units[0].unit.facts.family.partition("(")[0] or spec.dataset.name
        for one in known(spec.defense, dataset):
            found = _here(units, one)
            if found is None:
                continue
            value, interval, n = found
            name = " ".join(filter(None, [NAMES[one.metric], _radius(one)]))
            gap = value - one.value
            reach = max(value - interval.low, interval.high - value)
            here = replace(columns[0].cell(value, interval, reach), n=n)
            difference = Cell(f"{columns[2].shown(gap, '+')} ± {columns[2].shown(reach)}", gap)
            rows.append((f"{label} · {name}", [here, replace(columns[1].cell(one.value), merit=math.nan), difference]))
            of.append(replace(group.about(model), metric=one.metric, norm=one.norm, eps=one.eps or None))
            sources[f"{name} of {label}: {one.source}, {one.protocol}."] = None
    if not rows:
        return None
    caption = [
        "Accuracy in %, of the same weights, here and as others published it; ± is the farther end of our 95 % interval over test images. Robust: against the worst of all "
        "attacks that were run here at this radius, and a published one against AutoAttack.",
        f"Ours are of the test images of this copy ({copy_of(group)}); other images than those that were published on differ by themselves.",
        *sources,
    ]
    return Table(f"Fidelity on {group.name}", columns, rows, caption, head="Model and number", of=of, name="fidelity")


def _radius(one: Known) -> str:
    return f"{NORM_NAMES[one.norm]} {written_float(one.eps)}" if one.norm else ""


def _here(units: list[Measured], one: Known) -> tuple[float, Interval, int] | None:
    """(ours, its interval, images) where what was published was measured here too."""
    if one.metric == "mean_corruption_accuracy":
        corrupted = [unit for unit in units if of_corruptions(unit.unit)]
        if not corrupted or not (own := Corrupted(corrupted)).has(CORRUPTIONS):
            return None
        error = own.estimate([(name, severity) for name in CORRUPTIONS for severity in SEVERITIES])
        return 1 - error.value, Interval(1 - error.interval.high, 1 - error.interval.low), len(own.wrong)
    if one.metric == "clean_accuracy":
        share = rate_of(first_right([unit.arrays for unit in units])[1])
        return share.value, share.interval, share.total
    met = [unit for unit in units if _within(unit, one)]
    if not met:
        return None
    share = worst_case([unit.arrays for unit in met], one.norm, one.eps)
    return share.value, share.interval, share.total


def _within(unit: Measured, one: Known) -> bool:
    """Whether an attack was run at the published radius, or looked for the smallest perturbation of its norm."""
    facts = unit.unit.facts
    if facts.norm != one.norm or facts.goal == "natural" or facts.share:
        return False
    return facts.goal == "minimal" or (facts.eps is not None and math.isclose(facts.eps, one.eps, rel_tol=1e-6))
