"""Entries are written as the Python calls they are: `ksa(k=4, layers=[1])`, `pgd_linf(eps=8/255)`, `./mine.py::mine(a=1)`."""

from __future__ import annotations

import ast
import os
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from keyword import iskeyword
from math import isfinite
from typing import Any
from unicodedata import is_normalized

import numpy as np

from robench.errors import UsageError

LONGEST = 10_000
"""Characters of a call's text."""
DEEPEST = 12
"""Calls, lists and operators within each other."""
_FILE = re.compile(r"(?P<path>.*\.py)(?:::(?P<entry>\w+))?", re.DOTALL)
_FILE_ENDS = re.compile(r"\.py(?:::\w+)?(?=\s*(?:\(.*\))?\Z)", re.DOTALL)


@dataclass(frozen=True)
class Call:
    """The name of an entry and the options given to it; options may hold further calls.

    Values of numpy and paths become the numbers, lists and strings that they are.

    Example:
        >>> str(Call("pgd_linf", {"eps": 8 / 255, "steps": 40}))
        'pgd_linf(eps=8/255, steps=40)'
    """

    name: str
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "options", {name: plain_value(value) for name, value in self.options.items()})

    def __str__(self) -> str:
        inside = ", ".join(f"{name}={written(value)}" for name, value in self.options.items())
        text = f"{self.name}({inside})" if inside else self.name
        return text if _reads_as(self.name, text) else f"{self.name!r}({inside})"

    def __hash__(self) -> int:
        return hash(str(self))


Name = str | Call | Callable[..., Any]
"""What names an entry: a call's text, a call, or the decorated function itself."""

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
"""What JSON can say."""


def plain_value(value: Any) -> Any:
    """The number, string or list that a value of numpy or a path is; anything else as it is."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return [plain_value(item) for item in value] if isinstance(value, list | tuple) else value


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


def file_of(name: str) -> tuple[str, str] | None:
    """The path and the entry in it ("" for its only one) that the name of a call means; None where it names no file.

    Example:
        >>> file_of("./my models/mine.py::fast"), file_of("ksa")
        (('./my models/mine.py', 'fast'), None)
    """
    found = _FILE.fullmatch(name)
    return (found["path"], found["entry"] or "") if found else None


def files_of(call: Call, option: str = "") -> list[str]:
    """The files that a call and those nested in it name, as it was called, after the options that hold them.

    What an identity holds of a file is its code. This tells a file that was changed from another one.

    Example:
        >>> files_of(parse("madry(model='./mine.py::fast', eps=8/255)"))
        ['model=mine.py']
    """
    file = file_of(call.name)
    found = [f"{option}={os.path.normpath(file[0])}"] if file else []
    for name, value in sorted(call.options.items()):
        for item in value if isinstance(value, list) else [value]:
            found += files_of(item, f"{option}.{name}".lstrip(".")) if isinstance(item, Call) else []
    return found


def parse(text: str) -> Call:
    """Read an entry call. Only literals, fractions and nested entry calls are understood; nothing is evaluated.

    A single string without a name is the option `name`: `art("HopSkipJump")`. A file is named by its path, whatever is
    in it: `./my models/mine.py::own(a=1)`; or between quotes: `'./my models/mine.py::own'(a=1)`.

    Raises:
        UsageError: with the text and what is wrong in it.

    Example:
        >>> parse("madry(model=ksa(k=4), eps=8/255)").options["model"]
        Call(name='ksa', options={'k': 4})
    """
    text = text.strip()
    check_text(text, "a call")
    if len(text) > LONGEST:
        raise UsageError(f"{shortened(text)} is {len(text):,} characters long; a call has at most {LONGEST:,}")
    try:
        name, tree = _split(text)
        if tree is None:
            raise UsageError(
                f'{shortened(text)} cannot be read as an entry; write it as a call, for example "ksa(k=4, layers=[1])"'
            )
        call = _value(tree, text)
    except (RecursionError, MemoryError) as error:
        raise UsageError(f"{shortened(text)} is nested too deeply; {DEEPEST} levels are read") from error
    if not isinstance(call, Call):
        raise UsageError(
            f'{shortened(text)} is not the name of an entry; write a name or a call, for example "pgd_linf(eps=8/255)"'
        )
    return Call(name or call.name, call.options)


def _split(text: str) -> tuple[str, ast.expr | None]:
    """The file's name in a call ("" where it names none) and the syntax tree of the rest, a call of that name.

    What is a whole call in Python is one. Else the first file's name that a call's options, or nothing, may follow is
    taken: "copy (1)/mine.py(k=2)" is a quotient in Python.
    """
    tree = _tree(text)
    if _is_call(tree):
        return "", tree
    for end in (match.end() for match in _FILE_ENDS.finditer(text)):
        rest = _tree("_" + text[end:].lstrip())
        if _is_call(rest):
            return text[:end], rest
    return "", tree


def _tree(source: str) -> ast.expr | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of backslashes
            if "#" in source:
                ast.parse(f"({source})", mode="eval")  # which a comment leaves open
            return ast.parse(source, mode="eval").body
    except (SyntaxError, ValueError):
        return None


def _is_call(tree: ast.expr | None) -> bool:
    match tree:
        case ast.Name() | ast.Call(func=ast.Name()) | ast.Call(func=ast.Constant(value=str())):
            return True
        case _:
            return False


def _reads_as(name: str, text: str) -> bool:
    """Whether the text of a call, as it is, reads back as one of this name."""
    if name.isidentifier():
        return not iskeyword(name) and is_normalized("NFKC", name)  # as Python reads identifiers
    return bool(name) and name.isprintable() and name == name.strip() and _split(text)[0] == name


def _value(node: ast.expr, text: str, depth: int = 0) -> Any:
    if depth > DEEPEST:
        raise RecursionError
    match node:
        case ast.Constant(value=str() | int() | float() | bool() | None as value):
            return value
        case ast.Name(id=name):
            return Call(name)
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return [_value(item, text, depth + 1) for item in items]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_number(operand, text, depth)
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            above, below = _number(left, text, depth), _number(right, text, depth)
            if below == 0:
                raise UsageError(
                    f"{_source(node)} in {shortened(text)} divides by zero; write a fraction such as 8/255"
                )
            try:
                return float(Fraction(above) / Fraction(below))
            except OverflowError as error:
                raise UsageError(
                    f"{_source(node)} in {shortened(text)} is too large; the largest are about 1e308"
                ) from error
        case ast.Call(
            func=ast.Name(id=name) | ast.Constant(value=str() as name),
            args=[] | [ast.Constant(value=str())] as unnamed,
            keywords=keywords,
        ):
            options: dict[str, Any] = dict(zip(["name"], (_value(word, text) for word in unnamed), strict=False))
            for keyword in keywords:
                if keyword.arg is None:
                    raise UsageError(f"'**' in {shortened(text)} is not understood; write each option as name=value")
                if keyword.arg in options:
                    raise UsageError(f"{keyword.arg!r} is given twice in {shortened(text)}; give it once")
                options[keyword.arg] = _value(keyword.value, text, depth + 1)
            return Call(name, options)
        case ast.Call(args=[first, *_]):
            raise UsageError(f"{_source(first)} in {shortened(text)} has no name; write each option as name=value")
        case _:
            raise UsageError(
                f"{_source(node)} in {shortened(text)} is not understood; values are numbers, fractions such as 8/255, "
                "quoted strings, lists, True, False, None, and entries"
            )


def _number(node: ast.expr, text: str, depth: int) -> int | float:
    value = _value(node, text, depth + 1)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UsageError(f"{_source(node)} in {shortened(text)} is not a number")
    return value


def _source(node: ast.expr) -> str:
    return shortened(ast.unparse(node))


def shortened(text: str, most: int = 200) -> str:
    """A text between quotes, as a message has it: the beginning of a long one."""
    return repr(text if len(text) <= most else f"{text[:most]}…")


def check_text(text: str, what: str) -> None:
    """Raises UsageError for characters that no file can be named by and no table can hold."""
    if "\0" in text:
        raise UsageError(f"{what} holds a NUL character: {shortened(text)}; leave it out")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise UsageError(f"{what} holds bytes that are not UTF-8: {shortened(text)}; rename the file, or link to it")


def written(value: Any) -> str:
    """A value as it is written in a call; multiples of 1/255 are written as such, entries of a file between quotes."""
    if isinstance(value, Call):
        return repr(str(value)) if file_of(value.name) else str(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(written, value))}]"
    if isinstance(value, float):
        return written_float(value)
    if isinstance(value, int) and abs(value) > 10**300:
        return hex(value)  # Python writes no more than 4,300 digits
    return repr(value)


def written_float(value: float) -> str:
    """8/255 for the float that 8/255 is, 0.5/255 for half a grey level, else the shortest decimal; it reads back exactly."""
    if not isfinite(value):
        return str(value)
    if len(repr(value)) > 8 and 0 < value < 4:
        levels = f"{round(value * 255, 2):g}"
        if float(Fraction(float(levels)) / 255) == value:
            return f"{levels}/255"
    return f"{value:g}" if float(f"{value:g}") == value else repr(value)
