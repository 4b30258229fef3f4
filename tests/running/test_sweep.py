"""A sweep trains all choices, looks at them on the validation split, and chooses the best that meets what was asked for."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from robench import Call, UsageError
from robench.cli import app
from robench.console import Silent
from robench.places import Places
from robench.running.rows import Row, rows_of
from robench.running.settings import Settings
from robench.running.subject import Subject
from robench.running.sweep import Constraint, Tried, mass_of, sweep

SMALL = "vit(depth=2, epochs=2)"
CALL = f"ksa(mu=[1.0, 100000.0], model={SMALL})"


def rows(*defenses: str) -> list[Row]:
    return rows_of([*defenses], [], ["digits"], Settings(), Places.of())


def tried(metric: str, *constraints: str) -> list[Tried]:
    wanted = [Constraint.of(text) for text in constraints]
    return sweep(rows(CALL, SMALL), metric, wanted, Settings(workers=1), Silent())


def test_the_best_that_meets_the_constraints_is_chosen() -> None:
    """A penalty of 1/2 pulls the attention into its four largest weights, one of 5e-7 leaves it as it is."""
    free = tried("clean")
    assert [one.figures["clean"] for one in free] == sorted((one.figures["clean"] for one in free), reverse=True)
    assert [one.chosen for one in free] == [True, False, False]
    mass = {one.defense: one.figures.get("mass") for one in free}
    sparse, dense = f"ksa(mu=1, model={SMALL})", f"ksa(mu=100000, model={SMALL})"
    assert mass[SMALL] is None and mass[sparse] is not None and mass[dense] is not None
    assert mass[sparse] > 0.8 > mass[dense]
    held = tried("clean", "mass>=0.8")
    assert [(one.defense, one.met, one.chosen) for one in held][0] == (sparse, True, True)
    assert {one.defense for one in held[1:]} == {dense, SMALL} and not any(one.met for one in held[1:])
    assert next(one.defense for one in tried("mass")) == sparse
    for one in free:
        assert one.n == 144 and one.figures["clean"] == one.figures["validation_accuracy"], "no test image is looked at"


def test_the_default_of_ksa_is_sparse_in_every_layer() -> None:
    """At toy size; .95 and more at full size (docs/measurements/ksa-sparsity.md)."""
    (found,) = sweep(rows("ksa(model=vit(depth=2, epochs=12))"), "mass", [], Settings(workers=1), Silent())
    assert found.figures["mass"] >= 0.85


def test_nothing_is_chosen_where_nothing_meets_them() -> None:
    assert not any(one.chosen or one.met for one in tried("clean", "mass>=0.999999"))
    assert [one.chosen for one in tried("clean", "mass<=1", "clean>=0.0", "loss<=100")].count(True) == 1


@pytest.mark.parametrize(
    ("metric", "constraints", "said"), [("claen", (), "'clean'"), ("clean", ("mas>=1",), "'mass'")]
)
def test_a_misspelt_figure_is_told_before_anything_trains(
    metric: str, constraints: tuple[str, ...], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("robench.running.sweep.obtain", lambda *_: pytest.fail("it trains"))
    with pytest.raises(UsageError, match=f"did you mean {said}"):
        tried(metric, *constraints)


def test_a_figure_that_nothing_has_is_told_beside_what_was_tried() -> None:
    asked = ["sweep", CALL, SMALL, "--dataset", "digits", "--workers", "1", "-q", "--metric", "tau"]
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 2
    assert "none of these defenses has the figure 'tau'" in done.output and "penalty" in done.output
    assert "ksa(mu=1, model=" in done.output


@pytest.mark.parametrize("text", ["mass", "mass>0.8", "mass>=", "mass>=much", ">=1", "mass==1", ""])
def test_what_is_no_comparison_is_said(text: str) -> None:
    with pytest.raises(UsageError, match="is no comparison with a number"):
        Constraint.of(text)


def test_the_command_prints_all_that_was_tried_and_fails_where_nothing_will_do() -> None:
    runner = CliRunner()
    asked = ["sweep", CALL, SMALL, "--dataset", "digits", "--workers", "1", "-q"]
    done = runner.invoke(app, [*asked, "--constraint", "mass>=0.8"])
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    assert lines[0].split() == ["clean", "mass", "Defense", "Data", "set"]
    assert "* ksa(mu=1, model=" in lines[1] and "On validation images (144 of digits)" in done.output
    told = json.loads(runner.invoke(app, [*asked, "--json"]).output)
    assert len(told) == 3 and told[0]["chosen"]
    none = runner.invoke(app, [*asked, "--constraint", "mass>=0.999999"])
    assert none.exit_code == 2 and "nothing that was tried meets mass>=0.999999" in none.output
    assert lines[1].split("*")[1].split("  ")[0].strip() in none.output, "what was tried is shown all the same"


def test_the_mass_is_that_of_the_densest_layer_that_is_pulled(
    monkeypatch: pytest.MonkeyPatch, subject: Subject
) -> None:
    """Of two largest weights: .5 in the first layer, .9 in the second."""
    monkeypatch.setattr("robench.running.sweep.attention_mass", lambda _: [[0.2, 0.5, 1.0], [0.4, 0.9, 1.0]])
    for options, wanted in (
        ({"k": 2}, 0.5),
        ({"k": 2, "layers": [2]}, 0.9),
        ({"k": 1, "layers": "all"}, 0.2),
        ({}, None),
    ):
        assert mass_of(subject, Call("ksa", options)) == wanted


def test_by_default_attention_is_sparse_in_every_layer() -> None:
    """85 % of it in the four largest of 17 weights, also at toy size."""
    (tried,) = sweep(rows("ksa(model=vit(depth=2, epochs=20))"), "mass", [], Settings(workers=1), Silent())
    assert tried.figures["mass"] >= 0.85


@pytest.mark.slow
def test_under_the_papers_map_it_stays_dense() -> None:
    (tried,) = sweep(
        rows("ksa(attention='linear', model=vit(depth=2, epochs=20))"), "mass", [], Settings(workers=1), Silent()
    )
    assert tried.figures["mass"] < 0.7
