"""Which files a call would run, before anything of them is run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from robench.entries.calls import Call, file_of, parse
from robench.errors import UsageError


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
