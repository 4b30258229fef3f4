"""Manifests that are missing or damaged, written anew from what the parts beside them say."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from robench.files import parse_json
from robench.hashing import file_digest
from robench.records.manifest import Damaged, Manifest
from robench.records.unit import ABOUT, Tell, Unit


class Repaired(NamedTuple):
    """What `repair` found: names of units."""

    sound: list[str]
    mended: list[str]
    lost: list[str]


def repair(root: Path, tell: Tell = lambda _: None) -> Repaired:
    """Write anew the manifest of each unit that has none, or a damaged one. Damaged files go to damaged/.

    A unit of which no part is sound is left as it is: nothing in it says what it is of, and the run that asks for it mends it.

    Raises:
        StoreError: the store is of another version, or cannot be written.
    """
    found = Repaired([], [], [])
    for folder in sorted(path for path in (root / "records").glob("*") if path.is_dir()):
        if _is_sound(folder):
            found.sound.append(folder.name)
        elif unit := unit_of_parts(folder):
            with unit.lease(tell) as owned:
                owned.mend(tell)
            found.mended.append(folder.name)
        elif any(folder.iterdir()):
            found.lost.append(folder.name)
    return found


def unit_of_parts(folder: Path) -> Unit | None:
    """The unit that a sound part of a folder says it is of; None where there is no such part."""
    for path in sorted(folder.glob("part-*.parquet"), key=lambda path: -path.stat().st_mtime):
        try:
            if not path.is_file() or file_digest(path)[:16] != path.stem.removeprefix("part-"):
                continue
            about = parse_json((pq.read_metadata(path).metadata or {})[ABOUT])
            manifest = Manifest.of(about["of"])
        except (OSError, ValueError, LookupError, TypeError, pa.ArrowException):
            continue
        if folder.name.endswith(manifest.identity.digest()):
            return Unit(folder, manifest.spec, manifest.identity, manifest.facts)
    return None


def _is_sound(folder: Path) -> bool:
    try:
        return folder.name.endswith(Manifest.read(folder / "manifest.json").identity.digest())
    except Damaged:
        return False
