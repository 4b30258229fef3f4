"""Records that leave a store as one file, and those of several stores in one."""

from __future__ import annotations

from pathlib import Path

import pytest
from gated import add
from measured import card, unit
from measured import measured as measured_cell
from typer.testing import CliRunner

from robench.cli import app
from robench.reporting.exported import Exported, exported_cells, merged, read_records, write_records
from robench.reporting.result import Result


def cell(success: list[bool], created: float, attack: str = "fgsm(eps=0.1)", weights: str = "w") -> Exported:
    one = measured_cell(success, attack=attack, created=created, weights=weights, dataset="digits")
    (found,) = exported_cells(
        Result([one], {one.unit.identity.model: card(model=one.unit.identity.model, weights=weights)})
    )
    return found


def test_of_the_same_cell_the_newest_is_kept_in_whichever_order() -> None:
    old, new, other = cell([True], 1.0, weights="v"), cell([False, False], 2.0), cell([True] * 3, 0.5, "pgd")
    for sources in ([[old, other], [new]], [[new], [old, other]]):
        assert sorted(len(one.records) for one in merged(*sources)) == [2, 3]


def test_of_the_same_weights_the_cell_of_more_images_is_kept() -> None:
    many, few = cell([True] * 3, 1.0), cell([False, False], 2.0)
    for sources in ([[many], [few]], [[few], [many]]):
        assert [len(one.records) for one in merged(*sources)] == [3]
    again = cell([False] * 3, 3.0)
    assert not merged([many], [again])[0].records["success"].any()


def test_what_is_merged_is_read_with_the_cards_of_what_was_kept(tmp_path: Path) -> None:
    size = card(model="size-1", weights="")
    kept = merged(
        [cell([True], 1.0, weights="old")], [cell([False, True], 2.0, weights="new"), cell([True], 1.0, "pgd")]
    )
    found, cards = read_records(write_records(kept, [size], tmp_path / "r.parquet"))
    assert {one.printed.attack: one.records["success"].tolist() for one in found} == {
        "fgsm(eps=0.1)": [False, True],
        "pgd": [True],
    }
    assert {one.printed.attack: one.card and one.card.weights for one in found} == {"fgsm(eps=0.1)": "new", "pgd": "w"}
    assert {one.model for one in cards} == {"size-1", *(one.card.model for one in found if one.card)}
    assert unit(weights="old").identity.model not in {one.model for one in cards}


def test_the_command_adds_a_store_to_what_was_exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_records([cell([True, True, True], 1.0), cell([True], 1.0, "pgd")], [card(weights="")], Path("laptop.parquet"))
    add(tmp_path / "results", [False, True])
    words = ["report", "--format", "parquet", "--merge", "laptop.parquet", "--out", "laptop.parquet"]
    assert CliRunner().invoke(app, words).exit_code == 0
    found, cards = read_records(Path("laptop.parquet"))
    assert sorted((one.printed.attack, len(one.records)) for one in found) == [("fgsm(eps=0.1)", 2), ("pgd", 1)]
    assert [one for one in cards if not one.weights] == [card(weights="")]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--merge laptop.parquet", "give --format parquet"),
        ("--format parquet --merge nowhere.parquet --out r.parquet", "cannot be read as Parquet"),
        ("ksa_table1 --merge laptop.parquet", "--normaliser and --merge out"),
    ],
)
def test_what_cannot_be_merged_is_one_message(
    words: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    add(tmp_path / "results", [False, True])
    done = CliRunner().invoke(app, ["report", *words.split()])
    assert done.exit_code == 2 and message in " ".join(done.output.split()) and not Path("r.parquet").exists()
