"""Results: the records of every unit of a run or of a store, and the tables and numbers made of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

import numpy as np
import pandas as pd

from robench.entries.calls import Json
from robench.records.cards import ModelCard
from robench.records.store import Measured, Store
from robench.reporting.common_norms import norms_on_common
from robench.reporting.groups import Group, grouped
from robench.reporting.metrics import (
    all_distances,
    attack_success_rate,
    attack_success_rate_all,
    clean_accuracy,
    confidence,
    passes,
    robust_accuracy,
    success_rate_uint8,
    target_rates,
)
from robench.reporting.robustness import robustness_table
from robench.reporting.seeds import over_seeds, training_of
from robench.reporting.tables import Table


@dataclass(frozen=True)
class Result:
    """What a run measured, or what a store holds.

    Attributes:
        cards: of the models, by their names.

    Example:
        result = robench.run("vit", ["fgsm(eps=0.1)", "cw_l2"], "digits", n=100)
        print(result.table())
        result.records.groupby("attack")["success"].mean()
    """

    measured: list[Measured]
    cards: Mapping[str, ModelCard] = field(default_factory=dict)

    @classmethod
    def of(cls, measured: list[Measured], store: Store) -> Result:
        """With the cards of the models that were measured."""
        models = {one.unit.identity.model for one in measured}
        return cls(measured, {name: card for name, card in store.cards().items() if name in models})

    def groups(self) -> list[Group]:
        """Units that may stand in one table."""
        return grouped(self.measured)

    @property
    def records(self) -> pd.DataFrame:
        """All records, with the columns defense, attack, dataset and seed before them; without kept pixels."""
        frames = []
        for group in self.groups():
            for one in group.units:
                frame = one.records.copy()
                frame.insert(0, "defense", group.label(one))
                frame.insert(1, "attack", group.attack(one))
                frame.insert(2, "dataset", group.name)
                frame.insert(3, "seed", one.unit.identity.seed)
                frames.append(frame)
        return pd.concat(frames, ignore_index=True)

    def tables(self) -> list[Table]:
        """A table a data set in the style of the papers, averages over training seeds, norms on images broken in both rows."""
        return [table for group in self.groups() for table in tables_of(group, self.cards)]

    def table(self) -> str:
        """All tables as text."""
        return "\n\n".join(table.text() for table in self.tables())

    def summary(self) -> list[dict[str, Json]]:
        """The numbers of each unit with their denominators and intervals, as plain values."""
        return [cell for group in self.groups() for cell in cells_of(group)]

    def models(self) -> list[dict[str, Json]]:
        """The cards of the models, as plain values."""
        return [{**asdict(c), "defense": str(c.defense), "dataset": str(c.dataset)} for c in self.cards.values()]


def tables_of(group: Group, cards: Mapping[str, ModelCard]) -> list[Table]:
    """The tables of one group."""
    robustness = robustness_table(group, cards)
    units = [group.of(model)[0].unit for model in group.defenses]
    averaged = over_seeds(robustness, [training_of(unit.spec.defense, unit.identity) for unit in units])
    return [table for table in (robustness, averaged, norms_on_common(group)) if table]


def cells_of(group: Group) -> list[dict[str, Json]]:
    """The numbers of each unit of a group, with what they are of."""
    return [_named(group, one) | summarise(one) for one in group.units]


def _named(group: Group, one: Measured) -> dict[str, Json]:
    identity = one.unit.identity
    return {
        "defense": group.label(one),
        "attack": group.attack(one),
        "dataset": group.name,
        "seed": identity.seed,
        "weights": identity.weights,
    }


def summarise(one: Measured) -> dict[str, Json]:
    """The metrics of one unit as plain values; distances that are infinite are None."""
    records, facts = one.records, one.unit.facts
    rates = {
        "clean_accuracy": clean_accuracy(records),
        "robust_accuracy": robust_accuracy(records, facts.norm, facts.eps),
        "asr": attack_success_rate(records),
        "asr_all": attack_success_rate_all(records),
        "asr_uint8": success_rate_uint8(records),
    }
    plain: dict[str, Json] = {"n": int(records["image"].nunique())}
    for name, rate in rates.items():
        plain[name] = {
            "value": _plain(rate.value),
            "count": rate.count,
            "total": rate.total,
            "interval": [_plain(end) for end in rate.interval],
        }
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
    plain["forwards"], plain["backwards"], plain["seconds"] = (_plain(x) for x in passes(records))
    return plain


def _plain(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
