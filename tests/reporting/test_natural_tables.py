"""Tables of natural threats by hand: corruptions, sequences, masks, and all of it in one."""

from __future__ import annotations

import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from measured import card, cell_of, records, shown, unit

from robench import parse
from robench.benchmarks import CORRUPTIONS, PERTURBATIONS
from robench.errors import DataError
from robench.records.unit import Measured
from robench.reporting.figures import spreads
from robench.reporting.normalisers import PUBLISHED
from robench.reporting.pages import render
from robench.reporting.result import Result
from robench.reporting.tables import Table

LABELS = [0, 0, 0, 0]


def corrupted(
    name: str, severity: int, wrong: list[bool], clean: tuple[bool, ...] = (True,) * 4, **more: Any
) -> Measured:
    """Four images under one corruption at one severity: which are wrong, and which were right before."""
    columns = {"corruption": name, "severity": severity, "correct": list(clean), "eps": None, "label": 0}
    plain = {"attack": f"corruptions(names='{name}', severities={severity})", "goal": "natural", "eps": None}
    return cell_of(wrong, columns, corruption=name, severity=severity, **{**plain, **more})


def whole(wrong: dict[str, list[int]], **more: Any) -> list[Measured]:
    """The benchmark: of four images so many wrong at each severity of a corruption; none where nothing is said."""
    return [
        corrupted(name, severity, [place < wrong.get(name, [0] * 5)[severity - 1] for place in range(4)], **more)
        for name in CORRUPTIONS
        for severity in range(1, 6)
    ]


def titled(result: Result, begin: str) -> Table:
    """The table of a title, put together where it is in parts."""
    first, *rest = [table for table in result.tables() if table.title.startswith(begin)]
    assert all("of" in table.title for table in [first, *rest][len(rest) == 0 :])
    columns = [column for table in (first, *rest) for column in table.columns]
    parts = [[cells for _, cells in table.rows] for table in (first, *rest)]
    rows = [(label, [cell for part in parts for cell in part[place]]) for place, (label, _) in enumerate(first.rows)]
    return replace(first, columns=columns, rows=rows)


def test_the_mean_error_is_over_the_fifteen_and_without_noise_over_twelve() -> None:
    """One image of four wrong at all severities of three noises: 0.25 x 3 / 15; of fog two at severities 4 and 5: 0.2 / 15."""
    wrong = {"gaussian_noise": [1] * 5, "shot_noise": [1] * 5, "impulse_noise": [1] * 5, "fog": [0, 0, 0, 2, 2]}
    row = shown(titled(Result(whole(wrong)), "Common corruptions"))["vit"]
    assert row["Clean error"] == "0.0"
    assert float(row["Mean error"]) == pytest.approx(100 * (0.75 + 0.2) / 15, abs=0.05)
    assert float(row["without noise"]) == pytest.approx(100 * 0.2 / 12, abs=0.05)
    assert row["noise (3)"] == "25.0"
    assert row["weather (4)"] == "5.0"
    assert row["digital (4)"] == "0.0"


def test_a_mean_that_lacks_a_corruption_or_a_severity_is_not_printed_as_one() -> None:
    """And the validation ones are in none of it."""
    lacking = [one for one in whole({}) if (one.unit.facts.corruption, one.unit.facts.severity) != ("fog", 3)]
    extra = [corrupted("saturate", severity, [True] * 4) for severity in range(1, 6)]
    row = shown(titled(Result([*lacking, *extra]), "Common corruptions"))["vit"]
    assert "Mean error" not in row
    assert "weather (4)" not in row
    assert row["noise (3)"] == "0.0"
    assert "Validation (4)" not in row, "three of the four are missing"
    whole_row = shown(titled(Result([*whole({}), *extra]), "Common corruptions"))["vit"]
    assert whole_row["Mean error"] == "0.0", "with all of saturate wrong"


def test_what_was_run_has_a_mean_of_its_own_where_no_set_is_complete() -> None:
    cells = [corrupted("fog", 3, [True, False, False, False]), corrupted("snow", 1, [True, True, True, False])]
    row = shown(titled(Result(cells), "Common corruptions"))["vit"]
    assert row["Mean error of 2 conditions"] == "50.0"


def test_an_image_that_was_wrong_before_counts_as_it_is_now() -> None:
    """Clean: one of four wrong. Corrupted: another one is wrong, and that one right."""
    one = corrupted("fog", 3, [False, True, False, False], (False, True, True, True))
    row = shown(titled(Result([one]), "Common corruptions"))["vit"]
    assert row["Clean error"] == "25.0"
    assert row["Mean error of 1 condition"] == "25.0"


def test_errors_over_a_base_row_are_ratios_of_sums_and_relative_ones_leave_the_clean_error_out() -> None:
    """vit: two of four wrong everywhere, clean none. ksa: one of four in fog, else two: CE 50 for one of 15, 100 for 14."""
    base = whole(dict.fromkeys(CORRUPTIONS, [2] * 5))
    other = whole(dict.fromkeys(CORRUPTIONS, [2] * 5) | {"fog": [1] * 5}, defense="ksa", weights="k")
    table = titled(Result([*base, *other]).against("vit"), "Common corruptions")
    rows = shown(table)
    assert rows["vit"]["over vit mCE"] == "100.0"
    assert float(rows["ksa"]["over vit mCE"]) == pytest.approx((50 + 14 * 100) / 15, abs=0.05)
    assert float(rows["ksa"]["over vit relative mCE"]) == pytest.approx((50 + 14 * 100) / 15, abs=0.05)
    assert rows["vit"]["to vit difference"] == "–"
    assert rows["ksa"]["to vit difference"].startswith("-1.7 ("), "a quarter of one of fifteen"
    assert any("not over AlexNet" in line for line in table.caption)
    clean = (False, True, True, True)
    second = whole(dict.fromkeys(CORRUPTIONS, [2] * 5) | {"fog": [3] * 5}, defense="ksa", weights="k", clean=clean)
    relative = shown(titled(Result([*base, *second]).against("vit"), "Common corruptions"))["ksa"][
        "over vit relative mCE"
    ]
    assert float(relative) == pytest.approx((14 * 100 * 0.25 / 0.5 + 100 * 0.5 / 0.5) / 15, abs=0.05)


def test_the_severity_where_accuracy_is_below_half_is_named() -> None:
    """Clean accuracy is 1: below half is one of four right, from severity 4 on."""
    table = titled(Result(whole({"fog": [0, 1, 2, 3, 4]})), "vit: error by corruption")
    rows = shown(table)
    assert [rows["fog"][f"severity {s}"] for s in range(1, 6)] == ["0.0", "25.0", "50.0", "75.0", "100.0"]
    assert rows["fog"]["mean"] == "50.0"
    assert rows["fog"]["below half at"] == "4"
    assert rows["snow"]["below half at"] == "none"
    assert table.head == "Corruption"


def test_figures_made_in_memory_are_never_called_those_of_the_files() -> None:
    table = titled(Result(whole({})), "Common corruptions")
    said = " ".join(table.caption)
    assert "not the published files" in said
    assert "Frost" in said
    assert not any("mCE" in column.name for column in table.columns)


def published(wrong: dict[str, list[int]], **more: Any) -> list[Measured]:
    """A set that is published corrupted: each condition a data set of its own, with images of its own."""
    cells = []
    for number, one in enumerate(whole(wrong)):
        name, severity = one.unit.facts.corruption, one.unit.facts.severity
        dataset = f"imagenet_c(names='{name}', severities={severity})"
        facts = {"corruption": name, "severity": severity, "goal": "natural", "eps": None, "family": "imagenet_c"}
        changes = {"attack": "clean", "dataset": dataset, "data": f"d{number}", "logits": f"l{number}"}
        cells.append(Measured(unit(**facts, **changes, **more), one.records))
    return cells


def test_conditions_that_are_data_sets_stand_in_one_table_over_alexnets_published_errors() -> None:
    """A model with AlexNet's error at each corruption and severity would have 100; one that is always wrong has 100 x the mean of 1 / its mean error."""
    every = dict.fromkeys(CORRUPTIONS, [4] * 5)
    result = Result(published(every, normaliser="alexnet_imagenet_c"))
    assert len(result.groups()) == 1
    row = shown(titled(result, "Common corruptions, imagenet_c"))["vit"]
    assert row["Mean error"] == "100.0"
    assert float(row["mCE"]) == pytest.approx(129.05, abs=0.3)
    assert "Clean error" not in row, "the images before they were corrupted are another data set"
    assert "below half at" not in shown(titled(result, "vit: error by corruption"))["fog"]


def clip(predictions: list[list[int]], name: str, **more: Any) -> Measured:
    """Clips of some images: the predicted class of each frame; the other four ranks stay as they are."""
    rows = [(i, f, p) for i, frames in enumerate(predictions) for f, p in enumerate(frames)]
    columns = {
        "image": [f"image {i}" for i, _, _ in rows],
        "frame": [f for _, f, _ in rows],
        "top5": [[p, *[c for c in range(6) if c != p][:4]] for _, _, p in rows],
        "corruption": name,
        "prediction": [p for _, _, p in rows],
    }
    plain = {"attack": f"perturbations(names='{name}')", "goal": "natural", "eps": None, "classes": 6}
    return Measured(unit(corruption=name, **{**plain, **more}), records([p != 0 for _, _, p in rows], **columns))


def test_flips_are_between_frames_and_of_noise_from_the_first() -> None:
    """0 0 1 1: one flip in three pairs; from the first frame two of three. The other image never flips."""
    cells = [clip([[0, 0, 1, 1], [2, 2, 2, 2]], name) for name in PERTURBATIONS]
    result = Result(cells)
    each = shown(titled(result, "Flip probability"))
    assert each["tilt"]["vit"] == "16.7"
    assert each["shot_noise"]["vit"] == "33.3"
    row = shown(titled(result, "Sequences"))["vit"]
    assert float(row["mFP"]) == pytest.approx(100 * (8 * (1 / 6) + 2 * (1 / 3)) / 10, abs=0.05)
    assert 0 < float(row["uT5D"]) < 15


def test_flip_rates_are_over_the_base_row_and_no_published_one() -> None:
    base = [clip([[0, 1, 0, 1], [2, 2, 2, 2]], name) for name in PERTURBATIONS]
    other = [clip([[0, 0, 0, 1], [2, 2, 2, 2]], name, defense="ksa", weights="k") for name in PERTURBATIONS]
    table = titled(Result([*base, *other]).against("vit"), "Sequences")
    rows = shown(table)
    assert rows["vit"]["over vit mFR"] == "100.0"
    noise, moved = (1 / 3) / (2 / 3), (1 / 3) / 1
    assert float(rows["ksa"]["over vit mFR"]) == pytest.approx(100 * (2 * noise + 8 * moved) / 10, abs=0.05)
    assert [cell.best for cell in dict(table.rows)["ksa"]][:1] == [True] or len(base[0].records) < 100


def test_flip_rates_of_published_films_are_over_alexnets_which_are_said_to_be_unverified(tmp_path: Path) -> None:
    """One flip in three pairs everywhere, but of noise two of three frames differ from the first; over twice as much: 50."""
    films = {"normaliser": "alexnet_imagenet_p", "family": "imagenet_p"}
    result = Result([clip([[0, 0, 1, 1]], name, **films) for name in PERTURBATIONS])
    table = titled(result, "Sequences")
    over = {"gaussian_noise": 0.2365, "shot_noise": 0.3006, "motion_blur": 0.0930, "zoom_blur": 0.0594, "snow": 0.1193}
    over |= {"brightness": 0.0488, "translate": 0.1101, "rotate": 0.1310, "tilt": 0.0705, "scale": 0.2353}
    rates = [(2 / 3 if name.endswith("noise") else 1 / 3) / over[name] for name in PERTURBATIONS]
    assert float(shown(table)["vit"]["mFR"]) == pytest.approx(100 * sum(rates) / 10, abs=0.05)
    assert "mT5D" not in shown(table)["vit"]
    assert table.caption[-1] == (
        "mFR and mT5D, in %: over those of AlexNet on ImageNet-P, as recalled, which are not verified."
    )
    lines = [f"{name},{4 / 3 if name.endswith('noise') else 2 / 3:.6f},3" for name in PERTURBATIONS]
    halves = [line.replace("1.333333", "0.999999") for line in lines]
    file = tmp_path / "mine.csv"
    file.write_text("\n".join(["# mine", "perturbation,flip_probability,top5_distance", *halves]))
    own = titled(result.against(None, normaliser=file), "Sequences")
    assert float(shown(own)["vit"]["mFR"]) == pytest.approx(100 * (8 * 0.5 + 2 * (2 / 3)) / 10, abs=0.05)
    assert float(shown(own)["vit"]["mT5D"]) > 0
    assert own.caption[-1] == "mFR and mT5D, in %: over those of mine."
    made = Result([clip([[0, 0, 1, 1]], name) for name in PERTURBATIONS])
    assert "mFR" not in shown(titled(made, "Sequences"))["vit"]


def test_all_of_a_model_stands_in_one_row() -> None:
    """Clean, C, C without noise, P, patches and size, whatever data set they are of."""
    cells = whole(dict.fromkeys(CORRUPTIONS, [1] * 5))
    cells += [clip([[0, 0, 1, 1], [2, 2, 2, 2]], name) for name in PERTURBATIONS]
    patch = {"attack": "patch_noise", "goal": "natural", "eps": None, "share": (0.1, 0.1)}
    cells.append(cell_of([True, False, False, False], {"eps": None}, **patch))
    model = cells[0].unit.identity.model
    result = Result(cells, {model: card(model=model, parameters=2_500_000, macs=3_000_000_000)})
    row = shown(titled(result, "Overview"))["vit"]
    assert row["digits C"] == "25.0"
    assert row["digits C w/o noise"] == "25.0"
    assert float(row["digits P"]) == pytest.approx(20.0, abs=0.05)
    assert row["digits Patch noise 10 %"] == "75.0"
    assert (row["MACs (G)"], row["Parameters (M)"]) == ("3.00", "2.50")


def test_there_is_no_overview_without_natural_threats() -> None:
    assert not [table for table in Result([cell_of([True, False])]).tables() if table.title == "Overview"]


def test_accuracy_over_masks_is_of_each_mask() -> None:
    """Mask 0: one of two right, mask 1: both, mask 2: none."""
    wrong = [True, False, False, False, True, True]
    columns = {"image": ["a", "b"] * 3, "draw": [0, 0, 1, 1, 2, 2], "eps": None}
    one = cell_of(wrong, columns, attack="patch_noise(masks=3)", goal="natural", eps=None, share=(0.1, 0.1))
    row = shown(titled(Result([one]), "Patch threats over masks"))["patch_noise(masks=3) · vit"]
    assert [row[f"accuracy over masks {name}"] for name in ("least", "median", "largest")] == ["0.0", "50.0", "100.0"]
    assert row["mean"] == "50.0"


def test_accuracies_over_masks_are_drawn_as_boxes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two images under three masks 1, 2 and 0 are right; whiskers reach the least and the largest."""
    from matplotlib.axes import Axes

    seen, drawn = [], Axes.boxplot

    def watched(axes: Axes, values: Any, **more: Any) -> Any:
        seen.append(([list(each) for each in values], more["whis"]))
        return drawn(axes, values, **more)

    monkeypatch.setattr(Axes, "boxplot", watched)
    columns = {"image": ["a", "b"] * 3, "draw": [0, 0, 1, 1, 2, 2], "eps": None}
    wrong = [True, False, False, False, True, True]
    masks = cell_of(wrong, columns, attack="patch_noise(masks=3)", goal="natural", eps=None, share=(0.1, 0.1))
    (group,) = Result([masks]).groups()
    svg = spreads(group)
    assert svg is not None
    assert "patch_noise(masks=3) · vit" in svg
    assert "accuracy under each mask (%)" in svg
    assert seen == [([[50.0, 100.0, 0.0]], (0, 100))]
    assert svg in render(Result([masks]), "html")
    (plain,) = Result([cell_of([True, False])]).groups()
    assert spreads(plain) is None


def test_ece_is_of_the_prediction_and_missing_where_nothing_says_it() -> None:
    """Certainty 0.9 on all, three of four right: 0.15 apart."""
    columns = {"certainty": 0.9, "prediction": [0, 0, 0, 1]}
    (cell,) = Result([cell_of([False, False, False, True], columns)]).summary()
    assert cell["ece"] == pytest.approx(0.15)
    (bare,) = Result([cell_of([False], {"certainty": math.nan})]).summary()
    assert bare["ece"] is None


def test_what_a_model_does_with_images_of_another_size_stands_below() -> None:
    cells = whole({})
    about = card(
        model=cells[0].unit.identity.model, note="images of 224 x 224 are resized to 260 x 260 inside the model"
    )
    table = titled(Result(cells, {about.model: about}), "Common corruptions")
    assert table.caption[-1] == "vit: images of 224 x 224 are resized to 260 x 260 inside the model."


def test_a_baseline_of_ones_own_divides_what_was_made_in_memory(tmp_path: Path) -> None:
    """Half of the images wrong everywhere, over a baseline that is wrong on four fifths: 62.5."""
    lines = [f"{name},{severity},0.8" for name in CORRUPTIONS for severity in range(1, 6)]
    file = tmp_path / "mine.csv"
    file.write_text("\n".join(["# mine, measured here", "corruption,severity,error", *lines]))
    result = Result(whole(dict.fromkeys(CORRUPTIONS, [2] * 5))).against(None, normaliser=file)
    table = titled(result, "Common corruptions")
    assert shown(table)["vit"]["mCE"] == "62.5"
    assert any("mine, measured here" in line for line in table.caption)
    with pytest.raises(DataError, match="nowhere.csv"):
        result.against(None, normaliser=tmp_path / "nowhere.csv")


@pytest.mark.parametrize("copied", [False, True])
def test_published_errors_divide_nothing_that_was_made_here(tmp_path: Path, copied: bool) -> None:
    """Nor under another name: it is their values that are the published ones."""
    file = PUBLISHED / "alexnet_imagenet_c.csv"
    if copied:
        file = Path(shutil.copy(file, tmp_path / "mine.csv"))
    result = Result(whole(dict.fromkeys(CORRUPTIONS, [2] * 5))).against(None, normaliser=file)
    table = titled(result, "Common corruptions")
    assert "mCE" not in shown(table)["vit"]
    assert any(line.startswith("Not divided by AlexNet on ImageNet-C, as published") for line in table.caption)
    of_its_own = Result(published(dict.fromkeys(CORRUPTIONS, [2] * 5), normaliser="alexnet_imagenet_c"))
    assert "mCE" in shown(titled(of_its_own.against(None, normaliser=file), "Common corruptions"))["vit"]


def test_a_worst_case_over_fewer_attacks_is_at_most_that_in_the_overview_too() -> None:
    """vit: both attacks, ksa: the weaker one alone. A model's card is found on whichever data set it was made."""
    cells = [
        cell_of([True, False, False, False]),
        cell_of([True, True, False, False], attack="mim(eps=0.1)"),
        cell_of([False, False, False, False], defense="ksa", weights="k"),
    ]
    other = corrupted("fog", 3, [False] * 4, dataset="mnist", data="other")
    about = card(model=cells[0].unit.identity.model, parameters=1_000_000)
    rows = shown(titled(Result([*cells, other], {about.model: about}), "Overview"))
    assert rows["vit"]["digits L∞ 0.1"] == "50.0"
    assert rows["ksa"]["digits L∞ 0.1"] == "≤ 100.0 (1 of 2 attacks)"
    assert rows["vit"]["Parameters (M)"] == "1.00"
    assert rows["ksa"]["Parameters (M)"] == "–"


def test_a_file_of_some_images_is_no_attack_that_other_rows_lack() -> None:
    """Of the four images of vit it has two; ksa was attacked with all that is required."""
    some = {"attack": "images(path='a.npz', eps=0.1)"}
    missing = {"margin": [1.0, 1.0, math.nan, math.nan], "forwards": 0}
    cells = [
        cell_of([True, False, False, False]),
        cell_of([False, True, False, False], missing, **some),
        cell_of([False, False, False, False], defense="ksa", weights="k"),
    ]
    other = corrupted("fog", 3, [False] * 4, dataset="mnist", data="other")
    rows = shown(titled(Result([*cells, other]), "Overview"))
    assert rows["vit"]["digits L∞ 0.1"] == "50.0"
    assert rows["ksa"]["digits L∞ 0.1"] == "100.0"


def test_a_model_at_chance_is_marked_in_no_table_of_natural_threats() -> None:
    """Of three classes it says one for all images: right on a third of them, and never moved by anything."""
    labels = [place % 3 for place in range(60)]

    def cells(name: str, said: list[int], wrong: int, **of: Any) -> list[Measured]:
        rows = {
            "label": labels,
            "clean_prediction": said,
            "correct": [a == b for a, b in zip(labels, said, strict=True)],
        }
        return [
            cell_of(
                [i < wrong for i in range(60)],
                {**rows, "corruption": "fog", "severity": severity},
                defense=name,
                weights=name,
                attack=f"corruptions(names='fog', severities={severity})",
                goal="natural",
                eps=None,
                corruption="fog",
                severity=severity,
                knowledge="none",
            )  # fmt: skip
            for severity in (1, 2)
        ]

    result = Result([*cells("constant", [0] * 60, 5), *cells("good", labels, 20), *cells("poor", labels, 55)])
    for title in ("Common corruptions", "Error by corruption"):
        table = titled(result, title)
        marks = {label: [cell.best for cell in row] for label, row in table.rows}
        if title.startswith("Error"):
            columns = [column.name for column in table.columns]
            assert [dict(zip(columns, row, strict=True)) for row in marks.values()] == [
                {"constant": False, "good": True, "poor": False}
            ]
        else:
            assert not any(marks["constant"]) and any(marks["good"])
            assert table.remarks[0].startswith("no rank: it takes all images for one class")


def test_one_class_for_all_images_is_no_steadiness() -> None:
    """It never flips, since it sees nothing: the best of no column, behind one that flips."""

    def film(name: str, said: list[int], top: list[list[int]]) -> Measured:
        one = clip(top, "tilt")
        frame = one.records.copy()
        place = pd.factorize(frame["image"])[0]
        frame["label"] = place % 3
        frame["clean_prediction"] = [said[i] for i in place]
        frame["correct"] = frame["label"] == frame["clean_prediction"]
        spec = replace(one.unit.spec, defense=parse(name))
        return replace(
            one, unit=replace(one.unit, spec=spec, identity=replace(one.unit.identity, weights=name)), given=frame
        )

    count = 60
    still, moving, worse = ([[0, 0, 0, 0]] * count, [[0, 0, 0, 1]] * count, [[0, 1, 0, 1]] * count)
    good = [i % 3 for i in range(count)]
    result = Result([film("constant", [0] * count, still), film("good", good, moving), film("poor", good, worse)])
    for title, names in (("Sequences", [label for label, _ in titled(result, "Sequences").rows]), ("Flip", None)):
        table = titled(result, title)
        names = names or [column.name for column in table.columns]
        best = (
            [cells[0].best for _, cells in table.rows]
            if title == "Sequences"
            else [cell.best for cell in table.rows[0][1]]
        )
        assert {name.partition(" ")[0]: mark for name, mark in zip(names, best, strict=True)} == {
            "constant": False,
            "good": True,
            "poor": False,
        }
