"""What the pages hold that is written elsewhere: entries from the registry, the API's names from `robench/__init__.pyi`.

A page has a line `<!-- entries: attacks -->` or `<!-- api: Running -->`; it is replaced when the page is read.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from pathlib import Path
from typing import Any, get_args

import robench
from robench.entries.registry import REGISTRIES
from robench.listing import entry_facts, option_facts

STUB = Path(robench.__file__).with_suffix(".pyi")

WITHOUT_TEXT = {
    "ATTACKS": "All attacks by their names; each can be called with a plain module.",
    "DATASETS": "All data sets by their names.",
    "DEFENSES": "All defenses by their names.",
    "Layers": "Layers of a model, counted from 1 as the papers count them, or `'all'`.",
}


def fill(app: Any, name: str, source: list[str]) -> None:
    """Replace the marks of a page."""
    source[0] = re.sub(r"<!-- entries: (\w+) -->", lambda found: entries(found[1]), source[0])
    source[0] = re.sub(r"<!-- api: ([\w ]+) -->", lambda found: api(found[1]), source[0])


def entries(kind: str) -> str:
    """A table of the entries of a kind: their cards and summaries, and the names of their options."""
    columns = {
        "attacks": ["knowledge", "goal", "norm", "paper"],
        "defenses": ["paper"],
        "datasets": ["epochs", "paper"],
    }[kind]
    registry = REGISTRIES[kind]
    lines = [
        "| " + " | ".join(["name", "what it is", *columns, "options"]) + " |",
        "|" + ":---|" * (len(columns) + 3),
    ]
    for name in registry:
        facts = entry_facts(registry[name])
        options = ", ".join(f"`{option['name']}`" for option in option_facts(registry[name]))
        cells = [f"`{name}`", facts["summary"], *(str(facts.get(column, "")) for column in columns), options]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


def groups() -> dict[str, list[tuple[str, str]]]:
    """The names of the stub with their modules, by the comment above them."""
    found: dict[str, list[tuple[str, str]]] = {}
    heading = ""
    for line in STUB.read_text(encoding="utf-8").splitlines():
        if line.startswith("# "):
            heading = line[2:]
        elif match := re.match(r"from (\S+) import (\w+) as", line):
            found.setdefault(heading.partition(":")[0], []).append((match[2], match[1]))
    missing = set(robench.__all__) - {name for names in found.values() for name, _ in names}
    assert not missing, f"{STUB} has names that the pages do not show: {missing}"
    return found


def api(group: str) -> str:
    """The documentation of a group's names."""
    return "```{eval-rst}\n" + "\n".join(_described(name, home) for name, home in groups()[group]) + "\n```"


def _described(name: str, home: str) -> str:
    value = getattr(robench, name)
    if inspect.isclass(value) and value.__module__.startswith("robench."):
        members = "" if issubclass(value, Exception | tuple) else "   :members:\n"
        return f".. autoclass:: robench.{name}\n{members}"
    if inspect.isfunction(value):
        return f".. autofunction:: robench.{name}\n"
    documentation = _beside(name, home) or WITHOUT_TEXT.get(name) or f"One of {_words(value)}."
    return f".. py:data:: robench.{name}\n\n   {documentation}\n"


def _words(value: Any) -> str:
    """The values of a literal type, those of `list[int] | Literal["all"]` too."""
    return ", ".join(f"`{word!r}`" if isinstance(word, str) else f"`{word}`" for word in get_args(value))


def _beside(name: str, home: str) -> str:
    """The string below the assignment of a name in its module."""
    path = Path(str(inspect.getsourcefile(importlib.import_module(home))))
    body = ast.parse(path.read_text(encoding="utf-8")).body
    for node, after in zip(body, body[1:], strict=False):
        assigned = {
            target.id
            for inner in ast.walk(node)
            if isinstance(inner, ast.Assign | ast.AnnAssign)
            for target in (inner.targets if isinstance(inner, ast.Assign) else [inner.target])
            if isinstance(target, ast.Name)
        }
        outside = not isinstance(node, ast.FunctionDef | ast.ClassDef)
        if outside and name in assigned and isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            return " ".join(str(after.value.value).split())
    return ""


def as_rst(app: Any, what: str, name: str, value: Any, options: Any, lines: list[str]) -> None:
    """Docstrings as reStructuredText: code under `Example:` is a block of code, `*` and `|` in the text are themselves."""
    example, attributes = None, False
    for place, line in enumerate(lines):
        indent = len(line) - len(line.lstrip())
        attributes = line.strip() == "Attributes:" or (attributes and (not line or indent > 0))
        if attributes and (several := re.match(r"( +\w+(?:, \w+)+): ", line)):
            line = lines[place] = several[1].replace(", ", "/") + line[len(several[1]) :]
        if example is not None and line and indent <= example:
            example = None
        if example is not None:
            lines[place] = f"    {line}" if line else line
        elif line.strip() == "Example:":
            example = indent
        else:
            pieces = line.split("`")
            pieces[::2] = [re.sub(r"([*|])", r"\\\1", piece) for piece in pieces[::2]]
            lines[place] = "`".join(pieces)
    for place in range(len(lines) - 1, -1, -1):
        if lines[place].strip() == "Example:":
            indent = len(lines[place]) - len(lines[place].lstrip()) + 4
            lines[place + 1 : place + 1] = [" " * indent + ".. code-block:: python", ""]
