"""Records as arrays over the images of a group: boards look at thousands of units, each of them many times."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from robench.attacking.balls import largest_inside
from robench.entries.calls import Call
from robench.records.unit import Measured
from robench.reporting.evidence import in_full, on_board
from robench.reporting.groups import Group
from robench.reporting.leaderboard.suites import Suite
from robench.reporting.rates import Rate, rate_of

Flags = NDArray[np.bool_]
Sizes = NDArray[np.float64]


@dataclass(frozen=True)
class Outcome:
    """What one unit says of each image of its group.

    Attributes:
        one: the unit.
        seen: whether it has records of the image.
        right: whether the model was right before.
        rows: the image of each record.
        fooled: of each record.
        passes: forwards and backwards for each attacked record, on average.
        whole: all images that it should have attacked were attacked.
        calls: which attack of a suite it is, by the suite's name, as far as that was asked.
    """

    one: Measured
    seen: Flags
    right: Flags
    rows: NDArray[np.int64]
    fooled: Flags
    passes: tuple[float, float]
    whole: bool
    calls: dict[str, Call | None] = field(default_factory=dict, repr=False)

    def call(self, suite: Suite) -> Call | None:
        """Which attack of a suite it is; see `Suite.met_by`."""
        if suite.name not in self.calls:
            self.calls[suite.name] = suite.met_by(self.one, self.whole)
        return self.calls[suite.name]

    @cached_property
    def sizes(self) -> Sizes:
        """By image the smallest perturbation that fooled the model in the unit's norm; infinite where none did."""
        size = np.nan_to_num(self.one.arrays.numbers(self.one.unit.facts.norm), nan=np.inf, posinf=np.inf)
        least = np.full(len(self.seen), np.inf)
        np.minimum.at(least, self.rows[self.fooled], size[self.fooled])
        return least

    def broken(self, eps: float) -> Flags:
        """Whether any record of the image fools the model with a perturbation of at most eps in the unit's norm.

        An image that was wrong before is broken at distance 0; a target that was missed counts where the label was left.
        """
        return self.sizes <= largest_inside(self.one.unit.facts.norm, eps)


@dataclass(frozen=True)
class Outcomes:
    """All units of a group that may stand on a board, as arrays over the same images.

    Attributes:
        images: ids, sorted.
        by_row: by the model, its units.
    """

    group: Group
    images: list[str]
    by_row: dict[str, list[Outcome]]

    @classmethod
    def of(cls, group: Group) -> Outcomes:
        """Of the units of a group in which an attacker had the whole image."""
        units = [one for one in group.units if on_board(one)]
        images = np.unique(np.concatenate([np.empty(0, np.str_), *(one.arrays.names for one in units)]))
        by_row: dict[str, list[Outcome]] = {}
        for one in units:
            rows = np.searchsorted(images, one.arrays.names)[one.arrays.of]
            by_row.setdefault(one.unit.row, []).append(_outcome(one, rows, len(images)))
        return cls(group, images.tolist(), by_row)

    def knowledge(self, suite: Suite) -> dict[Call, str]:
        """What the attacks of a suite need of a model, of those that a row met."""
        every = [one for own in self.by_row.values() for one in own]
        return {call: one.one.unit.facts.knowledge for one in every if (call := one.call(suite)) is not None}


def _outcome(one: Measured, rows: NDArray[np.int64], count: int) -> Outcome:
    cell = one.arrays
    correct = cell.flags("correct")
    seen, right = np.zeros(count, dtype=bool), np.zeros(count, dtype=bool)
    seen[rows] = True
    right[rows[correct]] = True
    passes = [np.nan_to_num(cell.numbers(name))[correct] for name in ("forwards", "backwards")]
    means = tuple(float(own.mean()) if len(own) else 0.0 for own in passes)
    whole = bool((passes[0] > 0).all()) or in_full(one)
    return Outcome(one, seen, right, rows, cell.flags("fooled"), (means[0], means[1]), whole)


def shared(outcomes: Iterable[Outcome]) -> Flags:
    """The images that all of several units have."""
    seen: Flags = np.logical_and.reduce([one.seen for one in outcomes])
    return seen


def rate(right: Flags, among: Flags) -> Rate:
    """Of how many images a flag holds, with Wilson's interval."""
    return rate_of(right[among])
