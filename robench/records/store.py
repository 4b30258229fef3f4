"""The store: records in Parquet and a JSON manifest, under the content hash of all that can change them.

    records/NAME-IDENTITY/manifest.json      what was asked for, the identity, facts, the list of parts
    records/NAME-IDENTITY/part-DIGEST.parquet    records, each part written whole and named by the SHA-256 of its bytes
    models/MODEL.json                        a model card
    damaged/                                 what a run found damaged and replaced
    boards/NAME.json                         a frozen board: {"units": [identities]}, which nothing here removes

A unit is one attack at one condition on one trained defense. A damaged part is found out, and a killed run loses only
the part that it was working on. `n` is not in the hash: going from 256 to 1,000 images adds parts. A command that only
reads changes nothing: it says what is damaged and leaves it. A run that replaces it moves it to damaged/.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from robench.errors import StoreError
from robench.files import atomic_path
from robench.hashing import file_digest
from robench.leases import lease
from robench.records.cards import ModelCard
from robench.records.changes import changes
from robench.records.frozen import frozen_units
from robench.records.manifest import Damaged, Facts, Identity, Manifest, Part, Spec, read_signed
from robench.records.schema import KEY, WITHOUT_PIXELS, empty, to_arrow, to_frame

Tell = Callable[[str], None]
ABOUT = b"robench"
"""Key of a part's Parquet metadata: the unit that it belongs to and its number of rows."""


@dataclass(frozen=True)
class Unit:
    """One folder of the store; see `Manifest` for what it says of itself."""

    folder: Path
    spec: Spec
    identity: Identity
    facts: Facts

    @property
    def row(self) -> str:
        """Names the row of a table that it belongs to: the model, which over the conditions of one corrupted set is one."""
        return self.identity.trained if self.facts.family else self.identity.model

    def lease(self, waiting: Tell) -> AbstractContextManager[bool]:
        """Hold the unit while it is worked on."""
        return lease(self.folder / "lease", waiting=waiting)

    def read(
        self, tell: Tell = lambda _: None, *, pixels: bool = False, parts: Collection[str] | None = None
    ) -> pd.DataFrame:
        """All records, each once. Parts that are damaged or missing are told and left out.

        Args:
            pixels: also the images that were kept.
            parts: only these files; None: all.
        """
        tables, seen, listed = [], set(), {part.name: part.rows for part in self._listed()}
        for path in sorted(self.folder.glob("part-*.parquet")):
            if parts is not None and path.name not in parts:
                continue
            seen.add(path.name)
            if problem := self._problem(path):
                tell(f"{path.name} of {self.folder.name} is damaged ({problem}); its images are left out")
                continue
            tables.append(pq.read_table(path, columns=None if pixels else WITHOUT_PIXELS))
        for name in listed if parts is None else parts:
            if name not in seen:
                tell(f"{name} of {self.folder.name} is missing; its {listed.get(name, '')} rows are left out")
        if not tables:
            return empty() if pixels else empty()[WITHOUT_PIXELS]
        frame = to_frame(pa.concat_tables(tables))
        if pixels:  # an image that was attacked again to keep its pixels has two rows; the one with pixels counts
            frame = frame.sort_values("adversarial", key=lambda column: column.isna(), kind="stable")
        return frame.drop_duplicates(KEY, ignore_index=True)

    def add(self, frame: pd.DataFrame) -> None:
        """Write one more part, whole or not at all, and put it on the list.

        Raises:
            StoreError: it cannot be written (a full disk); what was written before stays.
        """
        about = json.dumps({"unit": self.identity.digest(), "rows": len(frame)})
        table = to_arrow(frame)
        table = table.replace_schema_metadata({**(table.schema.metadata or {}), ABOUT: about.encode()})
        staging = self.folder / "staging.parquet"
        with atomic_path(staging) as temporary:
            pq.write_table(table, temporary, compression="zstd")
            name = f"part-{file_digest(temporary)[:16]}.parquet"
        staging.replace(self.folder / name)
        self._manifest().with_part(Part(name, len(frame))).write(self.folder / "manifest.json")

    def mend(self, tell: Tell) -> None:
        """Move what is damaged to damaged/ and write down the parts that are there; for who holds the lease and runs it again."""
        for path in sorted(self.folder.glob("part-*.parquet")):
            if problem := self._problem(path):
                tell(f"{path.name} of {self.folder.name} was damaged ({problem}); its images are attacked again")
                self._set_aside(path)
        path, parts = self.folder / "manifest.json", tuple(self._on_disk())
        before = None
        if path.exists():
            try:
                before = Manifest.read(path)
            except Damaged as problem:
                tell(f"the manifest of {self.folder.name} was damaged ({problem}); it is written anew")
                self._set_aside(path)
        facts = before.facts if before else replace(self.facts, created=time.time())
        stale = before is None or before.identity != self.identity or set(before.parts) != set(parts)
        if stale and (parts or before):
            Manifest(self.spec, self.identity, facts, parts).write(path)

    def refresh(self) -> None:
        """Count as measured now, as it was asked for now: what it was measured with is in use again. For who holds the lease."""
        manifest = replace(self._manifest(), spec=self.spec)
        replace(manifest, facts=replace(manifest.facts, created=time.time())).write(self.folder / "manifest.json")

    def stored(self) -> Unit:
        """The same with the facts that are stored, the day of its creation among them."""
        return replace(self, facts=self._manifest().facts)

    def sound(self) -> bool:
        """Whether the manifest is there and says what this unit is, and no part on its list is damaged or missing."""
        try:
            manifest = Manifest.read(self.folder / "manifest.json")
        except Damaged:
            return False
        paths = [self.folder / part.name for part in manifest.parts]
        return manifest.identity == self.identity and all(p.exists() and not self._problem(p) for p in paths)

    def _manifest(self) -> Manifest:
        """The manifest as it stands, or a new one."""
        try:
            return Manifest.read(self.folder / "manifest.json")
        except Damaged:
            return Manifest(self.spec, self.identity, replace(self.facts, created=time.time()))

    def _listed(self) -> tuple[Part, ...]:
        try:
            return Manifest.read(self.folder / "manifest.json").parts
        except Damaged:
            return ()

    def _on_disk(self) -> Iterator[Part]:
        for path in sorted(self.folder.glob("part-*.parquet")):
            yield Part(path.name, pq.read_metadata(path).num_rows)

    def _problem(self, path: Path) -> str | None:
        """What is wrong with a part; None where it is sound and of this unit."""
        try:
            if file_digest(path)[:16] != path.stem.removeprefix("part-"):
                return "its hash is wrong"
            found = pq.read_metadata(path)
            about = json.loads((found.metadata or {}).get(ABOUT, b"{}"))
        except (OSError, ValueError, pa.ArrowException) as error:
            return f"it cannot be read: {error}"
        if about.get("unit") != self.identity.digest():
            return "it is of another unit"
        return None if about.get("rows") == found.num_rows else "rows are missing"

    def _set_aside(self, path: Path) -> None:
        aside = self.folder.parent.parent / "damaged" / self.folder.name
        try:
            aside.mkdir(parents=True, exist_ok=True)
            path.replace(aside / f"{time.time_ns()}-{path.name}")
        except OSError as error:
            raise StoreError(f"cannot move {path} to {aside}: {error.strerror}; is the store read-only?") from error


@dataclass(frozen=True)
class Measured:
    """A unit and the records of it that were asked for."""

    unit: Unit
    records: pd.DataFrame


class Store:
    """A folder of units and model cards."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._manifests: dict[Path, tuple[tuple[int, int, int], Manifest]] = {}

    def unit(self, spec: Spec, identity: Identity, facts: Facts) -> Unit:
        """The unit of this identity, whether or not there is anything in it yet."""
        names = [call.name.rpartition("::")[2].rpartition("/")[2] for call in (spec.defense, spec.attack)]
        safe = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "_" for c in "-".join(names))[:80]
        return Unit(self.root / "records" / f"{safe}-{identity.digest()}", spec, identity, facts)

    def units(self, tell: Tell = lambda _: None) -> list[Unit]:
        """All units, newest first; what is damaged is told and left out.

        Raises:
            StoreError: the store is of another version.
        """
        found = []
        for path in sorted(self.root.glob("records/*/manifest.json")):
            try:
                manifest = self._read(path)
            except Damaged as problem:
                tell(f"{path} is damaged: {problem}; its row is left out, and running it again mends it")
                continue
            if not path.parent.name.endswith(manifest.identity.digest()):
                tell(f"{path} is of another unit than its folder's name says; it is left out")
                continue
            found.append(Unit(path.parent, manifest.spec, manifest.identity, manifest.facts))
        return sorted(found, key=lambda unit: -unit.facts.created)

    def _read(self, path: Path) -> Manifest:
        """A manifest as it is on disk, parsed again where the file was replaced: a run asks for all of them at each unit."""
        try:
            found = path.stat()
        except OSError as error:
            raise Damaged(f"it cannot be read ({error})") from error
        stamp = found.st_ino, found.st_mtime_ns, found.st_size
        known = self._manifests.get(path)
        if known is None or known[0] != stamp:
            known = self._manifests[path] = (stamp, Manifest.read(path))
        return known[1]

    def check(self) -> None:
        """Look at the version before any work.

        Raises:
            StoreError: the store is of another version.
        """
        for path in [*self.root.glob("records/*/manifest.json"), *self.root.glob("models/*.json")]:
            try:
                read_signed(path)
                return
            except Damaged:
                continue

    def replaced(self, unit: Unit) -> bool:
        """Whether a newer unit stands for the same spec, so that a report may take this one for the older.

        Files of the same code share a unit: its spec is of the one that was run first, and may stand for another by now.
        """
        manifest = unit._manifest()
        others = [*self._others(unit), *self._others(replace(unit, spec=manifest.spec))]
        return any(u.facts.created > manifest.facts.created for u in others)

    def why_again(self, unit: Unit) -> str | None:
        """What of the identity differs from the newest other unit of the same spec, in words; None if there is none."""
        others = self._others(unit)
        if not others:
            return None
        changed = changes(others[0].identity, unit.identity)
        return ", ".join(changed) + " changed" if changed else None

    def _others(self, unit: Unit) -> list[Unit]:
        """Other units that were asked for in the same words, newest first."""
        asked = unit.spec, unit.identity.precision
        return [u for u in self.units() if (u.spec, u.identity.precision) == asked and u.identity != unit.identity]

    def write_card(self, card: ModelCard) -> None:
        """Keep a model card, unless one that was measured on as many images is there."""
        path = self.root / "models" / f"{card.model}.json"
        try:
            known = ModelCard.read(path) if path.exists() else None
            if known and known.images >= card.images and (known.study or not card.study):
                return
        except Damaged:
            pass
        card.write(path)

    def cards(self, tell: Tell = lambda _: None) -> dict[str, ModelCard]:
        """Model cards by the names of their models; what is damaged is told and left out."""
        found = {}
        for path in sorted(self.root.glob("models/*.json")):
            try:
                card = ModelCard.read(path)
                found[card.model] = card
            except Damaged as problem:
                tell(f"{path} is damaged: {problem}; it is left out, and running its row again mends it")
        return found

    def frozen(self) -> set[str]:
        """Identities of the units that a frozen board names; they are never removed. Raises StoreError: see `frozen_units`."""
        return frozen_units(self.root)
