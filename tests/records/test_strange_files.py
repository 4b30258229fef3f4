"""What lies where a store's files are may be no file at all, a link, or signed by a stranger: one line, and the others stand."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from measured import records, unit
from safetensors import SafetensorError

from robench import StoreError, UsageError, files
from robench.entries.paths import contents_digest
from robench.files import atomic_path, read_stored
from robench.leases import taking
from robench.records.manifest import Manifest, signed
from robench.records.repair import repair
from robench.records.schema import SCHEMA, frame_of, to_frame
from robench.records.store import Store
from robench.records.unit import Measured, Unit
from robench.reporting.exported import ABOUT, exported_cells, read_records, write_records
from robench.reporting.leaderboard.freezing import freeze, thawed
from robench.reporting.pages import stored
from robench.reporting.result import Result
from robench.training.snapshots import save_tensors


@pytest.fixture
def two() -> list[Unit]:
    """Two units of a store of three records each."""
    found = []
    for weights in ("one", "two"):
        made = unit(weights=weights)
        own = Store(Path("results")).unit(made.spec, made.identity, made.facts)
        own.add(records([True, False, True]))
        found.append(own)
    return found


def pipe(path: Path) -> None:
    os.mkfifo(path)


def endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def dangling(path: Path) -> None:
    path.symlink_to("nowhere")


STRANGE = [pipe, endless, dangling]


@pytest.mark.parametrize("lay", STRANGE)
@pytest.mark.parametrize("name", ["manifest.json", "part"])
def test_what_has_no_end_is_damaged(name: str, lay: Callable[[Path], None], two: list[Unit]) -> None:
    path = two[0].folder / name if name != "part" else next(two[0].folder.glob("part-*"))
    path.unlink()
    lay(path)
    found, notes = stored(Path("results"))
    assert len(found.measured) == 1 and any(two[0].folder.name in note for note in notes)
    assert not two[0].keeps_pixels(), "it is asked of the files before they are read"


@pytest.mark.parametrize("lay", STRANGE)
def test_a_lease_that_is_no_file_is_an_old_one(lay: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(taking, "UNREADABLE", 0.2)
    Path("unit").mkdir()
    lay(Path("unit/lease"))
    with taking.lease(Path("unit/lease"), poll=0.02) as own:
        own.check()
        assert Path("unit/lease").is_file() and not Path("unit/lease").is_symlink()


def test_a_larger_file_than_any_that_is_written_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b"x" * 11)
    assert read_stored(tmp_path / "large", most=None) == b"x" * 11
    with pytest.raises(OSError, match="it has 11 bytes, more than 10"):
        read_stored(tmp_path / "large", most=10)


def test_one_manifest_that_says_another_schema_is_damaged_and_not_the_store(two: list[Unit]) -> None:
    path = two[0].folder / "manifest.json"
    path.write_text(path.read_text().replace('"schema": 3', '"schema": 2'))
    found, notes = stored(Path("results"))
    assert len(found.measured) == 1 and any("its digest is wrong" in note for note in notes)
    old = json.loads(path.read_text())
    old.pop("digest")
    path.write_text(json.dumps(old))
    with pytest.raises(StoreError, match="is a store of schema 2"):
        Manifest.read(path)


def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("before")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "to come").symlink_to("new")
    for name in ("link", "to come"):
        with atomic_path(tmp_path / name) as temporary:
            temporary.write_text("after")
        assert (tmp_path / name).is_symlink() and (tmp_path / name).read_text() == "after"
    (tmp_path / "loop").symlink_to("loop")
    with (
        pytest.raises(StoreError, match="cannot write .*loop: Too many levels"),
        atomic_path(tmp_path / "loop") as temporary,
    ):
        temporary.write_text("never")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes devices")
def test_a_device_that_cannot_be_written_stays(tmp_path: Path) -> None:
    full = tmp_path / "full"
    try:
        os.mknod(full, 0o666 | 0o020000, os.makedev(1, 7))
        full.open("wb").close()
    except OSError as error:
        pytest.skip(f"no devices here: {error}")
    one = Measured(unit(), records([True]))
    with pytest.raises(StoreError, match="No space left"):
        write_records(exported_cells(Result([one])), [], full)
    assert full.is_char_device()


@pytest.mark.parametrize("about", [b"[]", b"{}", b"\xff", b'{"columns": 3}'])
def test_what_pandas_is_told_of_a_table_is_not_read(about: bytes) -> None:
    table = pa.Table.from_pandas(frame_of(1, {"image": "a"}), SCHEMA).replace_schema_metadata({b"pandas": about})
    assert to_frame(table)["image"].tolist() == ["a"]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda t: t.set_column(t.column_names.index("label"), "label", pa.array([b"x"] * len(t))), "label"),
        (lambda t: t.set_column(t.column_names.index("seed"), "seed", pa.array([0.5] * len(t))), "a seed is no whole"),
        (lambda t: told(t, created=10**400), "damaged"),
        (lambda t: told(t, created=1e300), "damaged"),
    ],
)
def test_records_of_a_stranger_are_one_message(spoil: Callable[[pa.Table], pa.Table], message: str) -> None:
    write_records(exported_cells(Result([Measured(unit(), records([True, False]))])), [], Path("r.parquet"))
    table = pq.read_table("r.parquet")
    pq.write_table(spoil(table).replace_schema_metadata(spoil(table).schema.metadata), "r.parquet")
    with pytest.raises(UsageError, match=message):
        read_records(Path("r.parquet"))


def told(table: pa.Table, **changes: object) -> pa.Table:
    about = [{**one, **changes} for one in json.loads(table.schema.metadata[ABOUT])]
    return table.replace_schema_metadata({**table.schema.metadata, ABOUT: json.dumps(about).encode()})


EMPTIED: dict[str, list[str]] = {"of each unit": []}


@pytest.mark.parametrize("signed_again", [False, True])
@pytest.mark.parametrize(
    "changes",
    [{"suite": 7}, {"suite": ["linf"]}, {"parts": {}}, {"parts": EMPTIED}, {"units": []}, {"made": "2020-01-01"}],
)
def test_a_frozen_board_that_was_changed_is_not_made_again(
    changes: dict[str, object], signed_again: bool, two: list[Unit]
) -> None:
    root = Path("results")
    path = freeze(root, "b", Result([Measured(one, one.read()) for one in two]))
    assert len(thawed(root, "b")[0].measured) == 2
    content = {**json.loads(path.read_text()), **changes}
    if changes == {"parts": EMPTIED}:
        content["parts"] = {name: [] for name in content["units"]}
    if signed_again:
        content = signed({name: value for name, value in content.items() if name not in ("schema", "digest")})
    path.write_text(json.dumps(content))
    if signed_again and "made" in changes:
        return  # who signs may lie about the day
    with pytest.raises(StoreError, match="cannot be read .*; freeze it anew"):
        thawed(root, "b")


def test_repair_waits_for_no_pipe(two: list[Unit]) -> None:
    (two[0].folder / "manifest.json").unlink()
    pipe(two[0].folder / "part-0000000000000000.parquet")
    assert two[0].folder.name in repair(Path("results"), lambda _: None).mended


def test_what_is_in_dev_is_written_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The standard output that leads to a file: who opened it sees what is written."""
    monkeypatch.setattr(files, "_DEVICES", (tmp_path / "dev",))
    (tmp_path / "dev").mkdir()
    (tmp_path / "file").write_text("before")
    (tmp_path / "dev" / "stdout").symlink_to(tmp_path / "file")
    with (tmp_path / "file").open() as opened:
        with atomic_path(tmp_path / "dev" / "stdout") as itself:
            itself.write_text("after")
        assert opened.read() == "after" and (tmp_path / "dev" / "stdout").is_symlink()


def test_the_library_says_a_full_disk_as_others_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("safetensors.torch.save_file", full)
    with pytest.raises(StoreError, match="cannot write .*No space left on device"), atomic_path(tmp_path / "w") as path:
        save_tensors({}, path)


def test_a_folder_that_cannot_be_listed_is_one_message(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def denied(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "rglob", denied)
    with pytest.raises(UsageError, match="cannot be listed .*Permission denied.*; name the file that is meant"):
        contents_digest(tmp_path)


def test_of_an_image_that_has_two_rows_the_one_with_its_pixels_counts() -> None:
    made = unit(weights="w")
    own = Store(Path("results")).unit(made.spec, made.identity, made.facts)
    for kept in (None, np.zeros((1, 2, 2), np.float32).tobytes(), None):
        own.add(records([True], adversarial=[kept], seconds=float(kept is not None)))
    (row,) = own.read(pixels=True).to_dict("records")
    assert row["adversarial"] is not None and row["seconds"] == 1.0
    assert len(own.read()) == 1
