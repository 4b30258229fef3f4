"""Units and records made by hand, for what reads a store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from robench import Call, parse
from robench.records.cards import ModelCard
from robench.records.manifest import Facts, Identity, Spec
from robench.records.schema import frame_of
from robench.records.unit import Measured, Unit
from robench.reporting.tables import Table


def identity(defense: str = "vit", attack: str = "fgsm(eps=0.1)", **changes: Any) -> Identity:
    """As a run would have it, with one option, the source of the code, and weights that may be changed."""
    code, mu = changes.pop("code", "c0de"), changes.pop("mu", 1.0)
    made_from = {
        "defense": {"name": defense, "options": {"mu": mu}, "card": [], "source": code},
        "data": "train",
        "engine": 1,
    }
    call = parse(attack)
    threat = {"name": call.name, "options": call.options, "card": [], "source": changes.pop("attack_code", "a77ac")}
    plain: dict[str, Any] = {
        "data": "dada00",
        "subset": None,
        "weights": "aaaaaa111111",
        "logits": "l0",
        "sources": {},
        "seed": 0,
        "precision": "float32",
        "engine": 1,
    }
    return Identity(defense=made_from, attack=threat, **{**plain, **changes})  # type: ignore[arg-type]


def facts(created: float = 1_764_000_000.0, **changes: Any) -> Facts:
    plain: dict[str, Any] = {
        "norm": "linf",
        "goal": "budget",
        "knowledge": "white-box",
        "eps": 0.1,
        "targets": None,
        "classes": 3,
        "class_names": ["cat", "dog", "eel"],
        "shape": (1, 2, 2),
        "source": "memory",
        "variant": "",
        "share": None,
        "device": "cpu",
        "torch": "2",
    }
    return Facts(**{**plain, **changes}, created=created)


def records(success: list[bool], **changes: Any) -> pd.DataFrame:
    """One row an image, all classified correctly before."""
    columns: dict[str, object] = {
        "image": [f"image {i}" for i in range(len(success))],
        "label": 0,
        "clean_prediction": 0,
        "correct": True,
        "eps": 0.1,
        "prediction": [int(hit) for hit in success],
        "fooled": success,
        "success": success,
        "prediction_uint8": 0,
        "success_uint8": success,
        "confidence": 0.5,
        "certainty": 0.5,
        "l0": 1.0,
        "l1": 0.2,
        "l2": 0.1,
        "linf": 0.05,
        "forwards": 2,
        "backwards": 1,
        "seconds": 0.1,
    }
    return frame_of(len(success), {**columns, **changes})


def unit(folder: Path = Path("nowhere"), defense: str = "vit", attack: str = "fgsm(eps=0.1)", **changes: Any) -> Unit:
    """A unit of the store; `created`, `variant` and `dataset` are of its facts and spec, the rest of its identity."""
    of_facts = (
        "created",
        "variant",
        "norm",
        "goal",
        "eps",
        "corruption",
        "severity",
        "family",
        "normaliser",
        "share",
        "classes",
        "knowledge",
        "shape",
        "class_names",
    )
    made = {name: changes.pop(name) for name in of_facts if name in changes}
    spec = Spec(parse(defense), parse(attack), parse(changes.pop("dataset", "digits")), changes.get("seed", 0))
    return Unit(folder, spec, identity(defense, attack, **changes), facts(**made))


def measured(success: list[bool], **changes: Any) -> Measured:
    return Measured(unit(**changes), records(success))


def card(**changes: object) -> ModelCard:
    plain: dict[str, object] = {
        "model": "m0",
        "defense": Call("vit"),
        "dataset": Call("digits"),
        "weights": "w",
        "data": "d",
        "images": 10,
        "seconds": 1.0,
        "epochs": 2,
        "parameters": 3,
        "macs": 4,
        "attention": [[0.5, 1.0]],
        "attention_cosines": [0.9],
        "feature_distances": [0.1],
        "approximate_slopes": False,
    }
    return ModelCard(**{**plain, **changes})  # type: ignore[arg-type]


MINIMAL = {"attack": "cw_l2", "norm": "l2", "goal": "minimal", "eps": None}
"""What makes a unit one of a minimal attack."""


def cell_of(success: list[bool], columns: dict[str, Any] | None = None, **unit_changes: Any) -> Measured:
    """A unit and its records, changed in these columns."""
    return Measured(unit(**unit_changes), records(success, **(columns or {})))


def shown(table: Table) -> dict[str, dict[str, str]]:
    """Texts of a table's cells by row and column; the marked ones with an asterisk."""
    return {
        label: {
            f"{column.group} {column.name}".strip(): cell.text + "*" * cell.best
            for column, cell in zip(table.columns, cells, strict=True)
        }
        for label, cells in table.rows
    }


def many(share: float, count: int = 200) -> list[bool]:
    """So many successes of 200, the first."""
    return [place < share * count for place in range(count)]
