"""What a store holds, unit by unit, and which of it no report shows."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal, NamedTuple

from robench.console import one_line
from robench.errors import StoreError, UsageError, did_you_mean
from robench.leases.taking import held
from robench.records.refusals import accept, refusals, refused_path
from robench.records.store import Store
from robench.records.unit import Measured, Tell
from robench.reporting.versions import newest


class Holding(NamedTuple):
    """A unit as `robench store ls` prints it, or the note that one could not be measured.

    Attributes:
        name: of its folder, or of its file.
        state: "current"; "older": code has changed since; "damaged": its manifest cannot be read; "refused".
        frozen: a frozen board names it.
    """

    name: str
    state: Literal["current", "older", "damaged", "refused"]
    frozen: bool
    defense: str
    attack: str
    dataset: str
    rows: int
    bytes: int
    day: str


def holdings(root: Path, tell: Tell = lambda _: None) -> list[Holding]:
    """All units of a store, the oldest first; what is damaged is told.

    Raises:
        StoreError: the store is of another version, or a board cannot be read.
        UsageError: there is no store.
    """
    if not any((root / name).is_dir() for name in ("records", "refused")):
        raise UsageError(f"there is no store {str(root)!r} (it has no records/); name its folder with --store")
    store = Store(root)
    try:
        frozen = store.frozen()
    except StoreError as error:  # what removes looks again
        tell(str(error))
        frozen = set()
    units = sorted(store.units(tell), key=lambda unit: unit.facts.created)
    measured = [Measured(unit, unit.read(tell)) for unit in units]
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
            _day(one.unit.facts.created),
        )
        for one in measured
    ]
    known = {unit.folder for unit in units}
    lost = [path for path in sorted((root / "records").glob("*")) if path.is_dir() and path not in known]
    found += [Holding(p.name, "damaged", p.name[-16:] in frozen, "", "", "", 0, _size(p), "") for p in lost]
    return found + [
        Holding(
            f"refused-{one.name}",
            "refused",
            False,
            one_line(str(one.defense)),
            one_line(str(one.attack or "any attack")),
            one_line(str(one.dataset)),
            0,
            refused_path(root, one.name).stat().st_size,
            _day(one.created),
        )
        for one in refusals(root, tell)
    ]


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
    """Remove a unit's folder, or the note of a refusal, unless a frozen board names it or a process works on it.

    Raises:
        StoreError: it cannot be removed.
    """
    if holding.state == "refused":
        return accept(root, holding.name.removeprefix("refused-"))
    folder = root / "records" / holding.name
    if folder.name[-16:] in Store(root).frozen():
        raise StoreError(f"{folder.name} is named by a frozen board in {root / 'boards'}; it stays")
    if held(folder / "lease"):
        raise StoreError(f"{folder.name} is being worked on; wait for it, or stop that process")
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise StoreError(f"cannot remove {folder}: {error.strerror or error}") from error


def leftovers(root: Path, going: Sequence[Holding] = ()) -> list[Path]:
    """Files that belong to no unit: model cards, damaged refusals, what runs set aside as damaged, what killed writers left (files that are half written, leases).

    Args:
        going: units that are about to be removed. A card stays while the manifest of any unit is damaged: it may be its.
    """
    store, names, notes = Store(root), {holding.name for holding in going}, list[str]()
    models = {unit.identity.model for unit in store.units(notes.append) if unit.folder.name not in names}
    cards = store.cards().items() if not notes else ()
    found = [root / "models" / f"{name}.json" for name, _ in cards if name not in models]
    found += [path for path in root.glob("damaged/*/*") if path.is_file()]
    read = {one.name for one in refusals(root)}
    found += [path for path in root.glob("refused/*.json") if path.stem not in read]
    free = [folder for folder in root.glob("records/*") if not held(folder / "lease")]
    return found + [path for folder in free for kind in (".*.part", "lease*") for path in sorted(folder.glob(kind))]


def sweep(paths: Sequence[Path]) -> None:
    """Remove files.

    Raises:
        StoreError: one cannot be removed.
    """
    for path in paths:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(f"cannot remove {path}: {error.strerror or error}") from error


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).date().isoformat()


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
