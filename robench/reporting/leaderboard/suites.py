"""Suites: the attacks that a board asks of every row, so that no row stands above another for having met fewer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from robench.entries.calls import Call, parse
from robench.entries.modules import built_in_folder
from robench.errors import UsageError, did_you_mean
from robench.files import read_toml
from robench.records.unit import Measured


@dataclass(frozen=True)
class Suite:
    """Attacks, as they are called without a radius.

    Attributes:
        about: what they are together, in a sentence.

    Example:
        >>> [str(attack) for attack in suite("linf").attacks]
        ['fgsm', 'pgd_linf', 'autoattack', 'square_linf']
    """

    name: str
    about: str
    attacks: tuple[Call, ...]

    def met_by(self, one: Measured, whole: bool) -> Call | None:
        """Which of the attacks a unit is, on all of its images and in float32; None: none of them.

        Its options besides the radius must be those of the suite: fewer steps are another attack.

        Args:
            whole: it attacked all images that it should have; see `evidence.in_full`.
        """
        asked = one.unit.spec.attack
        if asked.name not in {call.name for call in self.attacks}:
            return None
        plain = Call(asked.name, {name: value for name, value in asked.options.items() if name != "eps"})
        if plain not in self.attacks or one.unit.identity.precision != "float32" or not whole:
            return None
        return plain

    def at(self, eps: Any) -> list[Call]:
        """Its attacks as a run is given them.

        Args:
            eps: a radius or a list of them; None: the data set's.
        """
        return [Call(one.name, {**one.options, **({} if eps is None else {"eps": eps})}) for one in self.attacks]


@cache
def suites() -> dict[str, Suite]:
    """All suites by their names, from `reports/suites.toml`."""
    plain = read_toml(built_in_folder("reports") / "suites.toml")
    return {
        name: Suite(name, own["about"], tuple(parse(attack) for attack in own["attacks"]))
        for name, own in plain.items()
    }


def suite(name: str) -> Suite:
    """A suite by its name.

    Raises:
        UsageError: there is none.
    """
    if name not in suites():
        raise UsageError(f"no suite is named {name!r}{did_you_mean(name, suites())}")
    return suites()[name]


def attacks_of(text: str) -> list[Call]:
    """The attacks of a suite as it is written for a run: `linf`, `linf(eps=8/255)`.

    Raises:
        UsageError: there is no such suite, or it is given something else than eps.
    """
    call = parse(text)
    own = suite(call.name)
    if unknown := set(call.options) - {"eps"}:
        raise UsageError(
            f"the suite {call.name} was given {sorted(unknown)[0]}; a suite takes eps alone, since its attacks are at their default "
            "options on every board"
        )
    return own.at(call.options.get("eps"))
