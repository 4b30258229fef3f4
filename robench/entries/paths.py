"""Which files a call would run, before anything of them is run, and digests of the files that it names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from robench.entries.calls import Call, file_of, parse
from robench.errors import UsageError
from robench.hashing import digest, file_digest

MOST_FILES, MOST_BYTES = 10_000, 50 * 10**9
"""Of a folder whose contents are hashed."""


def paths_of(value: Any) -> Iterator[str]:
    """The files of entries that a call, or a value of its options, names: as calls, as texts that options read as calls, in lists.

    A text that `parse` cannot read is no entry's name for an option either.

    Example:
        >>> [*paths_of(parse("madry(model='./mine.py(k=2)', eps=8/255)"))]
        ['./mine.py']
    """
    if isinstance(value, Call):
        if file := file_of(value.name):
            yield file[0]
        for option in value.options.values():
            yield from paths_of(option)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from paths_of(item)
    elif isinstance(value, str) and ".py" in value:
        with suppress(UsageError):
            yield from paths_of(parse(value))


def contents_digest(path: Path) -> str:
    """Digest of a file, or of the names and contents of a folder's files; "" where there is nothing.

    Raises:
        UsageError: it is a folder of so many files, or bytes, that nobody means it, or one that cannot be listed.
    """
    if path.is_dir():
        return digest({file.relative_to(path).as_posix(): file_digest(file) for file in sorted(_files(path))})
    return file_digest(path)[:16] if path.is_file() else ""


def _files(folder: Path) -> list[Path]:
    """All regular files in a folder, looked at before any is read."""
    found, size = list[Path](), 0
    try:
        for seen, path in enumerate(folder.rglob("*"), 1):
            if path.is_file():
                found.append(path)
                size += path.stat().st_size
            if seen > MOST_FILES or size > MOST_BYTES:
                raise UsageError(
                    f"{folder} holds more than {MOST_FILES:,} files or {MOST_BYTES / 1e9:.0f} GB, all of which would be hashed; "
                    "name the file that is meant"
                )
    except OSError as error:
        raise UsageError(f"{folder} cannot be listed ({error}); name the file that is meant") from error
    return found
