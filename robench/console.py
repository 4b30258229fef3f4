"""What a person sees while work goes on: bars with rate and time left on a terminal, plain lines elsewhere."""

from __future__ import annotations

import logging
import os
import re
import shutil
import sys
import time
from typing import Any, Protocol, TextIO

log = logging.getLogger(__name__)


SHORTEST_LABEL, ROOMY = 12, 100
"""Signs of a label at least; a terminal of fewer columns has no bar beside the numbers."""


_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")


def one_line(text: str) -> str:
    """Text without line ends, control characters and changes of direction: they are written as escapes."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def lines(text: str) -> str:
    """The same of several lines."""
    return "\n".join(map(one_line, text.split("\n")))


class Work(Protocol):
    """A piece of work whose progress is shown."""

    def advance(self, count: int) -> None: ...
    def update(self, done: int, total: int) -> None: ...
    def close(self) -> None: ...


class Reporter(Protocol):
    """Where messages and progress go."""

    def say(self, message: str) -> None: ...
    def work(self, label: str, *, unit: str, total: int | None = None, done: int = 0) -> Work: ...


class _Silence:
    def advance(self, count: int) -> None: ...
    def update(self, done: int, total: int) -> None: ...
    def close(self) -> None: ...


class Silent:
    """Shows nothing; keeps the messages."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    def say(self, message: str) -> None:
        self.messages.append(message)

    def work(self, label: str, *, unit: str, total: int | None = None, done: int = 0) -> Work:
        return _Silence()


class Lines:
    """Plain lines on standard error, one every few seconds of a piece of work."""

    def __init__(self, every: float = 10.0) -> None:
        self.every = every

    def say(self, message: str) -> None:
        log.info(message)
        print(lines(message), file=sys.stderr, flush=True)

    def work(self, label: str, *, unit: str, total: int | None = None, done: int = 0) -> Work:
        return _LineWork(self, label, unit, total, done)


class _LineWork:
    def __init__(self, lines: Lines, label: str, unit: str, total: int | None, done: int) -> None:
        self._lines, self._label, self._unit = lines, label, unit
        self._total, self._done, self._first = total, done, done
        self._started = self._printed = time.monotonic()
        self._printed_at = -1

    def advance(self, count: int) -> None:
        self._done += count
        self._print_in_time()

    def update(self, done: int, total: int) -> None:
        if self._done == self._first == 0 and done > 1:
            self._first, self._started = done - 1, time.monotonic()  # a resumed training begins later
        self._done, self._total = done, total
        self._print_in_time()

    def _print_in_time(self) -> None:
        if time.monotonic() - self._printed >= self._lines.every:
            self._print()

    def close(self) -> None:
        if self._done > self._first and self._done != self._printed_at:
            self._print()

    def _print(self) -> None:
        self._printed, self._printed_at = time.monotonic(), self._done
        rate = (self._done - self._first) / max(1e-9, self._printed - self._started)
        left = (self._total or 0) - self._done
        ending = f", {left / rate:.0f} s left" if left and rate else ""
        self._lines.say(f"{self._label}: {self._done}/{self._total} {self._unit}s, {rate:.1f}/s{ending}")


class Bars:
    """Progress bars on a terminal."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        # Calls hold brackets and paths hold colons: neither is markup or an emoji.
        self._console = Console(stderr=True, markup=False, emoji=False, highlight=False)
        roomy = self._console.width >= ROOMY
        self._beside = 80 if roomy else 44
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            *([BarColumn(bar_width=24)] if roomy else []),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}", markup=False),
            *([TimeElapsedColumn()] if roomy else []),
            TextColumn("left"),
            TimeRemainingColumn(elapsed_when_finished=False),
            console=self._console,
        )
        self._open = 0

    def say(self, message: str) -> None:
        log.info(message)
        self._console.print(lines(message), soft_wrap=True)

    def work(self, label: str, *, unit: str, total: int | None = None, done: int = 0) -> Work:
        room = max(SHORTEST_LABEL, self._console.width - self._beside)  # a label is shortened, the numbers never are
        return _BarWork(self._progress, clipped(label, room), unit, total, done)


class _BarWork:
    def __init__(self, progress: Any, label: str, unit: str, total: int | None, done: int) -> None:
        self._progress, self._label, self._unit = progress, label, unit
        self._done, self._first, self._total, self._started = done, done, total, time.monotonic()
        self._id: Any = None

    def advance(self, count: int) -> None:
        self.update(self._done + count, self._total or 0)

    def update(self, done: int, total: int) -> None:
        if self._id is None:
            self._progress.start()
            self._id = self._progress.add_task(self._label, total=total, completed=self._done, rate="")
            if self._first == 0 and done > 1:
                self._first, self._started = done - 1, time.monotonic()
        self._done = done
        rate = (done - self._first) / max(1e-9, time.monotonic() - self._started)
        self._progress.update(self._id, total=total, completed=done, rate=f"{rate:.1f} {self._unit}s/s")

    def close(self) -> None:
        if self._id is not None:
            self._progress.stop()
            self._progress.remove_task(self._id)


def reporter(*, quiet: bool = False) -> Reporter:
    """Bars where standard error is a terminal that can move its cursor, else lines; nothing where quiet is wanted."""
    if quiet:
        return Silent()
    return Bars() if _can_move(sys.stderr) else Lines()


def colored(stream: TextIO) -> bool:
    """Whether colours may be written to a stream: it is a terminal that has them, and NO_COLOR is not set."""
    return _can_move(stream) and not os.environ.get("NO_COLOR")


def columns(stream: TextIO) -> int | None:
    """How many signs a line of a stream has room for: COLUMNS, or what its terminal says; None where nothing bounds it."""
    told = os.environ.get("COLUMNS", "")
    if told.isdecimal() and len(told) < 7 and int(told) > 0:
        return int(told)
    return shutil.get_terminal_size().columns if stream.isatty() else None


def clipped(text: str, limit: int, gap: str = "…") -> str:
    """A text of so many signs at most, shortened in its middle."""
    end = limit // 3
    return text if len(text) <= limit else f"{text[: limit - len(gap) - end]}{gap}{text[len(text) - end :]}"


def _can_move(stream: TextIO) -> bool:
    return stream.isatty() and os.environ.get("TERM", "dumb") not in ("dumb", "unknown")


def spell_seconds(seconds: float) -> str:
    """A duration for a person: `40 s`, `12 min`, `3.5 h`."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
