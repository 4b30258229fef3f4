"""A classes.txt or classes.csv: where it may lie, what it says, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from class_folders import folders_by_label, loaded, pictures

from robench import DataError


@pytest.mark.parametrize("place", ["", "train", "test"])
@pytest.mark.parametrize("name", ["classes.txt", "Classes.txt", "CLASSES.CSV"])
def test_a_file_of_classes_is_read_wherever_and_however_it_is_named(tmp_path: Path, place: str, name: str) -> None:
    root = pictures(tmp_path / "pics", [f"{part}/{folder}" for part in ("train", "test") for folder in "ab"], count=3)
    head = "folder\n" if name.endswith("CSV") else ""
    (root / place / name).write_text(f"{head}b\na\n")
    assert loaded(root).names == ("b", "a")
    (root / "classes.txt").write_text("a\nb\n")
    if (place, name) != ("", "classes.txt"):
        with pytest.raises(DataError, match="say different orders of the classes"):
            loaded(root)


def test_files_of_classes_that_agree_are_no_contradiction(tmp_path: Path) -> None:
    root = pictures(tmp_path / "pics", ["a", "b"])
    (root / "classes.txt").write_text("b\na\n")
    (root / "classes.csv").write_text("folder,name,index\na,Ant,1\nb,Bee,0\n")
    assert loaded(root).names == ("Bee", "Ant")


@pytest.mark.parametrize(
    ("folders", "text", "names"),
    [
        (["a", "b"], "# mine\nb\n  # more\na", ("b", "a")),
        (["#b", "a"], "# mine\n#b\na", ("#b", "a")),
        ([" a", "b "], "b \n a", ("b", "a")),
        ([" a", "b"], "b\na", ("b", "a")),
        ([" a", "a"], "a\n a", ("a", "a")),
        (["a", "e\u0301"], "\u00e9\na", ("\u00e9", "a")),
        (["a", "\u00e9"], "e\u0301\na", ("e\u0301", "a")),
        (["a\u2028b", "a"], "a\u2028b\na", ("a\u2028b", "a")),
    ],
)
def test_names_in_a_file_of_classes_are_folders_as_they_are_seen(
    tmp_path: Path, folders: list[str], text: str, names: tuple[str, ...]
) -> None:
    root = pictures(tmp_path / "pics", folders)
    (root / "classes.txt").write_text(text, encoding="utf-8")
    splits = loaded(root)
    assert (splits.names, splits.classes, splits.among) == (names, 2, None)


@pytest.mark.parametrize("file", ["classes.txt", "classes.csv"])
def test_a_name_with_nul_is_one_message(tmp_path: Path, file: str) -> None:
    root = pictures(tmp_path / "pics", ["a", "b"])
    (root / file).write_text("folder,name\na,An\0t\nb,Bee\n")
    with pytest.raises(DataError, match=f"{file} holds a NUL character"):
        loaded(root)


@pytest.mark.parametrize(
    ("file", "text", "order", "names"),
    [
        ("classes.txt", "dog\nape\neel\n", ["dog", "ape", "eel"], ("dog", "ape", "eel")),
        ("classes.txt", "\ufeffdog\r\nape\r\n\r\neel", ["dog", "ape", "eel"], ("dog", "ape", "eel")),
        ("classes.csv", "folder,index\nape,2\ndog,0\neel,1\n", ["dog", "eel", "ape"], ("dog", "eel", "ape")),
        ("classes.csv", "Folder, Name\neel, 'Aal, klein'\nape,Affe\ndog,\n", ["eel", "ape", "dog"], None),
        ("classes.csv", 'name,folder\n"Aal, klein",eel\nAffe,ape\nHund,dog\n', ["eel", "ape", "dog"], ("Aal, klein", "Affe", "Hund")),
    ],
)  # fmt: skip
def test_a_file_beside_the_folders_says_their_order(
    tmp_path: Path, file: str, text: str, order: list[str], names: tuple[str, ...] | None
) -> None:
    root = pictures(tmp_path / "pics", ["ape", "dog", "eel"])
    first = loaded(root)
    (root / file).write_bytes(text.encode())
    if names is None:
        with pytest.raises(DataError, match="has 2 columns, and line 2 more"):
            loaded(root)
        return
    splits = loaded(root)
    assert folders_by_label(splits) == dict(enumerate(order))
    assert (splits.names, splits.order) == (names, f"as {file} says")
    assert splits.test.fingerprint != first.test.fingerprint


@pytest.mark.parametrize(
    ("file", "content", "told"),
    [
        ("classes.txt", b"ape\ndog\n", "does not list the class folder 'eel'"),
        ("classes.txt", b"ape\ndog\neel\nape\n", "lists twice the folder 'ape'"),
        ("classes.txt", b"", "does not list the class folder 'ape'"),
        ("classes.txt", b"\xff\xfe\x00d", "cannot be read as UTF-8 text"),
        ("classes.csv", b"ape,0\ndog,1\neel,2\n", "begins with 'ape, 0'; classes.csv has a header"),
        ("classes.csv", b"folder,index\nape,0\ndog,x\neel,2\n", "the index 'x' of 'dog'"),
        ("classes.csv", b"folder,index\nape,0\ndog,-1\neel,2\n", "the index '-1' of 'dog'"),
        ("classes.csv", b"folder,index\nape,0\ndog\neel,2\n", "the index '' of 'dog'"),
        ("classes.csv", b"folder,index\nape,0\ndog,0\neel,2\n", "lists twice the index 0"),
        ("classes.csv", b"folder,index\nape,0\ndog,99999999\neel,2\n", "the index '99999999'"),
        ("classes.csv", b"", "begins with ''"),
    ],
)
def test_a_file_of_classes_that_does_not_fit_is_one_error(tmp_path: Path, file: str, content: bytes, told: str) -> None:
    root = pictures(tmp_path / "pics", ["ape", "dog", "eel"])
    (root / file).write_bytes(content)
    with pytest.raises(DataError, match=f"{file} .*{told}"):
        loaded(root)
