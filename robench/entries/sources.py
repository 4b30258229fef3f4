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
from typing import Any, NamedTuple

from robench.entries.held import Reader
from robench.hashing import digest

_PACKAGE = Path(__file__).resolve().parent.parent
_DECORATORS = ("attack", "defense", "dataset")
_INSTALLED = [
    Path(sysconfig.get_paths()[name]).resolve() for name in ("stdlib", "platstdlib", "purelib", "platlib") if name
]


class Behind(NamedTuple):
    """What a function is made of, besides its options.

    Attributes:
        code: digests of syntax trees by the names of files and modules.
        held: digest of the values in its closure and its defaults, where it was made by another function; else empty.
    """

    code: dict[str, str]
    held: str


def code_behind(function: Callable[..., Any]) -> dict[str, str]:
    """The code of `behind` alone."""
    return behind(function).code


def behind(function: Callable[..., Any]) -> Behind:
    """Digests of the syntax trees of the file that defines `function` and of the modules that it imports, by their names.

    Comments and docstrings change none. Nor do, in the first, the defaults of the function's own options and what robench's
    decorator says: what of them can change a number is hashed beside this, so that a changed default touches only what was run
    with it. A function in no file, as in a notebook, is known by its code and by what it uses of that around it.

    Raises:
        UsageError: it holds a value of a kind that cannot be hashed.
    """
    inner = inspect.unwrap(function)
    path = _source_of(inner)
    reader = Reader(function.__name__, _is_own)
    code: dict[str, str] = {}
    helpers: dict[str, Path] = {}
    if path is None:
        code[function.__qualname__] = digest(reader.code_of(inner))
    else:
        helpers = files_behind(path, sys.modules.get(function.__module__))
        code[path.name] = _digest(path, path.stat().st_mtime_ns, function.__name__)
    made_within = path is None or "<locals>" in function.__qualname__ or function.__closure__ is not None
    held = reader.held(function) if made_within else None
    for name in sorted(reader.modules):
        file = _own_file(name)
        if file is not None and file != path:
            helpers |= {name: file, **files_behind(file, sys.modules.get(name))}
    code |= {name: _digest(file, file.stat().st_mtime_ns, "") for name, file in sorted(helpers.items()) if file != path}
    return Behind(code, "" if held is None else digest(held))


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
        file = _own_file(name, path.parent)
        if file is None or file == path or name in found:
            continue
        found[name] = file
        waiting += _imported(file, name if file.name == "__init__.py" else name.rpartition(".")[0])
    return found


def _source_of(function: Callable[..., Any]) -> Path | None:
    try:
        path = inspect.getsourcefile(function)
    except TypeError:
        return None
    return Path(path).resolve() if path and Path(path).is_file() else None


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
            base = _absolute("." * node.level + (node.module or ""), package)
            yield from _and_parents(base)
            yield from (f"{base}.{alias.name}" for alias in node.names if base)
        elif isinstance(node, ast.Call) and _called(node) in ("import_module", "__import__"):
            match node.args:
                case [ast.Constant(value=str(name)), ast.Constant(value=str(given)), *_]:
                    yield from _and_parents(_absolute(name, given))
                case [ast.Constant(value=str(name)), *_]:
                    yield from _and_parents(_absolute(name, package))


def _called(node: ast.Call) -> str:
    return getattr(node.func, "attr", getattr(node.func, "id", ""))


def _absolute(name: str, package: str) -> str:
    """The name of a module, which may be relative to a package."""
    level = len(name) - len(name.lstrip("."))
    if not level:
        return name
    parents = package.split(".")[: len(package.split(".")) - level + 1]
    return ".".join([*parents, name[level:]]).strip(".")


def _and_parents(name: str) -> Iterator[str]:
    """`a.b.c` is imported after `a` and `a.b`."""
    parts = name.split(".")
    yield from (".".join(parts[: end + 1]) for end in range(len(parts)))


def _is_own(name: str) -> bool | None:
    """Whether a module is neither robench's nor installed; None where it is in no file, as in a notebook."""
    if name in (*sys.builtin_module_names, *sys.stdlib_module_names) and name != "__main__":
        return False
    loaded = sys.modules.get(name)
    if _own_file(name) is not None:
        return True
    return False if getattr(loaded, "__file__", None) or getattr(loaded, "__spec__", None) else None


def _own_file(name: str, beside: Path | None = None) -> Path | None:
    """The file of a module that is neither robench's nor installed; None for all others.

    Args:
        beside: a folder that is looked into last: what imports the module may itself see to it that it is found there.
    """
    if not name or name.split(".")[0] in (*sys.builtin_module_names, *sys.stdlib_module_names, "robench"):
        return None
    try:
        loaded = sys.modules.get(name)
        if loaded is None:
            origin, _ = _found(name, beside)
        else:
            origin = loaded.__spec__.origin if loaded.__spec__ else loaded.__file__
    except (ImportError, ValueError, AttributeError):
        return None
    file = Path(origin).resolve() if origin and origin.endswith(".py") else None
    if file is None or not file.is_file() or any(file.is_relative_to(root) for root in (_PACKAGE, *_INSTALLED)):
        return None
    return None if {"site-packages", "dist-packages"} & set(file.parts) else file


def _found(name: str, beside: Path | None) -> tuple[str | None, list[str]]:
    """The file of a module that is not loaded, and the folders of those within it; no package that it is in is loaded for it."""
    parent, _, last = name.rpartition(".")
    if not parent or parent in sys.modules:
        spec = importlib.util.find_spec(name)
        if spec is not None:
            return spec.origin, [*(spec.submodule_search_locations or [])]
    folders = _found(parent, beside)[1] if parent else [str(beside)] if beside else []
    for folder in (Path(each) / last for each in folders):
        for file in (folder / "__init__.py", folder.with_name(f"{last}.py")):
            if file.is_file():
                return str(file), [str(folder)] if file.parent == folder else []
    return None, [str(folder) for each in folders if (folder := Path(each) / last).is_dir()]


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
            node.decorator_list = [one for one in node.decorator_list if not _is_robenchs(one, tree)]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()[:16]


def _is_robenchs(decorator: ast.expr, tree: ast.Module) -> bool:
    """Whether a decorator is one of robench's, however the file has imported it."""
    function = decorator.func if isinstance(decorator, ast.Call) else decorator
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.asname or "robench" for alias in node.names if alias.name == "robench"]
            holder = function.value if isinstance(function, ast.Attribute) and function.attr in _DECORATORS else None
            if isinstance(holder, ast.Name) and holder.id in names:
                return True
        if isinstance(node, ast.ImportFrom) and node.module == "robench" and isinstance(function, ast.Name):
            named = {alias.asname or alias.name for alias in node.names if alias.name in _DECORATORS}
            if function.id in named or (function.id in _DECORATORS and "*" in [alias.name for alias in node.names]):
                return True
    return False
