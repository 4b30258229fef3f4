"""A manifest that is gone or damaged is written anew from the parts, which say what they are of."""

from __future__ import annotations

from pathlib import Path

import pytest
from gated import add
from typer.testing import CliRunner

from robench.cli import app
from robench.records.manifest import Manifest
from robench.records.repair import repair
from robench.records.store import Store
from robench.records.unit import Unit


@pytest.fixture
def two(tmp_path: Path) -> tuple[Unit, Unit]:
    """Two units, the first in two parts."""
    add(tmp_path, [True, False], weights="one")
    add(tmp_path, [True, True, False], weights="two")
    newest, oldest = Store(tmp_path).units()
    return oldest, newest


@pytest.mark.parametrize("spoil", [None, b"", b"{", b"[" * 9000])
def test_a_manifest_is_written_anew_as_it_was(two: tuple[Unit, Unit], tmp_path: Path, spoil: bytes | None) -> None:
    mended, other = two
    path = mended.folder / "manifest.json"
    before, untouched = Manifest.read(path), (other.folder / "manifest.json").read_bytes()
    path.unlink() if spoil is None else path.write_bytes(spoil)
    notes: list[str] = []
    assert [one.folder for one in Store(tmp_path).units(notes.append)] == [other.folder]
    assert len(notes) == 1 and "`robench store repair`" in notes[0]
    found = repair(tmp_path)
    assert (found.mended, found.sound, found.lost) == ([mended.folder.name], [other.folder.name], [])
    assert Manifest.read(path) == before
    assert (other.folder / "manifest.json").read_bytes() == untouched
    aside = [file.read_bytes() for file in (tmp_path / "damaged").rglob("*manifest.json")]
    assert aside == ([] if spoil is None else [spoil])
    assert not (mended.folder / "lease").exists()


def test_parts_that_say_nothing_or_are_of_another_unit_mend_nothing(two: tuple[Unit, Unit], tmp_path: Path) -> None:
    mended, other = two
    (mended.folder / "manifest.json").unlink()
    (part,) = mended.folder.glob("part-*.parquet")
    (theirs,) = other.folder.glob("part-*.parquet")
    kept = part.read_bytes()
    part.unlink()
    (mended.folder / theirs.name).write_bytes(theirs.read_bytes())
    (mended.folder / "part-0123456789abcdef.parquet").write_bytes(kept)
    found = repair(tmp_path)
    assert (found.mended, found.lost) == ([], [mended.folder.name])
    assert not (mended.folder / "manifest.json").exists() and not (tmp_path / "damaged").exists()


def test_the_command_says_what_it_did(two: tuple[Unit, Unit], tmp_path: Path) -> None:
    (two[0].folder / "manifest.json").unlink()
    done = CliRunner().invoke(app, ["store", "repair", "--store", str(tmp_path)])
    assert done.exit_code == 0
    assert done.stdout.splitlines() == [
        f"{two[0].folder.name}  its manifest is written anew",
        "1 units are sound, 1 mended, 0 lost",
    ]
    missing = CliRunner().invoke(app, ["store", "repair", "--store", str(tmp_path / "nowhere")])
    assert missing.exit_code == 2 and "there is no store" in missing.stderr


def test_what_a_killed_writer_left_is_cleared_by_the_next_owner(two: tuple[Unit, Unit]) -> None:
    left = two[0].folder / ".staging.parquet.abc.part"
    left.write_bytes(b"half")
    with two[0].lease(lambda _: None) as owned:
        owned.mend(lambda _: None)
    assert not left.exists()
