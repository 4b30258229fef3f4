"""Reports in TOML: what they mean, and what is said of a file that is not understood, with its line and column."""

from __future__ import annotations

from pathlib import Path

import pytest

from robench import UsageError, parse
from robench.entries.modules import built_in_folder
from robench.reporting.papers.reading import named, read_report
from robench.reporting.papers.report import Report

PLAIN = """\
title = "Mine"
seeds = [0, 1]

[with]
model = "vit(epochs={epochs})"
epochs = 2

[[table]]
dataset = "digits"
n = 50

[[table.row]]
name = "Within {eps}"
defense = "madry(eps={eps}, model={model})"
with = { eps = ["0.1", "8/255"] }

[[table.row]]
name = "Plain"
defense = "{model}"
with = { eps = "0.1" }
seeds = [3]

[[table.column]]
group = "PGD"
attack = "pgd_linf(eps={eps})"
metric = ["asr", "linf"]

[[table.column]]
name = "Far"
x = "8/255"
attack = "cw_l2"
metric = "robust_accuracy"
eps = "0.5"
"""


def written(text: str) -> Path:
    Path("mine.toml").write_text(text, encoding="utf-8")
    return Path("mine.toml")


def read(text: str = PLAIN, **given: str) -> Report:
    return read_report(written(text), given)


def test_a_row_and_a_column_that_cross_ask_for_a_number() -> None:
    (table,) = read().tables
    assert [row.name for row in table.rows] == ["Within 0.1", "Within 8/255", "Plain"]
    assert [(one.group, one.name, one.x) for one in table.columns] == [
        ("PGD", "ASR", None),
        ("PGD", "L∞", None),
        ("", "Far", 8 / 255),
    ]
    asked = table.asks[1, 1]
    assert asked.defense == parse("madry(eps=8/255, model=vit(epochs=2))") and asked.dataset == parse("digits")
    assert (asked.attack, asked.metric, asked.eps) == (parse("pgd_linf(eps=8/255)"), "linf", None)
    assert (table.asks[0, 2].eps, table.asks[0, 0].seeds, table.asks[2, 0].seeds) == (0.5, (0, 1), (3,))
    assert len(table.asks) == 9 and table.n == 50
    assert (asked.trained(0), asked.trained(4).options["seed"]) == (asked.defense, 4)


def test_a_variable_is_given_another_value() -> None:
    (table,) = read(model="ksa(k=2)").tables
    assert table.asks[2, 0].defense == parse("ksa(k=2)")
    with pytest.raises(UsageError, match=r"mine.toml has no variable 'modle'; did you mean 'model'"):
        read(modle="ksa")
    smaller = read().smaller(7, 1).tables[0]
    assert (smaller.n, smaller.asks[0, 0].seeds) == (7, (0,))


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ('title = "Mine"', 'titel = "Mine"', "line 1, column 1: the file has no 'titel'; did you mean 'title'"),
        ("n = 50", "m = 50", "line 10, column 1: a table has no 'm'"),
        ("metric = [", "metrics = [", "line 26, column 1: a column has no 'metrics'; did you mean 'metric'"),
        ("defense =", "defence =", "a row has no 'defence'; did you mean 'defense'"),
        ('"asr"', '"ars"', "line 26, column 12: no metric is called 'ars'; did you mean 'asr'"),
        (
            "pgd_linf(eps={eps})",
            "pgd_linf(eps={esp})",
            "line 25, column 24: nothing says what {esp} is; did you mean 'eps'",
        ),
        ("pgd_linf(eps={eps})", "pgd_linf(eps={eps}", "cannot be read as an entry"),
        ("epochs = 2", "epochs = 2\nspare = 1", "line 7, column 1: the variable 'spare' is used by nothing"),
        ("epochs = 2", "epochs = [2, 3]", "line 6, column 1: one value is wanted here"),
        ("epochs = 2", 'epochs = "{model}"', "its variables hold each other"),
        ("n = 50", "n = 0", "line 10, column 1: n is 0; a whole number of at least 1"),
        ("seeds = [3]", "seeds = []", "seeds is []; a list of whole numbers"),
        ('eps = "0.5"', 'eps = "half()"', "is no number"),
        ('dataset = "digits"', "", "line 14, column 12: nothing says which dataset it is"),
        ('name = "Plain"', 'name = "Within 0.1"', "two rows are called 'Within 0.1'"),
        (
            'name = "Plain"',
            'name = "Plain"\nattack = "fgsm(eps=0.1)"',
            "attack is said by a row (fgsm(eps=0.1)) and by a column",
        ),
        ("n = 50", 'base = "Palin"', "no row is called 'Palin'; did you mean 'Plain'"),
        ("n = 50", 'figure = "curve"', "the figure is 'curve'; did you mean 'curves'"),
        ("n = 50", 'published = "a.csv"', "a table has no 'published'"),
        ("seeds = [0, 1]", 'published = "a.csv"', "line 2, column 14: there is no a.csv"),
        ("[[table.row]]", "[[table.rows]]", "a table has no 'rows'; did you mean 'row'"),
        ("seeds = [0, 1]", "seeds = [0, 1", "is no TOML"),
        (
            "n = 50",
            "n = 50\nmetric = 'zzz'\n[[table.column]]\nname = 'Z'\nattack = 'clean'",
            "no metric is called 'zzz'",
        ),
        ("n = 50", 'attack = ["a", "b"]', "line 10, column 1: attack is ['a', 'b']; a text is wanted"),
        ('attack = "cw_l2"\n', "", "line 31, column 11: robust_accuracy is of an attack: give attack to"),
        (
            'attack = "cw_l2"',
            'attack = "pgd_linf(eps=0.1)"',
            "eps=0.5 is given beside pgd_linf(eps=0.1), which has its own radius",
        ),
        ('metric = "robust_accuracy"', 'metric = "l2"', "eps is given, and l2 is told within no radius"),
        ('eps = "0.5"', 'eps = "-1"', "eps is -1; a radius above 0 is wanted"),
        ('eps = "0.5"', 'eps = "1/0"', "'1/0' is no number"),
        ('eps = "0.5"', 'eps = "1, value=2"', "is no number"),
        ("n = 50", "n = 50\n[[table.note]]\ntext = 'Why'\nrow = 'Plian'", "a note is of 'Plian'; did you mean 'Plain'"),
        ("n = 50", "n = 50\n[[table.note]]\ntext = 'Why'", "a note says neither of which row"),
        ("seeds = [0, 1]", 'published = "../a.csv"', "the name of a CSV file beside this one is wanted"),
    ],
)
def test_what_is_not_understood_is_said_with_its_place(before: str, after: str, message: str) -> None:
    assert before in PLAIN
    with pytest.raises(UsageError) as raised:
        read(PLAIN.replace(before, after, 1))
    assert str(raised.value).startswith("mine.toml") and message in str(raised.value)


def test_variables_that_grow_without_end_are_refused() -> None:
    grown = "\n".join(f'{name} = "{10 * f"{{{inner}}}"}"' for name, inner in zip("abcdefg", "bcdefgh", strict=True))
    text = PLAIN.replace("epochs = 2", f'epochs = 2\nh = "x"\n{grown}').replace('name = "Far"', 'name = "{a}"')
    with pytest.raises(UsageError, match="longer than 10,000 characters"):
        read(text)
    written(f"a = {'[' * 5000}")
    with pytest.raises(UsageError, match="nested too deeply"):
        read_report(Path("mine.toml"))


def test_where_defense_or_data_set_is_empty_nothing_is_measured() -> None:
    (table,) = read(
        PLAIN.replace('dataset = "digits"', 'dataset = "{data}"').replace("epochs = 2", 'epochs = 2\ndata = ""')
    ).tables
    assert not table.asks


def test_the_shipped_reports_are_named() -> None:
    with pytest.raises(UsageError, match="no report is named 'ksa_table'; did you mean 'ksa_table1'"):
        named("ksa_table")
    with pytest.raises(UsageError, match="there is no file mine.toml"):
        named("mine.toml")
    assert named(str(written(PLAIN))) == Path("mine.toml")
    own = sorted(path.stem for path in (built_in_folder("reports") / "papers").glob("*.toml"))
    assert own == [
        "blackbox",
        "fat_table",
        "ksa_figure1",
        "ksa_figure2",
        "ksa_full_size",
        "ksa_table1",
        "madry_table",
        "rspc_attention",
        "rspc_patches",
        "rspc_table",
        "vit_variants",
    ]


@pytest.mark.parametrize("path", sorted((built_in_folder("reports") / "papers").glob("*.toml")), ids=lambda p: p.stem)
def test_every_published_number_stands_in_its_table(path: Path) -> None:
    report = read_report(path)
    places = {
        (table.name, row.published, column.published)
        for table in report.tables
        for row in table.rows
        for column in table.columns
    }
    assert not set(report.published) - places
    assert any(table.asks for table in report.tables)
