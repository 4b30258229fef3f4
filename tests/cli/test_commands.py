"""The command line: what people and machines are answered, and what a mistake is answered."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from conftest import PGD, SMALL, small_run
from typer.testing import CliRunner, Result

import robench
from robench import UsageError
from robench.cli import app


def cli(*arguments: str) -> Result:
    """The command line within this process; importing torch anew for each call would take most of the time."""
    return CliRunner().invoke(app, arguments)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--defense", "kas", "--attack", "fgsm", "--dataset", "digits"], "did you mean 'ksa'"),
        (["--defense", "vit", "--attack", "pgd_linf(eps=8/0)", "--dataset", "digits"], "divides by zero"),
        (["--defense", "vit", "--attack", "fgsm", "--dataset", "digits", "--n", "9999"], "has 359 images"),
        (["--defense", "vit(patch=3)", "--attack", "fgsm", "--dataset", "digits"], "patches that do"),
        (["--defense", "ksa(layers=[9])", "--attack", "fgsm", "--dataset", "digits"], "6 attention layers"),
        (["--defense", "ksa(k=40)", "--attack", "fgsm", "--dataset", "digits"], "leaves nothing out"),
        (
            ["--defense", "vit", "--attack", "fgsm", "--dataset", "digits", "--batch-size", "big"],
            "neither a whole number",
        ),
        (
            ["--defense", "vit", "--attack", "fgsm", "--dataset", "digits", "--batch-size", "9" * 5000],
            "'9999999999999999999999999999999999999999' is neither",
        ),
    ],
)
def test_a_mistake_is_one_line_and_exit_status_2(arguments: list[str], said: str) -> None:
    done = cli("run", *arguments)
    assert done.exit_code == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert len([line for line in done.stderr.splitlines() if line.startswith("robench:")]) == 1


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("import nothing_of_this_name\n")
    with pytest.raises(UsageError, match="broken.py cannot be loaded: ModuleNotFoundError"):
        robench.DEFENSES["./broken.py"]


def test_help_imports_neither_torch_nor_numpy() -> None:
    code = "import sys, robench.cli; from typer.main import get_command; get_command(robench.cli.app); sys.exit(bool({'torch', 'numpy'} & {*sys.modules}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_commands_answer_for_people_and_for_machines() -> None:
    assert "carlini" in cli("list", "attacks").stdout.lower()
    assert json.loads(cli("list", "--json").stdout)["defenses"]
    assert "k = 4  (a whole number at least 1)" in cli("show", "ksa").stdout
    assert "did you mean 'ksa'" in cli("show", "kas").stderr
    large = cli("show", "timm(name='inception_v3')").stdout
    assert "at 3 x 224 x 224" in large and "at 3 x 32 x 32" not in large, "it takes no small images"
    assert cli("doctor").exit_code == 0
    assert cli("report").exit_code == 2
    small_run()
    for form in ("text", "markdown", "csv", "latex", "json"):
        done = cli("report", "--format", form)
        assert done.exit_code == 0, done.stderr
        assert "pgd_linf" in done.stdout.replace("\\", "")
    against = cli("report", "--format", "text", "--base", SMALL, "--sizes").stdout
    assert f"the difference to {SMALL}" in against and "Parameters (M)" in against
    assert cli("report", "--base", "resnet").exit_code == 2
    assert cli("report").stdout.strip() == "results/report.html"
    page = Path("results/report.html").read_text()
    assert "<caption>Robustness on digits</caption>" in page
    assert not re.search(r'(src|href)="https?:', page)
    assert "data:image/png" in page
    assert "passes for an image" not in page, "there is but one attack"
    small_run(attack="fgsm(eps=0.1)")
    cli("report")
    assert "passes for an image" in Path("results/report.html").read_text()


def test_the_time_left_is_told_from_what_was_really_done(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from robench import console

    now = [0.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: now[0])
    task = console.Lines().work("attack", unit="image", total=256)
    now[0] = 100.0
    task.advance(32)
    assert "32/256 images, 0.3/s, 700 s left" in capsys.readouterr().err
    training = console.Lines().work("train", unit="step", total=1000)
    now[0] = 150.0  # waited for another process
    training.update(501, 1000)  # resumed at step 500
    now[0] = 250.0
    training.update(600, 1000)
    assert "600/1000 steps, 1.0/s, 400 s left" in capsys.readouterr().err


def test_a_bar_counts_what_a_resumed_training_does_now(monkeypatch: pytest.MonkeyPatch) -> None:
    from robench import console

    now, shown = [0.0], list[str]()
    monkeypatch.setattr(console.time, "monotonic", lambda: now[0])
    bars = console.Bars()
    monkeypatch.setattr(bars._progress, "start", lambda: None)
    monkeypatch.setattr(bars._progress, "update", lambda _, **fields: shown.append(fields["rate"]))
    work = bars.work("train", unit="step", total=1000)
    now[0] = 150.0  # waited for another process
    work.update(501, 1000)  # resumed at step 500
    now[0] = 250.0
    work.update(600, 1000)
    assert shown[-1] == "1.0 steps/s"


@pytest.mark.parametrize("width", [60, 80, 100, 140])
def test_a_bar_shortens_its_label_and_never_its_numbers(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    from rich.console import Console

    from robench import console

    monkeypatch.setenv("COLUMNS", str(width))
    bars = console.Bars()
    label = "ksa(model=vit(epochs=15), layers=[1]) under cw_l2(targets='random', search_steps=4) on cifar10(train_share=0.22222)"
    work = bars.work(label, unit="image", total=1000)
    monkeypatch.setattr(bars._progress, "start", lambda: None)
    work.update(1, 1000)
    work.update(800, 1000)
    told = Console(width=width, record=True, file=io.StringIO())
    told.print(bars._progress)
    (line,) = told.export_text().splitlines()
    assert len(line) <= width and line.startswith("ksa(model=")
    assert "800/1000" in line and "images/s" in line and re.search(r"left [\d-]:[\d-]{2}:[\d-]{2}", line)
    assert ("…" in line) == (width < 140 + len(label))


def test_the_records_are_written_as_one_parquet_file(tmp_path: Path) -> None:
    small_run(n=20)
    assert cli("report", "--format", "parquet", "--out", "records.parquet").exit_code == 0
    found = pd.read_parquet("records.parquet")
    assert found.shape[0] == 20 and "adversarial" not in found
    assert found["success"].mean() == small_run(n=20)[0].records["success"].mean()
    assert "name a file with --out" in cli("report", "--format", "parquet").stderr


def test_a_log_says_what_was_done_with_the_time_of_day() -> None:
    run = ["run", "--defense", SMALL, "--attack", PGD, "--dataset", "digits", "--n", "20", "--workers", "1"]
    assert cli("--log", "logs/run.log", *run).exit_code == 0
    text = Path("logs/run.log").read_text()
    assert re.search(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d+ INFO robench\.running\.harness: store results, ", text)
    assert f"{SMALL} under {PGD} on digits: 20 images in batches of" in text
    assert "DEBUG robench.running.workers: pgd_linf(eps=0.1, steps=5): a shard of" in text
    assert cli("--log", "logs/run.log", *run).exit_code == 0
    assert "on digits: in the store, results/records/vit-pgd_linf-" in Path("logs/run.log").read_text()
    said = cli("--verbose", "run", "--defense", "kas", "--attack", "fgsm", "--dataset", "digits").stderr
    assert "ERROR robench: UsageError: no defense is named 'kas'" in said
    assert "INFO" not in cli(*run).stderr
    assert "cannot be written" in cli("--log", "/proc/nowhere/run.log", "list").stderr


def test_windows_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.system", lambda: "Windows")
    done = cli("list")
    assert done.exit_code == 2
    assert "does not run on Windows" in done.stderr
    with pytest.raises(UsageError, match="does not run on Windows"):
        small_run()
