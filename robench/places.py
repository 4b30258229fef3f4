"""Where data, the cache and results are."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from robench.errors import UsageError


def home(path: str | Path, what: str) -> Path:
    """A path with `~` resolved, where the text as it was given begins with it: `./~` is a file that is called so.

    Args:
        what: how the path is named in a message.

    Raises:
        UsageError: there is no user of that name, or no home folder.

    Example:
        >>> home("photos", "the data folder")
        PosixPath('photos')
    """
    if not isinstance(path, str | os.PathLike) or not os.fspath(path) or "\0" in str(path):
        raise UsageError(f"{what} is {path!r}; the path of a folder or a file is wanted")
    text = os.fspath(path)
    if not text.startswith("~"):
        plain = Path(text)
        return plain.absolute() if str(plain).startswith("~") else plain  # a path has no ./ that would tell them apart
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        first = Path(path).parts[0]
        why = f"there is no user {first[1:]!r}" if len(first) > 1 else "there is no home folder; set HOME"
        raise UsageError(f"{what} is {str(path)[:100]!r}, but {why}") from error


def default_cache() -> Path:
    """`ROBENCH_CACHE`, else `robench` in the user's cache folder."""
    if chosen := os.environ.get("ROBENCH_CACHE"):
        return home(chosen, "ROBENCH_CACHE")
    return home(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "the cache's folder") / "robench"


def default_data() -> Path | None:
    """`ROBENCH_DATA`, if it is set."""
    chosen = os.environ.get("ROBENCH_DATA")
    return home(chosen, "ROBENCH_DATA") if chosen else None


@dataclass(frozen=True)
class Places:
    """The folders of a run.

    Attributes:
        data: the user's data sets, looked at first.
        cache: weights, decoded data and downloads.
        store: records.
        download: whether a missing data set may be downloaded.

    Example:
        >>> Places.of(data="photos", store="results", cache="kept").store
        PosixPath('results')
    """

    data: Path | None
    cache: Path
    store: Path
    download: bool = True

    @classmethod
    def of(
        cls, data: str | Path | None = None, store: str | Path = "results", cache: str | Path | None = None
    ) -> Places:
        """The default places, where nothing else is said."""
        return cls(
            default_data() if data is None else home(data, "the data folder"),
            default_cache() if cache is None else home(cache, "the cache folder"),
            home(store, "the store"),
        )
