"""The published numbers that a report's cells stand beside."""

from __future__ import annotations

import math
from collections.abc import Mapping

from robench.reporting.papers.cells import Measured
from robench.reporting.papers.report import Ask, Planned, Report
from robench.reporting.published import Published
from robench.reporting.same_weights import known

Places = dict[tuple[int, int], Published]


def published_in(report: Report, planned: Planned, found: Mapping[tuple[int, int], Measured]) -> Places:
    """Those of the report's own file, and of what was published of the same weights, by the places of row and column."""
    numbers = Places()
    for i, row in enumerate(planned.rows):
        for j, column in enumerate(planned.columns):
            own, ask, one = report.published_of(planned, row, column), planned.asks.get((i, j)), found.get((i, j))
            if own is None and ask is not None and one is not None:
                own = _of_same_weights(ask, one)
            if own is not None:
                numbers[i, j] = own
    return numbers


def _of_same_weights(ask: Ask, one: Measured) -> Published | None:
    """What others published of the weights that a cell is of; robust accuracy is of AutoAttack alone."""
    if not one.found:
        return None
    printed = one.found[0].printed
    eps = printed.eps if ask.eps is None else ask.eps
    dataset = printed.family.partition("(")[0] or ask.dataset.name
    for there in known(ask.defense, dataset):
        if there.metric != ask.metric:
            continue
        if there.metric == "robust_accuracy":
            attacked = ask.attack is not None and ask.attack.name == "autoattack" and printed.norm == there.norm
            if not attacked or eps is None or not math.isclose(eps, there.eps, rel_tol=1e-6):
                continue
        return Published(there.value, there.metric.replace("_", " "), there.source, attack=there.protocol, digits=2)
    return None
