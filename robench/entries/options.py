"""Options of an entry: its keyword-only arguments, checked against their annotations before any work starts."""

from __future__ import annotations

import inspect
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from robench.entries.calls import Call, parse, plain_value, written
from robench.entries.kinds import MILLION, SEEDS, Bounds, Nested, Passes, figures
from robench.entries.writable import check_writable
from robench.errors import UsageError, did_you_mean


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
    """The keyword-only arguments of a function, in their order. Whole numbers named `seed` are seeds."""
    hints = get_type_hints(function, include_extras=True)
    if hints.get("seed", int) is int:
        hints["seed"] = Annotated[int, SEEDS]
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
    given = {name: plain_value(value) for name, value in given.items()}
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
                f"{_said(name, given[name])} given to {entry}: wanted {described(annotation)}{_hint(given[name], annotation)}"
            )
        check_writable(name, value, entry, is_path=option.kind == "file" or name == "path")
        resolved[name] = value
    rest = {name: value for name, value in given.items() if name not in known}
    for name, value in rest.items():
        check_writable(name, value, entry, is_path=False)
    return {**resolved, **rest}


def _said(name: str, value: Any) -> str:
    """An option as a message has it."""
    text = written(value)
    return f"{name}={text if len(text) <= 200 else text[:100] + '…'}"


def whole_seed(seed: Any) -> int:
    """An attack's seed, as a Python number.

    Raises:
        UsageError: it is no whole number, or has more than 63 bits.
    """
    fits, value = _fit(plain_value(seed), int)
    if not fits:
        large = " of at most 2**63 - 1" if isinstance(value, int) else ""
        raise UsageError(f"{_said('seed', value)}: a whole number{large} is wanted")
    return int(value)


def _hint(value: Any, annotation: Any) -> str:
    most = [note.high for part in _parts(annotation) for note in get_args(part) if isinstance(note, Bounds)]
    if isinstance(value, int | float) and MILLION <= max(most, default=0) < value:
        return f" and at most {figures(max(most))}"
    if SEEDS in get_args(annotation):
        return " (a seed is a whole number of at least 0)"
    words = [word for part in _parts(annotation) if get_origin(part) is Literal for word in get_args(part)]
    if isinstance(value, str) and (near := get_close_matches(value, filter(_is_text, words), 1)):
        return f"; did you mean {near[0]!r}?"
    if isinstance(value, Call) and not value.options and (words or str in _parts(annotation)):
        return f" (quote a string: '{value.name}')"
    return ""


def _is_text(word: Any) -> bool:
    return isinstance(word, str)


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
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= sys.float_info.max:
            return False, value
        return True, float(value) + 0.0  # so that -0 and 0 are one
    if annotation is int:
        return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63, value
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
