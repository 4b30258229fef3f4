"""What a report's numbers are of is said, and no more is claimed: intervals, images, pictures, published numbers, calls."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from measured import card, records, unit
from paper import HALF, REPORT, cell, report
from typer.testing import CliRunner

from robench import StoreError, UsageError, parse
from robench.cli import app
from robench.entries import modules
from robench.records.cards import AttentionStudy, QueryMaps
from robench.records.unit import Measured as Cell
from robench.reporting.exported import MODELS, Exported, exported, exported_cells, write_records
from robench.reporting.papers import layout
from robench.reporting.papers.cells import Cells, cells_in, interval_of
from robench.reporting.papers.figures import figures_of
from robench.reporting.papers.layout import tables_of
from robench.reporting.papers.metrics import Value
from robench.reporting.papers.naming import refuse_unknown
from robench.reporting.papers.pages import write
from robench.reporting.papers.reading import read_report
from robench.reporting.papers.report import Ask
from robench.reporting.printed import printed
from robench.reporting.result import Result
from robench.reporting.statistics import Interval, wilson

ASR = Ask(parse("vit"), parse("digits"), parse("fgsm(eps=0.1)"), "asr")


def test_over_trainings_the_interval_is_of_images_and_of_trainings() -> None:
    """Half widths of 0.1 over images; over three trainings 4.3027 s / √3 with s = 0.1."""
    three = [Value(value, Interval(value - 0.1, value + 0.1)) for value in (0.4, 0.5, 0.6)]
    over = 4.302653 * 0.1 / np.sqrt(3)
    assert interval_of(three) == pytest.approx((0.5 - np.hypot(0.1, over), 0.5 + np.hypot(0.1, over)))
    same = [Value(0.0, Interval(0.0, 0.161))] * 2
    assert interval_of(same, most=1.0) == pytest.approx((0.0, 0.161)), "that none of 20 was broken is no certainty"
    assert interval_of(three[:1]) == three[0].interval
    assert interval_of([Value(3.0)]) is None
    assert interval_of([Value(3.0), Value(3.0)]) == (3.0, 3.0)


def test_the_spread_is_that_of_a_sample() -> None:
    both = Cells([cell("vit", HALF), cell("vit", [True] * 4, seed=1)])
    assert both.measure(replace(ASR, seeds=(0, 1))).spread == pytest.approx(0.25 * np.sqrt(2))


def test_of_more_images_the_first_ones_count_and_of_fewer_it_is_said() -> None:
    larger = cell("vit", [*HALF, True, True, True, True])
    other = cell("ksa", HALF)  # of the first four
    assert Cells([larger, other]).measure(ASR, n=4).value == 0.5
    assert Cells([larger]).measure(ASR, n=4).value == 0.75, "nothing says which four are the first"
    assert Cells([larger, other]).measure(ASR).value == 0.75
    asked = report().smaller(8, None)
    (table,) = tables_of(asked, Cells([other, larger]))
    rows = dict(table.rows)
    assert rows["Other"][0].text.endswith("(1 of 2) (4 of 8 images)ᵇ") and "of 8 images" not in rows["Standard"][0].text
    assert "n = 4 to 8 test images" in " ".join(table.caption)


def test_a_caption_says_which_models_and_which_copy() -> None:
    own = cell("vit", HALF)
    (table,) = tables_of(report(), Cells([replace(own, printed=replace(own.printed, variant="JPEG-75 copy"))]))
    assert "Measured on digits (JPEG-75 copy): n = 4" in " ".join(table.caption)
    assert "Models: vit; ksa." in table.caption


MAPS = QueryMaps((1, 1), 0, [[1.0]], [[1.0]], [1, 2, 2], ["AAD//w==", "AAD//w=="])
STUDY = AttentionStudy(1, [[1.0]], 1, 0.1, [[0.9, 0.8]], MAPS)


def test_records_that_are_given_away_hold_no_image() -> None:
    one = Cell(unit(dataset="digits"), records([True, False]))
    told = card(study=STUDY, model=one.unit.identity.model)
    write_records(exported_cells(Result([one], {told.model: told})), [], Path("r.parquet"))
    cards = json.loads(pq.read_schema("r.parquet").metadata[MODELS])
    (plain,) = cards.values()
    assert plain["study"]["maps"]["images"] == [] and plain["study"]["maps"]["clean"] == [[1.0]]
    text = (
        REPORT.replace('figure = "curves"', 'figure = "maps"')
        .replace('published = "p.csv"\n', "")
        .replace('base = "Standard"\n', "")
        .replace('metric = ["l2", "l2_ratio"]', 'metric = "l2"')
    )
    Path("m.toml").write_text(text, encoding="utf-8")
    planned = read_report(Path("m.toml")).tables[0]
    (svg,) = figures_of(planned, cells_in(Path("r.parquet"))[0])
    with_pictures = Cells([exported(one, told)])
    assert svg.count("<image") == 2 and figures_of(planned, with_pictures)[0].count("<image") == 4, "the maps alone"


def masked(success: list[bool], images: int) -> Exported:
    """Under two masks an image, the first of which breaks as `success` says, the second all."""
    frame = records([*success, *[True] * images], draw=[0] * images + [1] * images)
    frame["image"] = [f"image {i}" for i in range(images)] * 2
    own = unit(defense="vit", attack="patch_noise", dataset="digits")
    return Exported(printed(Cell(own, frame)), 1.0, frame)


def test_an_accuracy_over_masks_has_an_interval_over_images() -> None:
    """The largest of two masks is the first one: half of 40 images, whose bootstrap is near Wilson's 15 points."""
    ask = Ask(parse("vit"), parse("digits"), parse("patch_noise"), "mask_largest")
    found = Cells([masked([True, False] * 20, 40)]).measure(ask)
    assert found.value == 0.5 and found.interval == pytest.approx((0.35, 0.65), abs=0.03)
    assert Cells([masked([False] * 40, 40)]).measure(ask).interval == wilson(40, 40)


def test_what_others_published_of_the_same_weights_stands_beside() -> None:
    text = REPORT.replace('published = "p.csv"\n', "").replace('defense = "vit"', 'defense = "efficientnet_lite"')
    text = text.replace("digits", "imagenet").replace('metric = "asr"', 'metric = "clean_accuracy"')
    Path("t.toml").write_text(text, encoding="utf-8")
    own = Cell(unit(defense="efficientnet_lite", dataset="imagenet"), records(HALF))
    (table,) = tables_of(read_report(Path("t.toml")), Cells([exported(own, None)]))
    lines = {label.strip(): cells[0] for label, cells in table.rows}
    assert lines["published"].text == "74.83" and lines["difference"].value == pytest.approx(1.0 - 0.7483)
    assert any("timm" in line for line in table.caption)


@pytest.mark.parametrize(
    ("attack", "norm", "eps", "beside"),
    [
        ("autoattack(eps=8/255)", "linf", 8 / 255, "43.21"),
        ("autoattack(eps=4/255)", "linf", 4 / 255, None),
        ("autoattack(eps=8/255)", "l2", 8 / 255, None),
        ("pgd_linf(eps=8/255)", "linf", 8 / 255, None),
    ],
)
def test_a_published_robust_accuracy_is_of_its_own_attack_norm_and_radius(
    attack: str, norm: str, eps: float, beside: str | None
) -> None:
    text = REPORT.replace('published = "p.csv"\n', "").replace(
        'defense = "vit"', "defense = \"robustbench(name='Wong2020Fast')\""
    )
    text = text.replace("digits", "cifar10").replace("fgsm(eps=0.1)", attack).replace('"asr"', '"robust_accuracy"')
    Path("t.toml").write_text(text, encoding="utf-8")
    own = Cell(
        unit(defense="robustbench(name='Wong2020Fast')", attack=attack, dataset="cifar10", norm=norm, eps=eps),
        records(HALF),
    )
    (table,) = tables_of(read_report(Path("t.toml")), Cells([exported(own, None)]))
    lines = {label.strip(): cells[0].text for label, cells in table.rows}
    assert lines.get("published") == beside


def test_of_many_models_the_first_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "MOST_MODELS", 1)
    (table,) = tables_of(report(), Cells([cell("vit", HALF)]))
    assert "Models: vit and 1 more." in table.caption


def test_where_packages_add_entries_no_name_is_refused_before_they_are_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    report()
    Path("t.toml").write_text(REPORT.replace('"ksa"', '"theirs"'), encoding="utf-8")
    found = read_report(Path("t.toml"))
    with pytest.raises(UsageError, match="no defense is named 'theirs'"):
        refuse_unknown(found)
    monkeypatch.setattr(modules, "entry_points", lambda group: ["theirs"])
    refuse_unknown(found)


def test_nothing_is_written_where_the_text_cannot_be() -> None:
    Path("out.md").mkdir()
    with pytest.raises(StoreError, match="cannot write out.md: Is a directory"):
        write(report(), Cells([cell("vit", HALF)]), Path("out.md"), "markdown")
    assert not [path for path in Path().iterdir() if path.suffix in (".svg", ".part")]


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ('defense = "ksa"', 'defense = "kas"', "t.toml, line 17, column 12: no defense is named 'kas'.*ksa"),
        ('defense = "ksa"', 'defense = "madry(model=kas)"', "t.toml, line 17, column 24: no entry is named 'kas'"),
        ('attack = "fgsm(eps=0.1)"\nmetric', 'attack = "fgms(eps=0.1)"\nmetric', "no attack is named 'fgms'.*fgsm"),
        ('dataset = "digits"', 'dataset = "digit"', "no data set is named 'digit'.*digits"),
    ],
)
def test_a_call_of_nothing_is_no_unmeasured_work(before: str, after: str, message: str) -> None:
    """Also where a title, which stands before it, holds the same word."""
    report()
    text = REPORT.replace("Table 1", "Of kas and fgms on digit").replace(before, after)
    Path("t.toml").write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=message):
        refuse_unknown(read_report(Path("t.toml")))


def test_a_variable_that_names_nothing_is_told_as_it_was_given() -> None:
    report()
    text = REPORT.replace("seeds = [0, 1]\n", 'seeds = [0, 1]\n\n[with]\nmodel = "vit"\n').replace(
        '"vit"\n\n[[table.row', '"{model}"\n\n[[table.row'
    )
    Path("t.toml").write_text(text, encoding="utf-8")
    found = read_report(Path("t.toml"), {"model": "vot"})
    assert found.asked == "t.toml --set model=vot"
    with pytest.raises(UsageError, match="t.toml, --set model=vot: no defense is named 'vot'"):
        refuse_unknown(found)


def test_two_columns_of_one_name_are_refused() -> None:
    report()
    Path("t.toml").write_text(
        REPORT.replace('metric = ["l2", "l2_ratio"]', 'name = "ASR"\nmetric = "l2"'), encoding="utf-8"
    )
    with pytest.raises(UsageError, match="two columns are called 'ASR'"):
        read_report(Path("t.toml"))


def test_a_dry_run_of_sizes_says_so() -> None:
    done = CliRunner().invoke(app, ["reproduce", "vit_variants", "--dry-run", "--quiet"])
    assert done.exit_code == 0 and done.stdout.count("size ") >= 3 and "a few seconds" in done.stdout
