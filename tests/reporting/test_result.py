"""A result as it is shown where it is at hand: in an interpreter, in a notebook."""

from __future__ import annotations

import re

import pytest
from measured import cell_of, many

import robench
from robench.errors import UsageError
from robench.records.schema import FIELDS
from robench.reporting.result import Result
from robench.reporting.writing.terminal import as_text


def two() -> Result:
    return Result(
        [
            cell_of(many(share), {"eps": eps}, defense=name, weights=name, attack=f"{attack}(eps={eps})", eps=eps)
            for name, share in (("vit", 0.6), ("ksa", 0.3))
            for attack in ("fgsm", "pgd_linf")
            for eps in (0.1, 0.2)
        ]
    )


def test_it_prints_as_its_short_table_and_says_where_the_rest_is() -> None:
    result = Result(two().measured[:4])
    first = result.tables()[0]
    assert repr(result).startswith("\n".join(as_text(first).splitlines()[:5]))
    assert "4 cells; more" in repr(result) and ".leaderboard()" in repr(result)
    assert len(repr(result)) < len(result.table()) / 2
    assert str(result) == repr(result)


def test_a_notebook_shows_the_same_as_a_table_and_nothing_of_a_name_acts() -> None:
    result = Result(
        [cell_of([True, False], attack="fgsm(eps=0.1)"), cell_of([True, False], weights="b", attack="fgsm(eps=0.1)")]
    )
    page = result._repr_html_()
    assert page.count("<table>") == 1 and "Robustness on digits" in page and "50.0" in page
    odd = Result([cell_of([True, False], class_names=["<script>"], variant="<script>alert(1)")])._repr_html_()
    assert "<script" not in odd and "&lt;script&gt;alert(1)" in odd


def test_every_column_of_the_records_is_explained() -> None:
    said = re.findall(r"\w+", Result.records.__doc__ or "")
    shown = [*Result([cell_of([True])]).records.columns]
    assert {*shown} <= {*said}
    assert {*shown} == {field.name for field in FIELDS} - {"adversarial", "clean"} | {
        "defense",
        "attack",
        "dataset",
        "seed",
        "precision",
    }


def test_a_board_needs_an_attack_of_a_suite() -> None:
    with pytest.raises(UsageError, match="nothing of this result belongs to a board"):
        Result([cell_of([True, False], attack="mine(eps=0.1)")]).leaderboard()
    assert "| – | vit" in Result([cell_of(many(0.3))]).leaderboard()


def test_a_metric_is_of_one_cell() -> None:
    records = Result([cell_of(many(0.5)), cell_of(many(0.1), attack="pgd_linf(eps=0.1)")]).records
    metrics = [
        *(
            robench.clean_accuracy,
            robench.attack_success_rate,
            robench.attack_success_rate_all,
            robench.success_rate_uint8,
        ),
        *(robench.confidence, robench.passes),
        lambda frame: robench.distances(frame, "l2"),
        lambda frame: robench.robust_accuracy(frame, "linf", 0.1),
        lambda frame: robench.worst_case([frame], "linf", 0.1),
    ]
    one = records[records["attack"] == "fgsm(eps=0.1)"]
    for metric in metrics:
        metric(one)
        with pytest.raises(UsageError, match=r"records of 2 \(vit under fgsm"):
            metric(records)
    rates = records.groupby("attack").apply(lambda cell: robench.attack_success_rate(cell).value)
    assert rates.to_dict() == {"fgsm(eps=0.1)": 0.5, "pgd_linf(eps=0.1)": 0.1}


def test_it_is_fitted_to_a_terminal_that_says_its_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "70")
    for text in (repr(two()), two().table()):
        assert max(map(len, text.splitlines())) <= 70
