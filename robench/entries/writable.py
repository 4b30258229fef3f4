"""What a call can hold: what every table can show, what every folder can be named by, and what reads back."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

from robench.entries.calls import check_text, shortened
from robench.errors import UsageError
from robench.places import home


def check_writable(name: str, value: Any, entry: str, *, is_path: bool) -> None:
    """Raises UsageError for what no call can say, no table hold, and no folder be named by."""
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, list):
            check_writable(name, item, entry, is_path=is_path)
        if isinstance(item, float) and not math.isfinite(item):
            raise UsageError(f"{name}={item} given to {entry}: a finite number is wanted")
        if isinstance(item, str):
            check_text(item, f"{name} given to {entry}")
            if is_path:
                home(item, f"{name} given to {entry}")


def file_to_read(path: str, kind: str) -> Path:
    """The file that an entry is read from; a link stays what it is.

    Raises:
        UsageError: there is none.
    """
    check_text(path, f"the name of a {kind}'s file")
    file = home(path, f"the name of a {kind}'s file").absolute()
    if os.path.isdir(file):
        raise UsageError(f"{shortened(path)} is a folder; a {kind} is read from a file")
    if not os.path.isfile(file):
        raise UsageError(
            f"there is no file {shortened(path)} to read a {kind} from; give a path relative to {Path.cwd()}"
        )
    return file
