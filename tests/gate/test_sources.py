"""Cells from stores, exported records and baselines are the same cells."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from gated import add
from measured import MINIMAL
from measured import cell_of as measured_cell

from robench import parse
from robench.errors import UsageError
from robench.gate.baseline import Baseline
from robench.gate.cells import cell_of
from robench.gate.judging import differences
from robench.gate.sources import opened
from robench.records.refusals import Refusal, refuse
from robench.reporting.exported import exported_cells, write_records
from robench.reporting.pages import stored

LATER = 1e11
"""Seconds since 1970: after anything that is written here."""


def test_a_store_its_export_and_its_baseline_hold_the_same(tmp_path: Path) -> None:
    root = tmp_path / "store"
    add(root, [True, False, False])
    add(root, [True, True, False], "cw_l2", norm="l2", goal="minimal", eps=None, columns={"l2": [0.5, 0.3, 0.9]})
    side = opened(root)
    found = {one.identity.attack: one for one in side.cells}
    assert found["fgsm(eps=0.1)"].robust.tolist() == [False, True, True]
    sizes = found["cw_l2"].robust_within(0.4)
    assert sizes.tolist() == [True, False, True]
    export = opened(write_records(exported_cells(stored(root)[0]), [], tmp_path / "records.parquet"))
    kept = opened(Baseline(side.cells).write(tmp_path / "b.json"))
    for other in (export, kept):
        assert len(other.cells) == 2
        for one in other.cells:
            own = found[one.identity.attack]
            assert one.identity == own.identity and np.array_equal(one.robust, own.robust)
            assert (one.sizes is None) == (own.sizes is None)
        assert all(v.lost == 0 and not v.notes for v in differences(side, other) if v.gate.metric == "robust_accuracy")


def test_several_rows_of_an_image_count_as_the_worst_for_the_defender() -> None:
    """Two targets each; the first image is fooled by its second target alone, at .3."""
    columns = {"image": ["a", "a", "b", "b"], "target": [1, 2, 1, 2], "l2": [0.1, 0.3, 0.2, 0.2]}
    cell = cell_of(measured_cell([False, True, False, False], columns=columns, **MINIMAL))
    assert cell is not None and cell.robust.tolist() == [False, True]
    assert cell.robust_within(0.25).tolist() == [True, True] and cell.robust_within(0.31).tolist() == [False, True]


def test_of_other_code_the_newest_counts_and_what_broke_down_says_why(tmp_path: Path) -> None:
    add(tmp_path, [True, False], attack_code="old")
    add(tmp_path, [False, False], attack_code="new")
    (cell,) = opened(tmp_path).cells
    assert cell.robust.tolist() == [True, True]
    call = parse("pgd_linf(eps=0.1)")
    refuse(tmp_path, Refusal(parse("vit"), parse("digits"), call, "dada00", "m", 0, "float32", "NaN", LATER))
    assert [one.refused for one in opened(tmp_path).cells] == ["NaN", ""]
    assert opened(tmp_path).cells[0].identity.eps == 0.1, "a worst case within this radius lacks it"
    assert len(opened(tmp_path).sound()) == 1


def test_what_broke_down_last_is_not_what_was_measured_before(tmp_path: Path) -> None:
    """Measured with other weights, then refused; and the other way about."""
    add(tmp_path, [True, False])
    for created, expected in ((LATER, "NaN"), (1.0, "")):
        call = parse("fgsm(eps=0.1)")
        refuse(tmp_path, Refusal(parse("vit"), parse("digits"), call, "dada00", "m2", 0, "float32", "NaN", created))
        assert [one.refused for one in opened(tmp_path).cells] == [expected]


def test_noise_in_patches_is_none_of_the_corruptions_that_a_mean_is_over(tmp_path: Path) -> None:
    natural = {"goal": "natural", "eps": None, "corruption": "gaussian_noise"}
    add(tmp_path, [True, False], "patch_corruption", severity=3, share=(0.1, 0.1), **natural)
    add(tmp_path, [True, False], "corruptions(severities=3)", severity=3, **natural)
    assert {one.identity.attack: one.identity.of_corruption for one in opened(tmp_path).cells} == {
        "patch_corruption": False,
        "corruptions(severities=3)": True,
    }


def test_nothing_older_stands_in_for_what_is_there_now(tmp_path: Path) -> None:
    """Other weights, other data, fewer images: the newest of a call is compared, in an export as well."""
    add(tmp_path, [False] * 40, weights="old", data="old")
    add(tmp_path, [True] * 20, weights="new", data="new")
    (cell,) = opened(tmp_path).cells
    assert (cell.identity.weights, len(cell.images), int(cell.robust.sum())) == ("new", 20, 0)
    export = opened(write_records(exported_cells(stored(tmp_path)[0]), [], tmp_path / "records.parquet"))
    assert [one.identity for one in export.cells] == [cell.identity]


def test_seeds_and_precisions_are_cells_of_their_own(tmp_path: Path) -> None:
    add(tmp_path, [False, False])
    add(tmp_path, [True, False], seed=1)
    add(tmp_path, [True, True], precision="bfloat16")
    side = opened(tmp_path)
    assert {one.name[1:]: int(one.robust.sum()) for one in side.cells} == {
        (0, "float32"): 2,
        (1, "float32"): 1,
        (0, "bfloat16"): 0,
    }
    assert len(Baseline.read(Baseline(side.sound()).write(tmp_path / "b.json")).cells) == 3


def test_sequences_are_left_out_and_said(tmp_path: Path) -> None:
    add(tmp_path, [True, False])
    add(tmp_path, [True, False], "perturbations", goal="natural", corruption="tilt", eps=None)
    side = opened(tmp_path)
    assert [cell.identity.attack for cell in side.cells] == ["fgsm(eps=0.1)"]
    assert "perturbations: 1 cells of sequences" in side.notes[-1]


def test_what_is_neither_is_one_message(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no .*nowhere"):
        opened(tmp_path / "nowhere")
    (tmp_path / "a.txt").write_text("a")
    with pytest.raises(UsageError, match="neither a store nor records"):
        opened(tmp_path / "a.txt")
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(UsageError, match="does not say what its records are of"):
        opened(tmp_path / "a.parquet")
    (tmp_path / "b.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(UsageError, match="cannot be read as Parquet"):
        opened(tmp_path / "b.parquet")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="no records"):
        opened(tmp_path / "empty")
