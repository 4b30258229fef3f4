"""Kinds of options, as annotations: numbers in a range, nested calls, files."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from robench.entries.calls import Call

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Bounds:
    """The range of a number, as an annotation: `Annotated[int, Bounds(1)]`. An upper end that only stops slips is not printed.

    Example:
        >>> 0 in Bounds(1), str(Bounds(0, 1))
        (False, 'at least 0 and at most 1')
    """

    low: float
    high: float = math.inf
    open_low: bool = False

    def __contains__(self, value: float) -> bool:
        return (self.low < value if self.open_low else self.low <= value) and value <= self.high

    def __str__(self) -> str:
        low = f"above {figures(self.low)}" if self.open_low else f"at least {figures(self.low)}"
        low = f"above 0 ({low})" if self.low == SMALL else low
        return low if self.high >= MILLION else f"{low} and at most {figures(self.high)}"


def figures(number: float) -> str:
    """A number with its thousands apart."""
    return f"{number:,.12g}" if abs(number) < 1e10 else f"{number:g}"


@dataclass(frozen=True)
class Nested:
    """Which registry a nested call belongs to, where it is not that of the entry it is given to; or that it is a file."""

    name: str


@dataclass(frozen=True)
class Passes:
    """Says of an option that holds a nested call what of it is filled in by the entry around it: only these of its own options.

    A nested call that is marked is known by what is built: an option that is given there as it would be anyway is left
    out, and one that is passed on is the outer entry's. Without this mark an entry may do with the nested call what it
    likes, and all that is given there stays in its name.

    Example:
        >>> Passes("attention").names
        ('attention',)
    """

    names: tuple[str, ...]

    def __init__(self, *names: str) -> None:
        object.__setattr__(self, "names", names)


MILLION = 1_000_000
"""Of what is counted: more than any study's steps, queries or epochs, and few enough not to hang."""
SMALL, HUGE = 1e-20, 1e12
"""Less and more than any study's constant, and what float32 can still be multiplied with."""
SEEDS = Bounds(0, 2**32 - 1)
"""Of random number generators: torch, numpy and Python take these."""

Positive = Annotated[int, Bounds(1, MILLION)]
"""A whole number of at least 1; up to a million."""
Depth = Annotated[int, Bounds(1, 256)]
"""How many layers a model has."""
Width = Annotated[int, Bounds(1, 65_536)]
"""How many channels, heads or units a layer has."""
Above0 = Annotated[float, Bounds(SMALL, HUGE)]
"""A number above 0, and so far above that float32 can multiply it."""
NotNegative = Annotated[float, Bounds(0, HUGE)]
"""A number of at least 0."""
Share = Annotated[float, Bounds(0, 1)]
"""A share of a whole, from 0 to 1."""
PositiveShare = Annotated[float, Bounds(0, 1, open_low=True)]
"""A share of a whole that is not nothing."""
Radius = Annotated[float, Bounds(0, MILLION)]
"""A perturbation's size, for pixels in [0, 1]; in L∞ at most 1."""
Wrapped = Annotated[Call, Passes()]
"""A nested defense that is built as it is written."""
AttackCall = Annotated[Call, Nested("attacks"), Passes()]
"""A nested attack without sources, to which the entry around it gives the radius and the targets, if any."""
FilePath = Annotated[str, Nested("file")]
"""A file or folder whose contents are part of what an entry depends on."""
if TYPE_CHECKING:
    Source = Annotated[nn.Module, Nested("defenses")]
else:  # without torch, which `robench list` does not wait for
    Source = Annotated[object, Nested("defenses")]
"""An option of an attack: written as a defense, which the harness trains; the attack is given its frozen model."""
TargetRule = Literal["random", "all", "least_likely", "next"]
"""Which class a targeted attack aims at; see `robench.attacking.targets`."""
