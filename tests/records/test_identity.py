"""What names a number: a unit's identity, the ids of images, the digests of values and of code."""

from __future__ import annotations

import inspect
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from cases import split_of
from conftest import small_run
from measured import identity, unit

from robench import UsageError
from robench.entries import paths
from robench.entries.modules import run_file
from robench.entries.paths import contents_digest
from robench.entries.sources import code_behind
from robench.hashing import digest, pixel_ids
from robench.records.store import Store


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"precision": "bfloat16"},
        {"engine": 2},
        {"weights": "other"},
        {"logits": "other"},
        {"data": "other"},
        {"subset": [0, 1]},
        {"sources": {"source": "w"}},
        {"mu": 2.0},
        {"code": "other"},
        {"attack": "fgsm(eps=0.2)"},
        {"attack_code": "other"},
    ],
)
def test_all_that_can_change_a_number_changes_the_name_of_its_unit(change: dict[str, Any]) -> None:
    assert identity(**change).digest() != identity().digest()
    assert identity(**change).digest() == identity(**change).digest()


def test_what_a_person_calls_a_unit_or_when_it_was_made_does_not_change_its_name() -> None:
    assert unit(created=1.0).identity.digest() == unit(created=2.0, variant="copy").identity.digest()


def test_the_order_of_keys_does_not_matter_to_a_digest_and_all_else_does() -> None:
    assert digest({"a": 1, "b": [1, 2]}) == digest({"b": [1, 2], "a": 1})
    assert len({digest(value) for value in ({"a": 1}, {"a": 2}, {"b": 1}, [1, 2], [2, 1], "1", 1)}) == 7


def test_ids_are_of_pixels_and_shape_and_a_repeated_image_has_its_own() -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 1, 4, 4), dtype=np.uint8)
    assert len(set(pixel_ids(images))) == 3
    assert pixel_ids(images[::-1]).tolist() == pixel_ids(images)[::-1].tolist()
    assert not set(pixel_ids(images)) & set(pixel_ids(images.reshape(3, 1, 2, 8)))
    changed = images.copy()
    changed[1, 0, 2, 3] ^= 1
    assert (pixel_ids(changed) == pixel_ids(images)).tolist() == [True, False, True]
    twice = pixel_ids(np.concatenate([images[:1], images[:1], images[:1]]))
    assert len(set(twice)) == 3
    assert twice[0] == pixel_ids(images)[0]


def test_a_fingerprint_is_of_pixels_and_labels() -> None:
    split = split_of(20)
    turned = split.__class__.of("test", split.images, 1 - split.labels)
    fewer = split.select(np.arange(19))
    assert len({split.fingerprint, turned.fingerprint, fewer.fingerprint}) == 3
    assert split.select(np.arange(20)[::-1]).fingerprint == split.fingerprint


CODE = '''"""A file."""
def helper(x):
    return x + 1

def entry(x, *, slope=1.0):
    """Adds."""
    return helper(x) * slope
'''


def loaded(text: str, name: str) -> ModuleType:
    path = Path(f"{name}.py").resolve()
    path.write_text(text)
    return run_file(path, f"robench_test_{name}")


def source_digest(function: Any) -> str:
    """Of the file that defines a function, which imports nothing else."""
    (found,) = code_behind(function).values()
    return found


def test_a_digest_of_code_sees_what_can_change_a_number() -> None:
    first = source_digest(loaded(CODE, "first").entry)
    same = {
        "comment": CODE.replace("return x + 1", "return x + 1  # one"),
        "docstring": CODE.replace("Adds.", "Adds one."),
        "default": CODE.replace("slope=1.0", "slope=2.0"),
        "spaces": CODE.replace("x + 1", "x+1"),
    }
    other = {
        "helper": CODE.replace("x + 1", "x + 2"),
        "own": CODE.replace("* slope", "/ slope"),
        "name": CODE.replace("slope", "factor"),
    }
    assert {name: source_digest(loaded(text, name).entry) == first for name, text in same.items()} == dict.fromkeys(
        same, True
    )
    assert {name: source_digest(loaded(text, name).entry) == first for name, text in other.items()} == dict.fromkeys(
        other, False
    )
    assert inspect.isfunction(loaded(CODE, "first").entry)


def test_a_folder_is_the_names_and_contents_of_its_files(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "a").write_text("1")
    before = contents_digest(tmp_path)
    (tmp_path / "inner" / "a").write_text("2")
    after = contents_digest(tmp_path)
    (tmp_path / "inner" / "a").rename(tmp_path / "b")
    assert len({before, after, contents_digest(tmp_path), contents_digest(tmp_path / "nothing")}) == 4
    assert contents_digest(tmp_path / "nothing") == ""


@pytest.mark.parametrize(("name", "most"), [("MOST_FILES", 2), ("MOST_BYTES", 2)])
def test_a_folder_of_more_than_anyone_means_is_not_hashed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, most: int
) -> None:
    for place in range(3):
        assert contents_digest(tmp_path)
        (tmp_path / str(place)).write_text("1")
    monkeypatch.setattr(paths, name, most)
    with pytest.raises(UsageError, match="all of which would be hashed; name the file that is meant"):
        contents_digest(tmp_path)


def test_another_seed_of_the_attack_is_another_unit() -> None:
    quick = {"defense": "vit(depth=1, epochs=1)", "attack": "fgsm(eps=0.1, random_start=True)", "n": 12}
    for seed in (0, 1, 0):
        result, _ = small_run(**quick, seed=seed)
        assert {one.unit.identity.seed for one in result.measured} == {seed}
    units = list(Store(Path("results")).units())
    assert sorted(one.identity.seed for one in units) == [0, 1]
    assert len({one.folder for one in units}) == 2
