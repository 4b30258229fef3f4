"""Class folders: what is a class, which label each has, and what a run says of it."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from class_folders import folders_by_label, loaded, pictures

import robench
from robench import DataError, Places
from robench.console import Silent
from robench.data import decoding
from robench.data.loading import load_data
from robench.reporting.pages import render, write_report


@pytest.mark.parametrize(
    ("folders", "order", "rule"),
    [
        (list(map(str, range(12))), list(map(str, range(12))), "in numeric order"),
        (["10", "9", "1", "2"], ["1", "2", "9", "10"], "in numeric order"),
        (["010", "002", "1"], ["1", "002", "010"], "in numeric order"),
        (
            ["n01534433", "n01498041", "n01531178"],
            ["n01498041", "n01531178", "n01534433"],
            "in ImageNet's order of wnids",
        ),
        (["n01534433", "n99999999"], ["n01534433", "n99999999"], "sorted by name"),
        (["dog", "ape", "Cat"], ["Cat", "ape", "dog"], "sorted by name"),
        (["2", "10", "x"], ["10", "2", "x"], "sorted by name"),
        (["-1", "1"], ["-1", "1"], "sorted by name"),
        (["²", "1"], ["1", "²"], "sorted by name"),
        (["a b", "c,'d'", "ё"], ["a b", "c,'d'", "ё"], "sorted by name"),
    ],
)
def test_class_folders_have_a_stated_order(tmp_path: Path, folders: list[str], order: list[str], rule: str) -> None:
    splits = loaded(pictures(tmp_path / "pics", folders))
    assert folders_by_label(splits) == dict(enumerate(order))
    assert (splits.names, splits.classes, splits.order) == (tuple(order), len(order), rule)


def test_hidden_and_empty_folders_are_no_classes_and_what_is_left_out_is_said(tmp_path: Path) -> None:
    root = pictures(tmp_path / "pics", ["ape", "dog", ".ipynb_checkpoints", "__MACOSX", "@eaDir", "dog/.thumbs"])
    (root / "eel").mkdir()
    (root / "ape" / "notes.txt").write_text("")
    (root / ".DS_Store").write_text("")
    (root / "README.md").write_text("")
    splits = loaded(root)
    assert folders_by_label(splits) == {0: "ape", 1: "dog"}
    assert len(splits.test) == 2
    assert splits.source.endswith(
        "without 1 files that are no pictures in class folders ('notes.txt'), without the empty folders 'eel'"
    )


def test_pictures_in_folders_within_a_class_folder_are_of_that_class(tmp_path: Path) -> None:
    root = pictures(tmp_path / "pics", ["ape", "dog"])
    pictures(root, ["dog/small/dog"], count=2)
    (root / "dog" / "again").symlink_to(root / "dog", target_is_directory=True)
    assert np.bincount(loaded(root).test.targets().numpy()).tolist() == [1, 3]


def test_train_and_test_that_disagree_in_classes_are_told(tmp_path: Path) -> None:
    root = pictures(tmp_path / "pics", ["train/ape", "train/dog", "train/eel", "test/ape", "test/eel"], count=4)
    splits = loaded(root)
    assert (splits.classes, splits.names) == (3, ("ape", "dog", "eel"))
    assert folders_by_label(splits) == {0: "ape", 2: "eel"}
    assert "without test images of 'dog'" in splits.source
    pictures(root, ["test/Dog"])
    with pytest.raises(
        DataError, match="train/ and test/ of .* disagree: test/ has pictures of 'Dog', train/ has none"
    ):
        loaded(root)


@pytest.mark.parametrize(
    ("folders", "told"),
    [
        ([], "holds no images in class folders .it has nothing."),
        (["train/ape"], "has train/ with pictures, but no test/ or val/"),
        (["1", "01"], "two class folders of the number 1"),
    ],
)
def test_folders_that_are_no_data_set_are_one_error(tmp_path: Path, folders: list[str], told: str) -> None:
    (tmp_path / "pics").mkdir()
    with pytest.raises(DataError, match=told):
        loaded(pictures(tmp_path / "pics", folders))


def test_pictures_without_a_class_folder_are_told(tmp_path: Path) -> None:
    pictures(tmp_path, ["pics"])
    with pytest.raises(DataError, match=r"no images in class folders \(it has '0.png'\)"):
        loaded(tmp_path / "pics")


@pytest.mark.parametrize(
    "names", [("Training", "Testing"), ("TRAIN", "Test"), ("train", "valid"), ("Train", "Validation")]
)
def test_the_parts_of_a_data_set_are_known_by_any_spelling(tmp_path: Path, names: tuple[str, str]) -> None:
    root = pictures(tmp_path / "pics", [f"{part}/{folder}" for part in names for folder in ("ape", "dog")], count=5)
    splits = loaded(root)
    assert (splits.names, len(splits.train), len(splits.validation), len(splits.test)) == (("ape", "dog"), 9, 1, 10)
    pictures(root, [f"{names[1].lower()}ing/ape" if names[1] == "Test" else "testing/ape"])
    if names[1] in ("Testing", "Test"):
        with pytest.raises(DataError, match="has both Test.*/ and test.*; which is it"):
            loaded(root)


def test_a_val_folder_beside_train_and_test_is_the_validation_split(tmp_path: Path) -> None:
    root = pictures(tmp_path / "pics", [f"{part}/{folder}" for part in ("train", "test") for folder in "ab"], count=3)
    pictures(root, ["val/a", "val/b", "extra/x"], count=2)
    splits = loaded(root)
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (6, 4, 6)
    assert "val/ as validation, without 'extra' beside test/" in splits.source
    pictures(root, ["val/c"])
    with pytest.raises(DataError, match=r"train/ and val/ of .* disagree: val/ has pictures of 'c'"):
        loaded(root)
    pictures(tmp_path / "two", ["val/a", "val/b", "test/a", "test/b"])
    assert "without 'val' beside test/" in loaded(tmp_path / "two").source


@pytest.mark.parametrize(
    ("folders", "told"),
    [
        (["data/train/a", "data/train/b", "data/test/a"], "holds te?.*/; give .*pics/data$"),
        (["x/data/Test/a", "x/data/Test/b", "docs"], "holds data/Test/; give .*pics/x/data$"),
        (["photos/a", "photos/b"], "single class folder, 'photos', .* such as 'a': give .*pics/photos$"),
        (["x/photos/a", "x/photos/b"], "single class folder, 'x', .* such as 'a': give .*pics/x/photos$"),
        (["a/train", "a/test", "b/train", "b/test"], "/a'.* holds test/; wanted .*pics/test/a/IMAGE"),
        (["train/photos/a", "train/photos/b", "test/photos/a"], "single class folder, 'photos'.*give .*train/photos$"),
    ],
)
def test_folders_that_hold_class_folders_are_no_classes(tmp_path: Path, folders: list[str], told: str) -> None:
    with pytest.raises(DataError, match=told.replace("te?.*/", "test/")):
        loaded(pictures(tmp_path / "pics", folders))


def test_hidden_pictures_and_folders_of_systems_are_left_out(tmp_path: Path) -> None:
    litter = ["$RECYCLE.BIN", "$Recycle.Bin", "System Volume Information", "__MACOSX", "#recycle"]
    root = pictures(tmp_path / "pics", ["a", "b", *litter])
    pictures(tmp_path, ["shown"])
    (tmp_path / "shown" / "0.png").rename(root / "a" / ".thumb.png")
    (root / "b" / "._0.png").write_bytes(b"\x00\x05\x16\x07")
    splits = loaded(root)
    assert (splits.names, len(splits.test)) == (("a", "b"), 2)


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    splits = loaded(pictures(tmp_path / "pics", ["train", "car", "test"]))
    assert splits.names == ("car", "test", "train")


def test_a_run_says_once_which_class_is_which_and_the_page_too(tmp_path: Path) -> None:
    root = pictures(pictures(tmp_path / "pics", ["10"]), ["2"], count=2)
    told = Silent()
    (tmp_path / "plain.py").write_text(PLAIN)
    result = robench.run(
        ["./plain.py", "./plain.py"], "fgsm(eps=0.1)", f"folder(path={str(root)!r}, size=9)", reporter=told
    )
    said = [message for message in told.messages if "class 0" in message]
    assert said == [
        f"folder(path={str(root)!r}, size=9): 2 classes, in numeric order: class 0 = '2' (2 images), class 1 = '10' (1 image)"
    ]
    assert result.measured[0].unit.facts.class_names == ["2", "10"]
    assert "Classes: 0 2, 1 10." in render(result, "html")


def test_a_class_whose_folder_is_no_text_does_not_cost_the_page(tmp_path: Path) -> None:
    root = pictures(tmp_path / "pics", ["ape", os.fsdecode(b"dog\xff")])
    (tmp_path / "plain.py").write_text(PLAIN)
    result = robench.run("./plain.py", "fgsm(eps=0.1)", f"folder(path={str(root)!r}, size=9)")
    page = write_report(result, tmp_path / "page.html", "html")
    assert "dog\\udcff" in page.read_text(encoding="utf-8")


def test_of_many_classes_the_first_few_are_said(tmp_path: Path) -> None:
    root = pictures(tmp_path / "pics", [f"class {i}" for i in range(30)])
    said = load_data(f"folder(path={str(root)!r}, size=9)", Places.of()).classes_said
    assert said.count("image)") == 5
    assert said.endswith("and 25 more")
    assert load_data("digits", Places.of()).classes_said == ""


def test_a_damaged_copy_is_decoded_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("WARNING", logger="robench")
    root, places = pictures(tmp_path / "pics", ["ape", "dog"], count=3), Places.of(cache=tmp_path / "cache")
    name = f"folder(path={str(root)!r}, size=9)"
    before = load_data(name, places).splits.test
    for place, file in enumerate(("labels.npy", "ids.npy", "images.npy", "facts.json", "images.npy")):
        (kept,) = (p for p in (tmp_path / "cache").rglob(file) if "damaged" not in p.parent.name)
        content = bytearray(kept.read_bytes())
        content[-8] ^= 1
        kept.write_bytes(content if place < 3 else content[:90])
        after = load_data(name, places).splits.test
        assert after.fingerprint == before.fingerprint
        assert f"{len(caplog.messages)} {caplog.messages[-1]}".startswith(f"{len(caplog.messages)} the decoded copy")
        caplog.clear()
    assert len([*(tmp_path / "cache").rglob("damaged-*")]) == 5


def test_pixels_of_a_large_copy_are_looked_at_when_they_are_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "MOST_HASHED", 0)
    root, places = pictures(tmp_path / "pics", ["ape", "dog"], count=3), Places.of(cache=tmp_path / "cache")
    name = f"folder(path={str(root)!r}, size=9)"
    load_data(name, places).splits.test.verify()
    (kept,) = (tmp_path / "cache").rglob("images.npy")
    content = bytearray(kept.read_bytes())
    content[-8] ^= 1
    kept.write_bytes(content)
    with pytest.raises(DataError, match="not those it was made with.*is set aside: run the same again"):
        load_data(name, places).splits.test.verify()
    load_data(name, places).splits.test.verify()


PLAIN = '''
from torch import nn
import robench


@robench.defense()
def plain(task: robench.Task, *, outputs: int = 0) -> robench.Recipe:
    """A linear model that is not trained."""
    count = outputs or task.classes
    return robench.Recipe(nn.Sequential(nn.Flatten(), nn.Linear(243, count)), robench.Schedule(steps=0))
'''
