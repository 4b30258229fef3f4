"""Class folders: which of them are classes, in what order, and which outputs of a wider model they are.

A `classes.txt` beside the class folders, or beside train/ and test/, says their order, one folder's name a line, and after a #
a comment; so does a `classes.csv`, with a header and the columns `folder`, perhaps `name` (what the class is called) and
`index` (its place among a model's outputs). Spaces around names and ways to write an accent do not count. Without one, folders that are all named by whole numbers are in numeric order and the numbers are the places; folders that are all
named by wnids of ImageNet's classes are in ImageNet's order; all others are sorted by their names.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from robench.data.splits import Among
from robench.errors import DataError, did_you_mean
from robench.files import read_bytes

FILES = ("classes.txt", "classes.csv")
FORMAT = "classes.csv has a header with the column folder, and perhaps name and index"
MAX_INDEX = 1_000_000


@dataclass(frozen=True)
class Classes:
    """The classes of a folder, in their order.

    Attributes:
        folders: that hold images, by label.
        names: of these classes.
        order: by what rule they are in this order, as a run says it.
        outputs: the place of each among the outputs of a wider model; None: not known.
        width: of that model; None: not known.
        everything: the names of all that model's classes, where they are known.
    """

    folders: tuple[str, ...]
    names: tuple[str, ...]
    order: str
    outputs: tuple[int, ...] | None = None
    width: int | None = None
    everything: tuple[str, ...] = ()

    def among(self, *, everything: bool) -> Among | None:
        """These classes as some of the outputs of a wider model."""
        return None if self.outputs is None else Among(self.outputs, self.width, everything)


def classes_of(root: Path, folders: Iterable[str], parts: Iterable[Path] = ()) -> Classes:
    """The order of class folders.

    Args:
        root: where a classes.txt or classes.csv may lie.
        folders: the names of those that hold images.
        parts: folders of the parts of the data set, where one may lie too.

    Raises:
        DataError: a file of classes is damaged or does not name a folder, two of them contradict each other, or two folders
            are the same number.
    """
    found = sorted(set(folders))
    files = [file for place in (root, *parts) for file in sorted(place.iterdir()) if file.name.lower() in FILES]
    listed = [(file, _listed(file, found, root)) for file in files if file.is_file()]
    for file, classes in listed[1:]:
        first, other = listed[0]
        indices = {other.outputs, classes.outputs} - {None}
        if other.folders != classes.folders or len(indices) > 1:
            raise DataError(f"{first} and {file} say different orders of the classes; take one away")
    if listed:
        return listed[0][1]
    if all(re.fullmatch("[0-9]+", name) for name in found):
        numbers = sorted((int(name), name) for name in found)
        _refuse_twice([number for number, _ in numbers], f"{root} has two class folders of the number")
        names = tuple(name for _, name in numbers)
        places = (
            tuple(number for number, _ in numbers) if numbers[-1][0] <= MAX_INDEX else None
        )  # dates, say, are names
        return Classes(names, names, "in numeric order", places)
    if all(re.fullmatch(r"n\d{8}", name) for name in found):
        known = {wnid: place for place, wnid in enumerate(imagenet_wnids())}
        if all(name in known for name in found):
            wnids = tuple(sorted(found, key=known.__getitem__))
            outputs = tuple(known[wnid] for wnid in wnids)
            return Classes(wnids, wnids, "in ImageNet's order of wnids", outputs, len(known), tuple(known))
    return Classes(tuple(found), tuple(found), "sorted by name")


def imagenet_wnids() -> list[str]:
    """The wnids of ImageNet's 1,000 classes, in the order of published models' outputs, as timm ships them."""
    from timm.data import ImageNetInfo

    wnids: list[str] = ImageNetInfo("imagenet-1k").label_names()
    return wnids


def numbers_of(folders: Sequence[str], names: Sequence[str], what: str) -> dict[str, int]:
    """The labels of the class folders of a published data set: by its classes' names, or by numbers.

    Raises:
        DataError: a folder is neither.
    """
    by_name = {_plain(name): label for label, name in enumerate(names)}
    labels = {folder: by_name.get(_plain(folder)) for folder in folders}
    if None in labels.values():
        numbers = {f: int(f) if re.fullmatch("[0-9]+", f) else None for f in folders}
        numbered = {f: n if n is not None and n < len(names) else None for f, n in numbers.items()}
        wrong = sorted(folder for folder in folders if labels[folder] is None and numbered[folder] is None)
        labels = numbered
    known = {folder: label for folder, label in labels.items() if label is not None}
    if len(known) < len(labels):
        raise DataError(
            f"{what} has the class folder {(wrong or sorted(set(folders) - set(known)))[0]!r}, which is none of its {len(names)} classes ({_few(names)}); name the "
            "folders by these names or by their numbers, or use folder(path=...)"
        )
    _refuse_twice(list(known.values()), f"{what} has two class folders of the class")
    return known


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "", name.lower())


def _few(names: Sequence[str]) -> str:
    return ", ".join([*map(repr, names[:5]), *(["…"] if len(names) > 5 else [])])


def _refuse_twice(values: Sequence[object], what: str) -> None:
    if twice := [value for value, count in Counter(values).items() if count > 1]:
        raise DataError(f"{what} {twice[0]!r}; rename one, or merge them")


def _listed(file: Path, found: list[str], root: Path) -> Classes:
    """The classes as a file beside the folders lists them."""
    try:
        text = read_bytes(file).decode("utf-8-sig")
    except (OSError, ValueError) as error:
        raise DataError(f"{file} cannot be read as UTF-8 text ({error}); write it anew, or take it away") from error
    if "\0" in text:
        raise DataError(f"{file} holds a NUL character, which no name has; write it anew as UTF-8 text")
    if file.suffix.lower() == ".csv":
        rows = [(_folder(folder, found), name, index) for folder, name, index in _table(text, file)]
    else:
        lines = [line for line in re.split(r"\r\n|\r|\n", text) if line in found or not line.lstrip().startswith("#")]
        rows = [(_folder(line, found), line.strip(), None) for line in lines]
    rows = [row for row in rows if row[0]]
    places = [place if index is None else index for place, (_, _, index) in enumerate(rows)]
    _refuse_twice([folder for folder, _, _ in rows], f"{file} lists twice the folder")
    _refuse_twice(places, f"{file} lists twice the index")
    listed = sorted((place, folder, name) for place, (folder, name, _) in zip(places, rows, strict=True))
    if missing := [name for name in found if name not in {folder for _, folder, _ in listed}]:
        near = did_you_mean(missing[0], [folder for _, folder, _ in listed][:20])
        raise DataError(
            f"{file} does not list the class folder {missing[0]!r} that has images{near}; add a line, or take it away"
        )
    present = [row for row in listed if row[1] in found]
    indexed = any(index is not None for _, _, index in rows)
    whole = [place for place, _, _ in listed] == list(range(len(listed)))
    return Classes(
        folders=tuple(folder for _, folder, _ in present),
        names=tuple(name for _, _, name in present),
        order=f"as {file.relative_to(root)} says",
        outputs=tuple(place for place, _, _ in present) if indexed or len(present) < len(listed) else None,
        width=len(listed) if whole and len(present) < len(listed) else None,
        everything=tuple(name for _, _, name in listed) if whole else (),
    )


def _folder(given: str, found: list[str]) -> str:
    """The folder that a file means: of that very name, else the only one that differs in nothing that is seen."""
    near = [name for name in found if _seen(name) == _seen(given)]
    return given if given in found else near[0] if len(near) == 1 else given.strip()


def _seen(name: str) -> str:
    return unicodedata.normalize("NFC", name.strip())


def _table(text: str, file: Path) -> list[tuple[str, str, int | None]]:
    """(folder, name, index) of each line of a classes.csv."""
    reader = csv.DictReader(io.StringIO(text), skipinitialspace=True)
    try:
        header = [column.strip().lower() for column in reader.fieldnames or []]
        if "folder" not in header or len(set(header)) < len(header):
            raise DataError(f"{file} begins with {', '.join(header)[:80]!r}; {FORMAT}")
        reader.fieldnames = header
        rows = []
        for line in reader:
            if None in line:
                raise DataError(
                    f'{file} has {len(header)} columns, and line {reader.line_num} more; put names with commas in ""'
                )
            folder, index = line["folder"] or "", (line.get("index") or "").strip()
            if "index" in header and (not re.fullmatch("[0-9]{1,7}", index) or int(index) > MAX_INDEX):
                raise DataError(f"{file} says the index {index!r} of {folder!r}; an index is a whole number from 0")
            rows.append(
                (folder, (line.get("name") or "").strip() or folder.strip(), int(index) if "index" in header else None)
            )
        return rows
    except csv.Error as error:
        raise DataError(f"{file} is no CSV ({error}); {FORMAT}") from error
