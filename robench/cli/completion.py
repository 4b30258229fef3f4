"""Names for the shell to complete, read from the entries' files without running them: a key press must not wait for torch."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points

from robench.entries.modules import built_in_folder

Found = list[tuple[str, str]]
"""Names, each with a line about it."""


def entries(*kinds: str) -> Callable[[str], Found]:
    """Completes the names of entries of some kinds: "defense", "attack", "dataset"."""

    def complete(incomplete: str) -> Found:
        found = {name: about for kind in kinds for name, about in _named(kind)}
        return sorted((name, about) for name, about in found.items() if name.startswith(incomplete))

    return complete


def _named(kind: str) -> Iterator[tuple[str, str]]:
    for path in built_in_folder(f"{kind}s").glob("[!_]*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and any(_is(mark, kind) for mark in node.decorator_list):
                yield node.name, (ast.get_docstring(node) or "").partition("\n")[0]
    for point in entry_points(group=f"robench.{kind}s"):
        yield point.name, point.value


def _is(mark: ast.expr, kind: str) -> bool:
    function = mark.func if isinstance(mark, ast.Call) else mark
    return (function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", None)) == kind
