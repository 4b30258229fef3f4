"""A few minutes of each fault script; `make faults` runs the whole of them."""

from __future__ import annotations

import pytest
from faults.calls import calls
from faults.crash_points import crash_points
from faults.damage import damage
from faults.hostile import hostile
from faults.kills import kills
from faults.tally import Tally


def none_of(tally: Tally, at_least: int) -> None:
    assert tally.tried >= at_least
    assert tally.problems == [], tally.line()


@pytest.mark.slow
def test_a_run_that_is_stopped_at_a_call_to_the_file_system_ends_right_the_next_time() -> None:
    none_of(crash_points(every=140, skip=11), 3)


@pytest.mark.slow
def test_a_run_that_is_stopped_at_any_moment_ends_right_the_next_time() -> None:
    none_of(kills(3, seed=1), 3)


@pytest.mark.slow
def test_damaged_files_are_told_and_mended() -> None:
    none_of(damage(every=22, skip=4), 5)


@pytest.mark.slow
def test_stores_of_strangers_are_data() -> None:
    none_of(hostile(12, seed=3), 12)


@pytest.mark.slow
def test_words_that_nobody_means_are_one_message() -> None:
    none_of(calls(20, seed=2), 20)
