"""A renewed baseline: what is better is taken over, nothing that is worse anywhere."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from gated import cell, minimal, side

from robench.gate.judging import judged
from robench.gate.policy import Gate
from robench.gate.renewal import renewed

ROBUST = Gate("robust", max_drop=1.0)
CLEAN = Gate("clean", metric="clean_accuracy", max_drop=1.0)


def test_what_is_better_keeps_what_is_known_of_images_that_flip() -> None:
    old = replace(cell(2000, 4000), unsteady=np.arange(4000) < 7, flips=0.01)
    before, after = side(old), side(cell(2000, 5000, won=300))
    found = renewed(before, after, judged([ROBUST], before, after))
    (new,) = found.better
    assert new.unsteady is not None and np.flatnonzero(new.unsteady).tolist() == [*range(7)] and new.flips == 0.01
    assert len(new.images) == 5000


def test_a_cell_that_is_better_in_one_number_and_worse_in_another_stays() -> None:
    """Clean accuracy rose; robust accuracy fell significantly, or by a little."""
    old = replace(cell(2000, 4000), correct=np.arange(4000) < 3000)
    for lost in (300, 5):
        new = replace(cell(2000, 4000, lost=lost), correct=np.arange(4000) < 3500)
        found = renewed(side(old), side(new), judged([ROBUST, CLEAN], side(old), side(new)))
        assert not found.better and found.baseline.cells == [old]
    even = replace(cell(2000, 4000), correct=np.arange(4000) < 3500)
    assert renewed(side(old), side(even), judged([ROBUST, CLEAN], side(old), side(even))).better == [even]


def test_of_a_reference_the_stronger_attack_is_taken_over() -> None:
    gate = Gate("reference", max_rise=1.0)
    old, new = cell(2000, 4000), cell(2000, 4000, lost=300)
    assert renewed(side(old), side(new), judged([gate], side(old), side(new))).better == [new]
    far = Gate("far", metric="mean_distance", max_rise=5.0)
    sizes = np.random.default_rng(0).lognormal(0, 0.3, 400)
    old, new = minimal([*sizes]), minimal([*(0.8 * sizes)])
    assert renewed(side(old), side(new), judged([far], side(old), side(new))).better == [new]
