"""Tables by hand: from records of a few images to the numbers, the marks and the ends of intervals that are printed."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest
from measured import MINIMAL, card, cell_of, many, records, shown

from robench.records.unit import Measured
from robench.reporting.metrics import (
    attack_success_rate,
    attack_success_rate_all,
    clean_accuracy,
    confidence,
    curve,
    passes,
    robust_accuracy,
    success_rate_uint8,
    worst_case,
)
from robench.reporting.result import Result
from robench.reporting.statistics import Interval, clustered
from robench.reporting.tables import About, Cell, Column, Table
from robench.reporting.ties import Terms, marked
from robench.reporting.writing.markup import as_latex, as_markdown
from robench.reporting.writing.terminal import as_text
from robench.reporting.writing.tidy import as_csv, lines_of


def test_norms_of_a_minimal_attack_are_means_over_its_successes() -> None:
    """L1 (2 + 4) / 2, L2 (0.5 + 1) / 2, L∞ (0.1 + 0.2) / 2; the failure and the clean error are not in them."""
    sizes = {"l1": [2.0, 4.0, 9.0, 0.0], "l2": [0.5, 1.0, 9.0, 0.0], "linf": [0.1, 0.2, 0.9, 0.0]}
    correct = [True, True, True, False]
    result = Result([cell_of([True, True, False, True], {**sizes, "correct": correct, "eps": None}, **MINIMAL)])
    (table,) = result.tables()
    row = shown(table)["vit"]
    assert {name: row[name] for name in row if name != "Clean"} == {
        "cw_l2 ASR": "66.7",
        "cw_l2 L1": "3.00",
        "cw_l2 L2": "0.750",
        "cw_l2 L∞": "0.1500",
    }
    assert row["Clean"] == "75.0"


def test_an_attack_with_a_radius_has_no_norms() -> None:
    (table,) = Result([cell_of([True, False])]).tables()
    assert [column.name for column in table.columns] == ["Clean", "L∞ 0.1", "ASR 0.1"]


def test_the_best_for_the_defender_is_marked_and_the_worst_is_not() -> None:
    """A high clean accuracy, a low success rate, large perturbations."""
    good = {"correct": many(0.9), "l1": 5.0, "l2": 2.0, "linf": 0.4, "eps": None}
    poor = {"correct": many(0.6), "l1": 2.0, "l2": 1.0, "linf": 0.1, "eps": None}
    rows = [
        cell_of(many(0.3), good, defense="ksa", weights="k", **MINIMAL),
        cell_of(many(0.6), poor, defense="vit", weights="v", **MINIMAL),
    ]
    for order in (rows, rows[::-1]):
        table = Result(order).tables()[0]
        marks = {label: [cell.best for cell in cells] for label, cells in table.rows}
        assert marks == {"ksa": [True] * 5, "vit": [False] * 5}
        assert [column.higher_is_better for column in table.columns] == [True, False, True, True, True]


def test_what_cannot_be_told_from_the_best_is_marked_with_it() -> None:
    close = [cell_of(many(share), defense=name, weights=name) for name, share in (("vit", 0.5), ("ksa", 0.505))]
    far = cell_of(many(0.9), defense="far", weights="far")
    table = Result([*close, far]).tables()[0]
    assert {label: cells[1].best for label, cells in table.rows} == {"vit": True, "ksa": True, "far": False}


def terms(values: list[float], below: list[float] | None = None, name: str = "image") -> Terms:
    names = [f"{name} {i}" for i in range(len(values))]
    return Terms.of(pd.DataFrame({"a": values, "b": below or [1.0] * len(values)}, index=names))


def test_marks_are_of_cells_that_have_a_value_and_a_rival() -> None:
    high, low = terms([1.0] * 50), terms([0.0] * 50)
    cells = [Cell("1", 1.0, merit=1.0), Cell("0", 0.0, merit=0.0), Cell("–")]
    assert [c.best for c in marked(cells, [high, low, None])] == [True, False, False]
    assert [c.best for c in marked([cells[1], cells[0], cells[2]], [low, high, None])] == [False, True, False]
    assert [c.best for c in marked([cells[0], cells[2]], [high, None])] == [False, False]
    other = terms([0.0] * 50, name="other")
    assert [c.best for c in marked(cells[:2], [high, other])] == [False, False], "no image in common, so no rival"


def test_the_worst_case_at_a_radius_is_over_its_own_attacks_and_those_of_smaller_radii() -> None:
    """Of four images: FGSM fools a at 0.1, PGD b at 0.1 and c at 0.2, so that 2 of 4 are left at 0.1 and 1 at 0.2."""
    units = [
        cell_of([True, False, False, False], {"linf": 0.1}, attack="fgsm(eps=0.1)"),
        cell_of([False, True, False, False], {"linf": 0.1}, attack="pgd_linf(eps=0.1)"),
        cell_of([False, False, True, False], {"linf": 0.2, "eps": 0.2}, attack="pgd_linf(eps=0.2)", eps=0.2),
    ]
    row = shown(Result(units).tables()[0])["vit"]
    assert row["Worst case, robust accuracy L∞ 0.1"] == "50.0"
    assert row["Worst case, robust accuracy L∞ 0.2"] == "25.0"


def test_the_worst_case_leaves_out_what_goes_further_and_what_is_of_another_norm() -> None:
    first = cell_of([True, False, False, False], {"linf": 0.1}, attack="fgsm(eps=0.1)")
    second = cell_of([False, True, False, False], {"linf": 0.1}, attack="pgd_linf(eps=0.1)")
    minimal = cell_of(
        [False, False, True, True], {"linf": [0.5, 0.5, 0.05, 0.15], "eps": None}, attack="fab_linf", eps=None, goal="minimal"
    )  # fmt: skip
    sparse = cell_of([True] * 4, {"eps": None}, **MINIMAL)
    row = shown(Result([first, second, minimal, sparse]).tables()[0])["vit"]
    assert row["Worst case, robust accuracy L∞ 0.1"] == "25.0", "d is fooled at 0.15 only"


def test_an_attack_that_goes_further_takes_no_images_from_the_worst_case_at_a_smaller_radius() -> None:
    """At 0.1 two of four images are left, though at 0.2 only the two that fall were attacked."""
    units = [
        cell_of([True, False, False, False], {"linf": 0.1}, attack="fgsm(eps=0.1)"),
        cell_of([False, True, False, False], {"linf": 0.1}, attack="pgd_linf(eps=0.1)"),
        cell_of([True, True], {"linf": 0.2, "eps": 0.2}, attack="pgd_linf(eps=0.2)", eps=0.2),
    ]
    assert shown(Result(units).tables()[0])["vit"]["Worst case, robust accuracy L∞ 0.1"] == "50.0 (n = 4)"


def test_a_curve_is_of_what_each_attack_reaches_within_a_radius() -> None:
    small = records([True, False, False, False], linf=0.1)
    large = records([False, True, True, False], linf=[0.2, 0.2, 0.2, 0.2], eps=0.2)
    found = curve([(0.1, small), (0.2, large)], "linf", [0.05, 0.1, 0.15, 0.2])
    assert math.isnan(found[0])
    assert found[1:].tolist() == [0.75, 0.75, 0.25]


def test_rates_have_the_denominators_that_they_say() -> None:
    """Three of four images are classified correctly; of those two are fooled, one of them after rounding too."""
    frame = records(
        [True, True, False, True],
        correct=[True, True, True, False],
        success_uint8=[True, False, False, True],
        confidence=[0.1, 0.2, 0.9, 0.6],
        forwards=[2, 4, 6, 0],
        backwards=[1, 2, 3, 0],
    )
    found = [rate(frame) for rate in (clean_accuracy, attack_success_rate_all, success_rate_uint8)]
    assert [(rate.count, rate.total) for rate in found] == [(3, 4), (3, 4), (1, 3)]
    assert (robust_accuracy(frame, "linf", 0.1).count, robust_accuracy(frame, "linf", 0.1).total) == (1, 4)
    assert confidence(frame) == pytest.approx((0.1 + 0.2 + 0.9) / 3)
    assert passes(frame) == pytest.approx((4, 2, 0.1))


def test_rows_that_share_an_image_have_an_interval_over_images() -> None:
    """Three targets an image, all reached for half of the images: as wide as 20 images make it, not 60 rows."""
    frame = pd.concat([records([place < 10 for place in range(20)], target=target) for target in (1, 2, 3)])
    rate = attack_success_rate(frame)
    assert (rate.count, rate.total) == (30, 60)
    values, images = frame["success"].to_numpy(dtype=float), frame["image"].to_numpy(dtype=str)
    assert rate.interval == clustered(values, images)
    assert rate.interval.high - rate.interval.low == pytest.approx(2 * 1.96 * (0.25 / 20) ** 0.5, rel=0.15)


def test_only_images_that_every_attack_was_run_on_count_in_the_worst_case() -> None:
    first = records([True, False, False, False])
    second = records([False, True])
    assert (worst_case([first, second], "linf", 0.1).count, worst_case([first, second], "linf", 0.1).total) == (0, 2)


@pytest.mark.parametrize(("norm", "size", "fooled"), [("linf", 0.1000005, 0), ("linf", 0.1001, 1), ("l2", 0.1001, 1)])
def test_a_radius_holds_what_rounding_adds_and_no_more(norm: str, size: float, fooled: int) -> None:
    assert robust_accuracy(records([True], **{norm: size}), norm, 0.1).count == fooled


def common(times: int = 1, **columns: Any) -> list[Measured]:
    """Two defenses under a minimal attack, of four images each: vit is broken on a, b, c; ksa on b, c, d; so many times over."""
    sizes = {"l1": [1.0, 2.0, 3.0, 90.0], "l2": [0.1, 0.2, 0.3, 9.0], "linf": [0.01, 0.02, 0.03, 0.9], "eps": None}
    larger = {"l1": [90.0, 3.0, 5.0, 4.0], "l2": [9.0, 0.4, 0.8, 0.4], "linf": [0.9, 0.01, 0.02, 0.4], "eps": None}
    first, second = (
        {name: sized * times if isinstance(sized, list) else sized for name, sized in each.items()}
        for each in (sizes, {**larger, **columns})
    )
    return [
        cell_of([True, True, True, False] * times, first, weights="v", **MINIMAL),
        cell_of([False, True, True, True] * times, second, defense="ksa", weights="k", **MINIMAL),
    ]


def test_norms_on_common_images_are_means_over_what_is_broken_in_both_rows() -> None:
    """b and c: (2 + 3) / 2 and (3 + 5) / 2 in L1, and so on; two images of another defense do not enter."""
    table = Result(common()).tables()[-1]
    assert [label for label, _ in table.rows] == ["vit (both: 2)", "ksa"]
    (_, first), (_, second) = table.rows
    assert [cell.text for cell in first] == ["2.50", "0.250", "0.0250"]
    assert [cell.text for cell in second] == ["4.00", "0.600", "0.0150"]


def test_of_norms_on_common_images_the_larger_is_marked() -> None:
    """On both images ksa's L1 and L2 are larger and its L∞ smaller, so that every resample says the same."""
    (_, first), (_, second) = Result(common(20)).tables()[-1].rows
    assert [cell.best for cell in first] == [False, False, True]
    assert [cell.best for cell in second] == [True, True, False]
    equal = (
        Result(common(20, l1=[90.0, 1.0, 4.0, 4.0])).tables()[-1].rows
    )  # smaller on one of the two, larger on the other
    assert [cells[0].best for _, cells in equal] == [True, True]


def test_a_few_images_that_are_broken_in_both_rows_say_nothing_of_a_difference() -> None:
    """Two images would be drawn again and again; a bootstrap of them has no width."""
    few = Result(common(14)).tables()[-1]
    assert not any(cell.best for _, cells in few.rows for cell in cells)
    assert [cell.n for cell in few.rows[0][1]] == [28] * 3 and any(
        cell.best for cell in Result(common(15)).tables()[-1].rows[0][1]
    )
    lines = [line for line in lines_of(few) if line["metric"] == "l1_mean"]
    assert [line["note"] for line in lines] == [
        "of 28 (image, target) pairs that are broken in both rows: vit, ksa"
    ] * 2


def test_an_image_that_was_misclassified_or_not_broken_is_not_common() -> None:
    table = Result(common(correct=[True, False, True, True])).tables()[-1]
    assert [label for label, _ in table.rows] == ["vit (both: 1)", "ksa"]
    assert [cells[0].text for _, cells in table.rows] == ["3.00", "5.00"]
    none = Result(common(correct=[True, False, False, True])).tables()[-1]
    assert [cells[0].text for _, cells in none.rows] == ["–", "–"]


def test_the_csv_has_numbers_in_full_and_the_low_end_before_the_high_one() -> None:
    of = About("digits", "vit", seed=3, weights="w1", data="d1")
    asr = Column(
        "pgd", "ASR 0.1", False, percent=True, of=About(attack="pgd(eps=0.1)", norm="linf", eps=0.1, metric="asr")
    )
    columns = [asr, Column("", "L2", True, digits=3)]
    counted = replace(columns[0].cell(1 / 3, Interval(0.1, 0.6)), counted=(1, 3), n=4)
    table = Table("T", columns, [("vit", [counted, columns[1].cell(math.nan)])], of=[of], name="robustness")
    (first, second) = csv.DictReader(io.StringIO(as_csv([table])))
    assert first == {
        "table": "robustness",
        "dataset": "digits",
        "defense": "vit",
        "attack": "pgd(eps=0.1)",
        "norm": "linf",
        "eps": "0.1",
        "seed": "3",
        "n": "4",
        "metric": "asr",
        "count": "1",
        "total": "3",
        "value": repr(1 / 3),
        "low": "0.1",
        "high": "0.6",
        "weights": "w1",
        "data": "d1",
        "note": "",
    }
    assert (second["metric"], second["value"], second["low"], second["high"]) == ("L2", "", "", "")


def test_a_cell_is_printed_in_percent_with_its_digits_and_its_spread() -> None:
    assert Column("", "ASR", False, percent=True).cell(0.6789).text == "67.9"
    assert Column("", "L2", True, digits=3).cell(0.6789).text == "0.679"
    assert Column("", "ASR", False, percent=True).cell(0.6789, spread=0.0123).text == "67.9 ± 1.2"
    table = Table("T", [Column("", "L2", True)], [("a", [Cell("1.0", 1.0, best=True)]), ("b", [Cell("0.5", 0.5)])])
    lines = as_text(table).splitlines()
    assert [line.split()[1] for line in lines if line.startswith(("a ", "b "))] == ["1.0*", "0.5"]
    assert "| a | **1.0** |" in as_markdown(table)
    assert r"a & \textbf{1.0} \\" in as_latex([table])
    assert "| b | 0.5 |" in as_markdown(table)


def test_a_caption_tells_the_mass_of_attention_that_the_four_largest_weights_hold() -> None:
    one = cell_of([True, False])
    spread = card(attention=[[0.4, 0.6, 0.7, 0.75, 1.0], [0.5, 1.0]])
    caption = Result([one], {one.unit.identity.model: spread}).tables()[0].caption
    assert "vit: the 4 largest weights of a row hold 75, 100 % of the attention in layers 1 to 2." in caption


def test_a_mean_of_sizes_has_an_interval_over_its_images() -> None:
    """Forty successes of sizes 1 and 3 in turn: 2 ± 1.96 / sqrt(40); one success has none."""
    sizes = {"eps": None, "l1": [1.0, 3.0] * 20, "l2": 1.0, "linf": 0.1}
    (table,) = Result([cell_of([True] * 40, sizes, **MINIMAL)]).tables()
    (l1,) = [cell for column, cell in zip(table.columns, table.rows[0][1], strict=True) if column.name == "L1"]
    assert l1.interval is not None and l1.interval.high - 2 == pytest.approx(1.96 / 40**0.5, abs=0.03)
    alone = Result([cell_of([True, False], {"eps": None}, **MINIMAL)]).tables()[0]
    assert [cell.interval for cell in alone.rows[0][1]][-3:] == [None] * 3
