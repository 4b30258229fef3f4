"""Data sets that a person fetches: looked for in the data folder by their names, never downloaded."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from robench.data.folders import contents
from robench.errors import DataError
from robench.places import Places

SHOWN = 5
MADE = "made.json"
"""Beside images that robench corrupted and wrote: what they were made from, and which of them are whole."""


def named_folders(places: Places, names: Sequence[str], what: str) -> list[Path]:
    """The folders of the data folder that bear one of these names, and those of the name within them, as tars unpack.

    The data folder itself may bear it. Capital letters, dots, hyphens and underscores do not count: `ImageNet-C` is
    `imagenet_c`. Folders come in the order of `names`.

    Args:
        what: the data set's own name, for messages.

    Raises:
        DataError: no data folder is named, it is no folder, or one cannot be read.
    """
    data = places.data
    if data is None or not data.is_dir():
        said = "no data folder is named" if data is None else f"there is no folder {str(data)!r}"
        raise DataError(
            f"{what} was not found, and is not downloaded: {said}. Name the folder that holds {names[0]}/ with --data or "
            "ROBENCH_DATA"
        )
    outer = [*_bearing(contents(data), names), *_bearing([data.absolute()], names)]
    return [folder for root in outer for folder in (root, *_bearing(contents(root), names))]


def not_found(places: Places, what: str, wanted: str, looked: Iterable[object], lay: str) -> DataError:
    """The error that says what was looked for, where, and how to lay it.

    Args:
        wanted: what was looked for.
        looked: where.
        lay: where to put it, relative to the data folder.
    """
    seen = ", ".join(map(str, looked)) or f"{places.data} (no folder there bears its name)"
    return DataError(
        f"{what} was not found, and is not downloaded. Looked for {wanted} in: {seen}. Lay it as {places.data}/{lay}, or name "
        "another data folder with --data or ROBENCH_DATA"
    )


def by_robench(root: Path, corruption: str = "") -> str:
    """What is said of corrupted images that are no published files: that robench wrote them; else empty."""
    if not (root / MADE).is_file():
        return ""
    return " as robench wrote it" + (", textures made by rule" if corruption == "frost" else "")


def few(names: Sequence[object]) -> str:
    """The first few of many names, and how many more there are."""
    more = [f"and {len(names) - SHOWN:,} more"] if len(names) > SHOWN else []
    return ", ".join([*map(repr, names[:SHOWN]), *more])


def _bearing(folders: Iterable[Path], names: Sequence[str]) -> list[Path]:
    """Those that bear a name, in the names' order."""
    rank = {_plain(name): place for place, name in reversed(list(enumerate(names)))}
    bearing = [folder for folder in folders if _plain(folder.name) in rank and folder.is_dir()]
    return sorted(bearing, key=lambda folder: (rank[_plain(folder.name)], folder))


def _plain(name: str) -> str:
    return re.sub("[^a-z0-9]", "", name.lower())
