"""What stands beside the records: what was asked for, all that determines a number, and the facts that a report prints.

This is the one place that reads and writes their JSON. `SCHEMA` is its version; a reader refuses any other.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from robench.entries.calls import Call, Json, call_to_json
from robench.errors import StoreError
from robench.files import atomic_path, parse_json, read_stored
from robench.hashing import digest
from robench.records.schema import GOALS, NORMS
from robench.records.typed import built, check_day

SCHEMA = 3


class Damaged(Exception):
    """A file of the store is not what was written; the message says how."""


@dataclass(frozen=True)
class Spec:
    """What a person asked for; calls without the options that are at their defaults.

    Attributes:
        seed: of the attack.
    """

    defense: Call
    attack: Call
    dataset: Call
    seed: int


@dataclass(frozen=True)
class Identity:
    """All that can change a number of a unit. Its digest names the unit.

    Attributes:
        data: fingerprint of the test split, pixels and labels.
        subset: the classes that are evaluated, of the data set's; None: all.
        defense: what the weights were made from: call, sources of its code, training data, task, engine, and the digest of the
            weights that it starts from where its code is not robench's.
        weights: their digest.
        logits: digest of the model's answers to a few pinned images.
        attack: its call and the source of its code.
        sources: digests of the weights of the trained models that the attack needs, by option.
        seed: of the attack.
        precision: of the attack's passes.
        engine: `hashing.ENGINE`.
    """

    data: str
    subset: list[int] | None
    defense: Json
    weights: str
    logits: str
    attack: Json
    sources: dict[str, str]
    seed: int
    precision: str
    engine: int

    def digest(self) -> str:
        """Sixteen hexadecimal digits."""
        return digest({field.name: getattr(self, field.name) for field in fields(self)})

    @cached_property
    def model(self) -> str:
        """Names what a row of a table stands for; see `model_digest`."""
        return model_digest(self.defense, self.weights, self.logits, self.data, self.subset)

    @cached_property
    def trained(self) -> str:
        """Names a trained model whatever it was tested on: its entry as it was resolved, its weights."""
        made = self.defense.get("defense") if isinstance(self.defense, dict) else self.defense
        return digest([made, self.weights])

    @cached_property
    def threat(self) -> str:
        """Digest of what a column of a table stands for."""
        return digest([self.attack, self.precision, self.engine])


def model_digest(defense: Json, weights: str, logits: str, data: str, subset: list[int] | None) -> str:
    """Names what a row of a table stands for: the defense as it was resolved, its weights and answers, the data."""
    return digest([defense, weights, logits, data, subset])


def without_weights(made_from: Json) -> Json:
    """What the weights of a defense were made from, but for those that they started from."""
    is_named = isinstance(made_from, dict)
    return {name: value for name, value in made_from.items() if name != "initial"} if is_named else made_from  # type: ignore[union-attr]


@dataclass(frozen=True)
class Facts:
    """What is recorded but cannot change a number, or follows from the identity.

    Attributes:
        norm, goal, knowledge, eps, targets: of the attack at this condition.
        classes: number of logits.
        class_names: in their order; empty where the data set has none.
        shape: (C, H, W).
        source: where the data set was found.
        variant: name of the copy, where the data set's card knows it; else empty.
        share: of the patches that a confined attack may touch: (asked for, realised).
        device, torch, processor, threads: that the attack was run on and with; of the run that began it.
        created: seconds since 1970.
        corruption, severity: of a natural threat, where it has them.
        family: the data set without its condition, where it is published corrupted; else empty.
        normaliser: published errors that means over its conditions are divided by, by name; else empty.
        files: digests of the files of the user's own that the calls name, by path.
        unseen: how many of the classes, the last ones, the model has no output for.
    """

    norm: str
    goal: str
    knowledge: str
    eps: float | None
    targets: str | None
    classes: int
    class_names: list[str]
    shape: tuple[int, int, int]
    source: str
    variant: str
    share: tuple[float, float] | None
    device: str
    torch: str
    created: float = 0.0
    corruption: str | None = None
    severity: int | None = None
    family: str = ""
    normaliser: str = ""
    unseen: int = 0
    processor: str = ""
    threads: int = 0
    files: dict[str, str] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True)
class Part:
    """A file of records: its name, which holds the digest of its bytes, and how many rows it has."""

    name: str
    rows: int


@dataclass(frozen=True)
class Manifest:
    """All that a unit says of itself, with the list of its parts."""

    spec: Spec
    identity: Identity
    facts: Facts
    parts: tuple[Part, ...] = ()

    def with_part(self, part: Part) -> Manifest:
        """The manifest with one more part, once."""
        return replace(self, parts=(*(p for p in self.parts if p.name != part.name), part))

    def write(self, path: Path) -> None:
        """Write it, whole or not at all."""
        with atomic_path(path) as temporary:
            temporary.write_text(json.dumps(signed(self.plain()), indent=1), encoding="utf-8")

    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        spec = {
            "defense": call_to_json(self.spec.defense),
            "attack": call_to_json(self.spec.attack),
            "dataset": call_to_json(self.spec.dataset),
            "seed": self.spec.seed,
        }
        return {
            "spec": spec,
            "identity": asdict(self.identity),
            "facts": asdict(self.facts),
            "parts": [asdict(part) for part in self.parts],
        }

    @classmethod
    def read(cls, path: Path) -> Manifest:
        """Read one as it is on disk, parsed again where the file was replaced: a run asks for all of them at each unit.

        Raises:
            Damaged: it is not what was written.
            StoreError: it is of another version.
        """
        try:
            found = path.stat()
        except OSError as error:
            raise Damaged(f"it cannot be read ({error})") from error
        stamp = found.st_ino, found.st_mtime_ns, found.st_size
        known = _READ.get(path)
        if known is None or known[0] != stamp:
            known = _READ[path] = (stamp, cls._parsed(path))
        return known[1]

    @classmethod
    def _parsed(cls, path: Path) -> Manifest:
        try:
            return cls.of(read_signed(path))
        except ValueError as error:
            raise Damaged(f"it lacks what a manifest holds ({error})") from error

    @classmethod
    def of(cls, content: dict[str, Any]) -> Manifest:
        """What `plain` made.

        Raises:
            ValueError: it is something else.
        """
        found = built(cls, {name: content.get(name) for name in ("spec", "identity", "facts", "parts")})
        check_day(found.facts.created)
        if found.facts.norm not in NORMS or found.facts.goal not in GOALS:
            raise ValueError(f"the norm is {found.facts.norm[:20]!r}, the goal {found.facts.goal[:20]!r}")
        return found


_READ: dict[Path, tuple[tuple[int, int, int], Manifest]] = {}
"""Manifests that this process read, by their file, with what tells that it was replaced since."""


def signed(content: dict[str, Any]) -> dict[str, Any]:
    """Content with the version and a digest of all of it."""
    versioned = {"schema": SCHEMA, **content}
    return {**versioned, "digest": digest(versioned, 64)}


def read_signed(path: Path) -> dict[str, Any]:
    """What `signed` was written from.

    Raises:
        Damaged: it cannot be read, or its digest is wrong.
        StoreError: it is of another version.
    """
    try:
        content = parse_json(read_stored(path))
    except (OSError, ValueError) as error:
        raise Damaged(f"it cannot be read ({error})") from error
    if not isinstance(content, dict):
        raise Damaged("it holds something else")
    if "schema" not in content and path.name != "manifest.json":
        raise Damaged("it does not say which schema it is of")
    claimed, version = content.pop("digest", None), content.get("schema", 1)
    sound = claimed == digest(content, 64)
    if version != SCHEMA and (sound or claimed is None):  # stores of the first schemas had no digests
        store = path.parents[2] if path.name == "manifest.json" else path.parents[1]
        raise StoreError(
            f"{store} is a store of schema {version if type(version) is int else repr(str(version)[:20])}, this robench reads and writes schema {SCHEMA}, and its records "
            "cannot be taken over; choose another --store, or move it away and run again"
        )
    if not sound:
        raise Damaged("its digest is wrong: it was changed after it was written")
    return content
