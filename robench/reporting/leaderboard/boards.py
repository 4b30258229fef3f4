"""Boards: the defenses of one data set against one threat, in the order of their worst case, ranked where evidence is equal.

A board is one data set, norm, radius and knowledge; an attack that needs less than that knowledge counts too. Nothing is averaged
over boards. Each board requires the attacks of a suite of every row: a row that lacks one may be weaker than it looks, and has
no rank. Other attacks lower a row's worst case.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from robench.entries.calls import Call, written_float
from robench.records.unit import Measured
from robench.reporting.columns import NORM_NAMES
from robench.reporting.evidence import no_rank, reaches
from robench.reporting.groups import Group
from robench.reporting.leaderboard.outcomes import Flags, Outcome, Outcomes, rate, shared
from robench.reporting.leaderboard.ranking import SPLITS, better, ranks, separable, stays_first
from robench.reporting.leaderboard.suites import Suite, suites
from robench.reporting.rates import Rate
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
        attack: as it is written, with its radius where that is not the board's.
        rate: robust accuracy under it, of the row's images that it met.
        only: how many images no other attack of the row breaks.
        forwards, backwards: passes for each attacked image, on average.
    """

    attack: str
    rate: Rate
    only: int
    forwards: float
    backwards: float


@dataclass(frozen=True)
class Standing:
    """A row of a board.

    Attributes:
        model: names it, as `Unit.row` does.
        right: by image of the board, whether it is right under all attacks that met it.
        seen: by image, whether all required attacks met it, if any did: the images that the row is of. Another attack of fewer
            images lowers it on these.
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
    right: Flags
    seen: Flags
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
        return rate(self.right, self.seen)


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
            "Other attacks lower the worst case; a row that lacks a required one stands below, with a ≤ and without a rank.",
            "Rank: 1 + the number of rows that are significantly better (McNemar's exact test over the images that both have, Holm's "
            "correction over all pairs, 5 %). In brackets: 95 % intervals over test images; they cover no training seeds.",
        ]
        if self.stayed is not None:
            said.append(
                f"{apart} of {pairs} neighbouring pairs can be told apart; over {SPLITS} random halves of the images the first row "
                f"stays first in {self.stayed}."
            )
        return said


def boards(groups: Sequence[Outcomes], only: Suite | None = None) -> list[Board]:
    """All boards of several groups, the widest knowledge first.

    Args:
        only: the suite that is required; None: that of the norm's name. A norm without one has no board.
    """
    found = []
    for outcomes in groups:
        without = {model: no_rank(outcomes.group.of(model)) for model in outcomes.by_row}
        facts = [one.one.unit.facts for own in outcomes.by_row.values() for one in own]
        for norm, eps in sorted({(f.norm, f.eps) for f in facts if f.eps is not None}):
            own = only or suites().get(norm)
            for knowledge in KNOWLEDGE if own else ():
                if own and (board := _board(outcomes, norm, eps, knowledge, own, without)):
                    found.append(board)
    return found


def _board(
    outcomes: Outcomes, norm: str, eps: float, knowledge: str, suite: Suite, without: Mapping[str, str]
) -> Board | None:
    """None where no row was attacked with anything that the board requires.

    Args:
        without: by row, why it has no rank on any board; empty where it may have one.
    """
    group, allowed = outcomes.group, KNOWLEDGE[knowledge]
    known = outcomes.knowledge(suite)
    # Of what was never run it is not known what it needs, and the widest board alone asks for it.
    required = tuple(call for call in suite.attacks if known.get(call, "white-box") in allowed)
    standings = []
    for model, row in outcomes.by_row.items():
        own = [one for one in row if reaches(one.one.unit.facts, norm, eps) and one.one.unit.facts.knowledge in allowed]
        if own:
            standings.append(_standing(group, model, own, eps, required, suite, without[model]))
    if not any(standing.met for standing in standings):
        return None
    standings = _with_seeds(standings, group, len(required))
    ranked = sorted((s for s in standings if not s.reason), key=lambda s: (-s.worst.value, -s.clean.value, s.label))
    others = sorted((s for s in standings if s.reason), key=lambda s: (-len(s.met), -s.worst.value, s.label))
    right = np.array([one.right & one.seen for one in ranked]).reshape(len(ranked), len(outcomes.images))
    wrong = np.array([~one.right & one.seen for one in ranked]).reshape(right.shape)
    above = better(right, wrong)
    placed = [replace(s, rank=rank) for s, rank in zip(ranked, ranks(above), strict=True)]
    return Board(
        group,
        norm,
        eps,
        knowledge,
        required,
        (*placed, *others),
        (separable(above), max(0, len(ranked) - 1)),
        stays_first(right, wrong) if len(ranked) > 1 else None,
        tuple((str(one.defense), one.reason) for one in group.refused if one.attack is None),
    )


def _standing(
    group: Group,
    model: str,
    units: Sequence[Outcome],
    eps: float,
    required: tuple[Call, ...],
    suite: Suite,
    without: str,
) -> Standing:
    calls = [one.call(suite) if _is_at(one.one, eps) else None for one in units]
    met = tuple(call for call in required if call in calls)
    seen = shared([one for one, call in zip(units, calls, strict=True) if call in met] or units)
    broken = np.array([one.broken(eps) & one.seen for one in units])
    breaks = broken.sum(0)
    faced = tuple(
        Faced(
            _named(group, one.one, eps),
            rate(~own, seen & one.seen),
            int((own & (breaks == 1) & seen).sum()),
            *one.passes,
        )
        for one, own in zip(units, broken, strict=True)
    )
    lacking = f"{len(met)} of {len(required)} attacks" if len(met) < len(required) else ""
    clean = rate(np.logical_or.reduce([one.right for one in units]), seen)
    return Standing(
        model,
        group.defenses[model],
        units[0].one.unit.spec.defense,
        breaks == 0,
        seen,
        clean,
        faced,
        met,
        "; ".join(filter(None, [lacking, without])),
    )


def _is_at(one: Measured, eps: float) -> bool:
    """Whether a unit was attacked at a radius, or without any."""
    own = one.unit.facts.eps
    return own is None or math.isclose(own, eps)


def _named(group: Group, one: Measured, eps: float) -> str:
    """A unit's attack on a board: its radius is said where it is another than the board's."""
    threat = group.threat(one)
    return threat.label if _is_at(one, eps) else group.attack_in_full(one)


def _with_seeds(standings: list[Standing], group: Group, required: int) -> list[Standing]:
    """With the spread over the trainings of each row that differ in their seed alone, of those that met all that is required on the same images."""
    recipes: dict[str, dict[int, Standing]] = {}
    named = {}
    for standing in standings:
        unit = group.of(standing.model)[0].unit
        training = training_of(unit.spec.defense, unit.identity)
        named[standing.model] = training.recipe
        if len(standing.met) == required:
            recipes.setdefault(training.recipe, {})[training.seed] = standing
    found = []
    for standing in standings:
        same = recipes.get(named[standing.model], {})
        rivals = {seed: one for seed, one in same.items() if np.array_equal(one.seen, standing.seen)}
        if len(rivals) > 1 and standing in rivals.values():
            spread = statistics.stdev(one.worst.value for one in rivals.values())
            standing = replace(standing, seeds=(len(rivals), spread))
        found.append(standing)
    return found
