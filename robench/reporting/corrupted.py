"""What one model made of corrupted images: whether each image is wrong under each condition, and means over conditions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import cast

import pandas as pd

from robench.benchmarks import SEVERITIES
from robench.records.unit import Measured, Unit
from robench.reporting.corruption_metrics import CLEAN, outcomes
from robench.reporting.resampling import Estimate, bootstrap
from robench.reporting.ties import Terms


def of_corruptions(unit: Unit) -> bool:
    """Whether a unit is one corruption at one severity of whole images."""
    facts = unit.facts
    return facts.goal == "natural" and facts.corruption is not None and facts.severity is not None and not facts.share


@dataclass(frozen=True)
class Corrupted:
    """What a model made of corrupted images.

    Attributes:
        units: each one corruption at one severity.
    """

    units: list[Measured]

    @cached_property
    def wrong(self) -> pd.DataFrame:
        """Whether each image is wrong under each condition, `CLEAN` first; see `outcomes`."""
        return outcomes(pd.concat([one.records for one in self.units]))

    @property
    def clean(self) -> float | None:
        """Error on the same images as they were; None where they are published corrupted, and others than they were."""
        return None if self.units[0].unit.facts.family else float(self.wrong[CLEAN].mean())

    @property
    def conditions(self) -> list[tuple[str, int]]:
        """What was run: (corruption, severity), without `CLEAN`."""
        return [condition for condition in cast(list[tuple[str, int]], [*self.wrong]) if condition != CLEAN]

    def has(self, names: Sequence[str]) -> bool:
        """Whether all of these corruptions were run at all severities."""
        return all((name, severity) in self.wrong for name in names for severity in SEVERITIES)

    def estimate(self, conditions: Sequence[tuple[str, int]]) -> Estimate:
        """The mean error over these conditions, with its interval over images."""
        return bootstrap(lambda means: float(means.mean()), self.wrong[[*conditions]].to_numpy())

    def terms(self, conditions: Sequence[tuple[str, int]]) -> Terms:
        """For each image how many of these conditions it is right under, of how many."""
        right = ~self.wrong[[*conditions]]
        return Terms.of(pd.DataFrame({"a": right.sum(axis=1).astype(float), "b": float(len(conditions))}))
