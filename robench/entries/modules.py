"""Files that are run as modules: built-in entries, and those of a user."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from robench.errors import UsageError


def built_in_folder(kind: str) -> Path:
    """A folder beside the machine, such as `attacks`: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).parent.parent
    inside = package / kind
    return inside if inside.is_dir() else package.parent / kind


def run_file(path: Path, name: str) -> ModuleType:
    """Run a file as a module of this name. A file that was changed since is run again.

    Raises:
        UsageError: it raises.
    """
    loaded = sys.modules.get(name)
    stamp = (str(path), path.stat().st_mtime_ns)
    if loaded is not None and getattr(loaded, "__robench_stamp__", None) == stamp:
        return loaded
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    module.__robench_stamp__ = stamp  # type: ignore[attr-defined]
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise UsageError(f"{path} cannot be loaded: {type(error).__name__}: {error}") from error
    return module
