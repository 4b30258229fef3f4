"""The command line. Nothing heavy is imported here: `robench --help` must answer at once."""

from __future__ import annotations

import logging
import os
import sys
import warnings

from robench.cli import (
    baselines,
    boards,
    corrupting,
    gating,
    images,
    papers,
    reporting,
    running,
    showing,
    store,
    sweeping,
)
from robench.cli.app import app
from robench.cli.streams import make_steady

__all__ = [
    "app",
    "baselines",
    "boards",
    "corrupting",
    "gating",
    "images",
    "papers",
    "reporting",
    "run",
    "running",
    "showing",
    "store",
    "sweeping",
]


def run() -> None:
    """Run the command that the process was started with."""
    # Threads of torch that wait for each other by spinning take a core from whoever else works on the machine, and then
    # wait forty times as long. It is read when torch is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    output = make_steady()
    # torch and timm warn about each other's deprecations; a user of robench can do nothing about them.
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"torch\.|timm\.")
    warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"torch\.|timm\.")
    logging.raiseExceptions = False  # a log on a full disk must not print tracebacks
    try:
        app()
    except SystemExit as end:
        sys.stdout.flush()
        if output and output.full and not end.code:
            print(f"robench: standard output cannot be written: {output.full}{output.otherwise}", file=sys.stderr)
            raise SystemExit(5) from None
        raise
