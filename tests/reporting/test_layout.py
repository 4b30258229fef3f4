"""What a table shows besides: robust accuracy beside one attack, differences to a base row, the sizes of models."""

from __future__ import annotations

import math

import pytest
from measured import MINIMAL, card, cell_of, many, shown

from robench.errors import UsageError
from robench.reporting.result import Result


def test_robust_accuracy_stands_beside_one_attack_too() -> None:
    """Of four images one is misclassified before, one fooled: two are left. Several attacks make a worst case of it."""
    one = cell_of([True, False, False, True], {"correct": [True, True, True, False]})
    row = shown(Result([one]).tables()[0])["vit"]
    assert row["Robust accuracy L∞ 0.1"] == "50.0"
    minimal = cell_of([True, False], {"linf": 0.05, "eps": None}, attack="cw_linf", goal="minimal", eps=None)
    assert [column.group for column in Result([minimal]).tables()[0].columns][-1] == "cw_linf", "it has no radius"


def test_a_row_that_one_attack_met_at_its_own_radius_alone_is_complete_there() -> None:
    """As on a diagonal: a model trained at 0.2 and attacked at 0.2; at 0.1 only the other one was attacked."""
    near, far = (
        cell_of(many(share), {"eps": eps, "linf": eps}, defense=name, weights=name, attack=f"fgsm(eps={eps})", eps=eps)
        for name, share, eps in (("near", 0.3, 0.1), ("far", 0.4, 0.2))
    )
    rows = shown(Result([near, far]).tables()[0])
    assert (rows["near"]["Robust accuracy L∞ 0.1"], rows["near"]["Robust accuracy L∞ 0.2"]) == ("70.0", "–")
    assert (rows["far"]["Robust accuracy L∞ 0.1"], rows["far"]["Robust accuracy L∞ 0.2"]) == ("–", "60.0")


def test_differences_to_a_base_row_stand_in_brackets() -> None:
    """60 of 200 and 120 of 200 are broken: +30.0 points; all are right before any attack. Norms keep their own digits."""
    rows = [cell_of(many(share), defense=name, weights=name) for name, share in (("vit", 0.3), ("ksa", 0.6))]
    sizes = {"eps": None, "l1": 2.0, "l2": 1.0, "linf": 0.25}
    rows += [
        cell_of(many(0.5), sizes | {"linf": linf}, defense=name, weights=name, **MINIMAL)
        for name, linf in (("vit", 0.25), ("ksa", 0.2))
    ]
    found = shown(Result(rows).against("vit").tables()[0])
    bare = {name: text.rstrip("*") for name, text in found["ksa"].items()}
    assert bare["Clean"] == "100.0 (+0.0)"
    assert bare["fgsm ASR 0.1"] == "60.0 (+30.0)"
    assert bare["cw_l2 L∞"] == "0.2000 (-0.0500)"
    assert bare["Robust accuracy L∞ 0.1"] == "40.0 (-30.0)"
    assert not any("(" in text for text in found["vit"].values())
    assert any("the difference to vit" in line for line in Result(rows).against("vit").tables()[0].caption)


def test_what_is_not_of_the_same_images_or_not_in_full_has_no_difference() -> None:
    base = cell_of([True, False, False, False], defense="vit", weights="v")
    fewer = cell_of([True, False], defense="ksa", weights="k")
    less = cell_of([True, False, False, False], defense="rspc", weights="r")
    more = cell_of([True, True, False, False], defense="vit", weights="v", attack="mim(eps=0.1)")
    table = Result([base, more, fewer, less]).against("vit").tables()[0]
    cells = {label.partition(" ")[0]: row for label, row in shown(table).items()}
    assert "(+" not in cells["ksa"]["Clean"]
    assert cells["rspc"]["fgsm ASR 0.1"].startswith("25.0 (+0.0)")
    assert "≤" in cells["rspc"]["Worst case, robust accuracy L∞ 0.1"]
    assert "(+" not in cells["rspc"]["Worst case, robust accuracy L∞ 0.1"]


def test_a_base_that_is_no_row_is_told() -> None:
    with pytest.raises(UsageError, match=r"the rows of the tables are vit; none is 'vti'.*did you mean 'vit'"):
        Result([cell_of([True, False])]).against("vti")


def test_sizes_stand_beside_accuracy() -> None:
    one = cell_of([True, False])
    sized = card(model=one.unit.identity.model, parameters=2_500_000, macs=12_340_000)
    result = Result([one], {one.unit.identity.model: sized})
    table = result.against(None, sizes=True).tables()[0]
    assert [column.header for column in table.columns][:3] == ["Clean ↑", "Parameters (M)", "MACs (M)"]
    assert [cell.text for cell in table.rows[0][1]][1:3] == ["2.50", "12.34"]
    assert [column.name for column in result.tables()[0].columns][:2] == ["Clean", "L∞ 0.1"]
    both = cell_of([True, False], defense="ksa", weights="k")
    cards = {each.unit.identity.model: sized for each in (one, both)}
    plain = Result([one, both], cards).against(None, sizes=True).tables()[0]
    assert not any(cell.best or not math.isnan(cell.merit) for _, cells in plain.rows for cell in cells[1:3])
    against = Result([one, both], cards).against("vit", sizes=True).tables()[0]
    assert [cell.text for cell in against.rows[1][1]][:3] == ["100.0 (+0.0)", "2.50", "12.34"]
    without = Result([one]).against(None, sizes=True).tables()[0]
    assert [cell.text for cell in without.rows[0][1]][1:3] == ["–", "–"]
