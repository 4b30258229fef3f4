"""`robench check`, `diff` and `baseline`: exit statuses, files, one message for bad input."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gated import add
from typer.testing import CliRunner

from robench.cli import app
from robench.gate.baseline import Baseline

LATER = (date.today() + timedelta(days=30)).isoformat()


def said(*words: str, status: int = 0) -> str:
    found = CliRunner().invoke(app, list(words))
    assert found.exit_code == status, found.output
    assert "Traceback" not in found.output
    return " ".join(found.output.split())


def filled(root: Path, lost: int = 0, *, of: int = 1000, attacks: int = 1, **changes: Any) -> str:
    """A store whose attacks fool half of the images, and these more."""
    for place in range(attacks):
        add(root, [i >= of // 2 or i < lost for i in range(of)], f"fgsm(eps=0.{place + 1})", **changes)
    return str(root)


@pytest.fixture
def baseline(tmp_path: Path) -> str:
    path = str(tmp_path / "baseline.json")
    said("baseline", "write", "--store", filled(tmp_path / "then"), "--out", path)
    return path


def test_what_did_not_change_passes_and_what_was_lost_does_not(tmp_path: Path, baseline: str) -> None:
    assert "1 pass." in said("check", "--store", filled(tmp_path / "same"), "--baseline", baseline)
    worse = said("check", "--store", filled(tmp_path / "worse", 30), "--baseline", baseline, status=1)
    assert "50.0 → 47.0" in worse and "regressed" in worse and "Newly broken" in worse
    assert "0000000000000000" in worse
    few = said("check", "--store", filled(tmp_path / "few", of=500), "--baseline", baseline, status=3)
    assert "images: 500 of the baseline's 1,000 are there" in few
    other = said("check", "--store", filled(tmp_path / "other", data="beef"), "--baseline", baseline, status=3)
    assert "data dada00 → beef" in other
    small = filled(tmp_path / "small", of=100)
    said("baseline", "write", "--store", small, "--out", "small.json")
    assert "inconclusive" in said("check", "--store", small, "--baseline", "small.json")
    said("check", "--store", small, "--baseline", "small.json", "--strict", status=4)
    said("check", "--store", small, "--baseline", "small.json", "--strict", "--max-drop", "20")


def test_the_margin_and_the_level_are_options(tmp_path: Path, baseline: str) -> None:
    worse = filled(tmp_path / "worse", 30)
    said("check", "--store", worse, "--baseline", baseline, "--max-drop", "5")
    said("check", "--store", filled(tmp_path / "w", 12), "--baseline", baseline, "--alpha", "0.0001")
    assert "max_drop is 0" in said("check", "--store", worse, "--baseline", baseline, "--max-drop", "0", status=2)


def test_two_stores_are_compared_too(tmp_path: Path) -> None:
    then, now = filled(tmp_path / "then"), filled(tmp_path / "now", 30)
    said("check", "--store", now, "--baseline", then, status=1)
    told = said("diff", then, now)
    assert "50.0 → 47.0" in told and "regressed" not in told and "Verdict" not in told
    assert "| 50.0 → 47.0 |" in said("diff", then, now, "--format", "md")
    said("diff", then, now, "--format", "json", status=2)


def test_files_are_written_for_each_reader(tmp_path: Path, baseline: str, monkeypatch: pytest.MonkeyPatch) -> None:
    worse = filled(tmp_path / "worse", 30)
    (tmp_path / "summary").write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary"))
    words = ["check", "--store", worse, "--baseline", baseline, "--junit", "check.xml"]
    told = said(*words, "--summary", str(tmp_path / "summary"), "--format", "github", status=1)
    assert "::error title=robench%3A regressed::" in told and "50.0 → 47.0" in told
    assert (tmp_path / "summary").read_text().startswith("before\n<!-- robench check -->")
    assert "<failure" in Path("check.xml").read_text()
    plain = json.loads(CliRunner().invoke(app, [*words, "--format", "json"]).output)
    assert plain["status"] == 1 and plain["verdicts"][0]["lost"] == 30
    assert said(*words, "--format", "md", status=1).startswith("<!-- robench check -->")
    said(*words, "--summary", "own.md", "--comment", "comment.md", status=1)
    said(*words, "--summary", "own.md", status=1)
    assert Path("comment.md").read_text() == CliRunner().invoke(app, [*words, "--format", "md"]).output
    assert Path("own.md").read_text().count("<!-- robench check -->") == 1


def test_pictures_of_newly_broken_images_are_written_where_they_were_kept(tmp_path: Path, baseline: str) -> None:
    from PIL import Image

    kept = range(12)
    pixels = [np.full(4, 1.0, np.float32).tobytes() if i in kept else None for i in range(1000)]
    clean = [np.zeros(4, np.uint8).tobytes() if i in kept else None for i in range(1000)]
    columns = {"adversarial": pixels, "clean": clean}
    worse = filled(tmp_path / "worse", 30, columns=columns)
    told = said("check", "--store", worse, "--baseline", baseline, "--pictures", "broken", status=1)
    paths = sorted(Path("broken").glob("*.png"))
    assert len(paths) == 10 and all(str(path) in told for path in paths)
    path = paths[0]
    image = np.asarray(Image.open(path))
    assert image.shape == (96, 192) and image[0, 0] == 0 and image[0, -1] == 255
    wrong = filled(tmp_path / "wrong", columns=columns | {"correct": [i >= 30 for i in range(1000)]})
    Path("clean.toml").write_text('[[gate]]\nmetric = "clean_accuracy"\nmax_drop = 1\n')
    words = ("--baseline", baseline, "--config", "clean.toml", "--pictures", "none")
    said("check", "--store", wrong, *words, status=1)
    assert not Path("none").exists(), "no attack made a clean error"


def test_gates_are_read_from_robench_toml(tmp_path: Path, baseline: str) -> None:
    worse = filled(tmp_path / "worse", 30)
    Path("robench.toml").write_text('[[gate]]\nid = "robust"\nselect = { attack = "fgsm*" }\nmax_drop = 5\n')
    said("check", "--store", worse, "--baseline", baseline)
    assert "leave --max-drop" in said("check", "--store", worse, "--baseline", baseline, "--max-drop", "1", status=2)
    Path("strict.toml").write_text('[[gate]]\nmax_drop = 1\nseverity = "warn"\n[[gate]]\nid = "b"\nfloor = 48\n')
    told = said("check", "--store", worse, "--baseline", baseline, "--config", "strict.toml", status=1)
    assert "below its floor of 48" in told and "warn" in told
    Path("floor.toml").write_text("[[gate]]\nfloor = 40\n")
    said("check", "--store", worse, "--config", "floor.toml")
    Path("none.toml").write_text('[[gate]]\nselect = { defense = "kas" }\nmax_drop = 1\n')
    assert "selects nothing" in said(
        "check", "--store", worse, "--baseline", baseline, "--config", "none.toml", status=2
    )


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["check", "--baseline", "nowhere.json"], 3, "there is no baseline nowhere.json"),
        (["check"], 3, "give it with --baseline FILE"),
        (["check", "--store", "nowhere", "--baseline", "b.json"], 2, "there is no nowhere"),
        (["check", "--baseline", "b.json", "--config", "nowhere.toml"], 2, "nowhere.toml cannot be read"),
        (["check", "--baseline", "b.json", "--config", "broken.toml"], 2, "broken.toml is no TOML"),
        (["baseline", "write", "--out", "b.txt"], 2, "ends in .json"),
        (["baseline", "diff", "--baseline", "nowhere.json"], 3, "there is no baseline"),
        (["diff", "results", "b.txt"], 2, "there is no b.txt"),
        (["run", "--config", "none.toml"], 2, "has no table [run]"),
        (["run", "--config", "sead.toml"], 2, "sead is no option of it; did you mean 'seed'?"),
        (["run", "--config", "text.toml"], 2, "text.toml, [run]: n is 'many'; a whole number is wanted"),
        (["run", "--config", "true.toml"], 2, "true.toml, [run]: n is True; a whole number is wanted"),
        (["check", "--baseline", "nowhere"], 3, "there is no nowhere to compare with"),
        (["check", "--baseline", "empty.json"], 3, "empty.json holds no cells"),
    ],
)
def test_bad_input_is_one_message(tmp_path: Path, baseline: str, words: list[str], status: int, message: str) -> None:
    filled(tmp_path / "results")
    Path("broken.toml").write_text("[[gate]]\nfloor = \n")
    Path("none.toml").write_text("[[gate]]\n")
    Path("sead.toml").write_text("[run]\nsead = 1\n")
    Path("text.toml").write_text("[run]\ndefense = 'vit'\ndataset = 'digits'\nn = 'many'\n")
    Path("true.toml").write_text("[run]\ndefense = 'vit'\nn = true\n")
    Baseline([]).write(Path("empty.json"))
    Path(baseline).rename("b.json")
    assert message in said(*words, status=status).replace("│ ", "")


def test_an_empty_store_and_a_store_without_the_cell_are_told(tmp_path: Path, baseline: str) -> None:
    (tmp_path / "empty").mkdir()
    assert "no records" in said("check", "--store", str(tmp_path / "empty"), "--baseline", baseline, status=2)
    add(tmp_path / "else", [True, False], "pgd_linf(eps=0.1)")
    told = said("check", "--store", str(tmp_path / "else"), "--baseline", baseline, status=3)
    assert "missing" in told and "vit under fgsm(eps=0.1) on digits is not there" in told


def test_a_baseline_is_renewed_by_what_is_better_and_never_by_what_is_worse(tmp_path: Path) -> None:
    then, now = tmp_path / "then", tmp_path / "now"
    for name, before, after in (("0.1", 500, 560), ("0.2", 500, 440), ("0.3", 500, 500)):
        add(then, [i >= before for i in range(1000)], f"fgsm(eps={name})")
        add(now, [i >= after for i in range(1000)], f"fgsm(eps={name})")
    add(now, [False] * 1000, "pgd_linf(eps=0.1)")
    said("baseline", "write", "--store", str(then), "--out", "b.json")
    before = Path("b.json").read_bytes()
    told = said("baseline", "diff", "--store", str(now), "--baseline", "b.json")
    assert "1 cells are better than their baseline, 1 are new" in told and "head-room of 6.0 points" in told
    assert Path("b.json").read_bytes() == before, "nothing is written without --out"
    said("baseline", "diff", "--store", str(now), "--baseline", "b.json", "--out", "b.json")
    found = {cell.identity.attack: int(cell.robust.sum()) for cell in Baseline.read(Path("b.json")).cells}
    assert found == {"fgsm(eps=0.1)": 560, "fgsm(eps=0.2)": 500, "fgsm(eps=0.3)": 500, "pgd_linf(eps=0.1)": 1000}
    # The head-room is gone: back to 500 is now a regression.
    assert "−6.0" in said("check", "--store", str(then), "--baseline", "b.json", "--max-drop", "1", status=1)


def test_a_regression_is_accepted_for_a_time(tmp_path: Path, baseline: str) -> None:
    worse = filled(tmp_path / "worse", 30)
    words = ["baseline", "accept", "--store", worse, "--baseline", baseline, "--gate"]
    told = said(*words, "robust accuracy", "--reason", "agreed in #12", "--expires", LATER)
    assert "1 cells of 'robust accuracy'" in told
    told = said("check", "--store", worse, "--baseline", baseline)
    assert "warn" in told and f"accepted until {LATER}: agreed in #12" in told
    said("check", "--store", filled(tmp_path / "further", 60), "--baseline", baseline, status=1)
    said(*words, "robust accuracy", "--reason", "again", "--expires", LATER)
    assert [one.reason for one in Baseline.read(Path(baseline)).accepted] == ["again"]
    assert "no gate is called 'robust'; did you mean" in said(
        *words, "robust", "--reason", "a", "--expires", LATER, status=2
    )
    assert "--reason is empty" in said(*words, "robust accuracy", "--reason", " ", "--expires", LATER, status=2)
    assert "is no day" in said(*words, "robust accuracy", "--reason", "a", "--expires", "soon", status=2)
    assert "is over" in said(*words, "robust accuracy", "--reason", "a", "--expires", "2020-01-01", status=2)
    content = json.loads(Path(baseline).read_text())
    content["accepted"][0]["expires"] = "2020-01-01"
    Path(baseline).write_text(json.dumps(content))
    assert "expired on 2020-01-01" in said("check", "--store", worse, "--baseline", baseline, status=3)
    told = said("baseline", "accept", "--store", filled(tmp_path / "same"), "--baseline", baseline, "--gate", "robust accuracy",
                "--reason", "a", "--expires", LATER, status=2)  # fmt: skip
    assert "nothing of the gate 'robust accuracy' regressed" in told


def test_what_cannot_be_written_costs_neither_the_table_nor_the_status(tmp_path: Path, baseline: str) -> None:
    (tmp_path / "file").write_text("")
    words = ("--baseline", baseline, "--junit", str(tmp_path / "file" / "check.xml"))
    told = said("check", "--store", filled(tmp_path / "worse", 30), *words, status=1)
    assert "50.0 → 47.0" in told and "cannot write" in told
    assert "1 pass." in said("check", "--store", filled(tmp_path / "same"), *words, status=5)


def test_a_name_in_the_table_is_no_command_of_a_workflow(tmp_path: Path) -> None:
    filled(tmp_path / "then")
    filled(tmp_path / "now", 30)
    lines = (
        CliRunner()
        .invoke(
            app, ["check", "--store", str(tmp_path / "now"), "--baseline", str(tmp_path / "then"), "--format", "github"]
        )
        .output.splitlines()
    )
    assert lines[0].startswith("::error ") and lines[1].startswith("::stop-commands::")
    assert lines[-1] == f"::{lines[1].removeprefix('::stop-commands::')}::"


def test_a_pooled_regression_can_be_accepted(tmp_path: Path) -> None:
    for root, moved in ((tmp_path / "then", 0), (tmp_path / "now", 12)):
        for i in range(8):
            lost = range(moved * i, moved * i + moved)
            won = range(200 + 4 * i, 200 + 4 * i + moved // 3)
            add(root, [(j >= 200 and j not in won) or j in lost for j in range(400)], f"fgsm(eps=0.{i + 1})")
    said("baseline", "write", "--store", str(tmp_path / "then"), "--out", "b.json")
    check = ("check", "--store", str(tmp_path / "now"), "--baseline", "b.json")
    assert "all 8 of them together" in said(*check, status=1)
    words = ("--store", str(tmp_path / "now"), "--baseline", "b.json", "--gate", "robust accuracy")
    said("baseline", "accept", *words, "--reason", "agreed", "--expires", LATER)
    assert "accepted until" in said(*check)


def test_a_check_loads_neither_torch_nor_an_entry(tmp_path: Path, baseline: str) -> None:
    code = (
        "import sys; from robench.cli import app; from typer.testing import CliRunner;"
        f"found = CliRunner().invoke(app, ['check', '--store', {filled(tmp_path / 's')!r}, '--baseline', {baseline!r}]);"
        "assert found.exit_code == 0, found.output;"
        "print([name for name in sys.modules if name == 'torch' or name.startswith(('robench.attacks', 'robench.defenses'))])"
    )
    found = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True, env=os.environ
    )
    assert found.stdout.strip() == "[]"


def test_a_run_takes_its_matrix_from_a_file_and_the_command_line_has_precedence() -> None:
    Path("robench.toml").write_text(
        '[run]\ndefense = "vit(depth=2, epochs=1)"\nattack = ["fgsm(eps=0.1)", "fgsm(eps=0.2)"]\ndataset = "digits"\nn = 7\n'
    )
    plan = json.loads(CliRunner().invoke(app, ["plan", "--config", "robench.toml", "--json"]).output)
    assert [cell["attack"] for cell in plan["cells"]] == ["fgsm(eps=0.1)", "fgsm(eps=0.2)"]
    assert {cell["missing"] for cell in plan["cells"]} == {7}
    other = ["plan", "--config", "robench.toml", "--json", "--attack", "fgsm(eps=0.3)", "--n", "5"]
    plan = json.loads(CliRunner().invoke(app, other).output)
    assert [(cell["attack"], cell["missing"]) for cell in plan["cells"]] == [("fgsm(eps=0.3)", 5)]
