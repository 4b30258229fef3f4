"""What others published of the same weights, to stand in grey beside what was measured here."""

from __future__ import annotations

import csv
import math
from fractions import Fraction
from functools import cache
from typing import NamedTuple

from robench.entries.calls import Call, parse
from robench.entries.modules import built_in_folder


class Published(NamedTuple):
    """A published robust accuracy.

    Attributes:
        robust, clean: shares.
        source: who published it.
    """

    robust: float
    clean: float
    source: str


@cache
def _known() -> dict[tuple[str, str, str], list[tuple[float, Published]]]:
    """By defense, data set and norm: radii and what was published at them."""
    path = built_in_folder("reports") / "published" / "robust_accuracy.csv"
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    found: dict[tuple[str, str, str], list[tuple[float, Published]]] = {}
    for row in csv.DictReader(lines):
        key = str(parse(row["defense"])), row["dataset"], row["norm"]
        value = Published(float(row["robust"]) / 100, float(row["clean"]) / 100, row["source"])
        found.setdefault(key, []).append((float(Fraction(row["eps"])), value))
    return found


def published(defense: Call, dataset: str, norm: str, eps: float) -> Published | None:
    """What was published of a defense within a radius; None where nothing is known.

    Args:
        defense: without the options that are at their defaults.
        dataset: the name of its entry.

    Example:
        >>> published(parse("robustbench(name='Wong2020Fast')"), "cifar10", "linf", 8 / 255).robust
        0.4321
    """
    for radius, value in _known().get((str(defense), dataset, norm), ()):
        if math.isclose(radius, eps, rel_tol=1e-6):
            return value
    return None
