"""What leaves a store: cells with their records, as one file in Parquet, and what is read from it again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from robench.entries.calls import Json
from robench.errors import UsageError
from robench.files import atomic_path, parse_json
from robench.records.cards import ModelCard
from robench.records.manifest import Damaged
from robench.records.schema import WITHOUT_PIXELS, check, to_arrow, to_frame
from robench.records.typed import check_day
from robench.records.unit import Measured
from robench.reporting.printed import Printed, printed
from robench.reporting.result import Result

COLUMNS = ("defense", "attack", "dataset", "seed", "precision")
ABOUT = b"robench cells"
"""Key of a file's Parquet metadata: for each cell, the values that its rows have, and what they are of."""
MODELS = b"robench models"
"""Key of the cards of the models, by their names."""


@dataclass(frozen=True)
class Exported:
    """A cell with its records.

    Attributes:
        created: when its unit was made, in seconds since 1970.
        card: of its model, where it is known.
        resolved_defense, resolved_attack: their options with all defaults filled in, as its identity has them.
    """

    printed: Printed
    created: float
    records: pd.DataFrame
    card: ModelCard | None = None
    resolved_defense: Json = None
    resolved_attack: Json = None

    @property
    def named(self) -> tuple[Json, ...]:
        """What its rows are called in a file, by `COLUMNS`."""
        first = self.records.iloc[0]
        return tuple(int(first[name]) if name == "seed" else str(first[name]) for name in COLUMNS)


def exported(one: Measured, card: ModelCard | None) -> Exported:
    """A unit of a store, as it is exported."""
    defense, attack = one.unit.identity.defense, one.unit.identity.attack
    made = defense.get("defense") if isinstance(defense, dict) else None
    options = [_options(each.get("options")) if isinstance(each, dict) else None for each in (made, attack)]
    return Exported(printed(one), one.unit.facts.created, one.records, card, *options)


def _options(value: Json) -> Json:
    """Options without what nested calls depend on besides their own."""
    if isinstance(value, list):
        return [_options(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "options" in value and "name" in value:
        return {"name": value["name"], "options": _options(value["options"])}
    return {name: _options(item) for name, item in value.items()}


def read_records(path: Path) -> tuple[list[Exported], list[ModelCard]]:
    """The cells of a file that `write_records` wrote, and the cards of models.

    Raises:
        UsageError: it is no such file, or it is damaged.
    """
    try:
        metadata = pq.read_schema(path).metadata or {}
        about = metadata.get(ABOUT)
        table = pq.read_table(path) if about else pa.table({})
        frame = to_frame(table)
    except (OSError, ValueError, TypeError, NotImplementedError, pa.ArrowException) as error:
        raise UsageError(f"{path} cannot be read as Parquet: {error}") from error
    if about is None:
        raise UsageError(
            f"{path} does not say what its records are of; write it with `robench report --format parquet --out {path.name}`"
        )
    found = list[Exported]()
    try:
        cards = {name: ModelCard.of(plain) for name, plain in parse_json(metadata.get(MODELS, b"{}")).items()}
        if len(frame) and not pa.types.is_integer(table.schema.field("seed").type):
            raise ValueError("a seed is no whole number")
        rows = dict(list(frame.groupby(list(COLUMNS), sort=False))) if len(frame) else {}
        for one in parse_json(about):
            own = rows.get(tuple(one["rows"][name] for name in COLUMNS))
            if own is not None:
                of = Printed.of(one["of"])
                try:
                    check(to_arrow(own, WITHOUT_PIXELS), natural=of.goal == "natural")
                except ValueError as error:
                    raise ValueError(f"{of.text}: {error}") from error
                card, created = cards.get(one.get("model", "")), float(one.get("created", 0.0))
                check_day(created)
                found.append(Exported(of, created, own, card, *one.get("resolved", ())))
    except (LookupError, TypeError, AttributeError, ArithmeticError, ValueError, RecursionError, Damaged) as error:
        raise UsageError(f"{path} is damaged in what it says of its records: {error}") from error
    return found, [*cards.values()]


def exported_cells(result: Result) -> list[Exported]:
    """The cells of a result, each with the rows that `Result.records` has of it."""
    frame = result.records
    rows = dict(list(frame.groupby(list(COLUMNS), sort=False))) if len(frame) else {}
    found = list[Exported]()
    for group in result.groups():
        for one in group.units:
            identity = one.unit.identity
            named = (group.label(one), group.attack(one), group.name, identity.seed, identity.precision)
            if named in rows:
                told = exported(one, result.cards.get(identity.model))
                found.append(replace(told, records=rows[named]))
    return found


def merged(*sources: Sequence[Exported]) -> list[Exported]:
    """The cells of several stores or files, one of each name: the newest, or of the same weights, data and code the larger one."""
    newest = dict[tuple[Json, ...], Exported]()
    for one in (each for source in sources for each in source):
        known = newest.get(one.named)
        if known is None or _rank(one, known) > _rank(known, one):
            newest[one.named] = one
    return [*newest.values()]


def _rank(one: Exported, other: Exported) -> tuple[int, float]:
    """By what one of two cells of a name is chosen."""
    both = [(each.weights, each.data, each.code, each.engine, each.subset) for each in (one.printed, other.printed)]
    return (one.records["image"].nunique() if both[0] == both[1] else 0), one.created


def write_records(cells: Sequence[Exported], architectures: Iterable[ModelCard], path: Path) -> Path:
    """Write the records of cells as one Parquet file, whole or not at all; without any image of the data set.

    Its metadata says what each cell is of, and what its model is like, so that the file alone can be compared with others.

    Args:
        architectures: cards without weights, which no records are of.
    """
    about: list[dict[str, Json]] = [
        {
            "rows": dict(zip(COLUMNS, one.named, strict=True)),
            "of": one.printed.plain(),
            "created": one.created,
            "model": one.card.model if one.card else "",
            "resolved": [one.resolved_defense, one.resolved_attack],
        }
        for one in cells
    ]
    told = {card.model: card for card in [*(one.card for one in cells), *architectures] if card}
    frames = [one.records for one in cells] or [pd.DataFrame()]
    table = pa.Table.from_pandas(pd.concat(frames, ignore_index=True), preserve_index=False)
    said = {ABOUT: about, MODELS: {name: card.without_pictures.plain() for name, card in told.items()}}
    encoded = {key: json.dumps(value).encode() for key, value in said.items()}
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), **encoded})
    # By its name the library would remove a device that it cannot write.
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        pq.write_table(table, stream, compression="zstd")
    return path
