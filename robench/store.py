"""The store: records in Parquet and a JSON manifest, under the content hash of all that can change them.

A unit is one attack at one condition on one trained defense. Its folder holds manifest.json and parts, each written
whole and named by the SHA-256 of its bytes, so that a damaged part is found out, and a killed run loses only the part
that it was working on. `n` is not in the hash: going from 256 to 1,000 images adds parts.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from robench.errors import StoreError
from robench.files import atomic_path
from robench.hashing import digest, file_digest
from robench.leases import lease
from robench.records import SCHEMA, empty, to_arrow, to_frame

KEY = ["image", "eps", "target", "corruption", "severity", "frame", "draw"]
"""What tells the rows of a unit apart."""


@dataclass(frozen=True)
class Unit:
    """One folder of the store.

    Attributes:
        spec: what a person asked for: defense, attack, dataset, seed.
        identity: all that can change a number; its digest names the folder.
        facts: what is recorded but cannot change a number, or follows from the identity.
    """

    folder: Path
    spec: dict[str, Any]
    identity: dict[str, Any]
    facts: dict[str, Any]

    def lease(self, waiting: Callable[[str], None]) -> AbstractContextManager[bool]:
        """Hold the unit while it is worked on."""
        return lease(self.folder / "lease", waiting=waiting)

    def read(self, tell: Callable[[str], None] = lambda _: None, *, pixels: bool = False) -> pd.DataFrame:
        """All records, each once. Parts that are damaged are removed, which is told; their images are then missing.

        Args:
            pixels: also the adversarial images that were kept.
        """
        tables = []
        for part in sorted(self.folder.glob("part-*.parquet")):
            if file_digest(part)[:16] != part.stem.removeprefix("part-"):
                tell(
                    f"{part.name} of {self.folder.name} was damaged (its hash is wrong) and has been removed; its images are attacked again"
                )
                part.unlink(missing_ok=True)
                continue
            tables.append(
                pq.read_table(part, columns=None if pixels else [n for n in SCHEMA.names if n != "adversarial"])
            )
        if not tables:
            return empty() if pixels else empty().drop(columns="adversarial")
        frame = to_frame(pa.concat_tables(tables))
        if pixels:  # an image that was attacked again to keep its pixels has two rows; the one with pixels counts
            frame = frame.sort_values("adversarial", key=lambda column: column.isna(), kind="stable")
        return frame.drop_duplicates(KEY, ignore_index=True)

    def add(self, frame: pd.DataFrame) -> None:
        """Write one more part, whole or not at all.

        Raises:
            StoreError: it cannot be written (a full disk); what was written before stays.
        """
        self.describe()
        staging = self.folder / "staging.parquet"
        with atomic_path(staging) as temporary:
            pq.write_table(to_arrow(frame), temporary, compression="zstd")
            name = f"part-{file_digest(temporary)[:16]}.parquet"
        staging.replace(self.folder / name)

    def describe(self) -> None:
        """Write the manifest, unless it is there."""
        path = self.folder / "manifest.json"
        if path.exists():
            return
        content = {
            "schema": 1,
            "spec": self.spec,
            "identity": self.identity,
            "facts": {**self.facts, "created": time.time()},
        }
        with atomic_path(path) as temporary:
            temporary.write_text(json.dumps(content, indent=1), encoding="utf-8")


class Store:
    """A folder of units and model cards."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def unit(self, spec: dict[str, Any], identity: dict[str, Any], facts: dict[str, Any]) -> Unit:
        """The unit of this identity, whether or not there is anything in it yet."""
        name = "-".join(
            [
                spec["defense"].partition("(")[0].rpartition("::")[2],
                spec["attack"].partition("(")[0].rpartition("::")[2],
            ]
        )
        safe = "".join(c if c.isalnum() or c in "-_" else "_" for c in name)
        return Unit(self.root / "records" / f"{safe}-{digest(identity)}", spec, identity, facts)

    def units(self) -> list[Unit]:
        """All units, newest first.

        Raises:
            StoreError: a manifest cannot be read.
        """
        found = []
        for path in self.root.glob("records/*/manifest.json"):
            try:
                content = json.loads(path.read_text(encoding="utf-8"))
                found.append(Unit(path.parent, content["spec"], content["identity"], content["facts"]))
            except (ValueError, KeyError) as error:
                raise StoreError(f"{path} cannot be read ({error}); remove {path.parent} and run it again") from error
        return sorted(found, key=lambda unit: -unit.facts["created"])

    def newest(self) -> tuple[list[Unit], list[Unit]]:
        """The newest unit of each spec, and the stale ones that they replace."""
        newest: dict[str, Unit] = {}
        stale = []
        for unit in self.units():
            key = digest(unit.spec)
            if key in newest:
                stale.append(unit)
            else:
                newest[key] = unit
        return list(newest.values()), stale

    def why_again(self, unit: Unit) -> str | None:
        """Which part of the identity differs from the newest other unit of the same spec; None if there is none."""
        others = [u for u in self.units() if u.spec == unit.spec and u.identity != unit.identity]
        if not others:
            return None
        before = others[0].identity
        changed = [name for name in unit.identity if before.get(name) != unit.identity[name]]
        return ", ".join(name.replace("_", " ") for name in changed) + " changed" if changed else None

    def write_model(self, card: dict[str, Any]) -> None:
        """Keep a model card under the digest of its weights."""
        path = self.root / "models" / f"{card['weights']}-{card['data']}.json"
        if not path.exists():
            with atomic_path(path) as temporary:
                temporary.write_text(json.dumps(card, indent=1), encoding="utf-8")

    def models(self) -> dict[str, dict[str, Any]]:
        """Model cards by the digest of their weights."""
        cards = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(self.root.glob("models/*.json"))]
        return {card["weights"]: card for card in cards}
