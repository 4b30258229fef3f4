"""Conditions: one attack at one radius, towards one rule of targets; what one unit of the store holds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from robench.attacking.classifier import Cancelled, Classifier
from robench.data.splits import Split
from robench.entries.calls import Call, Json, Name
from robench.entries.cards import AttackCard, DatasetCard, Goal, Knowledge, Norm
from robench.entries.entry import AttackEntry
from robench.entries.registry import ATTACKS
from robench.errors import AttackError, RobenchError, UsageError, ran_out
from robench.models.blocks import with_own_patch


@dataclass(frozen=True)
class Condition:
    """One attack at one condition.

    Attributes:
        call: all options resolved; eps is a number here, targets a rule.
        shown: as a person writes it, options at their defaults left out.
    """

    entry: AttackEntry
    call: Call
    shown: Call

    @property
    def text(self) -> str:
        """As a person writes it."""
        return str(self.shown)

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

    @property
    def corruption(self) -> str | None:
        """Name of the corruption or the perturbation, where there is one."""
        return self.call.options.get("names")

    @property
    def severity(self) -> int | None:
        """Of the corruption, 1 to 5."""
        return self.call.options.get("severities")

    def met(self, published: tuple[str | None, int | None]) -> tuple[str | None, int | None]:
        """The corruption and the severity of what is judged: the threat's own, or what the images are published with.

        Args:
            published: of the images as the data set has them.
        """
        return published if self.card.as_it_is else (self.corruption, self.severity)

    def sources(self, attacked: Call) -> dict[str, Call]:
        """The defenses that the attack needs trained, by the options that name them.

        Args:
            attacked: the defense that is attacked; a source may be made from its answers.
        """
        options = self.call.options
        named = {name: options[name] for name in self.entry.sources}
        return self.card.sources(options, attacked) if self.card.sources else named

    def given(self, models: dict[str, Any]) -> Condition:
        """The condition as the attack is run: with models in place of the defenses that its options name."""
        return replace(self, call=Call(self.call.name, {**self.call.options, **models}))

    def on(self, model: nn.Module, name: str) -> Condition:
        """The condition as this model is attacked: in its own patches, where those are asked for.

        Raises:
            ModelError: it has none.
        """
        return replace(self, call=Call(self.call.name, with_own_patch(self.call.options, model, name)))

    def run(self, model: Classifier, inputs: Tensor, labels: Tensor, targets: Tensor | None = None) -> Any:
        """What the attack makes of images, as it returns it.

        Raises:
            AttackError: it raises, or changes its inputs or labels in place.
        """
        options = dict(self.call.options)
        if "targets" in options:
            options["targets"] = targets
        before = inputs.clone(), labels.clone()
        try:
            found = self.entry.function(model, inputs, labels, **options)
        except (RobenchError, Cancelled):
            raise
        except Exception as error:
            if ran_out(error):
                raise
            raise AttackError(f"{self.text} raised {type(error).__name__}: {error}") from error
        if not (torch.equal(before[0], inputs) and torch.equal(before[1], labels)):
            raise AttackError(
                f"{self.text} changed its inputs or labels in place; an attack must leave them as they were"
            )
        return found.detach() if isinstance(found, Tensor) else found

    def images_given(self, split: Split, positions: NDArray[np.int64] | None) -> NDArray[np.bool_] | None:
        """Which images the attack has adversarial ones of, (N,), where it brings them along; None: it makes its own.

        Args:
            split: the evaluated images.
            positions: their places in the data set's test split; None: they are all of it, in its order.

        Raises:
            UsageError: it has none of them.
            DataError: what it brings cannot be read.
        """
        if self.card.given is None:
            return None
        places = np.arange(len(split)) if positions is None else positions
        return np.asarray(self.card.given(self.call.options, split, places), dtype=np.bool_)

    def identity(self) -> dict[str, Json]:
        """What of the attack can change a number."""
        return ATTACKS.identity(self.call, self.entry)


def conditions(attack: Name, card: DatasetCard) -> list[Condition]:
    """The conditions of an attack: one for each item of a list that is given where one value is wanted.

    Without an eps, where one is needed, the radii of the data set's own grid are such a list; so are the lists of the card.
    """
    entry, given = ATTACKS.call(attack)
    options, eps = dict(given.options), entry.options.get("eps")
    if eps is not None and eps.required and options.get("eps") is None:
        norm = entry.card.norm
        if norm not in card.eps:
            raise UsageError(f"{entry.name} needs eps: this data set's card has no radii in the norm {norm}")
        options["eps"] = card.eps[norm]
    options |= {name: [*values] for name, values in entry.card.each.items() if options.get(name) is None}
    return [Condition(entry, call, entry.shown(call)) for call in entry.each(Call(given.name, options))]
