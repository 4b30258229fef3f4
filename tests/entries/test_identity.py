"""A name and a key are of what is built: the same model has one of each, two models never share one."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import torch

from robench import ATTACKS, DEFENSES, Adversary, Objective, Recipe, Task, UsageError, digest, recipe_of

TASK = Task((1, 8, 8), 10, 1294, (0.3,), (0.37,), epochs=60, crop=1)
SMALL = "depth=1, dim=8, heads=2, mlp=8, epochs=1"
MODELS = [
    f"vit({SMALL})",
    f"vit({SMALL}, seed=0, attention='softmax')",
    f"vit({SMALL}, attention='linear')",
    f"vit({SMALL}, attention='relu', patch=None)",
    f"vit({SMALL}, seed=1)",
]
OUTER = ["ksa", "rspc", "madry", "half_half", "trades", "fat", "noise", "tempered"]
BY_HAND = """
import robench
@robench.defense(paper="")
def wide(task: robench.Task, *, dim: int = 16, model: robench.Call = robench.Call("vit")) -> robench.Recipe:
    '''Passes its own width on by hand, unless one is given.'''
    return robench.recipe_of(robench.Call(model.name, {"depth": 1, "epochs": 1, "dim": dim, **model.options}), task)
"""


def simple(thing: Any) -> Any:
    """What of an objective can be compared: its type and its plain attributes, those of the objectives in it as well."""
    inner = {name: simple(value) for name, value in vars(thing).items() if isinstance(value, Objective)}
    plain = {name: value for name, value in vars(thing).items() if isinstance(value, int | float | str | bool)}
    plain |= {name: [*value] for name, value in vars(thing).items() if name == "numbers"}
    plain |= {name: value.options for name, value in vars(thing).items() if isinstance(value, Adversary)}
    return [type(thing).__name__, inner, plain]


@torch.no_grad()
def built(call: str) -> str:
    """Digest of what a call builds: its answers with its first weights, its schedule, its objective."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        recipe: Recipe = recipe_of(call, TASK)
    images = torch.linspace(0, 1, 128).view(2, 1, 8, 8)
    answers = (recipe.model.eval()(images) * 1e4).round().tolist()
    return digest([answers, str(recipe.schedule), simple(recipe.objective), str(recipe.selection)])


def named(call: str) -> tuple[str, str]:
    """The name and the key of a call."""
    entry, resolved = DEFENSES.find(call)
    return str(entry.shown(resolved)), digest(DEFENSES.identity(resolved, entry))


def is_of_what_is_built(calls: list[str]) -> None:
    found = {call: (built(call), *named(call)) for call in calls}
    for one, other in combinations(calls, 2):
        same = [a == b for a, b in zip(found[one], found[other], strict=True)]
        assert same in ([True] * 3, [False] * 3), (one, other, same)
    for call, (model, name, key) in found.items():
        assert (built(name), *named(name)) == (model, name, key), call


@pytest.mark.parametrize("outer", OUTER)
def test_nested_models_have_one_key_each(outer: str) -> None:
    is_of_what_is_built([f"{outer}(model={model})" for model in MODELS])


def test_a_map_of_attention_has_one_name_wherever_it_is_given() -> None:
    is_of_what_is_built(
        [
            f"ksa(model=vit({SMALL}))",
            f"ksa(attention='entmax', model=vit({SMALL}))",
            f"ksa(layers=[1], model=vit({SMALL}, attention='entmax'))",
            f"ksa(attention='softmax', model=vit({SMALL}))",
            f"ksa(model=vit({SMALL}, attention='softmax'))",
            f"ksa(attention='relu', model=vit({SMALL}, attention='softmax'))",
            f"ksa(attention='linear', model=vit({SMALL}))",
            f"ksa(model=vit({SMALL}, attention='linear'))",
            f"madry(model=ksa(model=vit({SMALL}, attention='softmax')))",
            f"madry(model=ksa(attention='softmax', model=vit({SMALL})))",
            f"madry(model=ksa(model=vit({SMALL})))",
        ]
    )
    deep = SMALL.replace("depth=1", "depth=2")
    is_of_what_is_built(
        [
            f"ksa(layers=[1], model=vit({deep}))",
            f"ksa(layers=[1], attention='linear', model=vit({deep}))",
            f"ksa(layers=[1], model=vit({deep}, attention='linear'))",
            f"ksa(layers=[1], attention='linear', elsewhere='linear', model=vit({deep}))",
            f"ksa(layers=[1], attention='linear', elsewhere='softmax', model=vit({deep}))",
            f"ksa(layers=[1, 2], attention='linear', model=vit({deep}))",
            f"ksa(model=vit({deep}, attention='linear'))",
        ]
    )
    assert named("ksa(model=vit(attention='softmax'))")[0] == "ksa(attention='softmax')"
    assert named("ksa(model=vit(attention='linear', dim=32))")[0] == "ksa(attention='linear', model=vit(dim=32))"


def test_a_map_that_would_be_void_is_refused() -> None:
    with pytest.raises(UsageError, match="elsewhere='linear'.* all are"):
        recipe_of(f"ksa(elsewhere='linear', model=vit({SMALL}))", TASK)
    with pytest.raises(UsageError, match="give it to ksa"):
        recipe_of(f"ksa(model=madry(model=vit({SMALL}, attention='linear')))", TASK)
    assert recipe_of(f"ksa(attention='linear', model=madry(model=vit({SMALL}, attention='linear')))", TASK)


@pytest.mark.parametrize(
    ("outer", "calls"),
    [
        ("madry", ["", "eps=8/255, ", "step_size=2/255, ", "eps=8/255, step_size=2/255, norm='linf', ", "step_size=0.01, "]),
        ("half_half", ["norm='l2', eps=8/255, ", "norm='l2', eps=8/255, step_size=2/255, ", "eps=0.1, ", "eps=0.1, step_size=0.025, "]),
        ("trades", ["", "step_size=2/255, ", "eps=0.1, step_size=2/255, ", "eps=0.1, step_size=0.025, "]),
        ("fat", ["", "step_size=2/255, ", "eps=0.1, step_size=2/255, ", "eps=0.1, step_size=0.025, "]),
    ],
)  # fmt: skip
def test_saying_what_a_default_stands_for_is_no_difference(outer: str, calls: list[str]) -> None:
    is_of_what_is_built([f"{outer}({call}model=vit({SMALL}))" for call in calls])


def test_an_attacks_options_that_say_what_is_so_anyway_are_no_difference() -> None:
    for mode, rounds in (("oracle", 6), ("mixed", 4)):
        entry, plain = ATTACKS.find(f"transfer(eps=0.1, mode='{mode}')")
        _, told = ATTACKS.find(f"transfer(eps=0.1, mode='{mode}', rounds={rounds})")
        _, other = ATTACKS.find(f"transfer(eps=0.1, mode='{mode}', rounds=5)")
        assert plain == told != other
        assert str(entry.shown(told)) == f"transfer(eps=0.1, mode='{mode}')"


def test_what_is_passed_on_by_hand_shows_all_that_was_given(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(BY_HAND, encoding="utf-8")
    calls = [f"{file}", f"{file}(model=vit(dim=64))", f"{file}(dim=32)", f"{file}(dim=32, model=vit(dim=64, heads=4))"]
    found = {call: (built(call), *named(call)) for call in calls}
    for place in range(3):
        assert len({parts[place] for parts in found.values()}) == len(calls)
    for call, (model, name, key) in found.items():
        assert (built(name), *named(name)) == (model, name, key), call


def test_the_order_and_the_spelling_of_nested_options_are_no_difference() -> None:
    assert named("madry(model=vit(mlp=8, dim=8))") == named("madry(model='vit(dim=8, mlp=8)')")
    entry, call = ATTACKS.find("autoattack(eps=0.1, parts=[square_linf(queries=9, share=0.8), fab_linf()])")
    assert str(entry.shown(call)) == "autoattack(eps=0.1, parts=[square_linf(queries=9), fab_linf])"


@pytest.mark.parametrize(
    ("registry", "call", "said"),
    [
        (DEFENSES, "madry(model=vitt)", "did you mean 'vit'"),
        (DEFENSES, "madry(model=vit(dept=2))", "did you mean 'depth'"),
        (DEFENSES, "madry(model=ksa(model=vit(depth=0)))", "depth=0 given to vit"),
        (ATTACKS, "autoattack(eps=0.1, parts=['apgd_linff'])", "did you mean 'apgd_linf'"),
        (ATTACKS, "transfer(eps=0.1, source=carlni)", "did you mean 'carlini'"),
    ],
)
def test_what_is_wrong_in_a_nested_call_is_said_when_it_is_read(registry: Any, call: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        registry.find(call)
