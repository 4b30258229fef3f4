"""Finds what a report asks for, in a store or in records that were exported from one."""

from __future__ import annotations

import json
import math
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
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
        interval: 95 %, over test images and, where there are several, over trainings; see `interval_of`.
        trainings: how many there are, also where they have no number, such as a mean over no success.
        numbers, wanted: how many have one, and how many were asked for.
        n: images that it is of, of the training with the fewest; 0 where it is of none.
        seen: images that were looked at, of each training.
        short: how many trainings were looked at on fewer images than was asked.
        found: what it was made of, a training each.
    """

    value: float
    spread: float | None = None
    interval: Interval | None = None
    trainings: int = 0
    numbers: int = 0
    wanted: int = 1
    n: int = 0
    seen: tuple[int, ...] = ()
    short: int = 0
    found: list[Found] = field(default_factory=list)

    @property
    def reach(self) -> float | None:
        """What is printed behind ±: the farther end of the interval."""
        if self.interval is None:
            return None
        return max(self.value - self.interval.low, self.interval.high - self.value)


NOTHING = Measured(math.nan)


def interval_of(values: Sequence[Value], most: float = math.inf) -> Interval | None:
    """Of the mean of several trainings, over test images and over trainings, added in quadrature; None where neither is known.

    Over images it is the mean of the trainings' own intervals, as they are of the same images; over trainings Student's t,
    which with two or three of them is wide.

    Args:
        most: that a number of this kind can be; 0 is the least.
    """
    ends = [one.interval for one in values if one.interval is not None]
    if len(values) == 1 or not (ends or len(values) > 1):
        return ends[0] if ends else None
    from scipy.stats import t

    mean, count = statistics.mean(one.value for one in values), len(values)
    over = float(t.ppf(0.975, count - 1)) * statistics.stdev(one.value for one in values) / math.sqrt(count)
    known = [(one.value - one.interval.low, one.interval.high - one.value) for one in values if one.interval]
    below, above = (statistics.mean(sides) for sides in zip(*known, strict=True)) if known else (0.0, 0.0)
    return Interval(max(0.0, mean - math.hypot(below, over)), min(most, mean + math.hypot(above, over)))


class Cells:
    """What is there, found by what was asked for."""

    def __init__(self, exported: Iterable[Exported], cards: Iterable[ModelCard] = ()) -> None:
        self._architectures = {key_of(card.defense): card for card in cards if not card.weights}
        self._known: dict[tuple[str, str], list[_Known]] = {}
        self._measured: dict[object, Measured] = {}
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

    def measure(self, ask: Ask, base: Ask | None = None, n: int | None = None) -> Measured:
        """What a report asks for, averaged over the trainings that are there.

        Args:
            base: what the base row asks for in the same column.
            n: of so many test images; None: of all that are there.
        """
        key = _named(ask), base and _named(base), n
        if key not in self._measured:  # a table and its figure ask for the same
            self._measured[key] = self._measure(ask, base, n)
        return self._measured[key]

    def _measure(self, ask: Ask, base: Ask | None, n: int | None) -> Measured:
        metric = METRICS[ask.metric]
        if metric.of_architecture is not None:
            card = self._architectures.get(key_of(ask.defense))
            return NOTHING if card is None else Measured(metric.of_architecture(card), trainings=1, numbers=1)
        made = [pair for seed in ask.seeds if (pair := self._one(metric, ask, base, seed, n))]
        known = [(value, found) for value, found in made if math.isfinite(value.value)]
        if not known:
            return Measured(math.nan, trainings=len(made), wanted=len(ask.seeds))
        values = [value.value for value, _ in known]
        images = [found.records["image"].nunique() for _, found in known]
        looked = [count if value.seen is None else value.seen for (value, _), count in zip(known, images, strict=True)]
        fewer = [value.seen is None and count < (n or 0) for (value, _), count in zip(known, images, strict=True)]
        return Measured(
            statistics.mean(values),
            statistics.stdev(values) if len(values) > 1 else None,
            interval_of([value for value, _ in known], most=1.0 if metric.percent else math.inf),
            len(made),
            len(known),
            len(ask.seeds),
            min(value.n for value, _ in known),
            tuple(looked),
            sum(fewer),
            [found for _, found in known],
        )

    def _of(self, found: Found | None, n: int | None) -> Found | None:
        """A cell on the first n test images, where it has more: those that cells of n images have."""
        if found is None or n is None or found.records["image"].nunique() <= n:
            return found
        own = set(found.records["image"])
        pinned = [images for data, images in self._subsets if data == found.printed.data and len(images) == n]
        chosen = next((images for images in pinned if images <= own), None)
        return found if chosen is None else found._replace(records=found.records[found.records["image"].isin(chosen)])

    @cached_property
    def _subsets(self) -> list[tuple[str, frozenset[str]]]:
        """The sets of test images that cells are of, the most common first."""
        every = [one.found for own in self._known.values() for one in own]
        counts = Counter((found.printed.data, frozenset(found.records["image"])) for found in every)
        return [key for key, _ in counts.most_common()]

    def _one(self, metric: Metric, ask: Ask, base: Ask | None, seed: int, n: int | None) -> tuple[Value, Found] | None:
        found = self._of(self.find(ask, seed), n)
        if found is None:
            return None
        if metric.measure is not None:
            return metric.measure(found, ask.eps), found
        other = None if base is None else self._of(self.find(base, seed), n)
        if metric.compare is None or other is None:
            return None
        return metric.compare(found, other), found


def _named(ask: Ask) -> tuple[object, ...]:
    calls = (key_of(call) for call in (ask.defense, ask.dataset, ask.attack) if call is not None)
    return *calls, ask.metric, ask.eps, ask.seeds


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
