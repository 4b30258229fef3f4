"""Attacking once more: what a store names is run only if it is built in, or allowed and what it was."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from measured import unit

import robench
from robench import Call, Places, UsageError, parse
from robench.console import Silent
from robench.entries.paths import paths_of
from robench.running.again import Once, attacked_again
from robench.running.settings import Settings, processor
from robench.running.workers import complete


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (parse("vit(depth=2)"), []),
        (parse("./mine.py::own(a=1)"), ["./mine.py"]),
        (parse("madry(model='./mine.py')"), ["./mine.py"]),
        (Call("madry", {"model": "./evil.py(x=1)"}), ["./evil.py"]),
        (
            Call("transfer", {"source": [["./a.py::x(k=[1])"], Call("./b.py", {"model": "madry(model='c.py')"})]}),
            ["./a.py", "./b.py", "c.py"],
        ),
        (Call("odd", {"x": "a.py(and what no option could read", "path": "my.python"}), []),
        (parse("checkpoint(path='weights.safetensors', arch=vit)"), []),
    ],
)
def test_the_files_of_a_call_are_found_wherever_it_names_them(value: Call, expected: list[str]) -> None:
    assert [*paths_of(value)] == expected


def test_no_file_that_a_store_names_is_run_by_itself(tmp_path: Path) -> None:
    Path("evil.py").write_text("open('ran', 'w').write('')\n")
    for model in ("./evil.py", "./evil.py(x=1)", ["./evil.py(x=1)"]):
        one = unit()
        one = replace(one, spec=replace(one.spec, defense=Call("madry", {"model": model})))
        with pytest.raises(UsageError, match="is not run by itself: allow it with --allow ./evil.py"):
            attacked_again(one, ["a"], [Once(1)], Settings(), Places.of(store=tmp_path), Silent())
    assert not Path("ran").exists()


def test_an_allowed_file_is_run_only_as_it_was(tmp_path: Path) -> None:
    """It is attacked again with two seeds; then it changes, and nothing of it is run."""
    source = """
import torch
from torch import Tensor
from robench import Classifier, Radius, attack


@attack(paper="none", norm="linf", goal="budget")
def noisy(model: Classifier, inputs: Tensor, labels: Tensor, *, eps: Radius) -> Tensor:
    \"\"\"Random signs.\"\"\"
    signs = model.draws.uniform("start", 0, torch.arange(len(inputs)), inputs.shape[1:]) < 0.5
    return (inputs + eps * (1 - 2 * signs.to(inputs))).clamp(0, 1)
"""
    Path("mine.py").write_text(source)
    found = robench.run("vit(depth=2, epochs=12)", "./mine.py(eps=0.2)", "digits", n=20, workers=2, quiet=True)
    (one,) = found.measured
    assert (one.unit.facts.threads, one.unit.facts.processor) == (2, processor()) and processor()
    images = one.records["image"].tolist()
    places: Any = Places.of(store="results")
    frames = attacked_again(one.unit, images, [Once(0, 3), Once(1)], Settings(), places, Silent(), ["mine.py"])
    assert frames[0].set_index("image")["fooled"].to_dict() == one.records.set_index("image")["fooled"].to_dict()
    first, second = (frame.set_index("image")["confidence"] for frame in frames)
    assert len(second) == 20 and (first != second[first.index]).any(), "another seed draws other signs"
    changed = replace(one.unit, identity=replace(one.unit.identity, engine=3))
    with pytest.raises(UsageError, match=r"is not what was attacked: robench's engine \(3, now"):
        attacked_again(changed, images, [Once(1)], Settings(), places, Silent(), ["mine.py"])
    Path("mine.py").write_text(source + "open('ran', 'w').write('')\n")
    with pytest.raises(UsageError, match="which has changed since"):
        attacked_again(one.unit, images, [Once(1)], Settings(), places, Silent(), ["mine.py"])
    assert not Path("ran").exists()


def test_weights_that_are_not_in_the_cache_are_not_trained(tmp_path: Path) -> None:
    found = robench.run("vit(depth=2, epochs=12)", "fgsm(eps=0.1)", "digits", n=5, quiet=True)
    places = Places.of(store="results", cache=tmp_path / "empty")
    with pytest.raises(UsageError, match="are not in the cache, and none are trained for this"):
        attacked_again(found.measured[0].unit, found.records["image"].tolist(), [Once(1)], Settings(), places, Silent())


def test_batches_are_as_large_as_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    found = robench.run("vit(depth=2, epochs=12)", "fgsm(eps=0.1)", "digits", n=7, quiet=True)
    sizes: list[int] = []

    def watched(*given: Any, batch: int, **named: Any) -> None:
        sizes.append(batch)
        complete(*given, batch=batch, **named)

    monkeypatch.setattr("robench.running.again.complete", watched)
    images, places = found.records["image"].tolist(), Places.of(store="results")
    attacked_again(found.measured[0].unit, images, [Once(0, 3), Once(0)], Settings(), places, Silent())
    assert sizes[0] == 3 < sizes[1]
