"""Gates in robench.toml: what is understood, and one message with its line for what is not."""

from __future__ import annotations

from pathlib import Path

import pytest
from gated import printed

from robench.errors import UsageError
from robench.gate.policy import fits, read_gates, read_matrix


def toml(folder: Path, text: str) -> Path:
    path = folder / "robench.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_gates_are_read_with_their_lines_and_defaults(tmp_path: Path) -> None:
    path = toml(
        tmp_path,
        """# two gates
[run]
dataset = "digits"

[[gate]]
id = "madry"
select = { defense = "madry*", attack = ["pgd*", "fgsm*"] }
floor = 40
max_drop = 1.5
severity = "warn"

[[gate]]
metric = "worst_case"
eps = "8/255"
""",
    )
    first, second = read_gates(path)
    assert (first.id, first.line, first.floor, first.max_drop, first.alpha, first.severity) == (
        "madry",
        5,
        40,
        1.5,
        0.01,
        "warn",
    )
    assert (second.id, second.line, second.eps, second.max_drop) == ("gate 2", 12, 8 / 255, 1.0)
    assert first.chooses(printed("fgsm(eps=0.1)", defense="madry(eps=0.1)"))
    assert not first.chooses(printed("square", defense="madry(eps=0.1)"))
    assert not first.chooses(printed("fgsm(eps=0.1)", defense="vit"))


def test_a_floor_alone_compares_nothing(tmp_path: Path) -> None:
    (gate,) = read_gates(toml(tmp_path, "[[gate]]\nfloor = 40\n"))
    assert not gate.compares


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("vit", "vit", True),
        ("vit", "vit(depth=2)", False),
        ("ksa(layers=[1])", "ksa(layers=[1])", True),
        ("ksa(layers=[1])", "ksa(layers=1)", False),
        ("pgd*", "pgd_linf(eps=8/255)", True),
        ("?it", "vit", True),
        ("*\n*", "a\nb", True),
    ],
)
def test_only_stars_and_question_marks_are_special(pattern: str, text: str, expected: bool) -> None:
    assert fits(pattern, text) is expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[gate]]\nfloor = ", r"is no TOML: .*line 2"),
        ("[gates]\n", r"table \[gates\].*'gate'"),
        ("gate = 3\n", r"below a line \[\[gate\]\]"),
        ("[[gate]]\nmax_dorp = 1", "line 1, gate 1: 'max_dorp' is not understood; did you mean 'max_drop'"),
        (
            "\n[[gate]]\nid = 'a'\nmetric = 'robust'",
            "line 2, gate 'a': metric is 'robust'; did you mean 'robust_accuracy'",
        ),
        ("[[gate]]\nmax_drop = 0", "max_drop is 0; points above 0"),
        ("[[gate]]\nmax_drop = '1'", "max_drop is '1'; a number is wanted"),
        ("[[gate]]\nfloor = nan", "floor is nan; a number"),
        ("[[gate]]\nfloor = true", "floor is True; a number"),
        ("[[gate]]\nalpha = 1.0", "alpha is 1"),
        ("[[gate]]\nseverity = 'fatal'", "severity is 'fatal'"),
        ("[[gate]]\nselect = { model = 'vit' }", "select has 'model'"),
        ("[[gate]]\nselect = { defense = 3 }", "select.defense is 3"),
        ("[[gate]]\nselect = 'vit'", "select is 'vit'; a table"),
        ("[[gate]]\nmetric = 'mce'\nfloor = 3", "is an error; give it a ceiling"),
        ("[[gate]]\nceiling = 3", "more is better; give it a floor"),
        ("[[gate]]\nmetric = 'clean_accuracy'\nmax_rise = 1", "no attack makes clean_accuracy"),
        ("[[gate]]\nmetric = 'mean_distance'\neps = 0.5", "has no eps"),
        ("[[gate]]\neps = -1", "a radius above 0"),
        ("[[gate]]\neps = '8/0'", "divides by zero"),
        ("[[gate]]\nnormaliser = 'a.csv'", "only mce is divided"),
        ("[[gate]]\nid = 'a'\n[[gate]]\nid = 'a'", "line 3: there are two gates with the id 'a'"),
        ("[[gate]]\nid = ''", "a name is wanted"),
    ],
)
def test_what_is_not_understood_is_one_message(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        read_gates(toml(tmp_path, text))


def test_a_matrix_has_the_options_of_a_run(tmp_path: Path) -> None:
    assert read_matrix(toml(tmp_path, "[run]\nn = 5\n"), {"n": int, "seed": int}) == {"n": 5}
    with pytest.raises(UsageError, match=r"\[run\]: sead is no option of it; did you mean 'seed'"):
        read_matrix(toml(tmp_path, "[run]\nsead = 5\n"), {"n": int, "seed": int})
    with pytest.raises(UsageError, match=r"has no table \[run\]"):
        read_matrix(toml(tmp_path, "[[gate]]\n"), {"n": int})
