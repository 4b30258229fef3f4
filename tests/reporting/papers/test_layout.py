"""A report's numbers, worked out by hand: what was measured, what was published, the difference; dashes where nothing is."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from measured import records, unit
from paper import HALF, PUBLISHED, REPORT, cell, report

from robench import UsageError, parse
from robench.records.cards import ModelCard
from robench.records.unit import Measured as Cell
from robench.reporting.exported import exported_cells, read_records, write_records
from robench.reporting.papers.cells import Cells, says
from robench.reporting.papers.figures import figures_of
from robench.reporting.papers.layout import tables_of
from robench.reporting.papers.pages import render, write
from robench.reporting.papers.reading import read_report
from robench.reporting.papers.report import Ask
from robench.reporting.result import Result
from robench.reporting.statistics import wilson


def test_of_one_training_the_interval_is_over_images() -> None:
    (table,) = tables_of(report(), Cells([cell("vit", HALF)]))
    labels = [label for label, _ in table.rows]
    assert labels == ["Standard", "  published", "  difference", "Other", "Elsewhereᶜ (published)"]
    own = table.rows[0][1][0]
    low, high = wilson(2, 4)
    assert own.value == 0.5 and own.interval == (low, high) and own.text == f"50.0 ± {100 * (high - 0.5):.1f} (1 of 2)"
    assert table.rows[1][1][0].text == "62" and table.rows[1][1][1].text == "–"
    assert table.rows[2][1][0].text.startswith("-12.0 ± ") and table.rows[2][1][0].value == pytest.approx(-0.12)
    assert [place in table.quiet for place in range(len(table.rows))] == [False, True, True, False, True]


def test_over_trainings_it_is_the_mean() -> None:
    cells = Cells([cell("vit", HALF), cell("vit", [True] * 4, seed=1)])
    (table,) = tables_of(report(), cells)
    own = table.rows[0][1][0]
    assert own.value == 0.75 and own.interval == (0.0, 1.0) and own.text == "75.0 ± 75.0"  # Student's t of two is wide
    assert "n = 4 test images, 2 trainings a row" in " ".join(table.caption)


def test_a_cell_that_is_not_there_is_a_dash_and_its_notes_have_letters() -> None:
    (table,) = tables_of(report(), Cells([cell("vit", HALF)]))
    rows = dict(table.rows)
    assert [one.text for one in rows["Other"]] == ["–ᵇ", "–", "–"]
    assert table.caption[-3:] == ["ᵃ fgsm(eps=0.1)", "ᵇ Not reproducible.", "ᶜ Its weights are not included."]
    assert any(
        "of 5 of 5 numbers all or some trainings or images are not measured yet" in line for line in table.caption
    )
    (label,) = [label for label, _ in table.rows if label.startswith("Elsewhere")]
    assert label.endswith("(published)") and rows[label][0].text == "70.0"


def test_every_number_says_of_how_many_images_it_is() -> None:
    (table,) = tables_of(report(), Cells([cell("vit", HALF)]))
    assert [one.n for one in table.rows[0][1]] == [4, 2, 0], "a norm is of those that were broken"
    assert "Measured on digits: n = 4 test images, 1 training a row." in table.caption


def test_a_ratio_is_over_what_was_broken_in_both_rows() -> None:
    base = cell("vit", [True, True, True, False], size=0.2)
    other = cell("ksa", [False, True, True, True], size=0.3)
    (table,) = tables_of(report(), Cells([base, other]))
    ratio = dict(table.rows)["Other"][2]
    assert ratio.value == pytest.approx(1.5) and ratio.interval == pytest.approx((1.5, 1.5))
    assert math.isnan(dict(table.rows)["Standard"][2].value), "the base row is not compared with itself"


def test_of_the_same_the_newest_counts_and_of_other_seeds_and_precisions_none() -> None:
    ask = Ask(parse("vit"), parse("digits"), parse("fgsm(eps=0.1)"), "asr")
    old, new = cell("vit", HALF, created=1.0), cell("vit", [True] * 4, created=2.0)
    assert Cells([new, old]).measure(ask).value == Cells([old, new]).measure(ask).value == 1.0
    of_model = Ask(parse("vit"), parse("digits"), None, "clean_accuracy")
    assert Cells([old]).measure(of_model).value == 1.0
    assert not Cells([cell("vit", HALF, seed=1)]).measure(ask).trainings


def test_a_success_rate_within_a_radius_counts_what_is_within() -> None:
    def value(metric: str, eps: float, success: Sequence[bool] = HALF) -> float:
        own = cell("vit", success)
        minimal = replace(own, printed=replace(own.printed, eps=None))
        return (
            Cells([minimal]).measure(Ask(parse("vit"), parse("digits"), parse("fgsm(eps=0.1)"), metric, eps=eps)).value
        )

    assert [value("asr", eps) for eps in (0.01, 0.05)] == [0.0, 0.5], "all are at 0.05"
    assert [value("robust_accuracy", eps) for eps in (0.01, 0.05)] == [1.0, 0.5]


def test_a_target_that_was_missed_is_no_success_within_any_radius() -> None:
    own = cell("vit", HALF)
    frame = own.records.assign(success=[False] * 4)  # two left their label, and none is taken for its target
    ask = Ask(parse("vit"), parse("digits"), parse("fgsm(eps=0.1)"), "asr", eps=1.0)
    assert Cells([replace(own, records=frame)]).measure(ask).value == 0.0


def test_a_figure_says_what_its_axis_is() -> None:
    planned = report().tables[0]
    (svg,) = figures_of(planned, Cells([cell("vit", HALF)]))
    assert "ASR (%)" in svg and "accuracy" not in svg


def test_norms_are_means_over_successes_on_images_that_were_right() -> None:
    own = cell("vit", HALF)
    frame = own.records.assign(l2=[0.2, 9.0, 0.4, 9.0])
    wrong = frame.assign(correct=[True, True, False, True])
    ask = Ask(parse("vit"), parse("digits"), parse("fgsm(eps=0.1)"), "l2")
    assert Cells([replace(own, records=frame)]).measure(ask).value == pytest.approx(0.3)
    assert Cells([replace(own, records=wrong)]).measure(ask).value == pytest.approx(0.2)
    none = Cells([cell("vit", [False] * 4)]).measure(ask)
    assert math.isnan(none.value) and none.trainings == 1, "it was measured, and there is no number"


def test_other_seeds_of_the_attack_and_other_precisions_are_not_taken() -> None:
    ask = Ask(parse("vit"), parse("digits"), parse("fgsm(eps=0.1)"), "asr")
    own = cell("vit", HALF)
    for change in ({"seed": 1}, {"precision": "bfloat16"}):
        assert not Cells([replace(own, printed=replace(own.printed, **change))]).measure(ask).trainings  # type: ignore[arg-type]


@pytest.mark.parametrize("form", ["text", "markdown", "latex", "csv", "json", "html"])
def test_every_format_has_the_number_the_published_one_and_the_difference(form: str) -> None:
    told = render(report(), Cells([cell("vit", HALF)]), form)
    if form in ("csv", "json"):
        lines = [*csv.DictReader(io.StringIO(told))] if form == "csv" else json.loads(told)["cells"]
        first = lines[0]
        assert float(first["value"]) == 0.5 and float(first["published"]) == 0.62
        assert float(first["difference"]) == pytest.approx(-0.12)
        assert first["source"] == "Somebody, 1999" and "1 step" in first["protocol"]
        assert [one["value"] for one in lines if one["row"] == "Other"][0] in ("", None)
        return
    assert "62" in told and "Somebody, 1999" in told and "12.0" in told
    assert "Not reproducible." in told
    if form == "html":
        assert told.count('class="quiet"') == 3 and "<svg" in told
    if form == "markdown":
        assert "| *published* | *62* |" in told
    if form == "latex":
        assert r"\quad \textit{published} & \textit{62}" in told and r"\textsuperscript{" in told


def test_markdown_is_written_with_its_figures() -> None:
    written = write(report(), Cells([cell("vit", HALF)]), Path("out/t.md"), "markdown")
    assert [path.name for path in written] == ["t.md", "t.svg"] and "](t.svg)" in Path("out/t.md").read_text()
    assert not figures_of(report().tables[0], Cells([]))
    with pytest.raises(UsageError, match="not parquet"):
        render(report(), Cells([]), "parquet")


def test_records_in_parquet_hold_all_that_a_report_needs() -> None:
    own = Cell(unit(dataset="digits", weights="w"), records(HALF))
    model = own.unit.identity.model
    plain = {"model": model, "defense": parse("vit"), "dataset": parse("digits"), "weights": "w", "data": "d"}
    numbers = {
        "images": 4,
        "seconds": 1.0,
        "epochs": 1,
        "parameters": 3_000_000,
        "macs": 1,
        "approximate_slopes": False,
    }
    lists: dict[str, list[float]] = {"attention": [], "attention_cosines": [], "feature_distances": []}
    card = ModelCard(**plain, **numbers, **lists)  # type: ignore[arg-type]
    write_records(exported_cells(Result([own], {model: card})), [], Path("r.parquet"))
    exported, cards = read_records(Path("r.parquet"))
    assert cards == [card]

    def value(defense: str, metric: str) -> float:
        return (
            Cells(exported, cards).measure(Ask(parse(defense), parse("digits"), parse("fgsm(eps=0.1)"), metric)).value
        )

    assert value("vit", "asr") == 0.5 and value("vit", "parameters") == 3.0
    assert value("vit(mu=1)", "asr") == 0.5, "it is what the identity of the unit has"
    assert math.isnan(value("vit(mu=2)", "asr")) and math.isnan(value("ksa", "asr"))


def test_a_report_may_say_what_is_a_default() -> None:
    resolved = {"eps": 0.1, "steps": 7, "model": {"name": "vit", "options": {"depth": 6}}}
    printed = parse("madry(eps=0.1)")
    for asked, alike in (
        ("madry(eps=0.1)", True),
        ("madry(eps=0.1, steps=7)", True),
        ("madry(steps=7.0, eps=0.1)", True),
        ("madry(eps=0.1, steps=8)", False),
        ("madry(eps=0.1, restarts=1)", False),
        ("madry(eps=0.2)", False),
        ("madry", False),
        ("half_half(eps=0.1)", False),
        ("madry(eps=0.1, model=vit)", True),
        ("madry(eps=0.1, model=vit(depth=6))", True),
        ("madry(eps=0.1, model=vit(depth=5))", False),
        ("madry(eps=0.1, model=ksa)", False),
    ):
        assert says(parse(asked), printed, resolved) is alike, asked
    nested = parse("madry(eps=0.1, model=vit(dim=8))")
    inner = {**resolved, "model": {"name": "vit", "options": {"depth": 6, "dim": 8}}}
    assert says(parse("madry(eps=0.1, model=vit(dim=8, depth=6))"), nested, inner)
    assert not says(parse("madry(eps=0.1, model=vit)"), nested, inner)


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("value,unit", "worth,unit", "p.csv has no column 'value'"),
        ("0.62", "many", "p.csv, line 3: 'many' is no number"),
        ("0.62,share", "0.62,points", "p.csv, line 3: the unit is 'points'"),
        (',"Somebody, 1999"\n', ",\n", "p.csv, line 3: there is no source"),
        (",Elsewhere,", ",Standard,", "p.csv, line 4: Standard / ASR stands there twice"),
        (",L∞,", ",", "p.csv, line 3: 12 values are wanted"),
        ("0.62,share", "62,share", "p.csv, line 3: 62 is given as share; 0 to 1 is wanted"),
        ("70.0,%", "-70.0,%", "p.csv, line 4: -70.0 is given as %; 0 to 200 is wanted"),
        (
            "Standard,ASR",
            "Standard,ARS",
            "'Standard' / 'ARS' is published of a table without a name, which has no such row",
        ),
        ("Standard", "S" * 200_000, "p.csv, line 3 is no CSV"),
        (PUBLISHED, "", "p.csv is empty"),
    ],
)
def test_a_file_of_published_numbers_that_is_wrong_is_refused(before: str, after: str, message: str) -> None:
    report()
    assert before in PUBLISHED
    Path("p.csv").write_text(PUBLISHED.replace(before, after, 1), encoding="utf-8")
    with pytest.raises(UsageError, match=message):
        read_report(Path("t.toml"))


def test_a_file_of_another_program_is_read() -> None:
    report()
    plain = PUBLISHED.replace("Somebody, 1999", "Somebody,\n1999")
    Path("p.csv").write_bytes(b"\xef\xbb\xbf" + plain.replace("\n", "\r\n").encode())
    found = read_report(Path("t.toml")).published
    assert found["", "Standard", "ASR"].value == 0.62 and len(found) == 2


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("linf", float("nan"), "a size of a perturbation is missing or below 0"),
        ("l2", -1.0, "a size of a perturbation is missing or below 0"),
        ("success", None, "success is not true or false"),
        ("fooled", "x", "Conversion failed for column fooled"),
        ("confidence", 7.0, "a confidence is no probability"),
        ("success", ..., "there is no column 'success'"),
        ("image", "image 0", "an image is there twice"),
    ],
)
def test_records_that_cannot_be_counted_are_refused(column: str, value: object, message: str) -> None:
    own = Cell(unit(dataset="digits", weights="w"), records(HALF))
    write_records(exported_cells(Result([own])), [], Path("r.parquet"))
    table = pq.read_table("r.parquet")
    frame = table.to_pandas()
    frame = frame.drop(columns=[column]) if value is ... else frame.assign(**{column: value})
    pq.write_table(pa.Table.from_pandas(frame).replace_schema_metadata(table.schema.metadata), "r.parquet")
    with pytest.raises(UsageError, match=f"r.parquet is damaged .*{message}"):
        read_records(Path("r.parquet"))


def test_published_numbers_keep_the_digits_that_were_printed() -> None:
    Path("t.toml").write_text(REPORT, encoding="utf-8")
    Path("p.csv").write_text(PUBLISHED.replace("70.0,%", "0.05,%"), encoding="utf-8")
    (table,) = tables_of(read_report(Path("t.toml")), Cells([]))
    assert [cells[0].text for label, cells in table.rows if "published" in label] == ["62", "0.05"]


def test_a_letter_is_of_its_own_attack() -> None:
    text = REPORT.replace('name = "ASR"', 'group = "Both"\nname = "ASR"').replace(
        'metric = ["l2", "l2_ratio"]', 'group = "Both"\nmetric = "l2"'
    )
    text = text.replace('published = "p.csv"', "").replace('column = "ASR"', 'column = "Both"')
    Path("t.toml").write_text(text, encoding="utf-8")
    (same,) = tables_of(read_report(Path("t.toml")), Cells([]))
    assert [head.name for head in same.heads()] == ["Bothᵃ"] and [one.name for one in same.columns] == ["ASR", "L2"]
    Path("t.toml").write_text(text.replace('eps=0.1)"\ngroup', 'eps=0.2)"\ngroup'), encoding="utf-8")
    (other,) = tables_of(read_report(Path("t.toml")), Cells([]))
    assert [head.name for head in other.heads()] == ["Both"] and [one.name for one in other.columns] == ["ASRᵃ", "L2ᵇ"]
    assert other.caption[-4:-2] == ["ᵃ fgsm(eps=0.1)", "ᵇ fgsm(eps=0.2)"]


def test_where_rows_say_the_attack_they_have_its_letter() -> None:
    text = (
        REPORT.replace('attack = "fgsm(eps=0.1)"\n', "")
        .replace('published = "p.csv"', "")
        .replace('["l2", "l2_ratio"]', '"l2"')
    )
    text = text.replace('defense = "vit"', 'defense = "vit"\nattack = "fgsm(eps=0.1)"')
    text = text.replace('defense = "ksa"', 'defense = "ksa"\nattack = "fgsm(eps=0.2)"')
    Path("t.toml").write_text(text, encoding="utf-8")
    (table,) = tables_of(read_report(Path("t.toml")), Cells([]))
    assert [label for label, _ in table.rows] == ["Standardᵃ", "Otherᵇ"]
    assert table.caption[-4:-1] == ["ᵃ fgsm(eps=0.1)", "ᵇ fgsm(eps=0.2)", "ᶜ Not reproducible."]


def test_what_a_report_says_is_escaped_in_every_format() -> None:
    text = REPORT.replace('base = "Standard"', "head = 'H & <i>| $'").replace(
        'metric = ["l2", "l2_ratio"]', 'metric = "l2"'
    )
    Path("t.toml").write_text(text, encoding="utf-8")
    Path("p.csv").write_text(PUBLISHED, encoding="utf-8")
    told = {form: render(read_report(Path("t.toml")), Cells([]), form) for form in ("latex", "markdown", "html")}
    assert r"H \& \textless{}i\textgreater{}\textbar{} \$" in told["latex"]
    assert r"| H & &lt;i&gt;\| &#36; |" in told["markdown"] and "H &amp; &lt;i&gt;| $" in told["html"]
