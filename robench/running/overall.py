"""How far a whole run is: cells done, and the time that is left, from what the same attacks and trainings took before."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from statistics import mean

from robench.console import Reporter, spell_seconds
from robench.running.rows import Row

EVERY = 30.0
"""Seconds between two lines at least."""
FEWEST = 4
"""A run of fewer cells and trainings needs no such line: each has its own."""
AT_ONCE = 0.5
"""What takes less was in the store or in the cache, and says nothing of what is not."""


class Overall:
    """A line from time to time that says how far all rows are.

    An attack is expected to take as long as it took on the rows before, one that was not run yet as long as the others did;
    a training likewise.
    """

    def __init__(self, rows: Sequence[Row], reporter: Reporter) -> None:
        self._reporter = reporter
        self._untrained = {
            row.checkpoint.folder for row in rows if not row.refused and row.checkpoint.weights() is None
        }
        self._cells = [condition.text for row in rows if not row.refused for condition in row.conditions]
        self._count = len(self._cells)
        self._worth = self._count + len(self._untrained) >= FEWEST
        self._took: dict[str, list[float]] = defaultdict(list)
        self._trained = list[float]()
        self._said = time.monotonic()

    @contextmanager
    def training(self, row: Row) -> Iterator[None]:
        """While a row's model is obtained."""
        started = time.monotonic()
        try:
            yield
        finally:
            needed = row.checkpoint.folder in self._untrained
            self._untrained.discard(row.checkpoint.folder)
        if needed:
            self._trained.append(time.monotonic() - started)

    @contextmanager
    def cell(self, text: str) -> Iterator[None]:
        """While a cell of this attack is measured, whatever becomes of it."""
        started = time.monotonic()
        try:
            yield
        finally:
            self._cells.remove(text)
            if (took := time.monotonic() - started) > AT_ONCE:
                self._took[text].append(took)
            self._say()

    def skip(self, texts: Sequence[str]) -> None:
        """Of a row that was refused: these cells will not be measured."""
        for text in texts:
            self._cells.remove(text)

    def left(self) -> str:
        """What is left, for a person: `3 of 8 cells done, about 5 min left`."""
        done = f"{self._count - len(self._cells)} of {self._count} cells done"
        known = {text: mean(times) for text, times in self._took.items()}
        others = mean(known.values()) if known else 0.0
        seconds = sum(known.get(text, others) for text in self._cells)
        trainings = len(self._untrained)
        seconds += trainings * mean(self._trained or [0.0])
        parts = [f"about {spell_seconds(seconds)} left"] if known else []
        if trainings and not self._trained:
            parts.append(f"and {trainings} training{'s' if trainings > 1 else ''}")
        return ", ".join([done, *parts])

    def _say(self) -> None:
        if self._worth and self._cells and time.monotonic() - self._said >= EVERY:
            self._said = time.monotonic()
            self._reporter.say(f"in all: {self.left()}")
