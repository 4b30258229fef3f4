"""Options of an entry: its keyword-only arguments, checked against their annotations before any work starts."""

from __future__ import annotations

import inspect
import math
import types
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from robench.entries.calls import Call, parse, written
from robench.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Bounds:
    """The range of a number, as an annotation: `Annotated[int, Bounds(1)]`.

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
        low = f"above {self.low:g}" if self.open_low else f"at least {self.low:g}"
        return low if self.high == math.inf else f"{low} and at most {self.high:g}"


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


Positive = Annotated[int, Bounds(1)]
"""A whole number of at least 1."""
Above0 = Annotated[float, Bounds(0, open_low=True)]
"""A number above 0."""
NotNegative = Annotated[float, Bounds(0)]
"""A number of at least 0."""
Share = Annotated[float, Bounds(0, 1)]
"""A share of a whole, from 0 to 1."""
PositiveShare = Annotated[float, Bounds(0, 1, open_low=True)]
"""A share of a whole that is not nothing."""
Radius = Annotated[float, Bounds(0)]
"""A perturbation's size, for pixels in [0, 1]."""
Wrapped = Annotated[Call, Passes()]
"""A nested defense that is built as it is written."""
AttackCall = Annotated[Call, Nested("attacks"), Passes()]
"""A nested attack, of which the entry around it gives the radius and the targets, if any."""
FilePath = Annotated[str, Nested("file")]
"""A file or folder whose contents are part of what an entry depends on."""
if TYPE_CHECKING:
    Source = Annotated[nn.Module, Nested("defenses")]
else:  # without torch, which `robench list` does not wait for
    Source = Annotated[object, Nested("defenses")]
"""An option of an attack: written as a defense, which the harness trains; the attack is given its frozen model."""
TargetRule = Literal["random", "all", "least_likely", "next"]
"""Which class a targeted attack aims at; see `robench.attacking.targets`."""


@dataclass(frozen=True)
class Option:
    """One option of an entry."""

    name: str
    annotation: Any
    default: Any

    @property
    def kind(self) -> str | None:
        """Which registry its nested calls belong to (None: the entry's own)."""
        return _kind(self.annotation)

    @property
    def passes(self) -> Passes | None:
        """What is passed on to its nested calls; None where that is not known."""
        return Passes() if self.kind == "defenses" else _marked(self.annotation, Passes)

    def accepts(self, value: Any) -> bool:
        """Whether a value fits the annotation."""
        return _fit(value, self.annotation)[0]

    @property
    def required(self) -> bool:
        return self.default is inspect.Parameter.empty

    @property
    def type(self) -> str:
        """The annotation as a person would say it."""
        return described(self.annotation)


def options_of(function: Callable[..., Any]) -> dict[str, Option]:
    """The keyword-only arguments of a function, in their order."""
    hints = get_type_hints(function, include_extras=True)
    return {
        name: Option(name, hints.get(name, Any), parameter.default)
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }


def checked(
    function: Callable[..., Any],
    given: dict[str, Any],
    entry: str,
    extra: dict[str, Any] | None = None,
    *,
    partial: bool = False,
) -> dict[str, Any]:
    """The options of a call with defaults filled in and every value checked.

    Args:
        entry: how the entry is named in messages.
        extra: annotations that replace the function's own, for arguments that the harness resolves (targets).
        partial: options without a default may be missing; whoever holds the call will give them.

    Raises:
        UsageError: an unknown option, a missing one, or a value of the wrong type or outside its range.
    """
    known = options_of(function)
    parameters = inspect.signature(function).parameters.values()
    open_ended = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters)
    for name in given:
        if name not in known and not open_ended:
            raise UsageError(
                f"{entry} has no option {name!r}{did_you_mean(name, known)}"
                if known
                else f"{entry} has no options; {name!r} was given"
            )
    resolved: dict[str, Any] = {}
    for name, option in known.items():
        if name not in given:
            if option.required and partial:
                continue
            if option.required:
                raise UsageError(f"{entry} needs the option {name!r} ({option.type})")
            resolved[name] = option.default
            continue
        annotation = (extra or {}).get(name, option.annotation)
        fits, value = _fit(given[name], annotation)
        if not fits:
            raise UsageError(
                f"{name}={written(given[name])} given to {entry}: wanted {described(annotation)}{_hint(given[name], annotation)}"
            )
        resolved[name] = value
    return {**resolved, **{name: value for name, value in given.items() if name not in known}}


def _hint(value: Any, annotation: Any) -> str:
    if isinstance(value, Call) and not value.options:
        words = [word for part in _parts(annotation) if get_origin(part) is Literal for word in get_args(part)]
        if words or str in _parts(annotation):
            return f" (quote a string: '{value.name}')"
    return ""


def _parts(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else (annotation,)


Mark = TypeVar("Mark")


def _marked(annotation: Any, mark: type[Mark]) -> Mark | None:
    """What an annotation, or one within it, is marked with."""
    arguments = get_args(annotation)
    if get_origin(annotation) is Annotated:
        return next((note for note in arguments[1:] if isinstance(note, mark)), None)
    return next((found for part in arguments if (found := _marked(part, mark)) is not None), None)


def _kind(annotation: Any) -> str | None:
    nested = _marked(annotation, Nested)
    return nested.name if nested else None


def _fit(value: Any, annotation: Any) -> tuple[bool, Any]:
    """Whether a value is of an annotated type, and the value as that type."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation is Any:
        return True, value
    if annotation is None or annotation is type(None):
        return value is None, value
    if origin in (Union, types.UnionType):
        for part in arguments:
            fits, fitted = _fit(value, part)
            if fits:
                return True, fitted
        return False, value
    if origin is Annotated and _kind(annotation) in ("attacks", "defenses"):
        return _fit(value, Call)  # what it is written as, whatever the harness makes of it
    if origin is Annotated:
        fits, fitted = _fit(value, arguments[0])
        return fits and all(fitted in bounds for bounds in arguments[1:] if isinstance(bounds, Bounds)), fitted
    if origin is Literal:
        return any(type(value) is type(word) and value == word for word in arguments), value
    if origin in (list, tuple):
        if not isinstance(value, list | tuple) or not value:
            return False, value
        fitted = [_fit(item, arguments[0]) for item in value]
        return all(fits for fits, _ in fitted), [item for _, item in fitted]
    if annotation is Call and isinstance(value, str):
        return True, parse(value)
    if annotation is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value), float(
            value
        ) if isinstance(value, int) else value
    if annotation is int:
        return isinstance(value, int) and not isinstance(value, bool), value
    return isinstance(annotation, type) and isinstance(value, annotation), value


def described(annotation: Any) -> str:
    """An annotation in words: `a whole number of at least 1`."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(described(part) for part in arguments))
    if origin is Annotated and _kind(annotation) in ("attacks", "defenses"):
        return "an attack" if _kind(annotation) == "attacks" else "a defense"
    if origin is Annotated:
        ranges = [str(bounds) for bounds in arguments[1:] if isinstance(bounds, Bounds)]
        return " ".join([described(arguments[0]), *ranges])
    if origin is Literal:
        return " or ".join(repr(word) for word in arguments)
    if origin in (list, tuple):
        return f"a list, each item {described(arguments[0])}"
    words = {
        int: "a whole number",
        float: "a number",
        str: "a string",
        bool: "True or False",
        type(None): "None",
        None: "None",
        Call: "an entry",
    }
    return words.get(annotation, getattr(annotation, "__name__", str(annotation)))
