"""The columns that tables of attacks have, each with what its numbers are of."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from robench.reporting.groups import Threat
from robench.reporting.tables import About, Column

NORM_NAMES = {"l0": "L0", "l1": "L1", "l2": "L2", "linf": "L∞"}


def share_column(group: str, name: str, higher_is_better: bool, metric: str, **of: Any) -> Column:
    """A column of shares, printed in %."""
    return Column(group, name, higher_is_better, percent=True, of=About(metric=metric, **of))


def norm_column(threat: Threat, norm: str) -> Column:
    """A column of perturbation sizes of an attack, printed with the digits that suit the norm."""
    digits = {"l1": 2, "linf": 4}.get(norm, 3)
    of = replace(about_threat(threat), metric=f"{norm}_mean")
    return Column(
        threat.label, NORM_NAMES[norm], True, digits, short=threat.short, note=threat.note, family=family(threat), of=of
    )


def about_threat(threat: Threat) -> About:
    """What the numbers of an attack's columns are of."""
    facts = threat.first.unit.facts
    return About(
        attack=f"{threat.first.unit.spec.attack}{threat.suffix}{threat.precision}", norm=facts.norm, eps=facts.eps
    )


def family(threat: Threat) -> str:
    """Which table an attack stands in, where one would have too many columns."""
    facts = threat.first.unit.facts
    if facts.share:
        return "patches"
    if facts.goal == "natural":
        return "natural threats"
    return "smallest perturbations" if facts.goal == "minimal" else f"attacks in {NORM_NAMES[facts.norm]}"
