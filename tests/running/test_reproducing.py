"""A paper's report is made by one command, and shown again from the store alone."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import SMALL
from typer.testing import CliRunner

from robench import DataError, Places, UsageError
from robench.cli import app
from robench.console import Silent
from robench.entries.modules import built_in_folder
from robench.records.store import Store
from robench.reporting.papers.cells import cells_in
from robench.reporting.papers.layout import tables_of
from robench.reporting.papers.pages import render
from robench.reporting.papers.reading import read_report
from robench.reporting.papers.report import Report
from robench.running import plan
from robench.running.plan import Cost
from robench.running.reproducing import job_of, plans, reproduce
from robench.running.rows import Measurement
from robench.running.settings import Settings

TABLE = f"""\
title = "Mine"
n = 20

[[table]]
dataset = "digits"
head = "Model"

[[table.row]]
name = "ViT"
defense = "{SMALL}"

[[table.row]]
name = "Other"
defense = "{SMALL}"
attack = "pgd_linf(eps=0.1, steps=2)"

[[table.column]]
attack = "fgsm(eps=0.1)"
metric = "asr"

[[table.column]]
name = "Size"
metric = "parameters_224"
"""
TABLE = TABLE.replace('attack = "pgd_linf(eps=0.1, steps=2)"\n', "")


def report(text: str = TABLE) -> Report:
    Path("mine.toml").write_text(text, encoding="utf-8")
    return read_report(Path("mine.toml"))


def made(text: str = TABLE) -> Report:
    found, places = report(text), Places.of()
    reproduce(job_of(found, Settings(workers=1), places), places, Silent())
    return found


def test_it_is_computed_once_and_shown_from_the_store() -> None:
    found = made(
        TABLE.replace('name = "Other"\ndefense = "', 'name = "Other"\ndefense = "madry(model=')
        .replace('epochs=12)"\n\n[[table.column]]', 'epochs=1))"\n\n[[table.column]]')
        .replace("madry(model=vit(depth=2, epochs=12)", "madry(model=vit(depth=2, epochs=1)")
    )
    (table,) = tables_of(found, cells_in(Path("results"))[0])
    rows = dict(table.rows)
    assert 0 < rows["ViT"][0].value < 1 and rows["ViT"][0].n == 20
    assert rows["ViT"][1].value > 0.05, "millions, at 224 pixels"
    before = {unit.folder.name: sorted(unit.folder.iterdir()) for unit in Store(Path("results")).units()}
    job = job_of(found, Settings(workers=1), Places.of())
    trainings, units = next(plans(job, Places.of(), 60.0))
    assert not trainings and not sum(unit.missing for unit in units) and len(units) == 2
    reproduce(job, Places.of(), Silent())
    assert before == {unit.folder.name: sorted(unit.folder.iterdir()) for unit in Store(Path("results")).units()}


ONE = TABLE.replace(f'[[table.row]]\nname = "Other"\ndefense = "{SMALL}"\n', "")


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (
            "vit(depth=2, epochs=12)",
            "vti(depth=2)",
            "mine.toml, line 10, column 12: no defense is named 'vti'; did you mean 'vit'",
        ),
        ("vit(depth=2, epochs=12)", "vit(deepth=2)", "mine.toml, line 10, column 12: vit has no option 'deepth'"),
        ('"digits"', '"digits(train_share=1)"', "digits(train_share=1) is printed as digits; write it so"),
        ("vit(depth=2, epochs=12)", "vit(depth=[1, 2])", "vit(depth=[1, 2]) stands for 2 cells"),
        ("fgsm(eps=0.1)", "fgsm(eps=[0.1, 0.2])", "line 14, column 11: fgsm(eps=[0.1, 0.2]) stands for 2 cells"),
        ("fgsm(eps=0.1)", "fgms(eps=0.1)", "line 14, column 11: no attack is named 'fgms'"),
        ('"digits"', '"digit"', "line 5, column 12: no dataset is named 'digit'"),
    ],
)
def test_a_call_that_cannot_be_run_is_said_with_its_place(before: str, after: str, message: str) -> None:
    assert before in ONE
    with pytest.raises(UsageError) as raised:
        job_of(report(ONE.replace(before, after)), Settings(), Places.of())
    assert message in str(raised.value)


def test_a_data_set_that_is_not_there_leaves_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ROBENCH_DATA", raising=False)
    absent = "\"folder(path='nowhere')\""
    both = ONE + ONE[ONE.index("[[table]]") :].replace('"digits"', absent)
    job = job_of(report(both), Settings(workers=1), Places.of())
    assert len(job.works[0].rows) == 1 and job.left_out[0].startswith("folder(path='nowhere') is left out: ")
    without = ONE.replace('[[table.column]]\nname = "Size"\nmetric = "parameters_224"\n', "")
    with pytest.raises(DataError, match="nowhere"):
        job_of(report(without.replace('"digits"', absent)), Settings(), Places.of())


def said(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, [*words])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


def test_trainings_that_differ_in_their_seed_are_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = list[str]()

    def cost(probe: object, measurement: Measurement) -> Cost:
        asked.append(measurement.label)
        return Cost(10.0, 1.0, False)

    monkeypatch.setattr(plan, "_cost", cost)
    job = job_of(report(TABLE.replace("n = 20", "n = 20\nseeds = [0, 1, 2]")), Settings(workers=1), Places.of())
    _, units = next(plans(job, Places.of(), 60.0))
    assert len(asked) == 1 and len(units) == 3 and {unit.seconds for unit in units} == {20.0}
    (_, late) = next(plans(job, Places.of(), 0.0))
    assert len(asked) == 1 and all(unit.seconds is None for unit in late), "after its time nothing is measured"


def test_from_the_command_line() -> None:
    Path("mine.toml").write_text(ONE, encoding="utf-8")
    status, told = said("reproduce", "mine.toml", "--dry-run")
    assert not status and f"{SMALL} under fgsm(eps=0.1) on digits: 20 of 20 images to attack" in told
    status, told = said("reproduce", "mine.toml", "--n", "10", "--quiet")
    assert not status and "n = 10 test images" in told and Path("results/mine.html").is_file()
    status, told = said("report", "mine.toml", "--out", "mine.md")
    assert not status and told == "mine.md\n" and "| ViT |" in Path("mine.md").read_text(encoding="utf-8")
    lazily = (
        "import sys; from robench.__main__ import main; sys.argv = ['robench', 'report', 'mine.toml', '--format', 'csv']\n"
        "try:\n main()\nexcept SystemExit as end:\n assert not end.code\n"
        "assert 'torch' not in sys.modules and not [m for m in sys.modules if m.startswith('robench.defenses')]"
    )
    shown = subprocess.run([sys.executable, "-c", lazily], capture_output=True, text=True, check=True)
    assert shown.stdout.startswith("table,row,column,")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("report ksa_tabel1", "no report is named 'ksa_tabel1'; did you mean 'ksa_table1'"),
        ("reproduce ksa_tabel1", "no report is named 'ksa_tabel1'; did you mean 'ksa_table1'"),
        ("report mine.toml --base vit", "leave --dataset, --all, --base"),
        ("report --set a=b", "--set is for the variables of a paper's report"),
        ("report mine.toml --set a", "--set 'a' gives no variable a value"),
        ("report mine.toml --store nowhere", "has no records"),
        ("report mine.toml --store mine.toml", "is neither a store nor records in Parquet"),
        ("report mine.toml --format parquet", "not parquet"),
        ("report mine.toml --out kept.parquet", "no format is known by the suffix '.parquet' of kept.parquet"),
    ],
)
def test_what_cannot_be_done_is_one_message(words: str, message: str) -> None:
    Path("mine.toml").write_text(ONE, encoding="utf-8")
    if "parquet" in words:
        made(ONE.replace('[[table.column]]\nattack = "fgsm(eps=0.1)"\nmetric = "asr"\n', ""))
    status, told = said(*words.split())
    assert status == 2 and message in told and "Traceback" not in told


LATEX = shutil.which("pdflatex")
TOY = "vit(dim=16, epochs=1, heads=2, mlp=16)"
SETS = {
    "ksa_table1": {"data": "digits", "training": TOY[4:-1]},
    "ksa_full_size": {"data": "digits", "standard": TOY, "sparse": f"ksa(model={TOY})"},
    "ksa_figure1": {"mnist": "digits", "fashion": "digits", "cifar": "digits", "model": TOY},
    "ksa_figure2": {"mnist": "digits", "cifar": "digits", "model": TOY},
    "rspc_patches": {"data": "digits", "model": TOY, "masks": "2"},
    "rspc_attention": {"data": "digits", "model": TOY},
    "madry_table": {
        "mnist": "digits(train_share=0.1)",
        "cifar": "digits(train_share=0.1)",
        "mnist_model": TOY,
        "cifar_model": TOY,
    },
    "fat_table": {"data": "digits", "model": TOY},
    "blackbox": {
        "data": "digits",
        "vit": TOY,
        "cnn": "carlini(epochs=1, hidden=8, seed=1, width=4)",
        "madry": f"madry(eps=0.2, model={TOY})",
        "source": "carlini(epochs=1, hidden=8, width=4)",
    },
    "rspc_table": {},
    "vit_variants": {},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(SETS))
def test_every_shipped_report_is_made_at_toy_size(name: str) -> None:
    found = read_report(built_in_folder("reports") / "papers" / f"{name}.toml", SETS[name]).smaller(6, 1)
    places = Places.of()
    (refused,) = reproduce(job_of(found, Settings(workers=1), places), places, Silent()) or [None]
    assert refused is None or not refused.found
    cells, notes = cells_in(Path("results"))
    assert not notes
    told = render(found, cells, "markdown")
    assert "are not measured yet" not in told
    assert "<svg" in render(found, cells, "html") or not any(table.figure for table in found.tables)
    if LATEX:
        Path("t.tex").write_text(render(found, cells, "latex"), encoding="utf-8")
        done = subprocess.run([LATEX, "-interaction=nonstopmode", "t.tex"], capture_output=True, text=True, check=False)
        assert done.returncode == 0, [line for line in done.stdout.splitlines() if line.startswith("!")]


def test_every_shipped_report_has_a_toy() -> None:
    assert sorted(SETS) == sorted(path.stem for path in (built_in_folder("reports") / "papers").glob("*.toml"))
