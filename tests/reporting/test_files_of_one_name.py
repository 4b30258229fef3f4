"""Files that hold a function of the same name, through a run, its report and what gc would remove."""

from __future__ import annotations

from pathlib import Path

import robench
from robench.reporting.holdings import holdings
from robench.reporting.pages import stored

NET = """import torch
from torch import nn
import robench
@robench.defense()
def own(task: robench.Task) -> robench.Recipe:
    '''A small network.'''
    torch.manual_seed({seed})
    return robench.Recipe(nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), robench.Schedule(steps=0))
"""


def run(*files: str) -> list[str]:
    """The rows of a run, into the store that the test has."""
    attack = "fgsm(eps=0.1)"
    return rows(robench.run([*files], attack, "digits", n=12, store="results"))


def rows(result: robench.Result) -> list[str]:
    (table, *_) = result.tables()
    return sorted(label for label, _ in table.rows)


def reported() -> list[str]:
    return rows(stored(Path("results"))[0])


def older() -> int:
    return sum(holding.state == "older" for holding in holdings(Path("results")))


def test_a_run_of_two_such_files_is_reported_as_it_was_printed() -> None:
    for seed, name in enumerate(("small.py", "large.py")):
        Path(name).write_text(NET.format(seed=seed), encoding="utf-8")
    assert run("small.py", "large.py") == reported() == ["large.py", "small.py"]
    assert older() == 0
    Path("small.py").write_text(NET.format(seed=2), encoding="utf-8")
    run("small.py")
    assert reported() == ["large.py", "small.py"]
    assert older() == 1, "its own code has changed since"


def test_files_of_the_same_code_share_a_unit_which_stands_for_whoever_was_run_last() -> None:
    for name in ("a/mine.py", "b/mine.py"):
        Path(name).parent.mkdir()
        Path(name).write_text(NET.format(seed=0), encoding="utf-8")
    run("a/mine.py")
    Path("a/mine.py").write_text(NET.format(seed=1), encoding="utf-8")
    run("a/mine.py")
    assert (reported(), older()) == (["a/mine.py"], 1)
    run("b/mine.py")
    assert (reported(), older()) == (["a/mine.py", "b/mine.py"], 0)
