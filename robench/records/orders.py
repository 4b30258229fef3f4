"""The order of a test split, kept beside its adversarial images, so that they can be given out in it without the data."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from robench.files import atomic_path
from robench.records.manifest import Damaged, read_signed, signed


def write_order(store: Path, data: str, ids: Sequence[str]) -> None:
    """Keep the ids of a test split in its own order.

    Args:
        data: fingerprint of the split.
    """
    if read_order(store, data) != list(ids):
        with atomic_path(_path(store, data)) as temporary:
            temporary.write_text(json.dumps(signed({"ids": list(ids)})), encoding="utf-8")


def read_order(store: Path, data: str) -> list[str] | None:
    """Ids of a test split in its own order; None where that was not kept, or is damaged."""
    try:
        ids = read_signed(_path(store, data))["ids"]
    except (Damaged, KeyError):
        return None
    return [str(i) for i in ids] if isinstance(ids, list) else None


def _path(store: Path, data: str) -> Path:
    return store / "orders" / f"{data}.json"
