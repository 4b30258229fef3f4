"""What stands behind a number is said at its row, and what has less behind it never looks better."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from measured import identity, records, unit

from robench import Call, parse
from robench.records.refusals import Refusal
from robench.records.unit import Measured
from robench.reporting.metrics import distances
from robench.reporting.pages import render
from robench.reporting.result import Result
from robench.reporting.seeds import Training, over_seeds
from robench.reporting.tables import Cell, Column, Table

FORMS = ("text", "markdown", "csv", "latex", "json", "html")


def cell(defense: str, broken: int, of: int = 60, attack: str = "fgsm(eps=0.1)", **changes: Any) -> Measured:
    """A unit of three classes whose attack broke so many of its images, the first ones."""
    rows = {"label": [i % 3 for i in range(of)], "clean_prediction": [i % 3 for i in range(of)], "margin": 0.1}
    hit = [i < broken for i in range(of)]
    rows |= {"prediction": [(i + hit[i]) % 3 for i in range(of)]} | changes.pop("rows", {})
    success = rows.pop("success", hit)
    return Measured(unit(defense=defense, attack=attack, weights=defense, **changes), records(success, **rows))


def constant(attack: str = "fgsm(eps=0.1)", of: int = 60) -> Measured:
    """It says class 0 whatever it is shown, and so is never broken."""
    right = [i % 3 == 0 for i in range(of)]
    wrong = [not hit for hit in right]
    rows = {"clean_prediction": 0, "correct": right, "prediction": 0, "fooled": wrong, "success": wrong}
    return cell("constant", 0, of, attack, rows=rows)


def lines(page: str, label: str) -> list[str]:
    return [line for line in page.splitlines() if label in line]


def marks(result: Result, table: int = 0) -> dict[str, list[str]]:
    """Labels with the names of the columns that they are marked in."""
    found = result.tables()[table]
    names = [f"{c.group} {c.name}".strip() for c in found.columns]
    return {label: [n for n, one in zip(names, cells, strict=True) if one.best] for label, cells in found.rows}


@pytest.mark.parametrize("form", FORMS)
def test_rows_on_different_images_say_n_at_the_row(form: str) -> None:
    page = render(Result([cell("small", 5, 10), cell("large", 5, 60)]), form)
    assert any(
        "n = 10" in line or '"n": 10' in line
        for line in (page.splitlines() if form == "json" else lines(page, "small"))
    )
    assert any(
        "n = 60" in line or '"n": 60' in line
        for line in (page.splitlines() if form == "json" else lines(page, "large"))
    )
    assert "n = " not in "".join(lines(render(Result([cell("a", 5), cell("b", 5)]), "csv"), "a,")), (
        "where n is one, it is below"
    )


def test_columns_of_a_row_on_different_images_say_n_at_the_cell() -> None:
    result = Result([cell("vit", 6, 60), cell("vit", 5, 10, "pgd(eps=0.1)")])
    ((label, cells),) = result.tables()[0].said()
    assert label == "vit · n = 10 to 60"
    assert [one.text for one in cells] == [
        "100.0 (n = 60)",
        "40.0 (n = 10)",
        "90.0 (n = 60)",
        "10.0 (n = 60)",
        "50.0 (n = 10)",
        "50.0 (n = 10)",
    ]


def test_as_many_images_that_are_others_are_not_taken_for_the_same() -> None:
    moved = cell("b", 6, 40, rows={"image": [f"image {i + 20}" for i in range(40)]})
    (table, *_) = Result([cell("a", 6, 40), moved]).tables()
    assert all(remark.startswith("n = 40, images ") for remark in table.remarks)
    assert len(set(table.remarks)) == 2


def test_rows_are_compared_on_their_common_images_only() -> None:
    """b is broken less often on all of its images, and as often on those that both have: the first 40."""
    a, b = cell("a", 20, 40), cell("b", 20, 400)
    assert marks(Result([a, b])) == {
        "a": ["Clean", "Robust accuracy L∞ 0.1", "fgsm ASR 0.1"],
        "b": ["Clean", "Robust accuracy L∞ 0.1", "fgsm ASR 0.1"],
    }
    assert marks(Result([cell("a", 20, 400), b]))["a"], "one set of images"
    assert marks(Result([cell("a", 0, 40), b]))["b"] == ["Clean"], "worse on the common images"


def test_a_row_with_too_few_common_images_is_not_compared_and_takes_no_mark_away() -> None:
    found = marks(Result([cell("tiny", 0, 9), cell("a", 10), cell("b", 40)]))
    assert found == {"tiny": [], "a": ["Clean", "Robust accuracy L∞ 0.1", "fgsm ASR 0.1"], "b": ["Clean"]}
    assert "compared with none, and not marked" in render(Result([cell("tiny", 0, 9), cell("a", 10)]), "text")


ATTACKS = ("fgsm(eps=0.1)", "pgd(eps=0.1)", "square(eps=0.1)")


@pytest.mark.parametrize("form", FORMS)
def test_a_row_attacked_less_is_an_upper_bound_in_every_format(form: str) -> None:
    strong = [cell("strong", 30, attack=attack) for attack in ATTACKS]
    result = Result([*strong, cell("lazy", 10)])
    assert marks(result)["lazy"] == ["Clean", "fgsm Robust 0.1", "fgsm ASR 0.1"], (
        "in a column of one attack it is compared"
    )
    page = render(result, form)
    if form in ("csv", "json"):
        assert "at most; 1 of 3 attacks" in page
        worst = [row for row in csv.DictReader(io.StringIO(render(result, "csv"))) if row["metric"] == "worst_case"]
        assert [(row["defense"], row["note"]) for row in worst] == [("strong", ""), ("lazy", "at most; 1 of 3 attacks")]
        best = [
            one["best"]
            for one in json.loads(render(result, "json"))["tables"][0]["cells"]
            if one["metric"] == "worst_case"
        ]
        assert best == [False, False]
    else:
        sign = "$\\leq$" if form == "latex" else "≤"
        assert f"{sign} 83.3 (1 of 3 attacks)" in page
        assert "could only lower it" in page


def test_an_attack_that_met_some_of_the_images_is_marked_in_none_of_its_columns() -> None:
    """As a file of adversarial images of some: the others were not attacked, and so are robust in no column."""
    half = {"forwards": [int(i < 30) for i in range(60)], "margin": [-0.1 if i < 30 else None for i in range(60)]}

    def rows(attack: str) -> list[Measured]:
        return [cell("some", 0, 60, attack, rows=dict(half)), cell("all", 20, 60, attack), cell("poor", 50, 60, attack)]

    assert marks(Result(rows("fgsm(eps=0.1)")))["some"] == ["Clean"]
    several = [*rows("fgsm(eps=0.1)"), *rows("pgd(eps=0.1)")]
    assert marks(Result(several))["some"] == ["Clean"]
    assert {"fgsm Robust 0.1", "fgsm ASR 0.1", "pgd Robust 0.1", "pgd ASR 0.1"} < {*marks(Result(several))["all"]}
    assert "0.0 (30 of 60 attacked)" in render(Result(several), "text")


def test_a_radius_that_is_missing_is_an_attack_that_is_missing() -> None:
    two = [cell("a", 30, attack=f"{name}(eps={eps})", eps=eps) for name in ("fgsm", "pgd") for eps in (0.1, 0.2)]
    one = [cell("b", 10, attack=f"{name}(eps=0.2)", eps=0.2) for name in ("fgsm", "pgd")]
    cells = {label: [c.text for c in found][1:3] for label, found in Result([*two, *one]).tables()[0].rows}
    assert cells == {"a": ["50.0", "50.0"], "b": ["–", "≤ 83.3 (2 of 4 attacks)"]}


def test_equal_evidence_is_compared() -> None:
    rows = [cell(name, broken, attack=attack) for name, broken in (("a", 40), ("b", 10)) for attack in ATTACKS]
    assert "Worst case, robust accuracy L∞ 0.1" in marks(Result(rows))["b"]
    assert "≤" not in render(Result(rows), "text")


def test_a_constant_classifier_is_best_of_no_column_and_says_why() -> None:
    real = [cell(name, broken, attack=attack) for name, broken in (("a", 40), ("b", 50)) for attack in ATTACKS]
    result = Result([*real, *(constant(attack) for attack in ATTACKS)])
    assert marks(result)["constant"] == []
    assert marks(result)["a"] == [
        "Clean",
        "Worst case, robust accuracy L∞ 0.1",
        *(f"{name} {what} 0.1" for name in ("fgsm", "pgd", "square") for what in ("Robust", "ASR")),
    ]
    for form in FORMS:
        assert "it takes all images for one class" in render(result, form), form


def test_a_classifier_at_chance_has_no_rank() -> None:
    right = [i % 9 in (0, 1, 2) or i in (3, 4, 5, 12, 13, 14) for i in range(90)]
    wrong = [not hit for hit in right]
    guess = [i % 3 if right[i] else (i + 1) % 3 for i in range(90)]
    rows = {"correct": right, "clean_prediction": guess, "prediction": guess, "fooled": wrong, "success": wrong}
    result = Result([cell("chance", 0, 90, rows=rows), cell("a", 80, 90), cell("b", 85, 90)])
    assert marks(result)["chance"] == [] and marks(result)["a"] == ["Clean", "Robust accuracy L∞ 0.1", "fgsm ASR 0.1"]
    assert "chance · no rank: its clean accuracy cannot be told from chance, 33.3 %" in render(result, "text")
    assert json.loads(render(result, "json"))["cells"][0]["no_rank"]


def test_chance_is_the_share_of_the_commonest_class_where_one_is_commoner() -> None:
    """18 cats and 2 dogs: one that says cat to all but a dog is right on 19 of 20, and no better than saying cat."""
    labels = [0] * 18 + [1] * 2
    guess = [0] * 18 + [1, 0]
    right = [a == b for a, b in zip(labels, guess, strict=True)]
    wrong = [not hit for hit in right]
    rows = {
        "label": labels,
        "correct": right,
        "clean_prediction": guess,
        "prediction": guess,
        "fooled": wrong,
        "success": wrong,
    }
    result = Result([cell("cat", 0, 20, rows=rows)])
    assert "cat · no rank: its clean accuracy cannot be told from chance, 90 %" in render(result, "text")


def test_robust_accuracy_decides_the_marks_of_success_rates() -> None:
    """poor is right on half of the images, of which few are broken: a low ASR that is no merit."""
    right = [i % 6 < 3 for i in range(60)]
    wrong = [not hit for hit in right]
    guess = [i % 3 if right[i] else (i + 1) % 3 for i in range(60)]
    rows = {"correct": right, "clean_prediction": guess, "prediction": guess, "fooled": wrong, "success": wrong}
    poor, good = cell("poor", 0, rows=rows), cell("good", 10)
    values = {label: cells[2].value for label, cells in Result([poor, good]).tables()[0].rows}
    assert values["poor"] < values["good"]
    assert marks(Result([poor, good])) == {"poor": [], "good": ["Clean", "Robust accuracy L∞ 0.1", "fgsm ASR 0.1"]}


def test_bfloat16_stands_beside_a_call_that_reads_back() -> None:
    half = cell("vit", 20, attack="pgd(eps=8/255, steps=40)", eps=8 / 255, precision="bfloat16")
    plain = cell("vit", 20, attack="pgd(eps=8/255, steps=40)", eps=8 / 255)
    result = Result([half, plain])
    assert [column.group for column in result.tables()[0].columns][2::2] == [
        "pgd(steps=40) · bfloat16",
        "pgd(steps=40)",
    ]
    for one in result.summary():
        assert parse(str(one["attack"])) == Call("pgd", {"eps": 8 / 255, "steps": 40})
    assert [one["precision"] for one in result.summary()] == ["bfloat16", "float32"]
    assert set(result.records["precision"]) == {"bfloat16", "float32"}
    for form in FORMS:
        assert "bfloat16" in render(result, form) and "precision=" not in render(result, form), form


def test_images_on_the_boundary_are_counted_in_every_format() -> None:
    thin = cell("vit", 6, rows={"prediction": [(i + (i < 9)) % 3 for i in range(60)]})
    assert Result([thin]).summary()[0]["boundary"] == 3
    for form in ("text", "markdown", "latex", "html", "json"):
        assert "3 of 60 images left their label by less than the judge" in render(Result([thin]), form), form
    assert "3 on the boundary" in render(Result([thin]), "csv")
    assert "boundary" not in render(Result([cell("vit", 6)]), "csv")


def test_both_medians_follow_one_rule() -> None:
    for count in (1, 2, 3, 4):
        frame = records([True] * count, l2=[0.1 * (i + 1) for i in range(count)])
        size = distances(frame, "l2")
        assert size.median == size.median_all, f"nothing failed, {count} rows"
    size = distances(records([True, True, False, False], l2=[0.1, 0.2, 0.3, 0.4]), "l2")
    assert (size.median, size.median_all) == (0.1, 0.2)
    assert distances(records([True, False, False]), "l2").median_all == float("inf")


def test_refused_rows_and_broken_cells_stay_in_the_table_with_their_reason() -> None:
    def refusal(defense: str, attack: str | None, reason: str, model: str = "") -> Refusal:
        asked = parse(attack) if attack else None
        return Refusal(parse(defense), parse("digits"), asked, "dada00", model, 0, "float32", reason, 1.0)

    ksa = identity("ksa", weights="ksa").model
    refused = [
        refusal("probabilities", None, "returns probabilities | & %"),
        refusal("ksa", "pgd(eps=0.1)", "left its ball", ksa),
    ]
    result = Result([cell("vit", 6), cell("vit", 6, attack="pgd(eps=0.1)"), cell("ksa", 6)], {}, refused)
    (table, *_) = result.tables()
    assert [one.text for one in table.rows[1][1]] == [
        "100.0",
        "≤ 90.0 (1 of 2 attacks)",
        "90.0",
        "10.0",
        "broken",
        "broken",
    ]
    for form in FORMS:
        page = render(result, form).replace("\\", "")
        assert "returns probabilities" in page and "left its ball" in page, form
    assert "| probabilities | refused: returns probabilities \\| & % | | | | | |" in render(result, "markdown")
    alone = render(Result([], {}, refused[:1]), "text")
    assert "Robustness on digits" in alone and "refused: returns probabilities" in alone


def test_trainings_on_different_images_are_not_averaged_and_a_bound_stays_one() -> None:
    columns = [Column("", "Clean", True, percent=True)]
    trainings = [Training(Call(name, {"seed": seed}), seed, name) for name in ("vit", "ksa") for seed in (0, 1)]

    def table(*cells: Cell) -> Table:
        return Table("T", columns, [(str(i), [one]) for i, one in enumerate(cells)])

    def of(value: float, images: str) -> Cell:
        return Cell("", value, merit=value, n=10, images=images)

    found = over_seeds(table(of(0.5, "x"), of(0.6, "y"), of(0.5, "x"), of(0.6, "x")), trainings)
    assert found is not None and [label for label, _ in found.rows] == ["ksa (2 seeds)"]
    assert "different images: vit." in found.caption[-1]
    bound = columns[0].cell(0.9, at_most=True).saying("1 of 2 attacks")
    found = over_seeds(table(bound, bound, of(0.5, "x"), of(0.6, "x")), trainings)
    assert found is not None
    assert found.rows[0][1][0].text == "≤ 90.0 ± 0.0 (1 of 2 attacks)"
    assert [cells[0].best for _, cells in found.rows] == [False, False]
