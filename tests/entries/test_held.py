"""What belongs to a function besides its options: its decorators, what it imports late, what its closure holds."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import robench
from robench import ATTACKS, DEFENSES, Call, UsageError, digest
from robench.entries.sources import code_behind, files_behind
from robench.records.store import Store
from robench.reporting.pages import stored

DECORATED = """{imports}
import functools
def scaled(k):
    def wrap(function):
        @functools.wraps(function)
        def inner(*given, **options):
            return function(*given, **options)
        return inner
    return wrap
{decorators}
def own(task, *, a=1):
    '''A row.'''
    return a
"""


def loaded(text: str) -> Any:
    """The digests of `own` in a file of this text; the file is not run."""
    path = Path("mine.py")
    path.write_text(text, encoding="utf-8")
    function = compile(text, str(path.resolve()), "exec")
    space: dict[str, Any] = {"__name__": "mine"}
    exec(function, space)
    return code_behind(space["own"])["mine.py"]


@pytest.mark.parametrize(
    ("imports", "mark"),
    [
        ("import robench", "@robench.defense(paper='{}')"),
        ("import robench as rb", "@rb.defense(paper='{}')"),
        ("from robench import defense", "@defense(paper='{}')"),
        ("from robench import defense as d", "@d(paper='{}')"),
        ("from robench import *", "@defense(paper='{}')"),
    ],
)
def test_only_robenchs_own_decorator_is_no_code(imports: str, mark: str) -> None:
    def text(paper: str, *others: str) -> str:
        return DECORATED.format(imports=imports, decorators="\n".join([mark.format(paper), *others]))

    assert loaded(text("one")) == loaded(text("two"))
    assert len({loaded(text("one", *others)) for others in ([], ["@scaled(1)"], ["@scaled(-1)"])}) == 3


def test_a_decorator_that_is_only_called_like_robenchs_is_code() -> None:
    texts = [
        DECORATED.format(imports="def defense(k):\n    return lambda f: f", decorators=f"@defense({k})") for k in (1, 2)
    ]
    assert loaded(texts[0]) != loaded(texts[1])


LATE = {
    "a module of a package": ("def own():\n    from late_a.net import K", {"late_a", "late_a.net"}),
    "of a package in a package": ("def own():\n    import late_a.inner.deep", {"late_a", "late_a.inner.deep"}),
    "a name that is a module": ("def own():\n    from late_a import net", {"late_a", "late_a.net"}),
    "by importlib": ("import importlib\nK = importlib.import_module('late_b').K", {"late_b"}),
    "by its function": ("from importlib import import_module\nK = import_module('late_a.net').K", {"late_a", "late_a.net"}),
    "relative to a package": ("from importlib import import_module as i\nimport importlib\nimportlib.import_module('.net', 'late_a')", {"late_a", "late_a.net"}),
    "by __import__": ("K = __import__('late_b').K", {"late_b"}),
    "relative within what is not loaded": ("def own():\n    import late_a.relative", {"late_a", "late_a.relative", "late_a.net"}),
    "relative in a package's own file": ("def own():\n    import late_c", {"late_c", "late_c.net"}),
}  # fmt: skip


@pytest.mark.parametrize("way", LATE)
def test_what_a_function_imports_late_is_found_without_loading_it(way: str) -> None:
    for name in ("late_a/__init__", "late_a/inner/deep", "late_a/net", "late_b", "late_c/net"):
        Path(f"{name}.py").parent.mkdir(parents=True, exist_ok=True)
        Path(f"{name}.py").write_text("K = 1\n", encoding="utf-8")
    Path("late_a/relative.py").write_text("from .net import K\n", encoding="utf-8")
    Path("late_c/__init__.py").write_text("from .net import K\n", encoding="utf-8")
    text, expected = LATE[way]
    Path("mine.py").write_text(text + "\n", encoding="utf-8")
    assert set(files_behind(Path("mine.py").resolve())) == expected


def attack(value: Any) -> Callable[..., Any]:
    @robench.attack(norm="linf", goal="natural", knowledge="none")
    def shifted(model: robench.Classifier, inputs: Tensor, labels: Tensor) -> Tensor:
        """Made by a function."""
        return inputs if value else labels

    return shifted


def key(function: Callable[..., Any]) -> str:
    entry, call = ATTACKS.find(function)
    return digest(ATTACKS.identity(call, entry))


def linear(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Linear(3, 2)


def power(exponent: int) -> Callable[[float], float]:
    return lambda x: x**exponent


class Scaled(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor


PAIRS = {
    "numbers": lambda: (0.0, 1.0),
    "a whole number and a number": lambda: (1, 1.0),
    "a number and a truth": lambda: (1, True),
    "None": lambda: (None, 0),
    "strings": lambda: ("a", "b"),
    "bytes": lambda: (b"a", "a"),
    "lists": lambda: ([1, 2], [2, 1]),
    "a list and a tuple": lambda: ([1], (1,)),
    "dicts": lambda: ({"a": [1]}, {"a": [2]}),
    "sets": lambda: ({1, 2}, {1, 3}),
    "paths": lambda: (Path("a"), Path("b")),
    "calls": lambda: (Call("vit"), Call("vit", {"depth": 2})),
    "tensors": lambda: (torch.zeros(3), torch.ones(3)),
    "shapes": lambda: (torch.zeros(2, 3), torch.zeros(3, 2)),
    "half": lambda: (torch.zeros(2, dtype=torch.bfloat16), torch.ones(2, dtype=torch.bfloat16)),
    "empty tensors": lambda: (torch.zeros(0), torch.zeros(0, 1)),
    "arrays": lambda: (np.arange(3), np.arange(3.0)),
    "dtypes": lambda: (torch.float32, torch.float64),
    "modules": lambda: (np, torch),
    "functions": lambda: (lambda x: x + 1, lambda x: x + 2),
    "functions that hold": lambda: (power(1), power(2)),
    "partial": lambda: (functools.partial(power, 1), functools.partial(power, 2)),
    "of torch": lambda: (torch.sin, torch.cos),
    "built in": lambda: (min, max),
    "classes": lambda: (nn.Linear, nn.Conv2d),
    "models": lambda: (linear(0), linear(1)),
    "attributes of models": lambda: (Scaled(1.0), Scaled(2.0)),
}


@pytest.mark.parametrize("kind", PAIRS)
def test_what_a_closure_holds_is_part_of_the_key(kind: str) -> None:
    (first, second), (again, _) = PAIRS[kind](), PAIRS[kind]()
    assert key(attack(first)) != key(attack(second))
    assert key(attack(first)) == key(attack(again))


@pytest.mark.parametrize("value", [object(), threading.Lock(), torch.Generator(), np.random.default_rng(0), [object()]])
def test_what_cannot_be_hashed_is_refused_with_one_message(value: object) -> None:
    with pytest.raises(UsageError, match=r"^shifted holds 'value', a \w+, which cannot be hashed.*make it an option"):
        key(attack(value))


def test_what_refers_to_itself_is_hashed() -> None:
    value: list[Any] = [1]
    value.append(value)
    assert key(attack(value))


def test_a_decorator_of_a_library_around_an_entry_is_no_obstacle() -> None:
    @robench.attack(norm="linf", goal="natural", knowledge="none")
    @torch.no_grad()
    def still(model: robench.Classifier, inputs: Tensor, labels: Tensor) -> Tensor:
        """Nothing."""
        return inputs

    assert key(still)


BARE = """
SCALE = {scale}
def helper(x):
    return x + {added}
class Net:
    width = {width}
    def forward(self, x):
        return super().__init__()
def own(model, inputs, labels):
    '''{doc}'''
    return [helper(one) * SCALE for one in inputs if one != {kept}], Net(){remark}
"""


def bare(**changes: object) -> str:
    """The key of an attack that is in no file, as in a notebook."""
    plain: dict[str, object] = {"scale": 1, "added": 1, "width": 1, "doc": "x", "kept": "'a'", "remark": ""}
    space: dict[str, Any] = {"__name__": "nowhere"}
    exec(BARE.format(**{**plain, **changes}), space)
    return key(robench.attack(norm="linf", goal="natural", knowledge="none")(space["own"]))


def test_a_function_in_no_file_is_known_by_its_code_and_what_it_uses() -> None:
    assert bare() == bare(doc="another") == bare(remark="  # said")
    changes: list[dict[str, object]] = [{"scale": 2}, {"added": 2}, {"width": 2}, {"kept": "'b'"}, {"scale": "[1]"}]
    assert len({bare(), *(bare(**change) for change in changes)}) == 6


def test_one_that_is_made_by_exec_is_known_by_its_constants() -> None:
    def made(value: float) -> Callable[..., Any]:
        space: dict[str, Any] = {}
        exec(f"def own(model, inputs, labels):\n    'x'\n    return inputs + {value}", space)
        return robench.attack(norm="linf", goal="natural", knowledge="none")(space["own"])  # type: ignore[no-any-return]

    assert key(made(0.1)) == key(made(0.1)) != key(made(0.5))


def test_two_rows_of_one_function_are_told_apart_by_what_it_holds() -> None:
    def defense(seed: int) -> Callable[..., Any]:
        @robench.defense()
        def own(task: robench.Task) -> robench.Recipe:
            """Made by a function."""
            torch.manual_seed(seed)
            return robench.Recipe(nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), robench.Schedule(steps=0))

        return own

    weights = set()
    for seed in (0, 1):
        robench.run(defense(seed), "fgsm(eps=0.1)", "digits", n=12, store="results")
        weights = {unit.identity.weights for unit in Store(Path("results")).units()}
    assert len(weights) == 2
    shown, notes = stored(Path("results"))
    assert [len(table.rows) for table in shown.tables()[:1]] == [2]
    assert not notes


def test_built_in_entries_hold_nothing() -> None:
    for registry in (ATTACKS, DEFENSES):
        for name in registry:
            assert not registry[name].behind().held, name
