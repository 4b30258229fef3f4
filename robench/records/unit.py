"""A unit of the store: the records of one attack at one condition on one trained defense, part by part."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from robench.errors import StoreError
from robench.files import atomic_path, parse_json, read_stored
from robench.hashing import file_digest
from robench.leases.taking import Lease, lease
from robench.records.arrays import Arrays
from robench.records.manifest import Damaged, Facts, Identity, Manifest, Part, Spec
from robench.records.schema import KEY, SCHEMA, WITHOUT_PIXELS, check, distinct, to_arrow, to_frame

Tell = Callable[[str], None]
ABOUT = b"robench"
"""Key of a part's Parquet metadata: the unit that it belongs to, its number of rows, and what else a manifest says."""


@dataclass(frozen=True)
class Unit:
    """One folder of the store; see `Manifest` for what it says of itself.

    Attributes:
        owned: the lease that this process has on it, which is looked at again before anything is written.
    """

    folder: Path
    spec: Spec
    identity: Identity
    facts: Facts
    owned: Lease | None = field(default=None, compare=False)

    @property
    def row(self) -> str:
        """Names the row of a table that it belongs to: the model, which over the conditions of one corrupted set is one."""
        return self.identity.trained if self.facts.family else self.identity.model

    @contextmanager
    def lease(self, waiting: Tell) -> Iterator[Unit]:
        """Hold the unit while it is worked on."""
        with lease(self.folder / "lease", waiting=waiting) as taken:
            yield replace(self, owned=taken)

    def _check_owned(self) -> None:
        if self.owned:
            self.owned.check()

    def read(
        self, tell: Tell = lambda _: None, *, pixels: bool = False, parts: Collection[str] | None = None
    ) -> pd.DataFrame:
        """All records, each once, as `table` has them."""
        return to_frame(self.table(tell, pixels=pixels, parts=parts))

    def table(
        self, tell: Tell = lambda _: None, *, pixels: bool = False, parts: Collection[str] | None = None
    ) -> pa.Table:
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
            try:
                tables.append(self._part(path, pixels=pixels))
            except Damaged as problem:
                tell(f"{path.name} of {self.folder.name} is damaged ({problem}); its images are left out")
        for name in listed if parts is None else parts:
            if name not in seen:
                tell(f"{name} of {self.folder.name} is missing; its {listed.get(name, '')} rows are left out")
        if not tables:
            return SCHEMA.empty_table() if pixels else SCHEMA.empty_table().select(WITHOUT_PIXELS)
        found = pa.concat_tables(tables)
        return found if len(tables) == 1 or distinct(found) else _once(found)

    def keeps_pixels(self) -> bool:
        """Whether any image was kept, as the parts say before they are read."""
        column = SCHEMA.get_field_index("adversarial")
        for path in filter(Path.is_file, self.folder.glob("part-*.parquet")):
            try:
                found = pq.read_metadata(path)
                counts = [found.row_group(place).column(column).statistics for place in range(found.num_row_groups)]
            except (OSError, pa.ArrowException):
                continue
            if any(count is None or count.null_count is None or count.num_values for count in counts):
                return True
        return False

    def add(self, frame: pd.DataFrame) -> None:
        """Write one more part, whole or not at all, and put it on the list.

        Raises:
            StoreError: it cannot be written (a full disk), or another process works on the unit by now (`LeaseLost`); what was
                written before stays.
        """
        manifest = self._manifest()
        said = {"unit": self.identity.digest(), "rows": len(frame), "of": replace(manifest, parts=()).plain()}
        about = json.dumps(said)
        table = to_arrow(frame)
        table = table.replace_schema_metadata({**(table.schema.metadata or {}), ABOUT: about.encode()})
        staging = self.folder / "staging.parquet"
        with atomic_path(staging) as temporary:
            pq.write_table(table, temporary, compression="zstd")
            name = f"part-{file_digest(temporary)[:16]}.parquet"
            self._check_owned()
        staging.replace(self.folder / name)
        manifest.with_part(Part(name, len(frame))).write(self.folder / "manifest.json")

    def mend(self, tell: Tell) -> None:
        """Move what is damaged to damaged/ and write down the parts that are there; for who holds the lease and runs it again."""
        self._check_owned()
        for left in self.folder.glob(".*.part"):  # of a writer that was killed
            left.unlink(missing_ok=True)
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
        facts = before.facts if before else replace(self.facts, created=self.facts.created or time.time())
        stale = before is None or before.identity != self.identity or set(before.parts) != set(parts)
        if stale and (parts or before):
            Manifest(self.spec, self.identity, facts, parts).write(path)

    def refresh(self) -> None:
        """Count as measured now, as it was asked for now: what it was measured with is in use again. For who holds the lease."""
        self._check_owned()
        manifest = replace(self._manifest(), spec=self.spec)
        replace(manifest, facts=replace(manifest.facts, created=time.time())).write(self.folder / "manifest.json")

    def stored(self) -> Unit:
        """The same with the facts that are stored, the day of its creation among them."""
        return replace(self, facts=self._manifest().facts)

    def named(self) -> bool:
        """Whether the manifest is there and says what this unit is."""
        try:
            return Manifest.read(self.folder / "manifest.json").identity == self.identity
        except Damaged:
            return False

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
            self._part(path)
        except Damaged as problem:
            return str(problem)
        return None

    def _part(self, path: Path, *, pixels: bool = False) -> pa.Table:
        """The records of a part, read once.

        Raises:
            Damaged: they are not what was written, are of another unit, or are no records.
        """
        try:
            content = read_stored(path, most=None)
            if hashlib.sha256(content).hexdigest()[:16] != path.stem.removeprefix("part-"):
                raise Damaged("its hash is wrong")
            file = pq.ParquetFile(pa.BufferReader(content))
            about = parse_json((file.metadata.metadata or {}).get(ABOUT, b"{}"))
            if not isinstance(about, dict) or about.get("unit") != self.identity.digest():
                raise Damaged("it is of another unit")
            if about.get("rows") != file.metadata.num_rows:
                raise Damaged("rows are missing")
            if not file.schema_arrow.equals(SCHEMA):
                raise Damaged("its columns are not those of records")
            table = file.read(SCHEMA.names if pixels else WITHOUT_PIXELS, use_threads=False)
            check(table, natural=self.facts.goal == "natural")
        except (OSError, ValueError, pa.ArrowException) as error:
            raise Damaged(f"it cannot be read: {error}") from error
        return table

    def _set_aside(self, path: Path) -> None:
        aside = self.folder.parent.parent / "damaged" / self.folder.name
        try:
            aside.mkdir(parents=True, exist_ok=True)
            path.replace(aside / f"{time.time_ns()}-{path.name}")
        except OSError as error:
            raise StoreError(f"cannot move {path} to {aside}: {error.strerror}; is the store read-only?") from error


def _once(table: pa.Table) -> pa.Table:
    """Each record once; of an image that was attacked again to keep its pixels the row with pixels."""
    places = table.select(KEY).to_pandas()
    if "adversarial" in table.column_names:
        places = places.iloc[np.argsort(table["adversarial"].is_null().to_numpy(), kind="stable")]
    return table.take(pa.array(places.drop_duplicates(KEY).index.to_numpy()))


@cache
def _nothing() -> pd.DataFrame:
    """No records, with the columns of images."""
    return to_frame(SCHEMA.empty_table())


@dataclass(frozen=True)
class Measured:
    """A unit and the records of it that were asked for.

    Attributes:
        given: the records as they were read or made; they do not change any more.
    """

    unit: Unit
    given: pa.Table | pd.DataFrame = field(repr=False)

    @cached_property
    def records(self) -> pd.DataFrame:
        """The records as a DataFrame."""
        return self.given if isinstance(self.given, pd.DataFrame) else to_frame(self.given)

    @cached_property
    def arrays(self) -> Arrays:
        """The records as arrays, for what looks at many units."""
        return Arrays(self.given)

    def pictured(self) -> pd.DataFrame:
        """The records whose images were kept, with these; they are large, and read when they are asked for."""
        columns = self.given.columns if isinstance(self.given, pd.DataFrame) else self.given.column_names
        if "adversarial" in columns:
            frame = self.records
        elif self.unit.keeps_pixels():
            frame = self.unit.read(pixels=True)
        else:
            return _nothing()
        kept = frame[frame["adversarial"].notna()]
        return kept[kept["image"].isin(self.arrays.names)]
