"""The code behind an entry: its own file, and every module outside robench and the installed packages that it imports."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import inspect
import sys
import sysconfig
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

from robench.hashing import digest

_PACKAGE = Path(__file__).resolve().parent.parent
_INSTALLED = [
    Path(sysconfig.get_paths()[name]).resolve() for name in ("stdlib", "platstdlib", "purelib", "platlib") if name
]


def code_behind(function: Callable[..., Any]) -> dict[str, str]:
    """Digests of the syntax trees of the file that defines `function` and of the modules that it imports, by their names.

    Comments and docstrings change none. Nor do, in the first, the defaults of the function's own options and what its decorator
    says: what of them can change a number is hashed beside this, so that a changed default touches only what was run with it.
    """
    path = _source_of(function)
    module = sys.modules.get(function.__module__)
    if path is None:
        return {function.__qualname__: _text_digest(function)}
    helpers = files_behind(path, module)
    return {path.name: _digest(path, path.stat().st_mtime_ns, function.__name__)} | {
        name: _digest(file, file.stat().st_mtime_ns, "") for name, file in sorted(helpers.items())
    }


def files_behind(path: Path, module: ModuleType | None = None) -> dict[str, Path]:
    """The files of the modules that a file imports, and that those import, by the modules' names; without the file itself.

    Args:
        module: that the file was loaded as; what it holds of other modules counts as well, however it came there.
    """
    found: dict[str, Path] = {}
    waiting = [*_imported(path, getattr(module, "__package__", None) or "")]
    waiting += sorted({getattr(value, "__module__", None) or "" for value in vars(module or object).values()})
    waiting += sorted(value.__name__ for value in vars(module or object).values() if inspect.ismodule(value))
    while waiting:
        name = waiting.pop()
        file = _own_file(name)
        if file is None or file == path or name in found:
            continue
        found[name] = file
        spec = getattr(sys.modules.get(name), "__spec__", None)
        package = (spec.parent if spec else name.rpartition(".")[0]) or ""
        waiting += _imported(file, package)
    return found


def _source_of(function: Callable[..., Any]) -> Path | None:
    try:
        path = inspect.getsourcefile(function)
    except TypeError:
        return None
    return Path(path).resolve() if path and Path(path).is_file() else None


def _text_digest(function: Callable[..., Any]) -> str:
    """Of a function that is in no file, as in a notebook."""
    try:
        return digest(inspect.getsource(function))
    except (OSError, TypeError):
        return digest(f"{function.__module__}.{function.__qualname__}")


def _imported(path: Path, package: str) -> Iterator[str]:
    """Names of the modules that a file may import, wherever in it."""
    try:
        tree = _tree(path, path.stat().st_mtime_ns)
    except (OSError, SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _and_parents(alias.name)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parents, base]).strip(".")
            yield from _and_parents(base)
            yield from (f"{base}.{alias.name}" for alias in node.names if base)


def _and_parents(name: str) -> Iterator[str]:
    """`a.b.c` is imported after `a` and `a.b`."""
    parts = name.split(".")
    yield from (".".join(parts[: end + 1]) for end in range(len(parts)))


def _own_file(name: str) -> Path | None:
    """The file of a module that is neither robench's nor installed; None for all others."""
    if not name or name.split(".")[0] in (*sys.builtin_module_names, *sys.stdlib_module_names, "robench"):
        return None
    try:
        loaded = sys.modules.get(name)
        spec = loaded.__spec__ if loaded is not None else _findable(name)
        origin = spec.origin if spec else getattr(loaded, "__file__", None)
    except (ImportError, ValueError, AttributeError):
        return None
    file = Path(origin).resolve() if origin and origin.endswith(".py") else None
    if file is None or not file.is_file() or any(file.is_relative_to(root) for root in (_PACKAGE, *_INSTALLED)):
        return None
    return None if {"site-packages", "dist-packages"} & set(file.parts) else file


def _findable(name: str) -> Any:
    """The spec of a module that is not loaded; of one in a package only where the package is."""
    parent = name.rpartition(".")[0]
    return importlib.util.find_spec(name) if not parent or parent in sys.modules else None


@lru_cache(maxsize=256)
def _tree(path: Path, changed: int) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@lru_cache(maxsize=256)
def _digest(path: Path, changed: int, entry: str) -> str:
    """Of a file's syntax tree without docstrings; without the defaults and the decorator of the function named `entry`."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.body:
            first = node.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                node.body = node.body[1:]
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == entry:
            node.args.kw_defaults = [None] * len(node.args.kwonlyargs)
            node.decorator_list = []
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()[:16]
