"""Gates: what may not get worse, and by how much. They are read from robench.toml, whose other table, `[run]`, is the matrix."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args

from robench.entries.calls import parse
from robench.errors import UsageError, did_you_mean
from robench.files import read_toml
from robench.reporting.printed import Printed

Severity = Literal["error", "warn"]
Metric = Literal["robust_accuracy", "worst_case", "clean_accuracy", "mean_distance", "mean_corruption_error", "mce"]
FLIPPING: tuple[Metric, ...] = ("robust_accuracy", "worst_case", "clean_accuracy")
"""Metrics that count images: each was right and is, was lost, or was won."""
ERRORS: tuple[Metric, ...] = ("mean_corruption_error", "mce")
"""Metrics of which more is worse."""
DEFAULT = "robench.toml"
SELECTED = ("defense", "attack", "dataset", "corruption")
_NUMBERS = ("floor", "ceiling", "max_drop", "max_rise", "alpha")


@dataclass(frozen=True)
class Gate:
    """One rule.

    Attributes:
        id: names it, in an acceptance too.
        select: by what a cell has, patterns of which one must fit its text; * and ? stand for any letters.
        metric: what is compared.
        eps: radius of `worst_case`, and of the robust accuracy under minimal attacks; None: the cells' own.
        floor: points (of a distance: its unit) that must be reached, significant or not; `ceiling` likewise, of errors.
        max_drop: points that it may get worse by; of a distance, percent of what it was. None: it may not be looked at.
        max_rise: points that it may rise by on the same weights: beyond it the attack got weaker.
        alpha: level of the tests, after Holm's correction.
        severity: whether a regression is an error or a warning.
        normaliser: a CSV of a baseline's errors, which `mce` is divided by; None: the published ones, of published files.
        line: where it begins in its file; 0: it is of no file.
        at_any_distance: it counts which images minimal attacks break at all; see `parts_of`.
        default: it holds where no file says another, and may find nothing to look at.
        broken_margin: points that a mean distance's gate allows in how many images are broken at all.
    """

    id: str
    select: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    metric: Metric = "robust_accuracy"
    eps: float | None = None
    floor: float | None = None
    ceiling: float | None = None
    max_drop: float | None = None
    max_rise: float | None = None
    alpha: float = 0.01
    severity: Severity = "error"
    normaliser: Path | None = None
    line: int = 0
    at_any_distance: bool = False
    default: bool = False
    broken_margin: float = 1.0

    def chooses(self, one: Printed) -> bool:
        """Whether a cell is one that it looks at."""
        said = {
            "defense": one.defense,
            "attack": one.attack,
            "dataset": one.dataset,
            "corruption": one.corruption or "",
        }
        return all(any(fits(pattern, said[name]) for pattern in own) for name, own in self.select.items())

    @property
    def compares(self) -> bool:
        """Whether it needs a baseline."""
        return self.max_drop is not None or self.max_rise is not None

    @property
    def selection(self) -> str:
        """What it selects, in words."""
        said = [f"{name} {' or '.join(map(repr, own))}" for name, own in self.select.items()]
        return " and ".join(said) or "everything"


def parts_of(gates: Iterable[Gate]) -> list[Gate]:
    """Gates, and what they look at besides: beside a mean distance, which is over broken images, how many are broken at all."""
    found = list[Gate]()
    for gate in gates:
        found.append(gate)
        if gate.metric == "mean_distance" and gate.compares:
            drop, rise = (None if margin is None else gate.broken_margin for margin in (gate.max_drop, gate.max_rise))
            broken = replace(gate, metric="robust_accuracy", floor=None, max_drop=drop, max_rise=rise)
            found.append(replace(broken, at_any_distance=True))
    return found


def fits(pattern: str, text: str) -> bool:
    """Whether a text is of a pattern; only * and ? are special in it, since calls hold brackets.

    Example:
        >>> fits("ksa(layers=[1]*", "ksa(layers=[1], k=2)"), fits("vit", "vit(depth=2)")
        (True, False)
    """
    expression = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(expression, text, re.DOTALL) is not None


def default_gates(max_drop: float = 1.0, alpha: float = 0.01) -> list[Gate]:
    """What is looked at where no file says it: the robust accuracy of all, and how near minimal attacks come."""
    return [
        Gate("robust accuracy", max_drop=max_drop, alpha=alpha, default=True),
        Gate("mean distance", metric="mean_distance", max_drop=5.0, alpha=alpha, default=True, broken_margin=max_drop),
    ]


def read_gates(path: Path) -> list[Gate]:
    """The gates of a file; none: [].

    Raises:
        UsageError: it cannot be read, or says something that is not understood; the message names the line.
    """
    content = read_toml(path)
    for name in content:
        if name not in ("gate", "run"):
            raise UsageError(
                f"{path} has a table [{name}]; [[gate]] and [run] are read{did_you_mean(name, ['gate', 'run'])}"
            )
    tables = content.get("gate", [])
    if not isinstance(tables, list) or not all(isinstance(one, dict) for one in tables):
        raise UsageError(f"{path}: gates are written as tables of an array, each below a line [[gate]]")
    lines = [
        place
        for place, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if re.match(r"\s*\[\[\s*gate\s*\]\]", line)
    ]
    lines += [0] * (len(tables) - len(lines))
    found = [_gate(table, place, line, path) for place, (table, line) in enumerate(zip(tables, lines, strict=False), 1)]
    for place, gate in enumerate(found):
        if gate.id in (other.id for other in found[:place]):
            raise UsageError(
                f"{path}, line {gate.line}: there are two gates with the id {gate.id!r}; give each its own"
            )
    return found


def read_matrix(path: Path, known: Mapping[str, type]) -> dict[str, Any]:
    """The options of `robench run` that a file's table [run] has; one text stands for a list of one.

    Args:
        known: options and what they are.

    Raises:
        UsageError: it cannot be read, there is none, or it has an option that is not known.
    """
    content = read_toml(path)
    table = content.get("run")
    if not isinstance(table, dict):
        raise UsageError(
            f'{path} has no table [run]; one says what to run: defense = ["vit"], attack = ["pgd_linf"], …'
        )
    for name in table:
        if name not in known:
            raise UsageError(f"{path}, [run]: {name} is no option of it{did_you_mean(name, known)}")
    plain = {
        name: [value] if known[name] is list and isinstance(value, str) else value for name, value in table.items()
    }
    for name, value in plain.items():
        listed = value if isinstance(value, list) else [value]
        kind = str if known[name] is list else known[name]
        wrong = [one for one in listed if type(one) is not kind and not (name == "batch_size" and type(one) is int)]
        if wrong or (isinstance(value, list) and known[name] is not list):
            words = {str: "a text", int: "a whole number", bool: "true or false", list: "a text or a list of texts"}
            raise UsageError(f"{path}, [run]: {name} is {value!r}; {words[known[name]]} is wanted")
    return plain


def _gate(table: dict[str, Any], place: int, line: int, path: Path) -> Gate:
    where = f"{path}, line {line}, gate {table.get('id', place)!r}"
    known = [
        each.name for each in fields(Gate) if each.name not in ("line", "at_any_distance", "default", "broken_margin")
    ]
    for name in table:
        if name not in known:
            raise UsageError(f"{where}: {name!r} is not understood{did_you_mean(name, known)}")
    made = {"id": f"gate {place}", **table, "line": line}
    if not isinstance(made["id"], str) or not made["id"].strip():
        raise UsageError(f"{where}: id is {made['id']!r}; a name is wanted")
    made["select"] = _selection(made.get("select", {}), where)
    for name, choices in (("metric", get_args(Metric)), ("severity", get_args(Severity))):
        if name in made and made[name] not in choices:
            raise UsageError(f"{where}: {name} is {made[name]!r}{did_you_mean(str(made[name]), choices)}")
    if "eps" in made:
        made["eps"] = _radius(made["eps"], where)
    if "normaliser" in made:
        made["normaliser"] = path.parent / _text(made["normaliser"], f"{where}: normaliser")
    for name in _NUMBERS:
        if name in made:
            made[name] = _number(made[name], f"{where}: {name}")
    return checked(Gate(**made), where)


def checked(gate: Gate, where: str) -> Gate:
    """A gate that can be applied.

    Raises:
        UsageError: its parts do not go together.
    """
    for name in _NUMBERS:
        if getattr(gate, name) is not None:
            _number(getattr(gate, name), f"{where}: {name}")
    for name in ("max_drop", "max_rise"):
        if (margin := getattr(gate, name)) is not None and not margin > 0:
            raise UsageError(
                f"{where}: {name} is {margin:g}; points above 0 are wanted: no number of images shows that nothing changed at all"
            )
    if not 0 < gate.alpha < 0.5:
        raise UsageError(f"{where}: alpha is {gate.alpha:g}; the level of a test is wanted, such as 0.01")
    if gate.metric in ERRORS and gate.floor is not None:
        raise UsageError(f"{where}: {gate.metric} is an error; give it a ceiling, not a floor")
    if gate.metric not in ERRORS and gate.ceiling is not None:
        raise UsageError(f"{where}: of {gate.metric} more is better; give it a floor, not a ceiling")
    if gate.max_rise is not None and gate.metric not in ("robust_accuracy", "worst_case", "mean_distance"):
        raise UsageError(
            f"{where}: max_rise is for what attacks find on the same weights, where a rise means a weaker attack; no attack makes "
            f"{gate.metric}"
        )
    if gate.eps is not None and gate.metric not in ("robust_accuracy", "worst_case"):
        raise UsageError(f"{where}: {gate.metric} has no eps; it is for robust_accuracy and worst_case")
    if gate.normaliser is not None and gate.metric != "mce":
        raise UsageError(f"{where}: only mce is divided by a normaliser, not {gate.metric}")
    if gate.floor is None and gate.ceiling is None and not gate.compares:
        return replace(gate, max_drop=1.0 if gate.metric != "mean_distance" else 5.0)
    return gate


def _selection(given: Any, where: str) -> dict[str, tuple[str, ...]]:
    if not isinstance(given, dict):
        raise UsageError(
            f'{where}: select is {given!r}; a table is wanted, such as {{defense = "madry*", attack = "pgd*"}}'
        )
    found = {}
    for name, patterns in given.items():
        if name not in SELECTED:
            raise UsageError(f"{where}: select has {name!r}{did_you_mean(name, SELECTED)}")
        listed = patterns if isinstance(patterns, list) else [patterns]
        found[name] = tuple(_text(pattern, f"{where}: select.{name}") for pattern in listed)
    return found


def _radius(given: Any, where: str) -> float:
    """A radius as calls have it: 0.5, or "8/255"."""
    if isinstance(given, str):
        try:
            options = parse(f"gate(eps={given})").options
        except UsageError as error:
            raise UsageError(f"{where}: eps is {given!r}: {error}") from error
        given = options["eps"] if [*options] == ["eps"] else given
    value = _number(given, f"{where}: eps")
    if not value > 0:
        raise UsageError(f'{where}: eps is {value:g}; a radius above 0 is wanted, such as "8/255"')
    return value


def _number(given: Any, what: str) -> float:
    if isinstance(given, bool) or not isinstance(given, int | float) or not math.isfinite(given):
        raise UsageError(f"{what} is {given!r}; a number is wanted")
    return float(given)


def _text(given: Any, what: str) -> str:
    if not isinstance(given, str) or not given:
        raise UsageError(f"{what} is {given!r}; a text is wanted, or a list of them")
    return given
