"""`robench store`: what is there is listed, and cleared only when a person or --yes says so."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
from measured import card, records, unit
from typer.testing import CliRunner

from robench import Call, StoreError
from robench.cli import app
from robench.leases.holders import Holder
from robench.records.refusals import Refusal, refuse
from robench.records.store import Store
from robench.records.unit import Unit
from robench.reporting.holdings import discard, holdings

DAY = 86_400.0


def cli(*arguments: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["store", *arguments, "--store", "results"])
    return done.exit_code, done.stdout, done.stderr


def stored(**changes: object) -> Unit:
    made = unit(**changes)  # type: ignore[arg-type]
    found = Store(Path("results")).unit(made.spec, made.identity, made.facts)
    found.add(records([True, False]))
    return found


@pytest.fixture
def two() -> tuple[Unit, Unit]:
    """A row and an older one, measured with code that has changed since."""
    older = stored(code="old", weights="a")
    return older, stored(code="new", weights="b")


def test_ls_says_what_is_current_and_what_is_older(two: tuple[Unit, Unit]) -> None:
    older, current = two
    code, out, _ = cli("ls")
    assert code == 0
    lines = {line.split()[0]: line.split()[1] for line in out.splitlines()[:-1]}
    assert lines == {older.folder.name: "older", current.folder.name: "current"}
    assert "vit under fgsm(eps=0.1) on digits" in out
    assert out.splitlines()[-1].startswith("2 units, 4 rows")
    plain = json.loads(cli("ls", "--json")[1])
    assert [one["rows"] for one in plain] == [2, 2]


def test_nothing_is_removed_without_a_word(two: tuple[Unit, Unit]) -> None:
    code, _, err = cli("gc")
    assert code == 2
    assert "there is no terminal to ask: say --yes" in err
    assert all(one.folder.exists() for one in two)


def test_gc_removes_what_no_report_shows_and_rm_what_is_named(two: tuple[Unit, Unit]) -> None:
    older, current = two
    (Path("results") / "models").mkdir()
    card().write(Path("results") / "models" / "m0.json")
    (Path("results") / "models" / "mine.json").write_text("{}")
    code, out, _ = cli("gc", "--yes")
    assert code == 0
    assert "removed 1 units and 1 other files" in out
    assert (Path("results") / "models" / "mine.json").exists(), "no card of robench's"
    assert not (Path("results") / "models" / "m0.json").exists()
    assert (older.folder.exists(), current.folder.exists()) == (False, True)
    assert cli("gc", "--yes")[1].startswith("nothing to remove")
    assert "no unit is named 'vit-fgm-*'" in cli("rm", "vit-fgm-*", "--yes")[2]
    assert cli("rm", "vit-fgsm-*", "--yes")[0] == 0
    assert not current.folder.exists()


def test_what_a_frozen_board_names_stays(two: tuple[Unit, Unit]) -> None:
    older, current = two
    boards = Path("results") / "boards"
    boards.mkdir()
    (boards / "paper.json").write_text(json.dumps({"units": [older.identity.digest()]}))
    code, out, _ = cli("rm", "*", "--yes")
    assert code == 0
    assert "stays: a frozen board names it" in out
    assert (older.folder.exists(), current.folder.exists()) == (True, False)
    with pytest.raises(StoreError, match="named by a frozen board"):
        discard(Path("results"), holdings(Path("results"))[0])
    (boards / "paper.json").write_text("{")
    code, _, err = cli("gc", "--yes")
    assert code == 5
    assert "cannot be read" in err and "nothing is removed" in err


def test_a_unit_that_is_worked_on_stays(two: tuple[Unit, Unit]) -> None:
    this = asdict(Holder.this())
    (two[0].folder / "lease").write_text(json.dumps(this))
    code, _, err = cli("gc", "--yes")
    assert code == 5
    assert "is being worked on" in err
    assert two[0].folder.exists()
    (two[0].folder / "lease").write_text(json.dumps({**this, "began": "another time"}))
    assert cli("gc", "--yes")[0] == 0
    assert not two[0].folder.exists()


def test_gc_removes_no_file_without_a_word(two: tuple[Unit, Unit]) -> None:
    cli("gc", "--yes")
    path = Path("results") / "damaged" / "unit" / "1-part.parquet"
    path.parent.mkdir(parents=True)
    path.write_text("")
    code, _, err = cli("gc")
    assert (code, path.exists()) == (2, True)
    assert "0 units and 1 other files would be removed" in err
    assert cli("gc", "--yes")[0] == 0
    assert not path.exists()


def test_what_was_refused_is_listed_and_can_be_removed() -> None:
    root = Path("results")
    for name in ("one", "two"):
        refuse(root, Refusal(Call(name), Call("digits"), None, "f" * 16, "", 0, "float32", "it raised", 0.0))
    first, second = sorted((root / "refused").iterdir())
    assert f"refused-{first.stem}" in cli("ls")[1]
    assert cli("ls")[1].splitlines()[-1].startswith("0 units, 0 rows")
    assert cli("rm", f"refused-{first.stem}", "--yes")[0] == 0
    assert (first.exists(), second.exists()) == (False, True)
    second.write_text("{")
    assert "is damaged" in cli("gc", "--yes")[2]
    assert not second.exists()


@pytest.mark.parametrize("units", ["1bcb216f850c5c1f", ["vit-fgsm-1bcb216f850c5c1f"]])
def test_a_board_that_names_no_identities_stops_all_removal(units: object, two: tuple[Unit, Unit]) -> None:
    boards = Path("results") / "boards"
    boards.mkdir()
    (boards / "b.json").write_text(json.dumps({"units": units}))
    code, _, err = cli("rm", "*", "--yes")
    assert code == 5
    assert "must be a list of identities" in err
    assert cli("gc", "--yes")[0] == 5
    code, out, err = cli("ls")
    assert code == 0 and "2 units" in out and "must be a list of identities" in err, "what reads goes on"
    assert all(one.folder.exists() for one in two)


def test_ls_tells_what_is_damaged(two: tuple[Unit, Unit]) -> None:
    next(two[0].folder.glob("part-*")).write_bytes(b"")
    assert "is damaged (its hash is wrong)" in cli("ls")[2]


def test_a_store_that_is_not_there_is_said() -> None:
    code, _, err = cli("ls")
    assert code == 2
    assert "there is no store 'results' (it has no records/); name its folder with --store" in err


def test_a_damaged_manifest_is_listed_and_cleared_by_gc(two: tuple[Unit, Unit]) -> None:
    (two[1].folder / "manifest.json").write_text("{")
    out = cli("ls")[1]
    assert f"{two[1].folder.name}  damaged" in out
    cli("gc", "--yes")
    assert not two[1].folder.exists()
