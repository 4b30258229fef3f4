"""A leaderboard's page and its other forms: sizes, what is in them, what cannot get out of them."""

from __future__ import annotations

import base64
import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from large import board_of, data_of, leaderboard, made, under_fog

from robench import Call, UsageError, parse
from robench.records.refusals import Refusal
from robench.reporting.leaderboard.about import folded
from robench.reporting.leaderboard.contents import Leaderboard, plain
from robench.reporting.leaderboard.page import as_html, form_of, write
from robench.reporting.leaderboard.texts import HEADERS, as_csv, as_markdown
from robench.reporting.same_weights import published
from robench.reporting.statistics import wilson
from robench.reporting.writing.tidy import COLUMNS as CSV_COLUMNS


def row_of(found: Leaderboard, place: int = 0) -> dict[str, Any]:
    row: dict[str, Any] = data_of(as_html(found))["boards"][0]["rows"][place]
    return row


def test_forty_rows_of_ten_attacks_are_a_small_file_that_asks_for_nothing() -> None:
    page = as_html(leaderboard(40, 10))
    assert len(page.encode()) < 300_000
    for asked in ("http:", "https:", "src=", "@import", "url("):
        outside = page.replace("http://www.w3.org/2000/svg", "")
        assert asked not in outside, asked


def test_pictures_are_one_sprite_a_row_and_of_a_bounded_size(monkeypatch: pytest.MonkeyPatch) -> None:
    found = leaderboard(3, 5, 60, pictures=True)
    pictures = [model["picture"] for model in data_of(as_html(found))["models"]]
    assert all(one["png"].startswith("data:image/png;base64,") for one in pictures)
    assert [one["columns"] for one in pictures] == [4, 4, 4]
    assert pictures[0]["said"][0].count("taken for") == 1
    size = len(pictures[0]["png"])
    monkeypatch.setattr("robench.reporting.leaderboard.contents.PICTURE_BYTES", int(1.5 * size))
    assert [one is None for one in (m["picture"] for m in data_of(as_html(found))["models"])] == [False, True, True]


def test_the_page_holds_a_bit_for_each_image_and_the_distances() -> None:
    found = leaderboard(3, 5, 50)
    (standing, *_), row = found.boards[0].standings, row_of(found)
    bits = np.unpackbits(np.frombuffer(base64.b64decode(row["right"]), np.uint8), bitorder="little")[:50]
    assert bits.astype(bool).tolist() == (standing.right & standing.seen).tolist()
    assert row["worst"] == [int(bits.sum()), 50]
    assert "has" not in row
    model = data_of(as_html(found))["models"][row["m"]]
    sizes = np.frombuffer(base64.b64decode(model["distances"]["linf"]), "<f2").astype(float)
    about = found.about[found.boards[0].dataset, standing.model]
    expected = about.distances("linf")
    assert expected is not None
    assert sizes == pytest.approx(expected, rel=1e-3)
    assert np.isinf(sizes).any() and (sizes == 0).any(), "not fooled, and wrong before"
    assert model["curves"]["linf"][0] == [0.0, pytest.approx(standing.clean.value, abs=1e-4), "0"]
    assert model["curves"]["linf"][1] == [0.1, pytest.approx(standing.worst.value, abs=1e-4), "0.1"]


def test_a_row_on_other_images_says_which() -> None:
    result = made(2, 4, 40)
    result.measured[:4] = [replace(one, given=one.records.iloc[:30]) for one in result.measured[:4]]
    rows = data_of(as_html(board_of(result)))["boards"][0]["rows"]
    few = next(row for row in rows if row["worst"][1] == 30)
    seen = np.unpackbits(np.frombuffer(base64.b64decode(few["has"]), np.uint8), bitorder="little")
    assert int(seen.sum()) == 30


def test_texts_of_a_store_cannot_leave_their_places() -> None:
    result = made(1, 4, 30)
    evil = "</script><img src=x onerror=alert(1)>&\u2028"
    one = result.measured[0]
    units = [
        replace(m, unit=replace(m.unit, spec=replace(m.unit.spec, defense=Call("vit", {"tag": evil}))))
        for m in result.measured
    ]
    assert one.unit.spec.defense.name == "vit"
    found = board_of(replace(result, measured=units), ["a note </footer>"])
    page = as_html(found)
    assert page.count("</script>") == 2
    assert "<img src=x" not in page
    assert "a note &lt;/footer&gt;" in page
    assert (
        evil in data_of(page)["models"][0]["call"].encode().decode("unicode_escape")
        or evil[:9] in data_of(page)["models"][0]["call"]
    )
    table = as_markdown(found)
    assert "<img" not in table and "&lt;img" in table


def test_markdown_has_a_line_for_each_row_and_says_what_is_missing() -> None:
    result = made(3, 4, 60)
    found = board_of(replace(result, measured=result.measured[:-1]))
    lines = as_markdown(found).splitlines()
    table = [line for line in lines if line.startswith("| ")]
    assert table[0] == "| " + " | ".join(HEADERS) + " |"
    assert all(line.count(" | ") == len(HEADERS) - 1 for line in table)
    last = found.boards[0].standings[-1]
    low, high = wilson(last.worst.count, 60)
    lacking = next(line for line in table if "3 of 4 attacks" in line)
    assert lacking.startswith("| – | ")
    assert f"≤ {100 * last.worst.value:.1f} ({100 * low:.1f}–{100 * high:.1f})" in lacking


def test_csv_is_one_tidy_table_that_pandas_reads_in_one_call() -> None:
    found = leaderboard(3, 5, 50)
    table = pd.read_csv(io.StringIO(as_csv(found)))
    assert [*table.columns] == CSV_COLUMNS
    white = table[table["table"].str.endswith("white-box")]
    assert len(white) == 3 * (2 + 5 + 1)
    worst = white[(white["metric"] == "robust_accuracy") & white["attack"].isna()]
    assert worst["count"].tolist() == [one.worst.count for one in found.boards[0].standings]
    assert (worst["value"] == worst["count"] / worst["total"]).all()
    assert {*csv.DictReader(io.StringIO(as_csv(found))).__next__()} == set(CSV_COLUMNS)


def test_json_has_every_number_with_its_interval() -> None:
    found = leaderboard(2, 5, 50)
    board = json.loads(json.dumps(plain(found)))["boards"][0]
    first, row = found.boards[0].standings[0], board["rows"][0]
    assert row["robust_accuracy"] == {
        "value": first.worst.value, "count": first.worst.count, "total": 50, "interval": [*first.worst.interval],
    }  # fmt: skip
    assert [one["attack"] for one in row["attacks"]] == ["fgsm", "pgd_linf", "autoattack", "square_linf", "cw_linf"]
    assert row["at_most"] is False
    assert row["command"].startswith("robench run --dataset digits --defense ")
    assert len(row["records"]) == 5


def test_units_that_lists_stand_for_are_one_call_again() -> None:
    grid = [Call("corruptions", {"names": name, "severities": s}) for name in ("fog", "snow") for s in (1, 2)]
    assert [*map(str, folded(grid))] == ["corruptions(names=['fog', 'snow'], severities=[1, 2])"]
    assert [*map(str, folded(grid[:3]))] == [*map(str, grid[:3])], "no grid"
    held = [Call("mine", {"names": [1, 2], "share": 0.1}), Call("mine", {"names": [1, 2], "share": 0.2})]
    assert [*map(str, folded(held))] == ["mine(names=[1, 2], share=[0.1, 0.2])"], "a list may be an option's value"
    pgd = [parse("pgd_linf(eps=0.1)"), parse("pgd_linf(eps=0.2)"), parse("pgd_linf(eps=0.1, steps=5)"), parse("cw_l2")]
    assert [*map(str, folded(pgd))] == ["pgd_linf(eps=[0.1, 0.2])", "pgd_linf(eps=0.1, steps=5)", "cw_l2"]


def test_published_values_are_of_the_same_weights_and_radius() -> None:
    call = parse("robustbench(name='Carmon2019Unlabeled')")
    known = published(call, "cifar10", "linf", 8 / 255)
    assert known is not None
    assert (known.robust, known.clean, known.source) == (pytest.approx(0.5953), pytest.approx(0.8969), "RobustBench")
    assert published(call, "cifar10", "linf", 4 / 255) is None
    assert published(call, "cifar10", "l2", 8 / 255) is None
    assert published(parse("vit"), "cifar10", "linf", 8 / 255) is None


def test_what_was_published_stands_beside_ours_with_the_difference() -> None:
    eps, result = 8 / 255, made(1, 4, 40)
    call = parse("robustbench(name='Wong2020Fast')")
    units = []
    for one in result.measured:
        spec = replace(one.unit.spec, defense=call, dataset=parse("cifar10"))
        facts = replace(one.unit.facts, eps=eps)
        units.append(replace(one, unit=replace(one.unit, spec=spec, facts=facts)))
    found = board_of(replace(result, measured=units))
    ours = found.boards[0].standings[0].worst.value
    assert row_of(found)["published"] == [0.4321, "RobustBench"]
    assert f"43.2 RobustBench ({100 * (ours - 0.4321):+.1f})" in as_markdown(found)
    assert plain(found)["boards"][0]["rows"][0]["published"]["robust_accuracy"] == pytest.approx(0.4321)


def test_errors_under_corruptions_are_behind_their_row() -> None:
    result = made(2, 4, 40)
    found = board_of(under_fog(result))
    models = {model["call"]: model["corruptions"] for model in data_of(as_html(found))["models"]}
    assert models == {"vit(depth=0)": {"fog": [None, None, 0.25, None, None]}, "madry(model=vit(depth=1))": {}}
    assert [len(one.faced) for one in found.boards[0].standings] == [4, 4], "no attacker chose them"


def test_a_row_that_was_refused_stands_on_the_board_with_its_reason() -> None:
    refusal = Refusal(parse("odd"), parse("digits"), None, "dada00", "", 0, "float32", "it returns probabilities", 0.0)
    found = board_of(replace(made(1, 4, 20), refused=[refusal]))
    assert found.boards[0].refused == (("odd", "it returns probabilities"),)
    assert data_of(as_html(found))["boards"][0]["refused"] == [["odd", "it returns probabilities"]]
    assert "| – | odd | refused: it returns probabilities |" in as_markdown(found)


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found, path = leaderboard(1, 4, 20), tmp_path / "board.html"
    path.write_text("before")
    monkeypatch.setattr("robench.reporting.leaderboard.page.packed", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write(found, path)
    assert path.read_text() == "before"
    assert [file.name for file in tmp_path.iterdir()] == ["board.html"]
    with pytest.raises(UsageError, match=r"board.pdf ends in none of .html, .md, .json, .csv"):
        form_of(tmp_path / "board.pdf")


def test_the_csv_says_what_is_a_bound_and_what_was_refused() -> None:
    result = made(2, 4, 60)
    refusal = Refusal(parse("odd"), parse("digits"), None, "dada00", "", 0, "float32", "it returns probabilities", 0.0)
    found = board_of(replace(result, measured=result.measured[:-1], refused=[refusal]))
    lines = [line for line in csv.DictReader(io.StringIO(as_csv(found))) if "white-box" in line["table"]]
    worst = {
        line["defense"]: line["note"] for line in lines if line["metric"] == "robust_accuracy" and not line["attack"]
    }
    assert worst == {"vit(depth=0)": "", "madry(model=vit(depth=1))": "at most; 3 of 4 attacks"}
    assert [(line["defense"], line["note"]) for line in lines if line["metric"] == "refused"] == [
        ("odd", "it returns probabilities")
    ]
