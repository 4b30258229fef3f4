"""Finds what a report asks for, in a store or in records that were exported from one."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from robench.entries.calls import Call, Json, call_to_json, parse
from robench.errors import UsageError
from robench.records.cards import ModelCard
from robench.records.store import Store
from robench.reporting.exported import Exported, exported, read_records
from robench.reporting.pages import stored
from robench.reporting.papers.metrics import METRICS, Found, Metric, Value
from robench.reporting.papers.report import Ask
from robench.reporting.statistics import Interval


@dataclass(frozen=True)
class Measured:
    """A number of a report, over its trainings.

    Attributes:
        value: the mean over trainings; NaN: there is none.
        spread: their sample standard deviation; None of one training.
        interval: over test images, of one training alone.
        trainings: how many there are, also where they have no number, such as a mean over no success.
        numbers, wanted: how many have one, and how many were asked for.
        n: images that it is of, of the training with the most; 0 where it is of none.
        found: what it was made of, a training each.
    """

    value: float
    spread: float | None = None
    interval: Interval | None = None
    trainings: int = 0
    numbers: int = 0
    wanted: int = 1
    n: int = 0
    found: list[Found] = field(default_factory=list)

    @property
    def reach(self) -> float | None:
        """What is printed behind ±: the spread over trainings, else the farther end of the interval."""
        if self.spread is not None:
            return self.spread
        if self.interval is None:
            return None
        return max(self.value - self.interval.low, self.interval.high - self.value)


NOTHING = Measured(math.nan)


class Cells:
    """What is there, found by what was asked for."""

    def __init__(self, exported: Iterable[Exported], cards: Iterable[ModelCard] = ()) -> None:
        self._architectures = {key_of(card.defense): card for card in cards if not card.weights}
        self._known: dict[tuple[str, str], list[_Known]] = {}
        for one in sorted(exported, key=lambda one: -one.created):  # of the same the newest
            if one.printed.seed == 0 and one.printed.precision == "float32":
                defense, attack, dataset = (parse(text) for text in one.printed.key)
                found = Found(one.printed, one.records, one.card)
                self._known.setdefault((defense.name, key_of(dataset)), []).append(
                    _Known(defense, attack, one.resolved_defense, one.resolved_attack, found)
                )

    def find(self, ask: Ask, seed: int) -> Found | None:
        """The cell of one training; of an ask without an attack, that of the model with the most images."""
        defense = ask.trained(seed)
        known = self._known.get((defense.name, key_of(ask.dataset)), [])
        own = [one for one in known if says(defense, one.defense, one.resolved_defense)]
        if ask.attack is not None:
            attack = ask.attack
            return next((one.found for one in own if says(attack, one.attack, one.resolved_attack)), None)
        return max((one.found for one in own), key=lambda found: found.records["image"].nunique(), default=None)

    def measure(self, ask: Ask, base: Ask | None = None) -> Measured:
        """What a report asks for, averaged over the trainings that are there.

        Args:
            base: what the base row asks for in the same column.
        """
        metric = METRICS[ask.metric]
        if metric.of_architecture is not None:
            card = self._architectures.get(key_of(ask.defense))
            return NOTHING if card is None else Measured(metric.of_architecture(card), trainings=1, numbers=1)
        made = [pair for seed in ask.seeds if (pair := self._one(metric, ask, base, seed))]
        known = [(value, found) for value, found in made if math.isfinite(value.value)]
        if not known:
            return Measured(math.nan, trainings=len(made), wanted=len(ask.seeds))
        values = [value.value for value, _ in known]
        several = len(values) > 1
        return Measured(
            statistics.mean(values),
            statistics.stdev(values) if several else None,
            None if several else known[0][0].interval,
            len(made),
            len(known),
            len(ask.seeds),
            max(value.n for value, _ in known),
            [found for _, found in known],
        )

    def _one(self, metric: Metric, ask: Ask, base: Ask | None, seed: int) -> tuple[Value, Found] | None:
        found = self.find(ask, seed)
        if found is None:
            return None
        if metric.measure is not None:
            return metric.measure(found, ask.eps), found
        other = None if base is None else self.find(base, seed)
        if metric.compare is None or other is None:
            return None
        return metric.compare(found, other), found


class _Known(NamedTuple):
    """A cell with the calls that it is of, and their options with all defaults filled in."""

    defense: Call
    attack: Call
    resolved_defense: Json
    resolved_attack: Json
    found: Found


def says(asked: Call, printed: Call, resolved: Json) -> bool:
    """Whether a call as it is asked for is what is printed, though it may say what is a default, as `madry(eps=8/255)` does.

    Args:
        resolved: the options of what is printed, with all defaults filled in, as its identity has them.
    """
    if asked.name != printed.name or set(printed.options) - set(asked.options):
        return False
    known = resolved if isinstance(resolved, dict) else {}
    for name, value in asked.options.items():
        there = known.get(name)
        inner = there.get("options") if isinstance(there, dict) else None
        if name in printed.options:
            other = printed.options[name]
            alike = isinstance(value, Call) and isinstance(other, Call)
            if not (says(value, other, inner) if alike else key_of(value) == key_of(other)):
                return False
        elif isinstance(value, Call):
            if not isinstance(there, dict) or not says(value, Call(str(there.get("name"))), inner):
                return False
        elif name not in known or key_of(value) != key_of(there):
            return False
    return True


def key_of(value: Any) -> str:
    """The same for calls and values that say the same, whatever the order of options; 1.0 is printed as 1."""
    return json.dumps(_printed(call_to_json(value) if not isinstance(value, dict) else value), sort_keys=True)


def _printed(value: Json) -> Json:
    if isinstance(value, dict):
        return {name: _printed(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_printed(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def cells_in(path: Path) -> tuple[Cells, list[str]]:
    """What is in a store, or in records in Parquet, and notes about what is left out.

    Raises:
        UsageError: it is neither, or there is nothing in it.
        StoreError: the store is of another version.
    """
    if path.suffix == ".parquet":
        found, cards = read_records(path)
        return Cells(found, cards), []
    if path.is_file():
        raise UsageError(f"{path} is neither a store nor records in Parquet (.parquet)")
    try:
        result, notes = stored(path)
    except UsageError:
        if known := Store(path).cards():  # of architectures, which no records are needed for
            return Cells([], known.values()), []
        raise
    made = [exported(one, result.cards.get(one.unit.identity.model)) for one in result.measured]
    return Cells(made, result.cards.values()), notes
