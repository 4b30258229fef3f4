"""The application that the commands are added to, and what all commands share."""

from __future__ import annotations

import logging
from typing import Annotated

import typer

from robench import __version__
from robench.cli.ending import clean_exit
from robench.errors import UsageError
from robench.leases.taking import refuse_windows
from robench.places import home

__all__ = ["app", "clean_exit"]

app = typer.Typer(
    help="How robust is this defense, really, under this threat model?",
    epilog='\b\nBegin with:\n  robench run --defense vit --attack "pgd_linf(eps=0.1)" --dataset digits',
    no_args_is_help=True,
    context_settings={"help_option_names": ["--help", "-h"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def example(*lines: str) -> str:
    """A command's epilog: lines to copy, which the help does not wrap."""
    return "\b\nFor example:\n" + "\n".join(f"  {line}" for line in lines)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"robench {__version__}")
        raise typer.Exit


@app.callback()
def everywhere(
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Say on standard error what is done, step by step.")
    ] = False,
    log: Annotated[
        str | None, typer.Option(metavar="PATH", help="Write the same to a file, with the time of day.")
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """How robust is this defense, really, under this threat model?"""
    with clean_exit():
        refuse_windows()
        _start_logging(verbose, log)


def _start_logging(verbose: bool, log: str | None) -> None:
    logger = logging.getLogger("robench")
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()
    logger.setLevel(logging.CRITICAL)
    handlers: list[logging.Handler] = [logging.StreamHandler()] if verbose else []
    if log:
        file = home(log, "--log")
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            handlers.append(logging.FileHandler(file, encoding="utf-8", errors="backslashreplace"))
        except OSError as error:
            raise UsageError(f"--log {log} cannot be written: {error.strerror}; choose another file") from error
    for handler in handlers:
        logger.addHandler(handler)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logger.setLevel(logging.DEBUG if handlers else logging.CRITICAL)
