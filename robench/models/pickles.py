"""Pickles, read without calling anything that they name.

A pickle is a program: it names functions and calls them. Here every name becomes an inert note of what was to be called
with what. No class or function that the file names is imported or called, torch's own neither.
"""

from __future__ import annotations

import io
import pickle
from typing import Any

STORAGE = "a storage"
"""What the note of a storage has as its state."""
REFUSED = (
    "os",
    "posix",
    "nt",
    "subprocess",
    "sys",
    "shutil",
    "socket",
    "runpy",
    "importlib",
    "pty",
    "ctypes",
    "webbrowser",
)
REFUSED_WORDS = ("exec", "eval", "compile", "open", "__import__", "execfile", "input", "breakpoint")
"""Modules and builtins that no file of weights names; they would not be called either."""


class Harmful(Exception):
    """A pickle names what no file of weights needs."""


class Note:
    """Something that a pickle would have made or called: what it named, with what, and what was put into it."""

    named = ""

    def __new__(cls, *args: Any, **options: Any) -> Note:
        made = super().__new__(cls)
        made.args, made.state, made.items, made.values = args, None, {}, []
        return made

    def __init__(self, *args: Any, **options: Any) -> None:
        self.args: tuple[Any, ...]
        self.state: Any
        self.items: dict[Any, Any]
        self.values: list[Any]

    def __call__(self, *args: Any, **options: Any) -> Note:
        return Note(self, *args)  # what a pickle calls that it got from a call

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __setitem__(self, key: Any, value: Any) -> None:
        self.items[key] = value

    def append(self, value: Any) -> None:
        self.values.append(value)

    def extend(self, values: Any) -> None:
        self.values.extend(values)

    add = append


class _Reader(pickle.Unpickler):
    """Gives an inert class for every name, and a note for every storage."""

    def find_class(self, module: str, name: str) -> Any:
        built_in = module in ("builtins", "__builtin__")
        if module.partition(".")[0] in REFUSED or (built_in and name.partition(".")[0] in REFUSED_WORDS):
            raise Harmful(name if built_in else f"{module}.{name}")
        return type("Note", (Note,), {"named": f"{module}.{name}"})

    def persistent_load(self, pid: Any) -> Any:
        if isinstance(pid, tuple) and pid[0] == "module" and is_note_class(pid[1]):
            return pid[1]  # before 1.6, a class with its source
        made = Note(*pid) if isinstance(pid, tuple) else Note(pid)
        made.state = STORAGE
        return made


def unpickled(stream: io.BytesIO) -> Any:
    return _Reader(stream, encoding="latin1").load()


def is_note_class(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, Note)


def items_of(node: Any) -> dict[Any, Any]:
    """The items of a dict, or of a note of something like one."""
    if isinstance(node, dict):
        return node
    if not isinstance(node, Note):
        return {}
    pairs = [pair for part in node.args if isinstance(part, list) for pair in part]
    given = {pair[0]: pair[1] for pair in pairs if isinstance(pair, list | tuple) and len(pair) == 2}
    return {key: value for key, value in given.items() if isinstance(key, str | int)} | node.items


def words_of(node: Any) -> list[str]:
    """The strings of a set, or of a note of one."""
    inside = node.args[0] if isinstance(node, Note) and node.args else node
    return [word for word in inside if isinstance(word, str)] if isinstance(inside, set | frozenset | list) else []


def whole(numbers: Any) -> tuple[int, ...]:
    inside = numbers.args[0] if isinstance(numbers, Note) and numbers.args else numbers
    return tuple(int(number) for number in inside)


def bytes_of(content: Any) -> bytes:
    """Bytes, also as pickles of protocol 2 write them."""
    if isinstance(content, Note) and content.named == "_codecs.encode":
        return str(content.args[0]).encode("latin1")
    return bytes(content) if isinstance(content, bytes | bytearray) else str(content).encode("latin1")
