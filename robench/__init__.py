"""robench: how robust is this defense, really, under this threat model?

    import robench
    result = robench.run(defense="ksa(k=4)", attack="cw_l2", dataset="digits")
    print(result.table())

Names are imported when they are first used, so that `import robench` and `robench --help` do not wait for torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from robench.api import Result, evaluate, run
    from robench.approximation import straight_through
    from robench.building import recipe_of
    from robench.calls import Call, parse
    from robench.cards import attack, dataset, defense
    from robench.classifier import Classifier, Source
    from robench.errors import AttackError, DataError, ModelError, RobenchError, StoreError, UsageError
    from robench.images import Split, Splits
    from robench.options import (
        Above0,
        AttackCall,
        Bounds,
        FilePath,
        NotNegative,
        Positive,
        PositiveShare,
        Radius,
        Share,
    )
    from robench.places import Places
    from robench.recipe import Batch, Layers, Objective, Progress, Recipe, Schedule, Task
    from robench.registry import ATTACKS, DATASETS, DEFENSES

__version__ = "0.1.0"

_HOME = {
    "robench.approximation": ["straight_through"],
    "robench.api": ["Result", "evaluate", "run"],
    "robench.building": ["recipe_of"],
    "robench.calls": ["Call", "parse"],
    "robench.cards": ["attack", "dataset", "defense"],
    "robench.classifier": ["Classifier", "Source"],
    "robench.errors": ["AttackError", "DataError", "ModelError", "RobenchError", "StoreError", "UsageError"],
    "robench.images": ["Split", "Splits"],
    "robench.options": [
        "Above0",
        "AttackCall",
        "Bounds",
        "FilePath",
        "NotNegative",
        "Positive",
        "PositiveShare",
        "Radius",
        "Share",
    ],
    "robench.places": ["Places"],
    "robench.recipe": ["Batch", "Layers", "Objective", "Progress", "Recipe", "Schedule", "Task"],
    "robench.registry": ["ATTACKS", "DATASETS", "DEFENSES"],
}
_MODULE = {name: module for module, names in _HOME.items() for name in names}

__all__ = [
    "ATTACKS", "DATASETS", "DEFENSES", "Above0", "AttackCall", "AttackError", "Batch", "Bounds", "Call",
    "Classifier", "DataError", "FilePath", "Layers", "ModelError", "NotNegative", "Objective", "Places", "Positive",
    "PositiveShare", "Progress", "Radius", "Recipe", "Result", "RobenchError", "Schedule", "Share", "Source",
    "Split", "Splits", "StoreError", "Task", "UsageError", "attack", "dataset", "defense", "evaluate", "parse",
    "recipe_of", "run", "straight_through",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _MODULE:
        raise AttributeError(f"module 'robench' has no attribute {name!r}")
    return getattr(import_module(_MODULE[name]), name)
