"""The application that the commands are added to, and how its errors end."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from robench.errors import RobenchError, UsageError
from robench.leases import refuse_windows

app = typer.Typer(
    help="How robust is this defense, really, under this threat model?",
    epilog='Begin with: robench run --defense vit --attack "pgd_linf(eps=0.1)" --dataset digits',
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback()
def everywhere(
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Say on standard error what is done, step by step.")
    ] = False,
    log: Annotated[Path | None, typer.Option(help="Write the same to a file, with the time of day.")] = None,
) -> None:
    """How robust is this defense, really, under this threat model?"""
    with clean_exit():
        refuse_windows()
        _start_logging(verbose, log)


def _start_logging(verbose: bool, log: Path | None) -> None:
    logger = logging.getLogger("robench")
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()
    if verbose:
        logger.addHandler(logging.StreamHandler())
    if log:
        try:
            log.parent.mkdir(parents=True, exist_ok=True)
            logger.addHandler(logging.FileHandler(log, encoding="utf-8"))
        except OSError as error:
            raise UsageError(f"--log {log} cannot be written: {error.strerror}; choose another file") from error
    for handler in logger.handlers:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logger.setLevel(logging.DEBUG if logger.handlers else logging.CRITICAL)


@contextmanager
def clean_exit() -> Iterator[None]:
    """Errors of robench's own become one line and an exit status; Ctrl-C says what is safe."""
    try:
        yield
    except RobenchError as error:
        logging.getLogger("robench").error("%s: %s", type(error).__name__, error)
        print(f"robench: {error}", file=sys.stderr)
        raise typer.Exit(error.exit_status) from None
    except KeyboardInterrupt:
        print("\nrobench: stopped. What was finished is stored; the same command goes on from there", file=sys.stderr)
        raise typer.Exit(130) from None
