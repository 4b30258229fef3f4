"""What is behind a row: its weights and records, the command that makes it again, and what a reader sees on opening it."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np

from robench.benchmarks import CORRUPTIONS, SEVERITIES
from robench.entries.calls import Call, written
from robench.records.cards import ModelCard
from robench.records.unit import Measured
from robench.reporting.corrupted import Corrupted, of_corruptions
from robench.reporting.evidence import reaches
from robench.reporting.groups import Group
from robench.reporting.leaderboard.outcomes import Outcome, Outcomes, Sizes, rate, shared

VARIED = ("eps", "names", "severities", "share", "targets")
"""Options of which a list makes one unit each."""


@dataclass(frozen=True)
class About:
    """A model of a group.

    Attributes:
        model: names it, as `Unit.row` does.
        outcomes: of its units that may stand on a board.
        card: None where the store has none.
    """

    group: Group
    model: str
    outcomes: list[Outcome]
    card: ModelCard | None

    @cached_property
    def units(self) -> list[Measured]:
        return self.group.of(self.model)

    @property
    def call(self) -> Call:
        return self.units[0].unit.spec.defense

    @property
    def recipe(self) -> str:
        """What it was trained by: the outermost entry, "none" where that is the architecture itself."""
        return self.call.name if isinstance(self.call.options.get("model"), Call) else "none"

    @property
    def architecture(self) -> str:
        """The innermost model, by its name where it is one of a library."""
        call = self.call
        while isinstance(inner := call.options.get("model"), Call):
            call = inner
        name = call.options.get("name")
        return f"{call.name} {name}" if isinstance(name, str) else call.name

    @property
    def weights(self) -> str:
        return self.units[0].unit.identity.weights

    @property
    def records(self) -> list[str]:
        """Identities of its units."""
        return sorted(one.unit.identity.digest() for one in self.units)

    @property
    def versions(self) -> str:
        """Of what it was measured with, and when the last unit was."""
        facts = [one.unit.facts for one in self.units]
        torch, device = (", ".join(sorted({getattr(f, name) for f in facts})) for name in ("torch", "device"))
        day = datetime.fromtimestamp(max(f.created for f in facts), UTC)
        engines = ", ".join(sorted({str(one.unit.identity.engine) for one in self.units}))
        return f"engine {engines}, torch {torch}, {device}, {day:%Y-%m-%d}"

    @property
    def command(self) -> str:
        """What makes it again."""
        spec, made_from = self.units[0].unit.spec, self.units[0].unit.identity.defense
        entry = made_from.get("defense") if isinstance(made_from, dict) else None
        if isinstance(entry, dict) and entry.get("given"):
            return f"# {self.call} was handed to robench.run from Python; with the same weights it is attacked the same"
        parts = [
            "robench run",
            f"--dataset {shlex.quote(str(spec.dataset))}",
            f"--defense {shlex.quote(str(self.call))}",
        ]
        parts += [f"--attack {shlex.quote(str(call))}" for call in folded(one.unit.spec.attack for one in self.units)]
        n = max(int(one.seen.sum()) for one in self.outcomes)
        seed = f" --seed {spec.seed}" if spec.seed else ""
        return " ".join(parts) + f" --n {n}{seed}"

    @property
    def attention(self) -> list[float]:
        """For each attention layer the share that the four largest weights of a row hold; empty where it is not known."""
        return self.card.held_by_largest if self.card else []

    @property
    def corruptions(self) -> dict[str, list[float | None]]:
        """By corruption, the errors at severities 1 to 5, None where one was not run."""
        own = [one for one in self.units if of_corruptions(one.unit)]
        if not own:
            return {}
        found = Corrupted(own)
        means = found.wrong.mean()
        return {
            name: [float(means[name, s]) if (name, s) in found.wrong else None for s in SEVERITIES]
            for name in dict.fromkeys(name for name, _ in found.conditions)
        }

    def curve(self, norm: str) -> list[tuple[float, float]]:
        """Robust accuracy in the worst case at each radius that was attacked at, from the clean accuracy at 0 on."""
        own = [one for one in self.outcomes if one.one.unit.facts.norm == norm]
        radii = sorted({one.one.unit.facts.eps for one in own if one.one.unit.facts.eps is not None})
        if not radii:
            return []
        right, seen = (np.logical_or.reduce([getattr(one, name) for one in own]) for name in ("right", "seen"))
        points = [(0.0, rate(right, seen).value)]
        for eps in radii:
            near = [one for one in own if reaches(one.one.unit.facts, norm, eps)]
            broken = np.logical_or.reduce([one.broken(eps) for one in near])
            points.append((eps, rate(~broken, shared(near)).value))
        return points

    def distances(self, norm: str) -> Sizes | None:
        """By image the smallest perturbation with which a minimal attack fooled the model; infinite where none did, NaN where
        none was run."""
        minimal = [
            one for one in self.outcomes if one.one.unit.facts.norm == norm and one.one.unit.facts.goal == "minimal"
        ]
        if not minimal:
            return None
        least: Sizes = np.minimum.reduce([one.sizes for one in minimal])
        return np.where(np.logical_or.reduce([one.seen for one in minimal]), least, np.nan)


def abouts(outcomes: Outcomes, cards: Mapping[str, ModelCard]) -> dict[str, About]:
    """All models of a group, by their names."""
    group = outcomes.group
    return {
        model: About(group, model, own, cards.get(own[0].one.unit.identity.model))
        for model, own in outcomes.by_row.items()
    }


def folded(calls: Iterable[Call]) -> list[Call]:
    """Calls that differ in what a list may be given for, written as one each where the list says exactly these.

    Example:
        >>> [str(call) for call in folded([Call("fgsm", {"eps": 0.1}), Call("fgsm", {"eps": 0.2})])]
        ['fgsm(eps=[0.1, 0.2])']
    """
    families: dict[str, list[Call]] = {}
    for call in calls:
        rest = Call(call.name, {name: value for name, value in call.options.items() if name not in VARIED})
        families.setdefault(f"{rest} {sorted(set(call.options) & set(VARIED))}", []).append(call)
    found = []
    for family in families.values():
        values: dict[str, list[Any]] = {}
        for name in (name for name in VARIED if name in family[0].options):
            values[name] = [*{written(call.options[name]): call.options[name] for call in family}.values()]
        distinct = {tuple(written(call.options[name]) for name in values) for call in family}
        if distinct != {tuple(map(written, one)) for one in product(*values.values())}:
            found += family
            continue
        options = {
            name: values[name][0] if name in values and len(values[name]) == 1 else values.get(name, value)
            for name, value in family[0].options.items()
        }
        grid = [sorted(map(written, values.get(name, ()))) for name in ("names", "severities")]
        if grid == [sorted(map(written, CORRUPTIONS)), sorted(map(written, SEVERITIES))]:
            options = {name: value for name, value in options.items() if name not in ("names", "severities")}
        found.append(Call(family[0].name, options))
    return found
