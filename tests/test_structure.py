"""The plan of the house, read from its imports: rooms stand on those below them, and entries on the public names alone."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import robench
from robench.entries.modules import built_in_folder

PACKAGE = Path(robench.__file__).parent
FLOORS = [
    {"console", "hashing", "errors", "benchmarks", "stopping"},
    {"places"},
    {"files", "leases", "attacking", "models"},
    {"entries"},
    {"records", "data"},
    {"training", "reporting"},
    {"running", "gate", "listing"},
    {"api"},
    {"__init__"},
    {"doctor", "pytest_plugin"},
    {"cli"},
    {"__main__"},
]
"""From the lowest up; see the ground plan in CONTRIBUTING.md."""
WITHOUT_TORCH = {
    *("places", "console", "hashing", "errors", "files", "leases", "entries", "records", "reporting", "gate", "cli")
}


def modules() -> dict[str, Path]:
    """Every module of the machine by its dotted name."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        inside = path.relative_to(PACKAGE)
        if inside.parts[0] in ("attacks", "defenses", "datasets", "reports"):
            continue
        found[".".join(("robench", *inside.with_suffix("").parts)).removesuffix(".__init__")] = path
    return found


def imports(path: Path, *, lazy: bool = True) -> Iterator[tuple[str, str]]:
    """(module, name) of every import from robench in a file; those within functions only if `lazy`."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    within = {inner for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if node in typing_only or (not lazy and node in within):
            continue
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "robench":
            for alias in node.names:
                yield node.module, alias.name
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "robench":
                    yield alias.name, ""


def room(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def floor(name: str) -> int:
    return next(height for height, rooms in enumerate(FLOORS) if name in rooms)


def arrows(*, lazy: bool = True) -> Iterator[tuple[str, str]]:
    """(module, module that it imports) within the machine."""
    known = modules()
    for name, path in known.items():
        for target, imported in imports(path, lazy=lazy):
            inner = f"{target}.{imported}"
            yield name, inner if inner in known else target


def test_every_room_stands_on_those_below_it() -> None:
    wrong = [
        f"{name} imports {target}"
        for name, target in arrows()
        if room(name) != room(target) and floor(room(target)) >= floor(room(name))
    ]
    assert not wrong


def test_no_module_reaches_itself() -> None:
    graph: dict[str, set[str]] = {}
    for name, target in arrows():
        if name != target and modules()[name].name != "__init__.py":
            graph.setdefault(name, set()).add(target)

    def reaches(start: str, at: str, seen: set[str]) -> bool:
        for target in graph.get(at, set()) - seen:
            seen.add(target)
            if target == start or reaches(start, target, seen):
                return True
        return False

    assert not [name for name in graph if reaches(name, name, set())]


def test_every_room_has_its_floor_and_no_module_is_too_long() -> None:
    known = modules()
    assert {room(name) for name in known} == set().union(*FLOORS)
    assert len({room(name) for name in known}) <= 26
    assert not [name for name, path in known.items() if len(path.read_text(encoding="utf-8").splitlines()) > 300]


@pytest.mark.parametrize("kind", ["attacks", "defenses", "datasets"])
def test_entries_import_the_public_names_and_nothing_else(kind: str) -> None:
    public = {*robench.__all__, "__version__"}
    for path in built_in_folder(kind).glob("*.py"):
        for module, name in imports(path):
            assert module == "robench", f"{path.name} imports {module}"
            assert name in public, f"{path.name} imports {name!r}, which robench does not export"


def test_the_machine_names_no_entry() -> None:
    folders = tuple(f"robench.{kind}" for kind in ("attacks", "defenses", "datasets"))
    for module, path in modules().items():
        for target, name in imports(path):
            assert not f"{target}.{name}".startswith(folders), f"{module} imports {target}"


def test_what_only_reads_loads_no_torch() -> None:
    """In a process of its own: the rooms without torch, and the module of every command."""
    wanted = [name for name in modules() if room(name) in WITHOUT_TORCH]
    code = f"import sys, importlib\nfor name in {wanted!r}: importlib.import_module(name)\nsys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=False).returncode == 0


def test_the_exported_names_are_those_of_the_stub_and_are_all_there() -> None:
    assert robench.__all__ == sorted(set(robench.__all__))
    assert set(robench.__all__) <= set(dir(robench))
    for name in robench.__all__:
        value = getattr(robench, name)
        home = getattr(value, "__module__", None)
        if callable(value) and home and home.startswith("robench."):
            assert value.__doc__, f"{name} has no documentation"
    with pytest.raises(AttributeError, match="no attribute 'evalute'"):
        _ = robench.evalute  # type: ignore[attr-defined]
