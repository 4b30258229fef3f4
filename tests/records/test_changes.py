"""What is run again says why: the cause is named, not only what follows from it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from robench.records.changes import changes
from tests.measured import identity

OLD = identity()


def made_from(**changed: Any) -> Any:
    """What the weights were made from, with a part of the defense's entry changed."""
    defense = {"name": "vit", "options": {"mu": 1.0}, "card": [], "source": {"vit.py": "c0de"}}
    return {"defense": defense | changed, "data": "train", "task": [], "engine": 1}


BEFORE = replace(OLD, defense=made_from())
INNER = {"name": "inner", "options": {}, "card": [], "source": {"inner.py": "1"}, "given": []}


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        (
            BEFORE,
            replace(BEFORE, defense=made_from(source={"vit.py": "c0de", "nets": "2"}), logits="l1"),
            ["the code of the defense (nets)", "the model's answers to a few images"],
        ),
        (BEFORE, replace(BEFORE, engine=2), ["robench's engine (1, now 2)"]),
        (BEFORE, replace(BEFORE, data="other"), ["the test images or their labels"]),
        (BEFORE, replace(BEFORE, weights="b"), ["the weights"]),
        (BEFORE, replace(BEFORE, seed=7), ["the attack's seed"]),
        (BEFORE, replace(BEFORE, precision="bfloat16"), ["the precision"]),
        (BEFORE, replace(BEFORE, subset=[1, 2]), ["the classes that are evaluated"]),
        (
            BEFORE,
            replace(BEFORE, defense=made_from() | {"data": "more"}, weights="b"),
            ["the training images or their labels", "the weights"],
        ),
        (BEFORE, replace(BEFORE, defense=made_from(options={"mu": 2.0})), ["the option mu of the defense"]),
        (
            replace(BEFORE, defense=made_from(options={"model": INNER})),
            replace(BEFORE, defense=made_from(options={"model": INNER | {"source": {"inner.py": "2"}}})),
            ["the code of its model (inner.py)"],
        ),
        (
            replace(BEFORE, defense=made_from(options={"path": {"path": "w.pt", "contents": "1"}})),
            replace(BEFORE, defense=made_from(options={"path": {"path": "w.pt", "contents": "2"}})),
            ["the contents of w.pt"],
        ),
        (
            replace(BEFORE, attack={"name": "pgd", "options": {}, "card": ["linf"], "source": {"pgd.py": "1"}}),
            replace(BEFORE, attack={"name": "pgd", "options": {}, "card": ["l2"], "source": {"pgd.py": "2"}}),
            ["the code of the attack (pgd.py)", "the card of the attack"],
        ),
        (
            replace(BEFORE, sources={"source": "a"}),
            replace(BEFORE, sources={"source": "b"}),
            ["the weights of its source"],
        ),
    ],
)
def test_what_changed_is_named(before: Any, now: Any, said: list[str]) -> None:
    assert changes(before, now) == said
    assert changes(now, now) == []
