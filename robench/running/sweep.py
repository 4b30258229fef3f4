"""Choosing a defense's options on the validation split: all are trained, those that meet the constraints are ranked."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches

from robench.console import Reporter
from robench.entries.calls import Call
from robench.errors import UsageError, did_you_mean
from robench.running.diagnostics import attention_mass
from robench.running.harness import obtain
from robench.running.rows import Row
from robench.running.settings import Settings
from robench.running.subject import Subject
from robench.training.recipe import layer_indices
from robench.training.trained import Trained

OWN = ("clean", "mass")
"""Figures that are no numbers of a training's log."""
CONSTRAINT = re.compile(r"\s*([A-Za-z_]\w*)\s*(>=|<=)\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*")


@dataclass(frozen=True)
class Constraint:
    """What a figure must be at least, or at most.

    Example:
        >>> Constraint.of("mass >= 0.85").met({"mass": 0.9})
        True
    """

    name: str
    least: bool
    bound: float

    @classmethod
    def of(cls, text: str) -> Constraint:
        """Raises UsageError for a text that is none."""
        found = CONSTRAINT.fullmatch(text)
        if not found:
            raise UsageError(f'--constraint {text!r} is no comparison with a number; write "mass>=0.85" or "loss<=1"')
        return cls(found[1], found[2] == ">=", float(found[3]))

    def met(self, figures: dict[str, float]) -> bool:
        """Whether it holds; it does not where there is no such figure."""
        value = figures.get(self.name)
        return value is not None and (value >= self.bound if self.least else value <= self.bound)


@dataclass(frozen=True)
class Tried:
    """A trained choice of options.

    Attributes:
        n: validation images.
        figures: `clean` (accuracy) and `mass` (of attention, see `mass_of`) on the validation split, and the numbers of the
            training's last epoch by their names in its log.
        met: whether all constraints hold.
        chosen: the one whose metric is the highest of those.
    """

    defense: str
    dataset: str
    n: int
    figures: dict[str, float]
    met: bool
    chosen: bool = False


def sweep(
    rows: Sequence[Row], metric: str, constraints: Sequence[Constraint], settings: Settings, reporter: Reporter
) -> list[Tried]:
    """Train all rows, look at them on the validation split, and rank them: first what meets the constraints, the best first.

    What is trained is in the cache, so that a sweep that is stopped goes on from where it was. A row without the metric is last.

    Raises:
        UsageError: a figure is misspelt, or there is no validation split.
    """
    for name in (metric, *(one.name for one in constraints)):
        if name not in OWN and (near := get_close_matches(name, OWN, cutoff=0.75)):
            raise UsageError(f"no figure is named {name!r}; did you mean {near[0]!r}?")
    found = []
    for row in rows:
        if row.refused:
            raise row.refused
        if not len(row.data.splits.validation):
            raise UsageError(f"{row.data.name} has no validation images to choose by")
        figures = figures_of(row, obtain(row, settings, reporter), settings)
        met = all(one.met(figures) for one in constraints)
        found.append(Tried(row.name, row.data.name, len(row.data.splits.validation), figures, met))
    ranked = sorted(found, key=lambda one: (not one.met, -one.figures.get(metric, float("-inf"))))
    best = ranked[0].met and metric in ranked[0].figures
    return [replace(one, chosen=best and one is ranked[0]) for one in ranked]


def refuse_lacking(found: Sequence[Tried], names: Sequence[str]) -> None:
    """Raises UsageError for a figure that nothing that was tried has; which there are is known when it is trained."""
    known = {name for tried in found for name in tried.figures}
    for name in names:
        if name not in known:
            raise UsageError(
                f"none of these defenses has the figure {name!r}{did_you_mean(name, known)}; there are {', '.join(sorted(known))}"
            )


def figures_of(row: Row, trained: Trained, settings: Settings) -> dict[str, float]:
    """The figures of a trained row: see `Tried`."""
    device, split = settings.torch_device(), row.data.splits.validation
    classes = trained.outputs.classes
    subject = Subject(row.name, trained.attacked(device), classes, device, split).with_clean_logits()
    right = int((subject.clean.argmax(1) == split.targets()).sum())
    logged = {
        name: float(value)
        for name, value in (trained.log[-1] if trained.log else {}).items()
        if isinstance(value, int | float) and name != "epoch"
    }
    mass = mass_of(subject, row.checkpoint.call)
    return logged | {"clean": right / len(split)} | ({} if mass is None else {"mass": mass})


def mass_of(subject: Subject, call: Call) -> float | None:
    """Share of a row's attention that its K largest weights hold, in the layer where that is least of those that K is for.

    K and the layers are the options `k` and `layers` of the call; None where it has no `k`, or the model no attention.
    """
    k, layers = call.options.get("k"), call.options.get("layers", "all")
    if not isinstance(k, int):
        return None
    found = attention_mass(subject)
    return min((found[i][min(k, len(found[i])) - 1] for i in layer_indices(layers, len(found))), default=None)
