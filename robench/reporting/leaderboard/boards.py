"""Boards: the defenses of one data set against one threat, in the order of their worst case, ranked where evidence is equal.

A board is one data set, norm, radius and knowledge; an attack that needs less than that knowledge counts too. Nothing is averaged
over boards. Each board requires the attacks of a suite of every row: a row that lacks one may be weaker than it looks, and has
no rank. Other attacks lower a row's worst case.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import pandas as pd

from robench.entries.calls import Call, written_float
from robench.records.store import Measured
from robench.reporting.evidence import bearing, no_rank, on_board
from robench.reporting.groups import Group
from robench.reporting.leaderboard.ranking import SPLITS, better, ranks, separable, stays_first
from robench.reporting.leaderboard.suites import Suite, suites
from robench.reporting.metrics import Rate, clean_accuracy, fooled_within, passes, rate_of
from robench.reporting.robustness import NORM_NAMES
from robench.reporting.seeds import training_of

KNOWLEDGE: dict[str, tuple[str, ...]] = {
    "white-box": ("white-box", "score", "decision", "transfer", "none"),
    "score": ("score", "decision", "transfer", "none"),
    "decision": ("decision", "transfer", "none"),
    "transfer": ("transfer", "none"),
}
"""Of an attacker, and which attacks need no more than that."""


@dataclass(frozen=True)
class Faced:
    """One attack that a row met on a board.

    Attributes:
        attack: as it is written, with its radius.
        robust: whether each image (index) is right under it.
        only: how many images no other attack of the row breaks.
        forwards, backwards: passes for each attacked image, on average.
    """

    attack: str
    robust: pd.Series
    only: int
    forwards: float
    backwards: float

    @property
    def rate(self) -> Rate:
        return rate_of(self.robust)


@dataclass(frozen=True)
class Standing:
    """A row of a board.

    Attributes:
        model: names it, as `Unit.row` does.
        robust: whether each image is right under all attacks that it met, of those images that all required ones met. Another
            attack of fewer images lowers it on these.
        met: the required attacks that it met in full.
        reason: why it has no rank; empty where it has one.
        rank: None where it has none.
        seeds: of trainings that differ in nothing else, and the sample standard deviation of their worst cases; (1, None)
            where there is one.
        evidence: what an examination found; nothing is examined yet.
    """

    model: str
    label: str
    defense: Call
    robust: pd.Series
    clean: Rate
    faced: tuple[Faced, ...]
    met: tuple[Call, ...]
    reason: str
    rank: int | None = None
    seeds: tuple[int, float | None] = (1, None)
    evidence: str = "not examined"

    @property
    def worst(self) -> Rate:
        """Robust accuracy against the strongest attack, chosen for each image."""
        return rate_of(self.robust)


@dataclass(frozen=True)
class Board:
    """Rows of equal threat: those with a rank in the order of their worst case, then the others.

    Attributes:
        required: attacks that every row must have met.
        neighbours: (pairs of neighbours with a rank that can be told apart, all of them).
        refused: (label, reason) of the rows that could not be measured at all.
        stayed: in how many of `SPLITS` half splits the first row stays first; None where fewer than two have a rank.
    """

    group: Group
    norm: str
    eps: float
    knowledge: str
    required: tuple[Call, ...]
    standings: tuple[Standing, ...]
    neighbours: tuple[int, int]
    stayed: int | None
    refused: tuple[tuple[str, str], ...] = ()

    @property
    def dataset(self) -> str:
        return self.group.name

    @property
    def radius(self) -> str:
        """As people write it: 8/255."""
        return written_float(self.eps)

    @property
    def title(self) -> str:
        return f"{self.dataset}, {NORM_NAMES[self.norm]} ε = {self.radius}, {self.knowledge}"

    @cached_property
    def caption(self) -> list[str]:
        """What must be read with the board."""
        names = ", ".join(map(str, self.required))
        apart, pairs = self.neighbours
        said = [
            f"Robust accuracy in % within {NORM_NAMES[self.norm]} ε = {self.radius} (pixels in [0, 1]) against the worst of a row's attacks, "
            f"chosen for each image, by an attacker whose knowledge is {self.knowledge} or less. Required of every row: {names}. "
            "Other attacks lower the worst case; a row that lacks a required one stands below, “≤”, without a rank.",
            "Rank: 1 + the number of rows that are significantly better (McNemar's exact test over the images that both have, Holm's "
            "correction over all pairs, 5 %). In brackets: 95 % intervals over test images; they cover no training seeds.",
        ]
        if self.stayed is not None:
            said.append(
                f"{apart} of {pairs} neighbouring pairs can be told apart; over {SPLITS} random halves of the images the first row "
                f"stays first in {self.stayed}."
            )
        return said


def boards(groups: Sequence[Group], only: Suite | None = None) -> list[Board]:
    """All boards of several groups, the widest knowledge first.

    Args:
        only: the suite that is required; None: that of the norm's name. A norm without one has no board.
    """
    found = []
    for group in groups:
        facts = [one.unit.facts for one in group.units if on_board(one)]
        for norm, eps in sorted({(f.norm, f.eps) for f in facts if f.eps is not None}):
            own = only or suites().get(norm)
            for knowledge in KNOWLEDGE if own else ():
                if own and (board := _board(group, norm, eps, knowledge, own)):
                    found.append(board)
    return found


def _board(group: Group, norm: str, eps: float, knowledge: str, suite: Suite) -> Board | None:
    """None where no row was attacked with anything that the board requires."""
    threats = [t.key for t in bearing(group, norm, eps) if t.first.unit.facts.knowledge in KNOWLEDGE[knowledge]]
    units = [one for one in group.units if one.unit.identity.threat in threats]
    known = {
        call: one.unit.facts.knowledge for one in group.units if (call := suite.met_by(one))
    }  # of what was never run it is not known, and the widest board alone asks for it
    required = tuple(call for call in suite.attacks if known.get(call, "white-box") in KNOWLEDGE[knowledge])
    rows = {model: [one for one in units if one.unit.row == model] for model in group.defenses}
    standings = [_standing(group, model, own, norm, eps, required, suite) for model, own in rows.items() if own]
    if not any(standing.met for standing in standings):
        return None
    standings = _with_seeds(standings, group)
    ranked = sorted((s for s in standings if not s.reason), key=lambda s: (-s.worst.value, -s.clean.value, s.label))
    others = sorted((s for s in standings if s.reason), key=lambda s: (-len(s.met), -s.worst.value, s.label))
    outcomes = [standing.robust for standing in ranked]
    above = better(outcomes)
    placed = [replace(s, rank=rank) for s, rank in zip(ranked, ranks(above), strict=True)]
    return Board(
        group,
        norm,
        eps,
        knowledge,
        required,
        (*placed, *others),
        (separable(above), max(0, len(ranked) - 1)),
        stays_first(outcomes) if len(ranked) > 1 else None,
        tuple((str(one.defense), one.reason) for one in group.refused if one.attack is None),
    )


def _standing(
    group: Group,
    model: str,
    units: list[Measured],
    norm: str,
    eps: float,
    required: tuple[Call, ...],
    suite: Suite,
) -> Standing:
    calls = [suite.met_by(one) if _is_at(one, eps) else None for one in units]
    met = tuple(call for call in required if call in calls)
    broken = [fooled_within(one.records, norm, eps) for one in units]
    asked = [own for own, call in zip(broken, calls, strict=True) if call in met] or broken
    images = asked[0].index
    for own in asked[1:]:
        images = images.intersection(own.index)
    fooled = pd.concat([own.reindex(images, fill_value=False) for own in broken], axis=1)
    breaks = fooled.sum(axis=1)
    faced = []
    for place, (one, own) in enumerate(zip(units, broken, strict=True)):
        forwards, backwards, _ = passes(one.records)
        only = int((fooled.iloc[:, place] & (breaks == 1)).sum())
        seen = own.loc[own.index.intersection(images)]
        faced.append(Faced(group.attack_in_full(one), ~seen, only, forwards, backwards))
    lacking = f"{len(met)} of {len(required)} attacks" if len(met) < len(required) else ""
    records = pd.concat([one.records for one in units])
    clean = clean_accuracy(records[records["image"].astype(str).isin(breaks.index)])
    return Standing(
        model,
        group.defenses[model],
        units[0].unit.spec.defense,
        breaks == 0,
        clean,
        tuple(faced),
        met,
        "; ".join(filter(None, [lacking, no_rank(group.of(model))])),
    )


def _is_at(one: Measured, eps: float) -> bool:
    """Whether a unit was attacked at a radius, or without any."""
    own = one.unit.facts.eps
    return own is None or math.isclose(own, eps)


def _with_seeds(standings: list[Standing], group: Group) -> list[Standing]:
    """With the spread over the trainings of each row that differ in their seed alone."""
    recipes: dict[str, list[Standing]] = {}
    named = {}
    for standing in standings:
        unit = group.of(standing.model)[0].unit
        named[standing.model] = training_of(unit.spec.defense, unit.identity).recipe
        recipes.setdefault(named[standing.model], []).append(standing)
    found = []
    for standing in standings:
        rivals = recipes[named[standing.model]]
        if len(rivals) > 1:
            spread = statistics.stdev(one.worst.value for one in rivals)
            standing = replace(standing, seeds=(len(rivals), spread))
        found.append(standing)
    return found
