"""Where cells come from: a store, a file of records that was exported from one, a baseline."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from robench.entries.calls import Call
from robench.errors import UsageError
from robench.gate.baseline import Acceptance, Baseline
from robench.gate.cells import Cell, cell_from, cell_of
from robench.records.refusals import Refusal
from robench.records.unit import Measured
from robench.reporting.exported import read_records
from robench.reporting.pages import stored
from robench.reporting.printed import Printed, printed

Key = tuple[str, str, str]


@dataclass(frozen=True)
class Side:
    """What is compared.

    Attributes:
        name: of the store or the file.
        cells: the newest of each that a person asked for, with each seed and in each precision; what was run before it is not
            looked at, so that nothing older can stand in for what is there now.
        notes: about what was left out.
        accepted: of a baseline.
    """

    name: str
    cells: list[Cell]
    notes: list[str] = field(default_factory=list)
    accepted: list[Acceptance] = field(default_factory=list)

    def of(self, key: Key) -> list[Cell]:
        """The cells that a person asked for in these words."""
        return [cell for cell in self.cells if cell.identity.key == key]

    def sound(self) -> list[Cell]:
        """The cells that have numbers."""
        return [cell for cell in self.cells if not cell.refused]

    def without(self, gate: str) -> Side:
        """The same without what is accepted of a gate."""
        return replace(self, accepted=[one for one in self.accepted if one.gate != gate])


def _newest(made: list[tuple[float, Cell]]) -> list[Cell]:
    """Of cells of one name the newest, by the time at which they were made; the newest first."""
    found: dict[object, Cell] = {}
    for _, cell in sorted(made, key=lambda pair: -pair[0]):
        found.setdefault(cell.name, cell)
    return [*found.values()]


def opened(path: Path) -> Side:
    """The cells of a store, of records in Parquet, or of a baseline.

    Raises:
        UsageError: it is none of these, or it is empty or damaged.
    """
    if path.is_dir():
        return of_store(path)
    if path.suffix == ".parquet":
        return of_parquet(path)
    if path.suffix == ".json":
        found = Baseline.read(path)
        return Side(str(path), found.cells, accepted=found.accepted)
    if not path.exists():
        raise UsageError(f"there is no {path}; a store, records in Parquet (.parquet) or a baseline (.json) is wanted")
    raise UsageError(f"{path} is neither a store nor records in Parquet (.parquet) nor a baseline (.json)")


def of_store(root: Path) -> Side:
    """The cells of a store, as its reports have them: of what was measured with other code, the newest.

    Raises:
        UsageError: there is nothing.
        StoreError: the store is of another version.
    """
    result, notes = stored(root)
    made, left_out = list[tuple[float, Cell]](), Counter[str]()
    for one in result.measured:
        cell = cell_of(one)
        if cell is None:
            left_out[str(one.unit.spec.attack.name)] += 1
        else:
            made.append((one.unit.facts.created, cell))
    if left_out:
        notes.append(
            f"{', '.join(left_out)}: {sum(left_out.values())} cells of sequences or of unseen classes have no outcome of single "
            "images, and no gate looks at them"
        )
    made += [(one.created, _refused(one, result.measured)) for one in result.refused if one.attack is not None]
    return Side(str(root), _newest(made), notes)


def _refused(one: Refusal, measured: list[Measured]) -> Cell:
    """A cell that broke down: it has no numbers, and says why."""
    like = next((m for m in measured if str(m.unit.spec.attack) == str(one.attack)), None)
    known = None if like is None else printed(like)
    identity = Printed(
        defense=str(one.defense),
        attack=str(one.attack),
        dataset=str(one.dataset),
        seed=one.seed,
        precision=one.precision,
        data=one.data,
        subset=None,
        weights="",
        code="",
        engine=0,
        norm="linf" if known is None else known.norm,
        goal="budget" if known is None else known.goal,
        eps=_radius(one.attack),
    )
    nothing: NDArray[np.bool_] = np.zeros(0, dtype=bool)
    return Cell(identity, np.zeros(0, dtype=np.str_), nothing, nothing, refused=one.reason)


def _radius(attack: Call | None) -> float | None:
    eps = attack.options.get("eps") if attack else None
    return float(eps) if isinstance(eps, int | float) else None


def of_parquet(path: Path) -> Side:
    """The cells of records that `robench report --format parquet` wrote.

    Raises:
        UsageError: it is no such file.
    """
    exported, _ = read_records(path)
    return Side(str(path), _newest([(one.created, cell_from(one.printed, one.records)) for one in exported]))
