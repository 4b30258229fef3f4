"""Entries are written as the Python calls they are: `ksa(k=4, layers=[1])`, `pgd_linf(eps=8/255)`, `./mine.py::mine(a=1)`."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from math import isfinite
from typing import Any

from robench.errors import UsageError

_FILE = re.compile(r"^(?P<name>[^(\s]*\.py(?:::\w+)?)\s*(?P<rest>\(.*)?$", re.DOTALL)


@dataclass(frozen=True)
class Call:
    """The name of an entry and the options given to it; options may hold further calls.

    Example:
        >>> str(Call("pgd_linf", {"eps": 8 / 255, "steps": 40}))
        'pgd_linf(eps=8/255, steps=40)'
    """

    name: str
    options: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        inside = ", ".join(f"{name}={written(value)}" for name, value in self.options.items())
        return f"{self.name}({inside})" if inside else self.name

    def __hash__(self) -> int:
        return hash(str(self))


Name = str | Call | Callable[..., Any]
"""What names an entry: a call's text, a call, or the decorated function itself."""

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
"""What JSON can say."""


def call_to_json(value: Any) -> Json:
    """A call as JSON, without any text that would have to be read again: {"call": name, "options": {…}}; also of its options."""
    if isinstance(value, Call):
        return {"call": value.name, "options": {name: call_to_json(option) for name, option in value.options.items()}}
    if isinstance(value, list | tuple):
        return [call_to_json(item) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{value!r} cannot be an option of a stored call")


def call_from_json(value: Json) -> Any:
    """What `call_to_json` wrote.

    Raises:
        KeyError, AttributeError: it is something else.
    """
    if isinstance(value, dict):
        options = value["options"]
        return Call(str(value["call"]), {name: call_from_json(option) for name, option in options.items()})  # type: ignore[union-attr]
    return [call_from_json(item) for item in value] if isinstance(value, list) else value


def parse(text: str) -> Call:
    """Read an entry call. Only literals, fractions and nested entry calls are understood; nothing is evaluated.

    A single string without a name is the option `name`: `art("HopSkipJump")`.

    Raises:
        UsageError: with the text and what is wrong in it.

    Example:
        >>> parse("madry(model=ksa(k=4), eps=8/255)").options["model"]
        Call(name='ksa', options={'k': 4})
    """
    text = text.strip()
    file = _FILE.match(text)
    name, source = (file["name"], "_" + (file["rest"] or "")) if file else ("", text)
    try:
        tree = ast.parse(source, mode="eval").body
    except (SyntaxError, ValueError) as error:
        raise UsageError(
            f'{text!r} cannot be read as an entry; write it as a call, for example "ksa(k=4, layers=[1])"'
        ) from error
    call = _value(tree, text)
    if not isinstance(call, Call):
        raise UsageError(
            f'{text!r} is not the name of an entry; write a name or a call, for example "pgd_linf(eps=8/255)"'
        )
    return Call(name or call.name, call.options)


def _value(node: ast.expr, text: str) -> Any:
    match node:
        case ast.Constant(value=str() | int() | float() | bool() | None as value):
            return value
        case ast.Name(id=name):
            return Call(name)
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return [_value(item, text) for item in items]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_number(operand, text)
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            above, below = _number(left, text), _number(right, text)
            if below == 0:
                raise UsageError(f"{ast.unparse(node)!r} in {text!r} divides by zero; write a fraction such as 8/255")
            return float(Fraction(above) / Fraction(below))
        case ast.Call(func=ast.Name(id=name), args=[] | [ast.Constant(value=str())] as unnamed, keywords=keywords):
            options: dict[str, Any] = dict(zip(["name"], (_value(word, text) for word in unnamed), strict=False))
            for keyword in keywords:
                if keyword.arg is None:
                    raise UsageError(f"'**' in {text!r} is not understood; write each option as name=value")
                if keyword.arg in options:
                    raise UsageError(f"{keyword.arg!r} is given twice in {text!r}; give it once")
                options[keyword.arg] = _value(keyword.value, text)
            return Call(name, options)
        case ast.Call(args=[first, *_]):
            raise UsageError(f"{ast.unparse(first)!r} in {text!r} has no name; write each option as name=value")
        case _:
            raise UsageError(
                f"{ast.unparse(node)!r} in {text!r} is not understood; values are numbers, fractions such as 8/255, "
                "quoted strings, lists, True, False, None, and entries"
            )


def _number(node: ast.expr, text: str) -> int | float:
    value = _value(node, text)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UsageError(f"{ast.unparse(node)!r} in {text!r} is not a number")
    return value


def written(value: Any) -> str:
    """A value as it is written in a call; multiples of 1/255 are written as such, entries of a file between quotes."""
    if isinstance(value, Call):
        return repr(str(value)) if ".py" in value.name else str(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(written, value))}]"
    if isinstance(value, float):
        return written_float(value)
    return repr(value)


def written_float(value: float) -> str:
    """8/255 for the float that 8/255 is, 0.5/255 for half a grey level, else the shortest decimal; it reads back exactly."""
    if not isfinite(value):
        return str(value)
    if len(repr(value)) > 8 and 0 < value < 1:
        levels = f"{round(value * 255, 2):g}"
        if float(Fraction(float(levels)) / 255) == value:
            return f"{levels}/255"
    return f"{value:g}" if float(f"{value:g}") == value else repr(value)
