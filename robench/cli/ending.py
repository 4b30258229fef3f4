"""How a command ends when it cannot go on: one message and an exit status, never a traceback."""

from __future__ import annotations

import logging
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from robench.console import lines
from robench.errors import RobenchError, ran_out
from robench.stopping import SIGNALS, STOPPED

log = logging.getLogger("robench")


@contextmanager
def clean_exit() -> Iterator[None]:
    """Errors become one message and an exit status; Ctrl-C says what is safe; a bug leaves its traceback in a file."""
    SIGNALS.starting = False
    try:
        yield
    except typer.Exit:
        raise
    except RobenchError as error:
        log.error("%s: %s", type(error).__name__, error)
        raise _said(str(error), error.exit_status) from None
    except KeyboardInterrupt as stop:
        raise _said(STOPPED, getattr(stop, "status", 130), before="\n") from None
    except typer.Abort:  # Ctrl-C, or no more input, at a question
        raise _said("stopped; nothing was changed", 130, before="\n") from None
    except Exception as error:
        log.error("", exc_info=error)
        if ran_out(error):
            raise _said("memory ran out; free some, or take a smaller --batch-size or fewer --workers", 5) from None
        if isinstance(error, OSError):
            where = "" if error.filename is None else f" {error.filename}"
            raise _said(f"cannot read or write{where}: {error.strerror or error}", 5) from None
        kept = _kept()
        raise _said(
            f"a bug of robench's own: {type(error).__name__}: {error}. What was finished is stored. {kept}", 70
        ) from None


def _said(message: str, status: int, *, before: str = "") -> typer.Exit:
    print(f"{before}robench: {lines(message)}", file=sys.stderr)
    return typer.Exit(status)


def _kept() -> str:
    """Puts the traceback of the error that is handled into a file; says where it is."""
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="robench-bug-", suffix=".txt", encoding="utf-8", errors="backslashreplace", delete=False
        ) as file:
            file.write(" ".join(sys.argv) + "\n" + traceback.format_exc())
    except OSError:
        return f"Please report it with this:\n{traceback.format_exc()}"
    return f"Please report it with the file {file.name}"
