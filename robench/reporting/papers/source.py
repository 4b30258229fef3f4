"""The file that a report is written in: what it says, and where in it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from robench.entries.calls import LONGEST
from robench.errors import UsageError, did_you_mean

OF_CELLS = ("defense", "attack", "dataset", "metric", "eps")
"""What a report, a table, a row or a column may say of its cells."""
KNOWN = {
    "the file": ("title", "paper", "about", "with", "seeds", "n", "published", "dataset", "table"),
    "table": (
        *OF_CELLS,
        "title",
        "name",
        "head",
        "with",
        "n",
        "seeds",
        "base",
        "figure",
        "caption",
        "row",
        "column",
        "note",
    ),
    "row": (*OF_CELLS, "name", "with", "seeds", "published", "note"),
    "column": (*OF_CELLS, "name", "group", "with", "published", "note", "x"),
    "note": ("text", "row", "column"),
}
_PROSE = re.compile(
    r"""(?m)^(title|paper|name|head|group|note|text|published|caption|about)\s*=\s*("(?:[^"\\\n]|\\.)*"|'[^'\n]*'|\[[^\]]*\])"""
)
"""What of a file is for people."""
DEEPEST = 8
"""Variables within variables."""


@dataclass
class Source:
    """The file, for messages that say where in it something stands, and which of its variables are used."""

    path: Path
    plain: str
    declared: dict[str, None] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)

    def error(self, what: str, message: str) -> UsageError:
        """An error about a word or a text of the file, at its first place."""
        return UsageError(f"{self.path}{self.place(what)}: {message}")

    def place_of_call(self, what: str) -> str:
        """The same of what only a call can hold: titles, names and notes may hold the same word."""
        return replace(self, plain=_PROSE.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), self.plain)).place(what)

    def place(self, what: str) -> str:
        """`, line 3, column 9`; empty where it is not found as it is."""
        edges = (r"(?<!\w)" if what[:1].isalnum() else "", r"(?!\w)" if what[-1:].isalnum() else "")
        match = re.search(edges[0] + re.escape(what) + edges[1], self.plain) if what else None
        if match is None:
            return ""
        before = self.plain[: match.start()]
        return f", line {before.count(chr(10)) + 1}, column {match.start() - before.rfind(chr(10))}"

    def key(self, name: str) -> str:
        """A key with what follows it, as it first stands in the file: elsewhere the word may be of a text."""
        alone, inline = rf"(?m)^{re.escape(name)}\s*=", rf"[{{,] *{re.escape(name)} ="
        match = re.search(alone, self.plain) or re.search(inline, self.plain)
        return match[0] if match else name

    def know(self, table: Mapping[str, Any], kind: str) -> None:
        for name in table:
            if name not in KNOWN[kind]:
                of = kind if kind == "the file" else f"a {kind}"
                raise self.error(self.key(name), f"{of} has no {name!r}{did_you_mean(name, KNOWN[kind])}")

    def tables(self, table: Mapping[str, Any], name: str, written: str) -> list[dict[str, Any]]:
        found = table.get(name, [])
        if not isinstance(found, list) or not all(isinstance(one, dict) for one in found) or not found:
            raise self.error(name, f"at least one {written} is wanted")
        for one in found:
            self.know(one, name)
        return found

    def text(self, table: Mapping[str, Any], name: str, otherwise: str) -> str:
        value = table.get(name, otherwise)
        if not isinstance(value, str):
            raise self.error(name, f"{name} is {value!r}; a text is wanted")
        return value

    def texts(self, table: Mapping[str, Any], name: str) -> list[str]:
        value = table.get(name, [])
        listed = value if isinstance(value, list) else [value]
        if not all(isinstance(one, str) for one in listed):
            raise self.error(name, f"{name} is {value!r}; a text or a list of texts is wanted")
        return listed

    def number(self, table: Mapping[str, Any], name: str) -> int | None:
        value = table.get(name)
        if value is not None and (type(value) is not int or value < 1):
            raise self.error(name, f"{name} is {value!r}; a whole number of at least 1 is wanted")
        return value

    def seeds(self, table: Mapping[str, Any]) -> tuple[int, ...] | None:
        value = table.get("seeds")
        if value is None:
            return None
        if not isinstance(value, list) or not value or any(type(one) is not int or one < 0 for one in value):
            raise self.error("seeds", f"seeds is {value!r}; a list of whole numbers is wanted, such as [0, 1, 2]")
        return tuple(dict.fromkeys(value))

    def filled(self, text: str, values: Mapping[str, str]) -> str:
        """A template with its variables' values in the place of their names in braces."""
        found = text
        for _ in range(DEEPEST):
            names = re.findall(r"\{(\w+)\}", found)
            for name in names:
                if name not in values:
                    raise self.error(f"{{{name}}}", f"nothing says what {{{name}}} is{did_you_mean(name, values)}")
                self.used.add(name)
                if len(found) > LONGEST:
                    raise self.error(text, f"with its variables it is longer than {LONGEST:,} characters")
                found = found.replace(f"{{{name}}}", values[name])
            if not names:
                return found
        raise self.error(text, f"its variables hold each other: {text}")

    def refuse_unused(self) -> None:
        for name in self.declared:
            if name not in self.used:
                raise self.error(self.key(name), f"the variable {name!r} is used by nothing")
