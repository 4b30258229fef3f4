"""What is read from a file that anyone may have written: JSON, of which each value has its type."""

from __future__ import annotations

import math
import types
import typing
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, TypeVar

from robench.entries.calls import Call, call_from_json

T = TypeVar("T")
LARGEST = 2**63
LATEST = 2e11
"""Seconds since 1970 that a calendar has a day for."""


@cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def built(kind: type[T], plain: Any) -> T:
    """A dataclass from what `dataclasses.asdict` and JSON made of it.

    Raises:
        ValueError: a field is missing, unknown, or of another type; the message names it.
    """
    if not isinstance(plain, dict):
        raise ValueError(f"{kind.__name__} is {_short(plain)}")
    hints = _hints(kind)  # type: ignore[arg-type]
    if unknown := sorted(set(plain) - {field.name for field in fields(kind)}):  # type: ignore[arg-type]
        raise ValueError(f"{kind.__name__} has no {unknown[0][:40]!r}")
    made = {name: _read(hints[name], value, name) for name, value in plain.items()}
    try:
        return kind(**made)
    except TypeError as error:
        raise ValueError(str(error)) from error


def check_day(created: float) -> None:
    """That a day of creation is one.

    Raises:
        ValueError: no calendar has it.
    """
    if not 0 <= created < LATEST:
        raise ValueError(f"created is {created:.3g} seconds after 1970")


def _read(hint: Any, value: Any, name: str) -> Any:
    """A value of a type, or a ValueError."""
    if hint is Call:
        return _call(value, name)
    if is_dataclass(hint):
        return built(typing.cast(type, hint), value)
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        if value is None and type(None) in inner:
            return None
        others = [each for each in inner if each is not type(None)]
        if len(others) == 1:
            return _read(others[0], value, name)
        _check_texts(value)  # `Json` itself
        return value
    if origin is list and isinstance(value, list):
        return [_read(inner[0], item, name) for item in value]
    if origin is tuple and isinstance(value, list | tuple):
        kinds = [inner[0]] * len(value) if inner[1:] == (...,) else [*inner]
        if len(kinds) == len(value):
            return tuple(_read(kind, item, name) for kind, item in zip(kinds, value, strict=True))
    if origin is dict and isinstance(value, dict):
        return {_read(inner[0], key, name): _read(inner[1], item, name) for key, item in value.items()}
    if hint is str and isinstance(value, str):
        return _text(value)
    if hint is bool and isinstance(value, bool):
        return value
    if (hint is int and type(value) is int) or (hint is float and type(value) in (int, float)):
        if not abs(value) < LARGEST:
            raise ValueError(f"{name} is out of range")
        return float(value) if hint is float else value
    raise ValueError(f"{name} is {_short(value)}")


def _call(value: Any, name: str) -> Call:
    _check_texts(value)
    try:
        found = call_from_json(value)
    except (LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"{name} is {_short(value)}") from error
    if not isinstance(found, Call):
        raise ValueError(f"{name} is {_short(value)}")
    return found


def _check_texts(value: Any) -> None:
    """That all of JSON can be written again: no halves of characters, no number that is none or too large."""
    if isinstance(value, dict):
        for key, item in value.items():
            _text(key)
            _check_texts(item)
    elif isinstance(value, list):
        for item in value:
            _check_texts(item)
    elif isinstance(value, str):
        _text(value)
    elif isinstance(value, float) and math.isnan(value):
        raise ValueError("a number is none")
    elif isinstance(value, int | float) and not abs(value) < LARGEST and not math.isinf(value):
        raise ValueError("a number is out of range")


def _text(value: str) -> str:
    value.encode()  # half of a character (a lone surrogate) could be read and not be written: a UnicodeEncodeError is a ValueError
    return value


def _short(value: Any) -> str:
    return ascii(value)[:40]
