"""One odd cell never takes the page away from the others."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import large
import numpy as np
import pytest
from measured import card, facts, records, unit

from robench.records.store import Store
from robench.records.unit import Measured
from robench.reporting import pages
from robench.reporting.figures import curves
from robench.reporting.pages import render, stored
from robench.reporting.result import Result

FORMS = ("text", "markdown", "csv", "latex", "json", "html")
HIT = [True, True, True, False]


def cell(success: list[bool] = HIT, rows: dict[str, Any] | None = None, **changes: Any) -> Measured:
    """A unit whose records are three classes, told apart from the others."""
    count = len(success)
    plain = {"label": [i % 3 for i in range(count)], "clean_prediction": [i % 3 for i in range(count)], "margin": 0.1}
    return Measured(unit(**changes), records(success, **{**plain, **(rows or {})}))


def pixels(side: int, count: int) -> dict[str, Any]:
    return {
        "adversarial": [np.full((1, side, side), 0.5, np.float32).tobytes()] * count,
        "clean": [np.zeros((1, side, side), np.uint8).tobytes()] * count,
    }


ODD = {
    "no image classified correctly": cell(
        rows={"correct": False, "forwards": 0, "l2": 0.0}, defense="odd", weights="o"
    ),
    "one image": cell([True], defense="odd", weights="o"),
    "norms that are no numbers": cell(
        rows={name: float("nan") for name in ("l0", "l1", "l2", "linf")},
        defense="odd",
        weights="o",
        goal="minimal",
        eps=None,
    ),
    "passes that are not known": cell(rows={"forwards": None, "backwards": None}, defense="odd", weights="o"),
    "confidence and margin unknown": cell(rows={"confidence": None, "margin": None}, defense="odd", weights="o"),
    "pictures of another size": cell(rows=pixels(3, 4), defense="odd", weights="o"),
    "a class beyond the names": cell(rows={**pixels(2, 4), "prediction": 7, "label": 9}, defense="odd", weights="o"),
    "no eps beside an eps": cell(attack="fgsm", eps=None, goal="minimal", defense="odd", weights="o"),
    "an infinite eps": cell(attack="fgsm(eps=2)", eps=float("inf"), defense="odd", weights="o"),
    "no label": cell(rows={"label": None}, defense="odd", weights="o"),
    "no prediction": cell(rows={"prediction": None, "clean_prediction": None}, defense="odd", weights="o"),
}


@pytest.mark.parametrize("odd", ODD, ids=str)
def test_an_odd_cell_leaves_the_others_in_every_table(odd: str) -> None:
    good = [cell(defense="good", weights="g", attack=f"{name}(eps=0.1)") for name in ("fgsm", "pgd")]
    for order in ([*good, ODD[odd]], [ODD[odd], *good]):
        for form in FORMS[:-1]:
            page = render(Result(order), form)
            assert "good" in page and ("75.0" in page or "0.75" in page), page
            assert "odd" in page


def test_the_page_stands_with_all_that_is_odd_on_it() -> None:
    odd = [
        Measured(unit(defense="odd", attack=f"a{i}(eps=0.1)", weights=f"o{i}"), one.records)
        for i, one in enumerate(ODD.values())
    ]
    page = render(Result([cell(defense="good"), *odd, *ODD.values()]), "html")
    assert "good" in page and "75.0" in page and "<svg" in page
    assert page.count("pictures of odd") > 0, "what cannot be shown is said"


def test_a_class_name_of_any_letters_is_shown_under_its_picture() -> None:
    one = cell(rows=pixels(2, 4))
    names = ["<b>&'\"", "$\\frac{", "猫\u202e|"]
    shown = Measured(unit(), one.records)
    object.__setattr__(shown.unit, "facts", facts(class_names=names))
    page = render(Result([shown]), "html")
    assert "&lt;b&gt;&amp;&#39;&#34;" in page and "$\\frac{" in page and "could not be made" not in page


def test_without_the_library_of_figures_the_page_says_so_and_has_all_else(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **named: Any) -> Any:
        if name.split(".")[0] == "matplotlib":
            raise ImportError("No module named 'matplotlib'")
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    page = render(Result([cell(), cell(attack="pgd(eps=0.1)")]), "html")
    assert "a figure of digits in L∞ failed: ImportError" in page
    assert "<caption>Robustness on digits</caption>" in page and "75.0" in page


def test_an_odd_model_card_is_a_line_of_its_own() -> None:
    one = cell()
    odd = card(model=one.unit.identity.model, attention=[[]], attention_cosines=["x"])
    page = render(Result([one], {odd.model: odd}), "html")
    assert "vit failed: ValueError" in page and "75.0" in page


def test_a_table_that_cannot_be_made_is_a_line_in_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> None:
        raise ZeroDivisionError("nothing to divide by")

    monkeypatch.setattr("robench.reporting.result.norms_on_common", fails)
    for form in ("text", "markdown", "latex", "html", "json"):
        page = render(Result([cell()]), form)
        assert "could not be made: ZeroDivisionError: nothing to divide by" in page, form
        assert "75.0" in page or "0.75" in page


def test_a_store_whose_parts_do_not_fit_together_leaves_one_unit_out() -> None:
    store = Store(Path("results"))
    for name in ("odd", "good"):
        made = unit(defense=name, weights=name)
        store.unit(made.spec, made.identity, made.facts).add(records(HIT))
    folder = next(Path("results/records").glob("odd-*"))
    import pyarrow.parquet as pq

    from robench.hashing import file_digest

    (part,) = folder.glob("part-*")
    table = pq.read_table(part)
    names = [name for name in table.column_names if name != "linf"]
    pq.write_table(table.select(names).replace_schema_metadata(table.schema.metadata), part)
    part.rename(part.with_name(f"part-{file_digest(part)[:16]}.parquet"))
    result, notes = stored(Path("results"))
    page = render(result, "html", notes)
    assert "good" in page and "50.0" not in page
    assert "is damaged (its columns are not those of records); its images are left out" in page


def test_of_many_lines_a_figure_has_those_of_the_most_robust_rows() -> None:
    few, many = (curves(large.made(rows, 4, images=40).groups()[0], "linf") for rows in (5, 30))
    assert few is not None and "most robust" not in few
    assert many is not None and "40 of 120 lines, of the most robust rows" in many
    assert (
        "vit(depth=0), fgsm" in many and "vit(depth=28), fgsm" not in many
    )  # the first rows of it are the most robust


def test_of_many_cells_the_page_has_pictures_of_the_first_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "PICTURED_CELLS", 2)
    page = render(Result([cell(rows=pixels(2, 4), defense=f"d{i}", weights=f"w{i}") for i in range(3)]), "html")
    assert page.count("clean image of class") == 2 * 3  # of the three images that each cell broke
    assert "pictures of digits are of the first 2 cells" in page


def test_the_images_of_a_store_are_read_where_they_are_shown() -> None:
    store = Store(Path("results"))
    for name, kept in (("bare", {}), ("kept", pixels(2, 4))):
        one = cell(rows=kept, defense=name, weights=name)
        store.unit(one.unit.spec, one.unit.identity, one.unit.facts).add(one.records)
    found, _ = stored(Path("results"))
    shown = {str(one.unit.spec.defense): one for one in found.measured}
    assert not any("adversarial" in one.records for one in shown.values())
    assert {name: (one.unit.keeps_pixels(), len(one.pictured())) for name, one in shown.items()} == {
        "bare": (False, 0),
        "kept": (True, 4),
    }
    assert render(found, "html").count("clean image of class") == 3
