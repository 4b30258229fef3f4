"""What a store holds, unit by unit, and which of it no report shows."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal, NamedTuple

from robench.errors import StoreError, UsageError, did_you_mean
from robench.records.store import Measured, Store
from robench.reporting.escaping import one_line
from robench.reporting.groups import newest


class Holding(NamedTuple):
    """A unit as `robench store ls` prints it.

    Attributes:
        name: of its folder.
        state: "current"; "older": code has changed since; "damaged": its manifest cannot be read.
        frozen: a frozen board names it.
    """

    name: str
    state: Literal["current", "older", "damaged"]
    frozen: bool
    defense: str
    attack: str
    dataset: str
    rows: int
    bytes: int
    day: str


def holdings(root: Path) -> list[Holding]:
    """All units of a store, the oldest first.

    Raises:
        StoreError: the store is of another version, or a board cannot be read.
        UsageError: there is no store.
    """
    if not root.is_dir():
        raise UsageError(f"there is no store {str(root)!r}; name its folder with --store")
    store = Store(root)
    frozen = store.frozen()
    units = sorted(store.units(), key=lambda unit: unit.facts.created)
    measured = [Measured(unit, unit.read()) for unit in units]
    older = {one.unit.folder for one in newest(measured)[1]}
    found = [
        Holding(
            one.unit.folder.name,
            "older" if one.unit.folder in older else "current",
            one.unit.identity.digest() in frozen,
            one_line(str(one.unit.spec.defense)),
            one_line(str(one.unit.spec.attack)),
            one_line(str(one.unit.spec.dataset)),
            len(one.records),
            _size(one.unit.folder),
            datetime.fromtimestamp(one.unit.facts.created, UTC).date().isoformat(),
        )
        for one in measured
    ]
    known = {unit.folder for unit in units}
    lost = [path for path in sorted((root / "records").glob("*")) if path.is_dir() and path not in known]
    return found + [Holding(p.name, "damaged", p.name[-16:] in frozen, "", "", "", 0, _size(p), "") for p in lost]


def named(found: Sequence[Holding], patterns: Sequence[str]) -> list[Holding]:
    """Those whose names fit a pattern.

    Raises:
        UsageError: a pattern fits none.
    """
    for pattern in patterns:
        if not any(fnmatchcase(holding.name, pattern) for holding in found):
            names = [holding.name for holding in found]
            raise UsageError(f"no unit is named {pattern!r}{did_you_mean(pattern, names)}")
    return [holding for holding in found if any(fnmatchcase(holding.name, pattern) for pattern in patterns)]


def discard(root: Path, holding: Holding) -> None:
    """Remove a unit's folder, unless a frozen board names it or a process works on it.

    Raises:
        StoreError: it cannot be removed.
    """
    folder = root / "records" / holding.name
    if folder.name[-16:] in Store(root).frozen():
        raise StoreError(f"{folder.name} is named by a frozen board in {root / 'boards'}; it stays")
    if (folder / "lease").exists():
        raise StoreError(f"{folder.name} is being worked on, or its holder died: run it again, then remove it")
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise StoreError(f"cannot remove {folder}: {error.strerror or error}") from error


def sweep(root: Path) -> Iterator[Path]:
    """Remove what belongs to no unit: model cards, what runs set aside as damaged, leftovers of killed writers."""
    store = Store(root)
    models = {unit.identity.model for unit in store.units()}
    yield from _removed(path for path in root.glob("models/*.json") if path.stem not in models)
    yield from _removed(path for path in root.glob("damaged/*/*"))
    yield from _removed(path for path in root.glob("records/*/.*.part"))


def _removed(paths: Iterator[Path]) -> Iterator[Path]:
    for path in list(paths):
        try:
            path.unlink()
        except OSError as error:
            raise StoreError(f"cannot remove {path}: {error.strerror or error}") from error
        yield path


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
