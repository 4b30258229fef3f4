"""Files that are run as modules: built-in entries, and those of a user."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from robench.errors import UsageError

E = TypeVar("E")


def built_in_folder(kind: str) -> Path:
    """A folder beside the machine, such as `attacks`: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).parent.parent
    inside = package / kind
    return inside if inside.is_dir() else package.parent / kind


def run_file(path: Path, name: str) -> ModuleType:
    """Run a file as a module of this name. One that was changed since, or imports what was changed, is run again.

    Raises:
        UsageError: it raises.
    """
    from robench.entries.sources import files_behind  # with numpy, which `robench --help` does without

    loaded = sys.modules.get(name)
    known: dict[str, tuple[str, int]] = getattr(loaded, "__robench_stamps__", {})
    if loaded is not None and known == _stamps(path, {n: Path(file) for n, (file, _) in known.items() if n}):
        return loaded
    for helper in getattr(
        loaded, "__robench_brought__", []
    ):  # else the old code of what it imports would be found again
        sys.modules.pop(helper, None)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    before = set(sys.modules)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise UsageError(f"{path} cannot be loaded: {type(error).__name__}: {error}") from error
    helpers = {} if name.startswith("robench.") else files_behind(path.resolve(), module)
    module.__robench_stamps__ = _stamps(path, helpers)  # type: ignore[attr-defined]
    module.__robench_brought__ = sorted(set(helpers) - before)  # type: ignore[attr-defined]
    return module


def _stamps(path: Path, helpers: dict[str, Path]) -> dict[str, tuple[str, int]]:
    """When a file, under "", and those of the modules that it imports were changed."""
    files = {"": path, **helpers}
    return {name: (str(file), file.stat().st_mtime_ns if file.exists() else 0) for name, file in files.items()}


def marked(module: ModuleType, card: type[Any]) -> list[Callable[..., Any]]:
    """The functions that a module defines under a decorator of this card."""
    own = [f for f in vars(module).values() if inspect.isfunction(f) and f.__module__ == module.__name__]
    return [function for function in own if isinstance(getattr(function, "robench_card", None), card)]


def load_all(
    folder: Path, group: str, card: type[Any], entry: Callable[[Any, str], E], two: str
) -> tuple[dict[str, E], dict[str, str]]:
    """The entries of a folder's files and of installed packages; and why some could not be loaded, by their names.

    Args:
        folder, group: of the files, and of the packages' entry points; also the name that its modules are run under.
        entry: (function, where it is from) → the entry.
        two: how two of a kind are called in messages.
    """
    found: dict[str, E] = {}
    broken: dict[str, str] = {}
    origins: dict[str, str] = {}
    for source in [*sorted(folder.glob("[!_]*.py")), *entry_points(group=group)]:
        name, origin = (source.stem, source.name) if isinstance(source, Path) else (source.name, source.value)
        try:
            functions = _functions(source, group, card)
            entries = {getattr(function, "__name__", name): entry(function, origin) for function in functions}
            for twice in entries.keys() & found.keys():
                raise UsageError(f"{two} are named {twice!r}, in {origins[twice]} and in {origin}; rename one")
        except (Exception, SystemExit) as error:
            broken[name] = str(error) if isinstance(error, UsageError) else f"{type(error).__name__}: {error}"
            continue
        found |= entries
        origins |= dict.fromkeys(entries, origin)
    return found, broken


def names_of(folder: Path, group: str) -> set[str] | None:
    """Names of a folder's entries, read from its files without running them; None where packages may add others.

    Args:
        group: of the packages' entry points.
    """
    if entry_points(group=group):
        return None
    parts = [part for path in folder.glob("[!_]*.py") for part in ast.parse(path.read_text(encoding="utf-8")).body]
    return {part.name for part in parts if isinstance(part, ast.FunctionDef) and part.decorator_list}


def _functions(source: Path | EntryPoint, group: str, card: type[Any]) -> list[Any]:
    if isinstance(source, Path):
        return [*marked(run_file(source, f"{group}.{source.stem}"), card)]
    loaded = source.load()
    return [*marked(loaded, card)] if isinstance(loaded, ModuleType) else [loaded]
