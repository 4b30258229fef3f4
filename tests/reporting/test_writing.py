"""Tables where they are put: few columns, short heads with notes, narrow terminals, LaTeX that compiles, one CSV."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from measured import MINIMAL, cell_of, many

from robench.records.unit import Measured
from robench.reporting.pages import render
from robench.reporting.result import Result
from robench.reporting.statistics import Interval
from robench.reporting.tables import MOST_COLUMNS, Cell, Column, Failure, Table
from robench.reporting.writing.markup import as_latex, as_markdown
from robench.reporting.writing.terminal import as_text
from robench.reporting.writing.tidy import COLUMNS

LONG = "ksa(model=vit(epochs=15, depth=12), layers=[1])"


def board(defenses: tuple[str, ...] = ("vit", LONG)) -> list[Measured]:
    """Defenses under three attacks in a ball, at two radii each, and two minimal ones."""
    found = []
    for defense in defenses:
        own: dict[str, Any] = {"defense": defense, "weights": defense}
        for attack in ("fgsm(eps={})", "pgd_linf(eps={}, steps=40)", "autoattack(eps={})"):
            found += [
                cell_of(many(0.3), {"eps": eps}, attack=attack.format(eps), eps=eps, **own) for eps in (8 / 255, 0.1)
            ]
        sizes = {"eps": None, "l1": 2.0, "l2": 1.0, "linf": 0.25}
        for attack in ("cw_l2(targets='random', steps=9)", "cw_l2(targets='next')"):
            found.append(cell_of(many(0.5), sizes, **own, **{**MINIMAL, "attack": attack}))
    return found


def test_a_table_has_few_columns_and_one_family_of_attacks() -> None:
    tables = [table for table in Result(board()).tables() if table.name == "robustness"]
    assert [table.title for table in tables] == [
        "Robustness on digits",
        "Robustness on digits: attacks in L∞, 1 of 2",
        "Robustness on digits: attacks in L∞, 2 of 2",
        "Robustness on digits: smallest perturbations",
    ]
    assert all(len(table.columns) <= MOST_COLUMNS for table in tables)
    assert [column.name for column in tables[0].columns] == ["Clean", "L∞ 8/255", "L∞ 0.1"]
    assert [{column.group for column in table.columns} for table in tables[1:3]] == [
        {"fgsm", "pgd_linf(steps=40)"},
        {"autoattack"},
    ], "no attack is cut in two"
    assert [column.name for column in tables[2].columns] == ["Robust 8/255", "ASR 8/255", "Robust 0.1", "ASR 0.1"]
    assert tables[3].caption[:2] == tables[0].caption[:2], "each part says of which images it is"
    assert len(tables[0].caption) > 2 and "below the first part" in tables[3].caption[2]


def test_an_attack_of_many_radii_is_cut_where_it_must_be() -> None:
    columns = [Column("pgd", str(place), None) for place in range(19)]
    parts = Table("T", columns, [("a", [Cell(str(place)) for place in range(19)])]).pieces()
    assert [len(part.columns) for part in parts] == [8, 8, 3]
    assert [part.title for part in parts] == ["T: 1 of 3", "T: 2 of 3", "T: 3 of 3"]
    assert [cell.text for part in parts for cell in part.rows[0][1]] == [str(place) for place in range(19)]
    assert len(Table("T", columns[:8], []).pieces()) == 1


def test_two_attacks_share_a_table_where_both_fit_whole() -> None:
    columns = [
        Column(name, str(place), None)
        for name, count in (("a", 5), ("b", 3), ("c", 5), ("d", 4))
        for place in range(count)
    ]
    parts = Table("T", columns, []).pieces()
    assert ["".join(column.group for column in part.columns) for part in parts] == ["aaaaabbb", "ccccc", "dddd"]


def test_a_refused_row_stands_below_the_first_part_alone() -> None:
    columns = [Column(name, "ASR", None, family=name) for name in "abcdefghij"]
    parts = Table("T", columns, [("a", [Cell("1")] * 10)], failures=[Failure("b", "", "NaN")]).pieces()
    assert [part.failures for part in parts] == [[Failure("b", "", "NaN")], *[[]] * 9]


@pytest.mark.parametrize("form", ["text", "markdown", "latex", "html"])
def test_heads_are_short_and_lettered_notes_give_the_call(form: str) -> None:
    page = render(Result(board()), form)
    a, b = {"latex": (r"\textsuperscript{a}", r"\textsuperscript{b}"), "html": ("<sup>a</sup>", "<sup>b</sup>")}.get(
        form, ("ᵃ", "ᵇ")
    )
    assert f"CW-L2{a}" in page and f"CW-L2{b}" in page and "FGSM" in page
    assert f"FGSM{a}" not in page and f"FGSM{b}" not in page, "at its defaults it needs no note"
    plain = re.sub(r"</?code>|\\", "", page)
    assert re.search(r"[>}ᵃ] *cw_l2\(targets='?.*random'?.*, steps=9\)", plain.replace("&#39;", "'"))
    heads = [line for line in page.splitlines() if "ASR" in line and "images" not in line]
    assert heads and not any("cw_l2(" in line for line in heads)


def test_below_a_table_stand_n_and_the_widest_interval_of_each_column() -> None:
    columns = [Column("", "Clean", True, percent=True), Column("", "L2", True, digits=3), Column("", "mCE", False)]
    cells = [
        columns[0].cell(0.5, Interval(0.4, 0.55)),
        columns[1].cell(0.123),
        columns[2].cell(90.0, Interval(88.0, 95.5)),
    ]
    wider = [columns[0].cell(0.5, Interval(0.45, 0.58)), Cell("–"), columns[2].cell(80.0, Interval(79.0, 81.0))]
    rows = [("a", [replace(cells[0], n=10), cells[1], cells[2]]), ("b", [replace(wider[0], n=1000), *wider[1:]])]
    table = Table("T", columns, rows)
    assert table.foot() == [("n", ["10 to 1,000", "", ""]), ("95 % ±, at most", ["10.0", "", "5.5"])]
    assert "| *95 % ±, at most* | 10.0 |  | 5.5 |" in as_markdown(table)
    assert r"95 \% $\pm$, at most & 10.0 &  & 5.5 \\" in as_latex([table])
    assert Table("T", columns, [("a", [Cell("1")] * 3)]).foot() == []


def widest(text: str) -> int:
    return max(map(len, text.splitlines()))


@pytest.mark.parametrize("width", [40, 60, 80, 100, 200])
def test_a_narrow_terminal_gets_every_number_whole(width: int) -> None:
    for table in Result(board(("vit", LONG, f"madry(model={LONG})"))).tables():
        text = as_text(table, width=width)
        assert widest(text) <= width, text
        body = text.partition("\n\n")[0] if width == 200 else text
        for label, cells in table.rows:
            assert label in re.sub(r"\n +", "", text) or label in re.sub(r"\n +", " ", text), label
            for cell in cells:
                assert cell.text in body


@pytest.mark.parametrize("width", [40, 60, 80])
def test_signs_that_a_terminal_lacks_are_replaced_before_the_layout(width: int) -> None:
    from robench.cli.streams import SUBSTITUTES

    for table in Result(board()).tables():
        text = as_text(table, width=width, signs=SUBSTITUTES)
        assert text.replace("─", "-").isascii() and widest(text) <= width, text
    lines = as_text(Result(board()).tables()[3], width=200, signs=SUBSTITUTES).splitlines()
    (head,) = [line for line in lines if line.startswith("Defense")]
    (row,) = [line for line in lines if line.startswith("vit ")]
    ends = [found.end() for found in re.finditer(r"ASR v|L1 \^|L2 \^|Linf \^", head)]
    numbers = [found.end() + (not found[0].endswith("*")) for found in re.finditer(r"\d[\d.]*\*?", row)]
    assert ends == numbers, "heads end where numbers and their marks do"


def test_it_is_turned_before_it_is_cut_and_says_what_short_labels_stand_for() -> None:
    table = Result(board()).tables()[1]
    assert widest(as_text(table)) > 100
    lines = as_text(table, width=60).splitlines()
    (head,) = [line for line in lines if line.lstrip().startswith("vit")]
    assert "…" in head and "ksa(" in head
    row = next(line for line in lines if line.startswith("FGSM Robust 8/255"))
    assert row.split()[3:6] == ["↑", "70.0*", "70.0*"]
    assert LONG in " ".join(lines).replace("   ", " "), "what it stands for is said below"
    wide = as_text(table, width=500)
    assert wide == as_text(table), "where there is room it stays as it is"


def test_labels_that_begin_and_end_alike_stay_apart() -> None:
    columns = [Column("", f"c{place}", None) for place in range(8)]
    names = [f"madry(model=vit(depth={depth}, heads=8, epochs=30))" for depth in range(3)]
    text = as_text(Table("T", columns, [(name, [Cell("100.0")] * 8) for name in names]), width=44)
    short = [line.split(": ")[0] for line in text.splitlines() if ": madry(" in line]
    assert len(short) == len({*short}) == 3


def test_colour_marks_the_best_where_there_is_colour() -> None:
    table = Table("T", [Column("", "L2", True)], [("a", [Cell("1.0", 1.0, best=True)]), ("b", [Cell("0.5", 0.5)])])
    assert "\x1b[1m1.0\x1b[0m" in as_text(table, color=True) and "1.0*" not in as_text(table, color=True)
    assert "\x1b" not in as_text(table) and "1.0*" in as_text(table)


def test_the_csv_is_one_table_that_pandas_reads() -> None:
    found = pd.read_csv(io.StringIO(render(Result(board()), "csv")))
    assert [*found.columns] == COLUMNS
    pgd = found[
        (found["attack"] == "pgd_linf(eps=8/255, steps=40)") & (found["metric"] == "asr") & (found["defense"] == "vit")
    ]
    (line,) = pgd.to_dict("records")
    assert (line["norm"], line["eps"], line["seed"], line["n"], line["count"], line["total"]) == (
        "linf",
        8 / 255,
        0,
        200,
        60,
        200,
    )
    assert (
        line["value"] == 0.3
        and line["low"] < 0.3 < line["high"]
        and (line["weights"], line["data"]) == ("vit", "dada00")
    )
    assert {"worst_case", "robust_accuracy", "asr", "clean_accuracy", "l2_mean"} <= {*found["metric"]}
    assert {*found["table"]} == {"robustness", "norms on common images"}


def test_latex_says_what_it_needs_and_no_label_stands_twice() -> None:
    page = as_latex([*Result(board()).tables(), *Result(board()).tables()])
    assert r"\usepackage{booktabs,graphicx}" in page.splitlines()[0]
    labels = re.findall(r"\\label\{(.*?)\}", page)
    assert len(labels) == len({*labels}) == page.count(r"\begin{table}")
    assert all(re.fullmatch(r"tab:[a-z0-9-]+", label) for label in labels)


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("pdflatex"), reason="pdflatex is not installed")
@pytest.mark.parametrize("where", ["alone", "in a paper"])
def test_latex_compiles_within_the_text(tmp_path: Path, where: str) -> None:
    (tmp_path / "tables.tex").write_text(
        render(Result(board(("vit", LONG, "own(tag='a_b%{$&#~^')"))), "latex"), encoding="utf-8"
    )
    paper = "\\documentclass[twocolumn]{article}\\usepackage{booktabs,graphicx}\\begin{document}\n\\input{tables.tex}\nText.\\end{document}"
    (tmp_path / "paper.tex").write_text(paper)
    name = "tables.tex" if where == "alone" else "paper.tex"
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", name],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull" not in done.stdout and "Output written" in done.stdout
