"""A part whose digest is right holds records, or is damaged all the same: who wrote it may be a stranger."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from gated import add

from robench.files import MOST_BYTES, read_bytes
from robench.hashing import file_digest
from robench.records.store import Store
from robench.records.unit import ABOUT, Unit


@pytest.fixture
def one(tmp_path: Path) -> Unit:
    add(tmp_path, [True, False, True])
    (found,) = Store(tmp_path).units()
    return found


def rewritten(one: Unit, change: Any) -> None:
    """The part with another table, under the name that it then has."""
    (path,) = one.folder.glob("part-*.parquet")
    table = pq.read_table(path)
    pq.write_table(change(table).replace_schema_metadata(table.schema.metadata), path)
    path.rename(path.with_name(f"part-{file_digest(path)[:16]}.parquet"))


def column(name: str, values: list[Any]) -> Any:
    def change(table: pa.Table) -> pa.Table:
        place = table.schema.get_field_index(name)
        return table.set_column(place, table.schema.field(place), pa.array(values, table.schema.field(place).type))

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.drop_columns(["fooled"]), "its columns are not those of records"),
        (lambda table: table.append_column("more", pa.array([1, 2, 3])), "its columns are not those of records"),
        (lambda table: table.slice(1), "rows are missing"),
        (column("image", ["a", "a", "b"]), "an image is there twice under one condition"),
        (column("image", ["a", None, "b"]), "an image has no id"),
        (column("success", [True, None, True]), "success is not true or false in every row"),
        (column("fooled", [True, None, True]), "fooled is not true or false in every row"),
        (column("correct", [True, None, True]), "correct is not true or false in every row"),
        (column("label", [0, -1, 0]), "label is no class in every row"),
        (column("prediction", [0, None, 0]), "prediction is no class in every row"),
        (column("clean_prediction", [0, None, 0]), "clean_prediction is no class in every row"),
        (column("l2", [0.1, -0.1, 0.1]), "a size of a perturbation is missing or below 0"),
        (column("l0", [0.1, None, 0.1]), "a size of a perturbation is missing or below 0"),
        (column("confidence", [0.1, 1.5, 0.1]), "a confidence is no probability"),
        (column("certainty", [0.1, -0.5, 0.1]), "a certainty is no probability"),
    ],
)
def test_what_are_no_records_is_told_and_left_out(one: Unit, change: Any, message: str) -> None:
    assert len(one.read()) == 3
    rewritten(one, change)
    notes: list[str] = []
    assert len(one.read(notes.append)) == 0
    assert any(f"is damaged ({message})" in note or f"it cannot be read: {message}" in note for note in notes), notes


@pytest.mark.parametrize("about", [b"null", b"[]", b"7", b"\xff", b"[" * 9000, b'{"unit": "of another"}'])
def test_a_part_that_says_something_else_of_itself_is_damaged(one: Unit, about: bytes) -> None:
    (path,) = one.folder.glob("part-*.parquet")
    pq.write_table(pq.read_table(path).replace_schema_metadata({ABOUT: about}), path)
    path.rename(path.with_name(f"part-{file_digest(path)[:16]}.parquet"))
    notes: list[str] = []
    assert len(one.read(notes.append)) == 0 and "is damaged" in notes[0]


def test_a_norm_a_goal_or_a_day_that_is_none_makes_a_manifest_damaged(one: Unit) -> None:
    from robench.records.manifest import Damaged, Manifest, signed

    path = one.folder / "manifest.json"
    facts = (("norm", "l7"), ("goal", "else"), ("created", 1e18), ("created", -1.0), ("created", 1e12))
    for name, value in facts:
        content = json.loads(path.read_text())
        content.pop("digest")
        content.pop("schema")
        content["facts"][name] = value
        other = path.with_name("other.json")
        other.write_text(json.dumps(signed(content)))
        with pytest.raises(Damaged, match="seconds after 1970" if name == "created" else str(value)):
            Manifest.read(other)


def test_a_file_without_end_is_not_read_for_ever() -> None:
    from robench import UsageError

    with pytest.raises(UsageError, match=f"is larger than {MOST_BYTES / 1e6:.0f} MB"):
        read_bytes(Path("/dev/zero"))
