"""Writing files so that a reader sees the whole of one or nothing of it."""

from __future__ import annotations

import errno
import json
import os
import stat
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from robench.errors import StoreError, UsageError


def read_toml(path: Path) -> dict[str, Any]:
    """The contents of a TOML file.

    Raises:
        UsageError: it cannot be read; with the line and the column where it is broken.
    """
    try:
        content = read_bytes(path)
        text = content.decode()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise UsageError(f"{path} is no TOML: line {line} is not in UTF-8") from error
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise UsageError(f"{path} is nested too deeply") from error
    except tomllib.TOMLDecodeError as error:
        lines = text.splitlines() or [""]
        end = f"at line {len(lines)}, column {len(lines[-1]) + 1}, the end of the file"
        raise UsageError(f"{path} is no TOML: {str(error).replace('at end of document', end)}") from error


MOST_BYTES = 200 * 10**6
"""Of a text that a person names: a baseline of 500 defenses is a tenth of it. /dev/zero has no end."""


def read_bytes(path: Path) -> bytes:
    """What is in a file that a person named, which is held in memory.

    Raises:
        UsageError: it is too large for what is written there.
        OSError: it cannot be read.
    """
    with path.open("rb") as stream:
        content = stream.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise UsageError(
            f"{path} is larger than {MOST_BYTES / 1e6:.0f} MB, and is not what is wanted there; is it the right file?"
        )
    return content


_DEVICES = (Path("/dev"), Path("/dev/fd"), Path("/proc/self/fd"))
MOST_NESTED = 100
"""Levels of JSON that are read; robench writes some 20."""


def parse_json(text: str | bytes) -> Any:
    """What a text in JSON says.

    Raises:
        ValueError: it is none, not in UTF-8, or nested so deeply that working on it would fail.
    """
    try:
        found = json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    level, depth = [found], 0
    while level:
        depth += 1
        if depth > MOST_NESTED:
            raise ValueError(f"it is nested more than {MOST_NESTED} levels deep")
        level = [
            item
            for value in level
            if isinstance(value, dict | list)
            for item in (value.values() if isinstance(value, dict) else value)
        ]
    return found


def read_stored(path: Path, most: int | None = MOST_BYTES) -> bytes:
    """The content of a file of a store, which a stranger may have made: neither a pipe nor a device, whose reading has no end.

    Args:
        most: bytes that it may have; None: any number.

    Raises:
        OSError: it is something else, is larger, or cannot be read.
    """
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as stream:
        about = os.fstat(stream.fileno())
        if not stat.S_ISREG(about.st_mode):
            raise OSError(errno.EINVAL, "it is no regular file", str(path))
        if most is not None and about.st_size > most:
            raise OSError(errno.EFBIG, f"it has {about.st_size:,} bytes, more than {most:,}", str(path))
        return stream.read()


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that replaces it when the block ends well, and is removed when it does not.

    What is neither a file nor a folder, such as a pipe or /dev/null, is written itself: replacing it would destroy it, so that
    whoever writes opens it and lets no library do so by its name. Of a link the file that it leads to is replaced; what is in
    /dev, such as the standard output, is written itself whatever it leads to.

    Raises:
        StoreError: the disk is full or the folder cannot be written.
    """
    temporary: Path | None = None
    try:
        known = path.exists() and not path.is_dir()
        if known and (not path.is_file() or (path.is_symlink() and path.parent in _DEVICES)):
            yield path
            return
        if path.is_symlink():
            path = _led_to(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        with temporary.open("rb+") as stream:
            os.fsync(stream.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        raise StoreError(
            f"cannot write {path}: {error.strerror or error}; free some space or choose another folder"
        ) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _led_to(link: Path) -> Path:
    """What a link leads to, be it there or not."""
    try:
        return link.resolve()
    except RuntimeError as error:  # which Python says of links that lead to each other
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(link)) from error


def check_writable(folder: Path) -> None:
    """Make a folder, if it is not there, and see that files can be written in it, before any work that they are for.

    Raises:
        StoreError: they cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"robench")
    except OSError as error:
        raise StoreError(f"cannot write in {folder}: {error.strerror or error}; choose another folder") from error
