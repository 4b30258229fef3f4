"""Files that are run as modules: built-in entries, and those of a user."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from robench.entries.sources import files_behind
from robench.errors import UsageError


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
    except Exception as error:
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
