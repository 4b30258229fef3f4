"""Shards: how many images each holds, and when their records are written."""

from __future__ import annotations

import pandas as pd
import pytest

from robench.running import workers
from robench.running.workers import Pace, WrittenTogether


class Parts:
    """A sink that remembers how many rows each write had."""

    def __init__(self) -> None:
        self.rows: list[int] = []

    def add(self, frame: pd.DataFrame) -> None:
        self.rows.append(len(frame))


def shards(pace: Pace, images: int, *, workers: int, seconds: float = 0.0) -> list[int]:
    """Sizes of all shards, each of which takes so many seconds for an image; workers end in turn."""
    found: list[int] = []
    while images:
        size = pace.next(images, workers, max(1, workers - len(found)))
        found, images = [*found, size], images - size
        pace.seconds, pace.images = pace.seconds + seconds * size, pace.images + size
    return found


def test_a_natural_threat_goes_through_in_whole_batches() -> None:
    assert shards(Pace(256, quick=True), 500, workers=2) == [250, 250]
    assert shards(Pace(256, quick=True), 2_000, workers=2) == [256] * 7 + [208]
    assert shards(Pace(256, quick=True), 500, workers=1) == [256, 244]
    assert shards(Pace(256, quick=True), 20, workers=2) == [20]


def test_an_attack_begins_small_and_takes_what_twenty_seconds_hold() -> None:
    assert shards(Pace(256), 500, workers=1, seconds=0.1) == [32, 200, 200, 68]
    assert shards(Pace(256), 100, workers=1, seconds=10.0) == [32, 32, 32, 4]


def test_quick_shards_are_written_together_and_slow_ones_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([1.0, 2.0, 6.0, 6.0, 7.0, 7.0, 7.0])
    monkeypatch.setattr(workers.time, "perf_counter", lambda: next(clock))
    sink = Parts()
    gathered = WrittenTogether(sink, written=0.0)
    for size in (1, 2, 4):  # at 1, 2 and 6 s; written at 6 s
        gathered.add(pd.DataFrame({"image": range(size)}))
    assert sink.rows == [7]
    gathered.add(pd.DataFrame({"image": range(8)}))
    assert sink.rows == [7]
    gathered.flush()
    assert sink.rows == [7, 8]
