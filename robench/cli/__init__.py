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
from robench.cli.stopping import STOPPED, heed_signals
from robench.cli.streams import make_steady

__all__ = [
    "app",
    "baselines",
    "boards",
    "corrupting",
    "gating",
    "images",
    "main",
    "papers",
    "reporting",
    "running",
    "showing",
    "store",
    "sweeping",
]


def main() -> None:
    """Entry point of the `robench` command."""
    # Threads of torch that wait for each other by spinning take a core from whoever else works on the machine, and then
    # wait forty times as long. It is read when torch is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    output = make_steady()
    heed_signals()
    # torch and timm warn about each other's deprecations; a user of robench can do nothing about them.
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"torch\.|timm\.")
    warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"torch\.|timm\.")
    logging.raiseExceptions = False  # a log on a full disk must not print tracebacks
    try:
        app()
    except KeyboardInterrupt as stop:  # between the commands' own ends
        print(f"\nrobench: {STOPPED}", file=sys.stderr)
        raise SystemExit(getattr(stop, "status", 130)) from None
    except SystemExit as end:
        sys.stdout.flush()
        if output and output.full and not end.code:
            print(f"robench: standard output cannot be written: {output.full}{output.otherwise}", file=sys.stderr)
            raise SystemExit(5) from None
        raise
