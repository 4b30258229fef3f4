"""The numbers of each unit as plain values, for JSON and for the page's table of every cell."""

from __future__ import annotations

import logging

import numpy as np

from robench.entries.calls import Json
from robench.records.unit import Measured
from robench.reporting.detection import detected, known_and_unseen
from robench.reporting.detection_metrics import expected_calibration_error
from robench.reporting.evidence import no_rank
from robench.reporting.groups import Group
from robench.reporting.metrics import (
    all_distances,
    attack_success_rate,
    attack_success_rate_all,
    attacked_images,
    clean_accuracy,
    confidence,
    on_the_boundary,
    passes,
    robust_accuracy,
    success_rate_uint8,
    target_rates,
)
from robench.reporting.rates import Rate
from robench.reporting.sequences import of_sequences

log = logging.getLogger(__name__)


def cells_of(group: Group) -> list[dict[str, Json]]:
    """The numbers of each unit of a group, with what they are of; where they cannot be computed, an `error`."""
    cells, without = [], dict[str, str]()
    for one in group.units:
        model = one.unit.row
        try:
            if model not in without:
                without[model] = no_rank(group.of(model))
            numbers = summarise(one) | {"no_rank": without[model] or None}
        except Exception as error:  # likewise
            log.exception("%s", one.unit.folder)
            numbers = {"error": f"{type(error).__name__}: {error}"}
        cells.append(_named(group, one) | numbers)
    return cells


def _named(group: Group, one: Measured) -> dict[str, Json]:
    identity = one.unit.identity
    return {
        "defense": group.label(one),
        "attack": group.attack(one),
        "dataset": group.name,
        "seed": identity.seed,
        "precision": identity.precision,
        "weights": identity.weights,
    }


def summarise(one: Measured) -> dict[str, Json]:
    """The metrics of one unit as plain values; distances that are infinite are None."""
    facts, (every, unseen) = one.unit.facts, known_and_unseen(one)
    nameless = bool(facts.family) and of_sequences(
        one.unit
    )  # published sequences have no labels: nothing is right or wrong
    records = every.where(np.zeros(len(every), dtype=np.bool_)) if nameless else every
    rates = {
        "clean_accuracy": clean_accuracy(records),
        "robust_accuracy": robust_accuracy(records, facts.norm, facts.eps),
        "asr": attack_success_rate(records),
        "asr_all": attack_success_rate_all(records),
        "asr_uint8": success_rate_uint8(records),
    }
    given, _ = attacked_images(records)
    plain: dict[str, Json] = {
        "n": len(every.names),
        "attacked": given,
        "boundary": on_the_boundary(records),
    }
    for name, rate in rates.items():
        plain[name] = plain_rate(rate)
    for norm, size in all_distances(records).items():
        plain[norm] = {
            "mean": _plain(size.mean),
            "median": _plain(size.median),
            "mean_all": _plain(size.mean_all),
            "median_all": _plain(size.median_all),
            "successes": size.successes,
        }
    if facts.targets == "all":
        plain["targets"] = dict(zip(("average", "best", "worst"), map(_plain, target_rates(records)), strict=True))
    plain["confidence"] = _plain(confidence(records))
    certainty, right = records.numbers("certainty"), records.classes("prediction") == records.classes("label")
    told = ~np.isnan(certainty)
    plain["ece"] = expected_calibration_error(certainty[told], right[told]) if told.any() else None
    plain["detection"] = {**detected(records, unseen)} if len(records) and len(unseen) else None
    plain["forwards"], plain["backwards"], plain["seconds"] = (_plain(x) for x in passes(every))
    return plain


def plain_rate(rate: Rate) -> dict[str, Json]:
    """A rate as JSON has it everywhere; what is not known is None."""
    return {
        "value": _plain(rate.value),
        "count": rate.count,
        "total": rate.total,
        "interval": [_plain(end) for end in rate.interval],
    }


def _plain(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
