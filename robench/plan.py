"""What a command asks for: cells, the stored units that they consist of, and what is missing of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from robench.calls import Call, Name, parse
from robench.cards import AttackCard, DatasetCard, Goal, Knowledge, Norm
from robench.checkpoints import ENGINE, Checkpoint
from robench.errors import UsageError
from robench.images import Split, Splits
from robench.places import Places
from robench.registry import ATTACKS, DATASETS, Entry


@dataclass(frozen=True)
class Data:
    """A loaded data set and how it was asked for."""

    name: str
    card: DatasetCard
    splits: Splits
    fingerprint: str


@dataclass(frozen=True)
class Condition:
    """One attack at one condition: what a unit of the store holds.

    Attributes:
        call: all options resolved; eps is a number here, targets a rule.
        text: as a person writes it, options at their defaults left out.
    """

    entry: Entry
    call: Call
    text: str

    @property
    def card(self) -> AttackCard:
        card: AttackCard = self.entry.card
        return card

    @property
    def eps(self) -> float | None:
        return self.call.options.get("eps")

    @property
    def norm(self) -> Norm:
        """In which it is judged: the card's, unless the attack has that as an option."""
        norm: Norm = self.call.options.get("norm") or self.card.norm
        return norm

    @property
    def goal(self) -> Goal:
        """A wrapped attack has a budget where it is given one."""
        return "budget" if self.eps is not None else self.card.goal

    @property
    def knowledge(self) -> Knowledge:
        """What the attacker has of the model."""
        return self.card.knowledge_of(self.call.options) if self.card.knowledge_of else self.card.knowledge

    @property
    def targets(self) -> str | None:
        return self.call.options.get("targets")

    def sources(self, attacked: Call) -> dict[str, Call]:
        """The defenses that the attack needs trained, by the options that name them.

        Args:
            attacked: the defense that is attacked; a source may be made from its answers.
        """
        options = self.call.options
        named = {name: options[name] for name in self.entry.sources}
        return self.card.sources(options, attacked) if self.card.sources else named

    def at(self, precision: str) -> Condition:
        """The condition with its passes in another precision, which its name says."""
        if precision == "float32":
            return self
        call = parse(self.text)
        return replace(self, text=str(Call(call.name, call.options | {"precision": precision})))

    def given(self, models: dict[str, Any]) -> Condition:
        """The condition as the attack is run: with models in place of the defenses that its options name."""
        return replace(self, call=Call(self.call.name, {**self.call.options, **models}))

    def identity(self) -> dict[str, Any]:
        """What of the attack can change a number."""
        return ATTACKS.identity(self.call, self.entry)


def variant(dataset: str, fingerprint: str) -> str:
    """Which copy of a data set has this fingerprint: its name where the card knows it."""
    try:
        known = DATASETS.call(dataset)[0].card.variants.get(fingerprint)
    except UsageError:  # the file that defined it is gone
        known = None
    return f"{known}, fingerprint {fingerprint}" if known else f"test fingerprint {fingerprint}"


def load_data(name: Name, places: Places) -> Data:
    """Load a data set by its call."""
    entry, call = DATASETS.find(name)
    splits = entry.function(places, **call.options)
    if not isinstance(splits, Splits):
        raise UsageError(
            f"{call} returned {type(splits).__name__}; a data set returns robench.Splits(train, validation, test, classes)"
        )
    return Data(entry.shown(call), entry.card, splits, splits.test.fingerprint)


def conditions(attack: Name, card: DatasetCard) -> list[Condition]:
    """The units of an attack: one for each item of a list that is given where one value is wanted.

    Without an eps, where one is needed, the radii of the data set's own grid are such a list.
    """
    entry, given = ATTACKS.call(attack)
    options, eps = dict(given.options), entry.options.get("eps")
    if eps is not None and eps.required and options.get("eps") is None:
        norm = entry.card.norm
        if norm not in card.eps:
            raise UsageError(f"{entry.name} needs eps: this data set's card has no radii in the norm {norm}")
        options["eps"] = card.eps[norm]
    return [Condition(entry, call, entry.shown(call)) for call in entry.each(Call(given.name, options))]


def identity(
    data: Data, checkpoint: dict[str, Any], weights: str, probe: str, condition: Condition, seed: int,
    sources: dict[str, str], precision: str,
) -> dict[str, Any]:  # fmt: skip
    """All that can change the records of a unit. Its digest names the unit."""
    return {
        "data": data.fingerprint,
        "defense": checkpoint,
        "weights": weights,
        "logits": probe,
        "attack": condition.identity(),
        **({"sources": sources} if sources else {}),
        "seed": seed,
        "precision": precision,
        "engine": ENGINE,
    }


def spec(defense: str, condition: Condition, data: Data, seed: int) -> dict[str, Any]:
    """What a person asked for, in words."""
    return {"defense": defense, "attack": condition.text, "dataset": data.name, "seed": seed}


def checkpoints(defenses: Sequence[Name], data: Data, places: Places) -> list[Checkpoint]:
    """The checkpoints of several defenses on a data set, rehearsed, so that their errors come first."""
    found = [one for defense in defenses for one in Checkpoint.each(defense, data.splits, data.card, places.cache)]
    for checkpoint in found:
        checkpoint.rehearse()
    return found


def subset(data: Data, n: int | None) -> Split:
    """The pinned images that are evaluated."""
    return data.splits.test.first(n)
