"""Where data, the cache and results are."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


def default_cache() -> Path:
    """`ROBENCH_CACHE`, else `robench` in the user's cache folder."""
    if chosen := os.environ.get("ROBENCH_CACHE"):
        return Path(chosen).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").expanduser() / "robench"


def default_data() -> Path | None:
    """`ROBENCH_DATA`, if it is set."""
    chosen = os.environ.get("ROBENCH_DATA")
    return Path(chosen).expanduser() if chosen else None


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
            Path(data).expanduser() if data else default_data(),
            Path(cache).expanduser() if cache else default_cache(),
            Path(store).expanduser(),
        )
