"""Cells, sides and stores made by hand, for the regression gate."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from measured import facts, identity, records

from robench import parse
from robench.gate.cells import Cell, size_codes
from robench.gate.judging import judged
from robench.gate.policy import Gate
from robench.gate.sources import Side
from robench.gate.verdicts import Verdict
from robench.records.manifest import Spec
from robench.records.store import Store
from robench.reporting.printed import Printed


def printed(attack: str = "pgd", **changes: Any) -> Printed:
    """What a cell is of."""
    plain: dict[str, Any] = {
        "defense": "vit",
        "attack": attack,
        "dataset": "digits",
        "seed": 0,
        "precision": "float32",
        "data": "dada",
        "subset": None,
        "weights": "w0",
        "code": "c0",
        "engine": 4,
        "norm": "linf",
        "goal": "budget",
        "eps": 0.1,
    }
    return Printed(**{**plain, **changes})


def cell(robust: int, of: int = 1000, *, lost: int = 0, won: int = 0, **changes: Any) -> Cell:
    """A cell whose first `robust` images hold, less the first `lost` of them, and `won` of the others."""
    holds = np.arange(of) < robust
    holds[:lost] = False
    holds[robust : robust + won] = True
    ids = np.array([f"{place:016x}" for place in range(of)])
    return Cell(printed(**changes), ids, np.ones(of, dtype=bool), holds)


def minimal(sizes: list[float], **changes: Any) -> Cell:
    """A cell of a minimal attack that breaks each image at one of these distances."""
    found = np.array(sizes)
    ids = np.array([f"{place:016x}" for place in range(len(found))])
    identity = printed(**{"attack": "cw", "norm": "l2", "goal": "minimal", "eps": None, **changes})
    right = np.ones(len(found), dtype=bool)
    return Cell(identity, ids, right, np.isinf(found), size_codes(found), distances=found)


def side(*cells: Cell, name: str = "store") -> Side:
    return Side(name, [*cells])


def add(root: Path, fooled: list[bool], attack: str = "fgsm(eps=0.1)", **changes: Any) -> None:
    """Write a unit of records to a store; `columns` change its records, `norm`, `goal`, `eps` and the like its facts."""
    columns = changes.pop("columns", {})
    of_facts = {
        "norm",
        "goal",
        "eps",
        "created",
        "corruption",
        "severity",
        "family",
        "normaliser",
        "torch",
        "unseen",
        "share",
    }
    made = {name: changes.pop(name) for name in of_facts & set(changes)}
    defense, dataset = changes.pop("defense", "vit"), changes.pop("dataset", "digits")
    spec = Spec(parse(defense), parse(attack), parse(dataset), changes.get("seed", 0))
    frame: pd.DataFrame = records(fooled, **columns)
    frame["image"] = [f"{place:016x}" for place in range(len(frame))]
    unit = Store(root).unit(spec, identity(spec.defense.name, attack, **changes), facts(**made))
    unit.folder.mkdir(parents=True, exist_ok=True)
    unit.add(frame)


GATE = Gate("robust", max_drop=1.0)


def one(before: Cell | Side, after: Cell | Side, gate: Gate = GATE) -> Verdict:
    """The only verdict on a cell."""
    sides = [own if isinstance(own, Side) else side(own) for own in (before, after)]
    (found,) = judged([gate], *sides)
    return found


def shifted(place: int) -> Cell:
    """12 lost, 4 won, other images in each cell."""
    found = cell(200, 400, attack=f"a{place}")
    robust = found.robust.copy()
    robust[12 * place : 12 * place + 12] = False
    robust[200 + 4 * place : 204 + 4 * place] = True
    return replace(found, robust=robust)
