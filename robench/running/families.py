"""Progress of cells that belong together: a threat that is a list of conditions has one line, not 75."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from robench.console import Reporter, Work
from robench.running.conditions import Condition
from robench.running.rows import Row


class Families:
    """Progress of the cells of a row: one for all conditions of a threat that is a list of them, such as 75 corruptions."""

    def __init__(self, row: Row, reporter: Reporter) -> None:
        self._row, self._reporter = row, reporter
        self._left = Counter(condition.entry.name for condition in row.conditions if condition.card.each)
        self._works: dict[str, Work] = {}

    @contextmanager
    def of(self, condition: Condition) -> Iterator[Work | None]:
        """The progress that a condition shares with others; None where it has its own."""
        name = condition.entry.name
        if not self._left[name]:
            yield None
            return
        if name not in self._works:
            count, images = self._left[name], len(self._row.data.split)
            label = f"{self._row.name} under {count} x {name} on {self._row.data.name}"
            self._works[name] = self._reporter.work(label, unit="image", total=count * images)
        try:
            yield self._works[name]
        finally:
            self._left[name] -= 1
            if not self._left[name]:
                self._works[name].close()
