"""pytest's fixture `robench_check`: a model's robustness is a test of the project that the model belongs to.

    def test_my_net_holds_against_pgd(robench_check):
        robench_check(net, "pgd_linf(eps=8/255)", "cifar10", n=500, floor=40, baseline="robustness.json")

The baseline lies beside the test's file and is committed; `pytest --robench-write` writes what the tests measure into it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from robench.gate.cells import Cell
    from robench.gate.verdicts import Verdict

Check = Callable[..., "list[Verdict]"]
WRITTEN = pytest.StashKey[dict[object, str]]()
"""What was written into baselines in this session."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("robench").addoption(
        "--robench-write",
        action="store_true",
        help="write what robench_check measures into its baselines instead of comparing with them",
    )


@pytest.fixture
def robench_check(request: pytest.FixtureRequest) -> Check:
    """A function that attacks a model and fails the test where it is easier to fool than its floor or its baseline allows."""

    def check(
        model: Any,
        attack: Any,
        data: Any,
        *,
        floor: float | None = None,
        baseline: str | Path | None = None,
        max_drop: float | None = None,
        max_rise: float | None = None,
        alpha: float = 0.01,
        n: int | None = None,
        seed: int = 0,
        name: str | None = None,
        strict: bool = False,
    ) -> list[Verdict]:
        """Attack a model and judge what came of it.

        Args:
            model: a torch.nn.Module that maps images in [0, 1] to logits, or a defense, such as "vit" or "./mine.py".
            attack: such as "pgd_linf(eps=8/255)".
            data: such as "cifar10", or a `robench.Split` of images of your own.
            floor: points of robust accuracy that must be reached; under a minimal attack, the mean distance.
            baseline: file to compare with, beside the test's file; None: the floor alone.
            max_drop: points that may be lost, 1; of a mean distance in percent, 5. max_rise: that may be won, on the same weights.
            alpha: level of the tests.
            n, seed: as of `robench.run`.
            name: what the model is called in the baseline; None: the name of its class, or the call.
            strict: fail also where too few images were attacked to say that nothing was lost.

        Returns:
            The verdicts, of which `change.after` is the number.
        """
        __tracebackhide__ = True
        from robench.errors import RobenchError
        from robench.gate.judging import judged
        from robench.gate.sources import Side
        from robench.gate.verdicts import exit_status
        from robench.gate.writing import Checked, text

        if floor is None and baseline is None:
            raise pytest.UsageError("robench_check wants a floor, a baseline or both; without them it checks nothing")
        cache = getattr(request.config, "cache", None)  # none with -p no:cacheprovider
        store = Path(cache.mkdir("robench")) if cache else request.config.rootpath / "results"
        path = None if baseline is None else request.path.parent / baseline
        try:
            cells = [_named(cell, name) for cell in _measured(model, attack, data, n, seed, store)]
            if path is not None and request.config.getoption("--robench-write"):
                _write(path, cells, request.config.stash.setdefault(WRITTEN, {}))
                path = None
            before = None if path is None else _side(path, cells)
            margins = (max_drop, max_rise) if path is not None else (None, None)
            gates = _gates(cells, floor, margins, alpha, bare=path is None)
            after = Side(request.node.name, cells)
            verdicts = judged(gates, before, after) if gates else []
        except RobenchError as error:
            pytest.fail(str(error), pytrace=False)
        status = exit_status(verdicts, strict=strict)
        told = text(Checked(verdicts, status, after.name, before.name if before else ""))
        if status:
            pytest.fail(told, pytrace=False)
        print(told)
        return verdicts

    return check


def _gates(
    cells: list[Cell], floor: float | None, margins: tuple[float | None, float | None], alpha: float, *, bare: bool
) -> list[Any]:
    """The rules of one check: of what minimal attacks find the distance counts, of the others the robust accuracy."""
    from robench.gate.policy import Gate, checked

    found = []
    for metric, usual in (("robust_accuracy", 1.0), ("mean_distance", 5.0)):
        if not any((cell.identity.goal == "minimal") == (metric == "mean_distance") for cell in cells):
            continue
        drop, rise = margins
        drop = usual if drop is None and rise is None and not bare else drop
        if floor is None and drop is None and rise is None:
            continue
        gate = Gate(metric, metric=metric, floor=floor, max_drop=drop, max_rise=rise, alpha=alpha)  # type: ignore[arg-type]
        found.append(checked(gate, "robench_check"))
    return found


def _measured(model: Any, attack: Any, data: Any, n: int | None, seed: int, store: Path) -> list[Cell]:
    """The cells of one model, one attack and one data set."""
    import robench
    from robench.console import Silent
    from robench.gate.cells import cell_of

    if isinstance(data, robench.Split):
        if n is not None:
            raise robench.UsageError("n is for data sets; give a Split of as many images as you want")
        return [_of_split(model, attack, data, seed)]
    result = robench.run(model, attack, data, n=n, seed=seed, store=store, reporter=Silent())
    if result.refused:
        raise robench.ModelError("; ".join(one.reason for one in result.refused))
    return [cell for one in result.measured if (cell := cell_of(one))]


def _of_split(model: Any, attack: Any, split: Any, seed: int) -> Cell:
    """The cell of a module on images of the caller's own."""
    import robench
    from robench.entries.cards import DatasetCard
    from robench.gate.cells import cell_from
    from robench.hashing import ENGINE
    from robench.reporting.printed import Printed
    from robench.running.conditions import conditions
    from robench.training.building import weights_digest

    found = conditions(attack, DatasetCard())
    if len(found) != 1:
        raise robench.UsageError(f"{attack} is {len(found)} conditions; with a Split, give one at a time")
    (asked,) = found
    records = robench.evaluate(model, attack, split, seed=seed)
    identity = Printed(
        defense=type(model).__name__,
        attack=asked.text,
        dataset=split.name,
        seed=seed,
        precision="float32",
        data=split.fingerprint,
        subset=None,
        weights=weights_digest(model),
        code="",
        engine=ENGINE,
        norm=asked.norm,
        goal=asked.goal,
        eps=asked.eps,
    )
    return cell_from(identity, records)


def _named(cell: Cell, name: str | None) -> Cell:
    return cell if name is None else replace(cell, identity=replace(cell.identity, defense=name))


def _side(path: Path, cells: list[Cell]) -> Any:
    """What the baseline has of these cells."""
    from robench.gate.sources import opened

    if not path.exists():
        pytest.fail(f"there is no baseline {path}; `pytest --robench-write` writes it", pytrace=False)
    side = opened(path)
    keys = {cell.identity.key for cell in cells}
    own = [cell for cell in side.cells if cell.identity.key in keys]
    if len({cell.identity.key for cell in own}) < len(keys):
        missing = sorted(
            cell.identity.text for cell in cells if cell.identity.key not in {one.identity.key for one in own}
        )
        pytest.fail(f"{path} has no {missing[0]}; `pytest --robench-write` writes it", pytrace=False)
    return replace(side, cells=own, accepted=[])


def _write(path: Path, cells: list[Cell], written: dict[object, str]) -> None:
    """Put cells into a baseline in the place of those of the same name.

    Args:
        written: the weights of what was written in this session, by file and name.
    """
    from robench.errors import UsageError
    from robench.gate.baseline import Baseline

    for cell in cells:
        if written.setdefault((path, cell.name), cell.identity.weights) != cell.identity.weights:
            raise UsageError(
                f"two models are called {cell.identity.defense} in {path}, under the same attack; tell them apart with name=…"
            )
    known = Baseline.read(path) if path.exists() else Baseline([])
    names = {cell.name for cell in cells}
    others = [cell for cell in known.cells if cell.name not in names]
    Baseline([*others, *cells], known.accepted).write(path)
