"""Ctrl-C and SIGTERM: the first ends a command in order, the second at once. Imports nothing heavy: see `__main__`."""

from __future__ import annotations

import atexit
import os
import signal
import sys
from types import FrameType

STOPPED = "stopped. What was finished is stored; the same command goes on from there"


class Stopped(KeyboardInterrupt):
    """A signal that asked the command to end; `status` is what it ends with."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.status = 128 + number


class Signals:
    """What Ctrl-C and SIGTERM do.

    While robench starts, the first ends it at once: there is nothing to put in order, and what raises in the middle of an
    import may be lost there. Afterwards it raises `Stopped` in the main thread. The second always ends it at once; it may come
    while a worker still computes, and nothing is lost by it that is not lost by the first: what is written is written whole.
    A signal that is ignored, as Ctrl-C is in the background of a shell, stays ignored. One that comes while Python ends, when
    all is done, comes too late and changes nothing.
    """

    def __init__(self) -> None:
        self.starting = True
        self._stopping = False

    def heed(self) -> None:
        """From now on; a command is about to start."""
        self.starting, self._stopping = True, False
        for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGTERM, signal.SIG_DFL)):
            if signal.getsignal(number) is usual:
                signal.signal(number, self._stop)
                atexit.register(signal.signal, number, signal.SIG_IGN)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        if self._stopping or self.starting:
            if not self._stopping:
                os.write(2, f"\nrobench: {STOPPED}\n".encode())
            os._exit(128 + number)
        self._stopping = True
        raise Stopped(number)


SIGNALS = Signals()
"""Those of this process; a command says when there is something to put in order."""


def end(stop: KeyboardInterrupt) -> SystemExit:
    """Says that a command was stopped; what it ends with."""
    print(f"\nrobench: {STOPPED}", file=sys.stderr)
    return SystemExit(getattr(stop, "status", 130))
