"""Ctrl-C and SIGTERM: the first ends a command in order, the second at once."""

from __future__ import annotations

import os
import signal
from types import FrameType

STOPPED = "stopped. What was finished is stored; the same command goes on from there"


class Stopped(KeyboardInterrupt):
    """A signal that asked the command to end; `status` is what it ends with."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.status = 128 + number


def heed_signals() -> None:
    """Raise `Stopped` in the main thread at the first signal, and end at once at the second.

    The second may come while a worker still computes. Nothing is lost by it that is not lost by the first: what is
    written is written whole. A signal that is ignored, as Ctrl-C is in the background of a shell, stays ignored.
    """
    stopping = False

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal stopping
        if stopping:
            os._exit(128 + number)
        stopping = True
        raise Stopped(number)

    for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGTERM, signal.SIG_DFL)):
        if signal.getsignal(number) is usual:
            signal.signal(number, stop)
