"""What is written is read back, what is damaged is told, and only a run puts it aside."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from measured import card, identity, measured, records, unit

from robench import StoreError, parse
from robench.entries.calls import Call, call_from_json, call_to_json
from robench.records.manifest import Manifest, Spec
from robench.records.schema import FIELDS, SCHEMA, adversarial_pixels, clean_pixels
from robench.records.store import Store
from robench.records.unit import Unit


def stored(root: Path, **changes: object) -> Unit:
    """A unit of three records in a store."""
    made = unit(**changes)  # type: ignore[arg-type]
    found = Store(root).unit(made.spec, made.identity, made.facts)
    found.add(records([True, False, True]))
    return found


def sound(found: Unit) -> bool:
    """Whether all that a unit lists is there and whole."""
    problems = list[str]()
    found.table(problems.append)
    return found.named() and not problems


def test_a_manifest_reads_back_as_it_was_written(tmp_path: Path) -> None:
    call = Call(
        "own", {"tag": "it's $x^2~ {k} | ü\nb", "model": Call("vit", {"layers": [1, [2, None]], "eps": 8 / 255})}
    )
    made = unit(variant="a copy")
    found = Store(tmp_path).unit(Spec(call, made.spec.attack, made.spec.dataset, 3), made.identity, made.facts)
    found.add(records([True]))
    (read,) = Store(tmp_path).units()
    assert read.spec.defense == call
    assert (read.spec, read.identity) == (found.spec, found.identity)
    assert read.facts.variant == "a copy"
    assert read.facts.created > made.facts.created
    assert call_from_json(call_to_json(call)) == call
    assert parse(str(call)) == call, "what is printed reads back as the same call"


def test_a_part_says_whose_it_is_and_how_many_rows_it_has(tmp_path: Path) -> None:
    found = stored(tmp_path)
    found.add(records([True, True]).assign(image=["x", "y"]))
    paths = sorted(found.folder.glob("part-*.parquet"))
    for path in paths:
        about = json.loads(pq.read_metadata(path).metadata[b"robench"])
        assert (about["unit"], about["rows"]) == (found.identity.digest(), pq.read_metadata(path).num_rows)
        told = Manifest.of(about["of"])
        assert (told.spec, told.identity, told.parts) == (found.spec, found.identity, ())
    listed = Manifest.read(found.folder / "manifest.json").parts
    assert {(part.name, part.rows) for part in listed} == {(p.name, pq.read_metadata(p).num_rows) for p in paths}
    assert len(found.read()) == 5
    assert sound(found)


def test_a_reader_tells_what_is_damaged_and_leaves_it(tmp_path: Path) -> None:
    found = stored(tmp_path)
    (part,) = found.folder.glob("part-*.parquet")
    part.write_bytes(part.read_bytes()[:-20])
    notes: list[str] = []
    assert len(found.read(notes.append)) == 0
    assert len(notes) == 1 and "is damaged (its hash is wrong); its images are left out" in notes[0]
    assert part.exists()
    assert not (tmp_path / "damaged").exists()


def test_a_run_moves_what_is_damaged_aside(tmp_path: Path) -> None:
    found = stored(tmp_path)
    (part,) = found.folder.glob("part-*.parquet")
    part.write_bytes(b"gone")
    notes: list[str] = []
    found.mend(notes.append)
    assert ["its images are attacked again" in note for note in notes] == [True]
    assert not part.exists()
    assert [path.name.endswith(part.name) for path in (tmp_path / "damaged").rglob("*.parquet")] == [True]
    assert Manifest.read(found.folder / "manifest.json").parts == ()


def test_a_part_of_another_unit_is_not_counted(tmp_path: Path) -> None:
    mine, theirs = stored(tmp_path), stored(tmp_path, weights="other")
    (part,) = theirs.folder.glob("part-*.parquet")
    (mine.folder / part.name).write_bytes(part.read_bytes())
    notes: list[str] = []
    assert len(mine.read(notes.append)) == 3
    assert "it is of another unit" in notes[0]


def test_a_part_that_is_gone_is_told_and_its_images_are_missing(tmp_path: Path) -> None:
    found = stored(tmp_path)
    next(found.folder.glob("part-*.parquet")).unlink()
    notes: list[str] = []
    assert len(found.read(notes.append)) == 0
    assert "is missing; its 3 rows are left out" in notes[0]
    assert not sound(found)


def test_a_part_that_a_killed_run_left_off_the_list_counts(tmp_path: Path) -> None:
    found = stored(tmp_path)
    Manifest(found.spec, found.identity, found.facts).write(found.folder / "manifest.json")
    assert len(found.read()) == 3
    found.mend(lambda _: None)
    assert len(Manifest.read(found.folder / "manifest.json").parts) == 1
    (found.folder / "manifest.json").unlink()
    assert not sound(found)
    found.mend(lambda _: None)
    assert sound(found)


@pytest.mark.parametrize("spoil", ["{", "[]", "", '{"schema": 3}', "changed"])
def test_one_damaged_manifest_is_one_line_and_the_others_are_read(tmp_path: Path, spoil: str) -> None:
    found, other = stored(tmp_path), stored(tmp_path, weights="other")
    path = found.folder / "manifest.json"
    path.write_text(path.read_text().replace('"digits"', '"theirs/evil.py"') if spoil == "changed" else spoil)
    notes: list[str] = []
    assert [one.folder for one in Store(tmp_path).units(notes.append)] == [other.folder]
    assert len(notes) == 1 and "`robench store repair`, or running it again, mends it" in notes[0]
    assert path.exists()
    found.mend(notes.append)
    assert "is written anew" in notes[-1]
    assert len(Store(tmp_path).units()) == 2
    assert len(found.read()) == 3


def test_a_manifest_in_anothers_folder_is_not_taken_for_it(tmp_path: Path) -> None:
    mine, theirs = stored(tmp_path), stored(tmp_path, weights="other")
    (mine.folder / "manifest.json").write_text((theirs.folder / "manifest.json").read_text())
    notes: list[str] = []
    assert [one.folder for one in Store(tmp_path).units(notes.append)] == [theirs.folder]
    assert "of another unit" in notes[0]


def test_a_store_of_schema_1_is_told_so_in_one_line(tmp_path: Path) -> None:
    folder = tmp_path / "results" / "records" / "vit-fgsm-0123456789abcdef"
    folder.mkdir(parents=True)
    old = {"schema": 1, "spec": {"defense": "vit"}, "identity": {}, "facts": {"created": 1.0}}
    (folder / "manifest.json").write_text(json.dumps(old))
    for act in (Store(tmp_path / "results").units, Store(tmp_path / "results").check):
        with pytest.raises(
            StoreError, match="is a store of schema 1, this robench reads and writes schema 3"
        ) as raised:
            act()
        assert "\n" not in str(raised.value)
        assert str(tmp_path / "results") in str(raised.value)


def test_a_card_of_fewer_images_is_replaced_by_one_of_more_and_not_the_other_way(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for images, kept in ((1, 1), (1000, 1000), (10, 1000)):
        store.write_card(card(images=images))
        assert store.cards()["m0"].images == kept
    store.write_card(card(model="m1"))
    assert set(store.cards()) == {"m0", "m1"}, "weights that two models share do not make them one"
    assert store.cards()["m0"] == card(images=1000)


def test_a_damaged_card_is_told_and_written_anew(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write_card(card())
    (tmp_path / "models" / "m0.json").write_text("[]")
    notes: list[str] = []
    assert store.cards(notes.append) == {}
    assert "is damaged: it holds something else" in notes[0]
    store.write_card(card())
    assert store.cards()["m0"] == card()


def test_the_identity_names_the_unit_and_every_part_of_it_counts(tmp_path: Path) -> None:
    base = identity().digest()
    changes = {
        "data": "x",
        "subset": [1],
        "weights": "x",
        "logits": "x",
        "sources": {"source": "x"},
        "seed": 1,
        "precision": "bfloat16",
        "engine": 2,
        "mu": 2.0,
        "code": "x",
        "attack_code": "x",
    }
    digests = [identity(**{name: value}).digest() for name, value in changes.items()]
    assert len({base, *digests}) == len(changes) + 1


def test_why_it_is_run_again_names_what_changed(tmp_path: Path) -> None:
    stored(tmp_path)
    made = unit(weights="other", logits="other")
    fresh = Store(tmp_path).unit(made.spec, made.identity, made.facts)
    assert Store(tmp_path).why_again(fresh) == "the weights, the model's answers to a few images changed"
    assert Store(tmp_path).why_again(stored(tmp_path)) is None


def test_every_field_of_the_records_says_what_it_is() -> None:
    assert [field.name for field in FIELDS] == SCHEMA.names
    assert all(field.meaning for field in FIELDS)


def test_kept_pixels_are_read_back() -> None:
    import numpy as np

    adversarial, clean = (
        np.arange(4, dtype=np.float32).reshape(1, 2, 2) / 4,
        np.array([[[0, 51], [102, 255]]], dtype=np.uint8),
    )
    row = measured([True]).records.assign(adversarial=[adversarial.tobytes()], clean=[clean.tobytes()]).iloc[0]
    assert np.array_equal(adversarial_pixels(row, (1, 2, 2)), adversarial)
    assert clean_pixels(row, (1, 2, 2)).ravel().tolist() == pytest.approx([0, 0.2, 0.4, 1.0])


def test_a_store_that_is_asked_again_sees_what_was_written_since(tmp_path: Path) -> None:
    store, first = Store(tmp_path), stored(tmp_path)
    (before,) = store.units()
    first.refresh()
    stored(tmp_path, weights="other")
    assert len(found := store.units()) == 2
    assert {one.facts.created for one in found} == {one.facts.created for one in Store(tmp_path).units()}
    assert before.facts.created not in {one.facts.created for one in found}
