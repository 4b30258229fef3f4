"""What could not be measured, and why: a model that was refused, an attack that broke down on one row."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from robench.entries.calls import Call, call_to_json
from robench.errors import StoreError
from robench.files import atomic_path
from robench.hashing import digest
from robench.records.manifest import Damaged, read_signed, signed
from robench.records.typed import built, check_day


@dataclass(frozen=True)
class Refusal:
    """A row of a table without numbers, or a cell without one.

    Attributes:
        defense, dataset: as a person writes them.
        attack: likewise, where only its cell is broken; None: the whole row is refused.
        data: fingerprint of the test split.
        model: name of the trained model, as `Identity.model` has it; empty where it was refused before it had one.
        seed, precision: of the attacks.
        reason: in words, for the table.
        created: seconds since 1970.
    """

    defense: Call
    dataset: Call
    attack: Call | None
    data: str
    model: str
    seed: int
    precision: str
    reason: str
    created: float

    @property
    def name(self) -> str:
        """Names what was asked for, so that the next run of the same replaces it, or takes it away."""
        return refusal_name(self.defense, self.dataset, self.attack, self.data, self.seed, self.precision)

    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        calls = {"defense": self.defense, "dataset": self.dataset, "attack": self.attack}
        return {**asdict(self), **{name: call and call_to_json(call) for name, call in calls.items()}}

    def write(self, path: Path) -> None:
        """Write it, whole or not at all."""
        with atomic_path(path) as temporary:
            temporary.write_text(json.dumps(signed(self.plain()), indent=1), encoding="utf-8")

    @classmethod
    def of(cls, plain: dict[str, Any]) -> Refusal:
        """From what `plain` gave.

        Raises:
            Damaged: it is not what was written.
        """
        try:
            found = built(cls, plain)
            check_day(found.created)
            return found
        except ValueError as error:
            raise Damaged(f"it lacks what a refusal holds ({error})") from error

    @classmethod
    def read(cls, path: Path) -> Refusal:
        """Read one.

        Raises:
            Damaged: it is not what was written.
            StoreError: it is of another version.
        """
        content = read_signed(path)
        content.pop("schema", None)
        return cls.of(content)


def refusal_name(defense: Call, dataset: Call, attack: Call | None, data: str, seed: int, precision: str) -> str:
    """The name of the file of a refusal."""
    if attack is None:  # a model is refused whatever attacks it
        return digest([call_to_json(defense), call_to_json(dataset), data])
    return digest([call_to_json(defense), call_to_json(dataset), data, call_to_json(attack), seed, precision])


def refuse(store: Path, refusal: Refusal) -> None:
    """Keep why a row or a cell has no numbers, for the reports."""
    refusal.write(refused_path(store, refusal.name))


def accept(store: Path, name: str) -> None:
    """Forget a refusal: what was refused has been measured since.

    Raises:
        StoreError: the store cannot be written.
    """
    path = refused_path(store, name)
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(f"cannot remove {path}: {error.strerror or error}; is the store read-only?") from error


def refusals(store: Path, tell: Callable[[str], None] = lambda _: None) -> list[Refusal]:
    """Rows and cells without numbers, the oldest first; what is damaged is told and left out.

    Raises:
        StoreError: the store is of another version.
    """
    found = []
    for path in sorted(store.glob("refused/*.json")):
        try:
            found.append(Refusal.read(path))
        except Damaged as problem:
            tell(f"{path} is damaged: {problem}; it is left out")
    return sorted(found, key=lambda refusal: refusal.created)


def refused_path(store: Path, name: str) -> Path:
    """The file of a refusal of this name."""
    return store / "refused" / f"{name}.json"
