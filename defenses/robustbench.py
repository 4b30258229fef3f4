"""Any model of RobustBench's zoo, as it was published."""

from __future__ import annotations

import hashlib
import sys
import types
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from robench import Places, Recipe, Schedule, Task, UsageError, defense, did_you_mean

Zoo = Literal["cifar10", "cifar100", "imagenet"]
Threat = Literal["Linf", "L2", "corruptions"]


@defense(paper="arXiv:2010.09670")
def robustbench(task: Task, *, name: str, dataset: Zoo = "cifar10", threat: Threat = "Linf") -> Recipe:
    """A model of RobustBench: `robustbench(name='Carmon2019Unlabeled', threat='Linf')`, not trained again.

    Args:
        name: as the leaderboard's model zoo has it.
        dataset, threat: the zoo that it is in. Weights are downloaded into the cache by RobustBench; where they are others than at their
            first use there, the run says so.
    """
    with _importable():
        try:
            zoo: Any = import_module("robustbench.model_zoo.models")
            load = import_module("robustbench.utils").load_model
        except ImportError as error:
            raise UsageError(
                f"robustbench cannot be imported ({error}); install it with: pip install 'robench[robustbench]'"
            ) from error
        known = {d.value: models for d, models in zoo.model_dicts.items()}[dataset]
        threats = {t.value: models for t, models in known.items()}
        if threat not in threats:
            raise UsageError(f"RobustBench has no {threat} models for {dataset}; it has {', '.join(sorted(threats))}")
        known = threats[threat]
        if name not in known:
            raise UsageError(f"RobustBench has no {threat} model {name!r} for {dataset}{did_you_mean(name, known)}")
        folder = Places.of().cache / "robustbench"
        files = folder / dataset / threat
        try:
            model = load(name, model_dir=str(folder), dataset=dataset, threat_model=threat)
        except Exception as error:
            raise UsageError(
                f"RobustBench could not load {name} ({type(error).__name__}: {error}); is there a network? "
                f"You may put its file at {files / f'{name}.pt'}"
            ) from error
    changed = [said for file in sorted(files.glob(f"{name}*.pt")) if (said := _changed(file))]
    return Recipe(model, Schedule(steps=0), note="; ".join(changed))


def _changed(file: Path) -> str:
    """What to say of a file of weights that is not the one of its first use: RobustBench publishes no digests, so that one is kept."""
    with file.open("rb") as stream:
        now = hashlib.file_digest(stream, "sha256").hexdigest()
    kept = file.with_suffix(".sha256")
    if not kept.exists():
        kept.write_text(f"{now}\n", encoding="ascii")
    before = kept.read_text(encoding="ascii", errors="replace").strip()
    if before == now:
        return ""
    return f"{file.name} is not the file that was first used here (SHA-256 {before[:16]}, now {now[:16]}); remove {kept} if it should be"


@contextmanager
def _importable() -> Iterator[None]:
    """robustbench 1.1.1 imports a module `autoattack`, which its own dependency installs as `pyautoattack`; models need neither."""
    stand_ins = {name: types.ModuleType(name) for name in ("autoattack", "autoattack.state")}
    stand_ins["autoattack"].AutoAttack = object  # type: ignore[attr-defined]
    stand_ins["autoattack.state"].EvaluationState = object  # type: ignore[attr-defined]
    added = [name for name in stand_ins if name not in sys.modules]
    sys.modules.update({name: stand_ins[name] for name in added})
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name in added:
            del sys.modules[name]
