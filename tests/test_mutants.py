"""The table of mutations fits the code; `make mutants` says whether the tests see them."""

from __future__ import annotations

from collections import Counter

import mutants
from mutations import MUTATIONS


def test_every_mutation_can_still_be_made() -> None:
    assert not [problem for one in MUTATIONS if (problem := mutants.stale(one))]


def test_mutations_are_many_of_every_kind_and_few_may_live() -> None:
    assert len(MUTATIONS) >= 60
    assert max(Counter((one.file, one.before, one.after) for one in MUTATIONS).values()) == 1
    assert all(one.before != one.after and one.tests for one in MUTATIONS)
    assert sum(bool(one.lives) for one in MUTATIONS) <= 0.05 * len(MUTATIONS)
