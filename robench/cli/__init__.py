"""The command line. Nothing heavy is imported here: `robench --help` must answer at once."""

from __future__ import annotations

import warnings

from robench.cli import images, reporting, running, showing, store
from robench.cli.app import app

__all__ = ["app", "images", "main", "reporting", "running", "showing", "store"]


def main() -> None:
    """Entry point of the `robench` command."""
    # torch and timm warn about each other's deprecations; a user of robench can do nothing about them.
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"torch\.|timm\.")
    warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"torch\.|timm\.")
    app()
