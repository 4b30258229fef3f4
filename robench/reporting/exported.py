"""What leaves a store together with its records: of each cell what a person asked for, and digests of what it was measured on."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from robench.entries.calls import Json
from robench.errors import UsageError
from robench.files import atomic_path
from robench.hashing import digest
from robench.records.cards import ModelCard
from robench.records.manifest import Damaged
from robench.records.schema import KEY, NORMS, WITHOUT_PIXELS
from robench.records.store import Measured
from robench.reporting.result import Result
from robench.reporting.versions import code_of

COLUMNS = ("defense", "attack", "dataset", "seed", "precision")
ABOUT = b"robench cells"
"""Key of a file's Parquet metadata: for each cell, the values that its rows have, and what they are of."""
MODELS = b"robench models"
"""Key of the cards of the models, by their names."""


@dataclass(frozen=True)
class Printed:
    """What a cell is of.

    Attributes:
        defense, attack, dataset: calls, as they are printed.
        seed, precision: of the attack.
        data: fingerprint of the test split, pixels and labels.
        subset: the classes that are evaluated; None: all.
        weights: digest of the weights.
        code: digest of the code of defense and attack.
        engine: `hashing.ENGINE`.
        norm, goal, eps, corruption, severity, family, normaliser: as in `records.manifest.Facts`.
        torch, device, processor, threads: that it was run with.
    """

    defense: str
    attack: str
    dataset: str
    seed: int
    precision: str
    data: str
    subset: tuple[int, ...] | None
    weights: str
    code: str
    engine: int
    norm: str
    goal: str
    eps: float | None
    corruption: str | None = None
    severity: int | None = None
    family: str = ""
    normaliser: str = ""
    torch: str = ""
    device: str = ""
    processor: str = ""
    threads: int = 0

    @property
    def key(self) -> tuple[str, str, str]:
        """By what a cell is found again: what a person asked for."""
        return self.defense, self.attack, self.dataset

    @property
    def text(self) -> str:
        return f"{self.defense} under {self.attack} on {self.dataset}"

    @property
    def of_corruption(self) -> bool:
        """Whether it is one corruption at one severity."""
        return self.goal == "natural" and self.corruption is not None and self.severity is not None

    def plain(self) -> dict[str, Json]:
        """As JSON has it; what says nothing is left out."""
        said = {field.name: getattr(self, field.name) for field in fields(self)}
        said["subset"] = None if self.subset is None else list(self.subset)
        optional = {field.name for field in fields(self)} - REQUIRED
        return {name: value for name, value in said.items() if name not in optional or value not in (None, "", 0)}

    @classmethod
    def of(cls, plain: dict[str, Json]) -> Printed:
        """What `plain` was written from.

        Raises:
            ValueError, TypeError, KeyError: it is something else.
        """
        subset = plain["subset"]
        if subset is not None and not (isinstance(subset, list) and all(type(one) is int for one in subset)):
            raise ValueError(f"subset is {subset!r}")
        found = cls(**{**plain, "subset": None if subset is None else tuple(subset)})  # type: ignore[arg-type]
        for each in fields(cls):
            value = getattr(found, each.name)
            if each.name != "subset" and type(value) not in KINDS[str(each.type)]:
                raise ValueError(f"{each.name} is {str(value)[:40]!r}")
            if isinstance(value, str):
                value.encode()  # else it could be read and not be written
            if isinstance(value, int | float) and not abs(value) < 2**63:
                raise ValueError(f"{each.name} is out of range")
        if found.norm not in NORMS or found.goal not in GOALS:
            raise ValueError(f"the norm is {found.norm[:20]!r}, the goal {found.goal[:20]!r}")
        return found


KINDS = {"str": (str,), "int": (int,), "str | None": (str, type(None)), "int | None": (int, type(None))}
KINDS["float | None"] = (float, int, type(None))
"""What JSON has for each type of a field."""
GOALS = ("budget", "minimal", "natural")
REQUIRED = {field.name for field in fields(Printed)} - {
    *("corruption", "severity", "family", "normaliser", "torch", "device", "processor", "threads")
}


def printed(one: Measured) -> Printed:
    """What a unit is of."""
    spec, identity, facts = one.unit.spec, one.unit.identity, one.unit.facts
    return Printed(
        defense=str(spec.defense),
        attack=str(spec.attack),
        dataset=str(spec.dataset),
        seed=identity.seed,
        precision=identity.precision,
        data=identity.data,
        subset=None if identity.subset is None else tuple(identity.subset),
        weights=identity.weights,
        code=digest([code_of(identity.defense), code_of(identity.attack)]),
        engine=identity.engine,
        norm=facts.norm,
        goal=facts.goal,
        eps=facts.eps,
        corruption=None if facts.share else facts.corruption,
        severity=None if facts.share else facts.severity,
        family=facts.family,
        normaliser=facts.normaliser,
        torch=facts.torch,
        device=facts.device,
        processor=facts.processor,
        threads=facts.threads,
    )


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
        frame = pd.read_parquet(path) if about else pd.DataFrame()
    except (OSError, ValueError, pa.ArrowException) as error:
        raise UsageError(f"{path} cannot be read as Parquet: {error}") from error
    if about is None:
        raise UsageError(
            f"{path} does not say what its records are of; write it with `robench report --format parquet --out {path.name}`"
        )
    found = list[Exported]()
    try:
        cards = {name: ModelCard.of(plain) for name, plain in json.loads(metadata.get(MODELS, b"{}")).items()}
        rows = dict(list(frame.groupby(list(COLUMNS), sort=False))) if len(frame) else {}
        for one in json.loads(about):
            own = rows.get(tuple(one["rows"][name] for name in COLUMNS))
            if own is not None:
                _check(own, Printed.of(one["of"]))
                card = cards.get(one.get("model", ""))
                found.append(
                    Exported(Printed.of(one["of"]), float(one.get("created", 0.0)), own, card, *one.get("resolved", ()))
                )
    except (LookupError, TypeError, AttributeError, ValueError, RecursionError, Damaged) as error:
        raise UsageError(f"{path} is damaged in what it says of its records: {error}") from error
    return found, [*cards.values()]


def _check(records: pd.DataFrame, of: Printed) -> None:
    """That records can be counted: a file has no digest of its own, as the parts of a store have.

    Raises:
        ValueError: they cannot.
    """
    lacking = [name for name in WITHOUT_PIXELS if name not in records]
    if lacking:
        raise ValueError(f"{of.text} has no column {lacking[0]!r}")
    for name in ("correct", "success", "fooled"):
        if not pd.api.types.is_bool_dtype(records[name]) or records[name].isna().any():
            raise ValueError(f"{of.text}: {name} is not true or false in every row")
    sizes = records[list(NORMS)].astype(float)
    unknown = sizes.isna().to_numpy().any() and of.goal != "natural"
    if unknown or (sizes < 0).to_numpy().any():
        raise ValueError(f"{of.text}: a size of a perturbation is missing or below 0")
    if not records["confidence"].dropna().between(0, 1).all():
        raise ValueError(f"{of.text}: a confidence is no probability")
    if records.duplicated(KEY).any():
        raise ValueError(f"{of.text}: an image is there twice under one condition")


def write_records(result: Result, path: Path) -> Path:
    """Write the records of a result as one Parquet file, whole or not at all; without kept pixels.

    Its metadata says what each cell is of, and what its model is like, so that the file alone can be compared with others.
    """
    about = list[dict[str, Json]]()
    for group in result.groups():
        for one in group.units:
            rows: list[Json] = [
                group.label(one),
                group.attack(one),
                group.name,
                one.unit.identity.seed,
                one.unit.identity.precision,
            ]
            told = exported(one, None)
            about.append(
                {
                    "rows": dict(zip(COLUMNS, rows, strict=True)),
                    "of": told.printed.plain(),
                    "created": told.created,
                    "model": one.unit.identity.model,
                    "resolved": [told.resolved_defense, told.resolved_attack],
                }
            )
    table = pa.Table.from_pandas(result.records, preserve_index=False)
    said = {ABOUT: about, MODELS: {name: card.plain() for name, card in result.cards.items()}}
    encoded = {key: json.dumps(value).encode() for key, value in said.items()}
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), **encoded})
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")
    return path
