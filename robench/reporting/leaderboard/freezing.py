"""Frozen boards: which records a page was made of, so that it can be made again and compared with a later one."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import pandas as pd

from robench.errors import StoreError, UsageError, did_you_mean
from robench.files import atomic_path
from robench.records.manifest import Damaged, read_signed, signed
from robench.records.refusals import Refusal
from robench.records.store import Store
from robench.records.unit import Measured, Unit
from robench.reporting.result import Result

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def freeze(root: Path, name: str, result: Result, suite: str | None = None) -> Path:
    """Write down which parts of which units a result is made of. `robench store gc` removes none of them.

    Args:
        suite: that was required of every row; None: each norm's own.

    Raises:
        UsageError: the name cannot be a file's, or there is a board of that name.
        StoreError: it cannot be written.
    """
    path = _path(root, name)
    if path.exists():
        raise UsageError(f"the board {name!r} is frozen already, in {path}; choose another name, or delete that file")
    parts = {one.unit.identity.digest(): sorted(_parts(one.unit)) for one in result.measured}
    content = {
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "version": version("robench"),
        "suite": suite,
        "data": sorted({one.unit.identity.data for one in result.measured}),
        "units": sorted(parts),
        "parts": parts,
        "refused": [one.plain() for one in result.refused],
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as temporary:
            temporary.write_text(json.dumps(signed(content), indent=1), encoding="utf-8")
    except OSError as error:
        raise StoreError(f"the board cannot be written to {path}: {error.strerror}; is the store read-only?") from error
    return path


def thawed(root: Path, name: str) -> tuple[Result, list[str], str | None]:
    """The result that a frozen board was made of, notes about it, and the suite that it required.

    Raises:
        UsageError: there is no such board.
        StoreError: it cannot be read, or records that it names are gone or damaged.
    """
    path, there = _path(root, name), sorted(file.stem for file in root.glob("boards/*.json"))
    if not path.exists():
        raise UsageError(
            f"no board is frozen as {name!r} in {root}{did_you_mean(name, there) or '; none is frozen there'}"
        )
    try:
        content = read_signed(path)
        parts = {str(unit): [str(part) for part in own] for unit, own in content["parts"].items()}
        made, by, suite = str(content["made"]), str(content["version"]), content["suite"]
        refused = [Refusal.of(plain) for plain in content["refused"]]
        if sorted(parts) != content["units"] or not all(parts.values()) or not isinstance(suite, str | None):
            raise ValueError("its parts are not those of its units")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, Damaged) as error:
        raise StoreError(f"the board {path} cannot be read ({error}); freeze it anew") from error
    store, told = Store(root), list[str]()
    units = {unit.identity.digest(): unit for unit in store.units(told.append)}
    if gone := sorted(set(parts) - set(units)):
        raise StoreError(
            f"the board {name!r} is made of {len(parts)} units, and {len(gone)} of them are gone from {root}, the first {gone[0]}; "
            "it cannot be made again from this store"
        )
    measured = [Measured(units[unit], _read(units[unit], own, name)) for unit, own in parts.items()]
    shown = sorted(measured, key=lambda one: one.unit.facts.created)
    models = {one.unit.identity.model for one in shown}
    cards = {model: card for model, card in store.cards(told.append).items() if model in models}
    return Result(shown, cards, refused), [f"the board {name}, frozen on {made[:10]} by robench {by}", *told], suite


def _read(unit: Unit, parts: Sequence[str], board: str) -> pd.DataFrame:
    problems = list[str]()
    records = unit.read(problems.append, pixels=True, parts=parts)
    if problems:
        raise StoreError(f"the board {board!r} cannot be made again: {'; '.join(problems)}")
    return records


def _parts(unit: Unit) -> list[str]:
    return [path.name for path in unit.folder.glob("part-*.parquet")]


def _path(root: Path, name: str) -> Path:
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"a board cannot be named {name!r}; wanted letters, digits, dots, dashes and underscores, such as 2026-11"
        )
    return root / "boards" / f"{name}.json"
