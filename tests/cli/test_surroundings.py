"""Around the commands: versions, helps, completion, and what a run will cost."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import PGD, SMALL, small_run
from typer.main import get_command
from typer.testing import CliRunner, Result

import robench
from robench.cli import app
from robench.data.loading import load_data
from robench.entries.calls import parse, written_float
from robench.places import Places
from robench.running.plan import Probe, plan_rows, stand_in
from robench.running.rows import rows_of
from robench.running.settings import Settings
from robench.training import duration
from robench.training.checkpoints import Checkpoint
from robench.training.duration import training_seconds

EXACT = "pgd_linf(eps=0.1, steps=5, until_success=False)"
"""Takes as many passes whatever the model."""


def cli(*words: str) -> Result:
    return CliRunner().invoke(app, words)


def commands(group: Any = None, *names: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command and group with the words that name it."""
    group = group or get_command(app)
    yield names, group
    for name, inner in getattr(group, "commands", {}).items():
        yield from commands(inner, *names, name)


def test_every_command_and_group_has_a_short_help_and_an_example_that_can_be_copied() -> None:
    found = dict(commands())
    assert {("run",), ("store", "gc"), ("store",), ()} <= set(found)
    for names, command in found.items():
        for flag in ("-h", "--help"):
            done = cli(*names, flag)
            assert done.exit_code == 0
            assert "-h, --help" in done.stdout
        shown = done.stdout.partition("For example:" if names else "Begin with:")[2]
        lines = [line.removeprefix("\b\nFor example:\n") for line in command.epilog.splitlines()[2:]]
        assert lines and all(f"  {line}\n" in shown for line in lines), "not wrapped"
        assert f"robench {' '.join(names)}".strip() in shown


def test_the_version_is_said() -> None:
    done = cli("--version")
    assert (done.exit_code, done.stdout) == (0, f"robench {robench.__version__}\n")


def test_threads_of_torch_wait_without_spinning() -> None:
    """What torch reads when it is loaded is set before; a choice of the user's stays."""
    code = "import os, sys\nfrom robench.__main__ import main\nsys.argv = ['robench', '--version']\ntry:\n    main()\nexcept SystemExit:\n    print(os.environ['OMP_WAIT_POLICY'], 'torch' in sys.modules)"
    for given, wanted in ((None, "PASSIVE"), ("ACTIVE", "ACTIVE")):
        around = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
        around |= {"OMP_WAIT_POLICY": given} if given else {}
        done = subprocess.run([sys.executable, "-c", code], env=around, capture_output=True, text=True, check=True)
        assert done.stdout.split()[-2:] == [wanted, "False"]


def test_a_misspelt_command_or_option_suggests_the_nearest() -> None:
    for words, said in (
        (["rnu"], "Did you mean 'run'"),
        (["store", "lss"], "Did you mean 'ls'"),
        (["run", "--atack", "fgsm"], "--attack"),
        (["report", "--formt", "csv"], "--format"),
    ):
        done = cli(*words)
        assert done.exit_code == 2
        assert said in done.stderr
    alone = cli()
    assert alone.exit_code in (0, 2)
    assert "Usage: " in alone.output


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("robench run --attack pgd_l", {"pgd_l1", "pgd_l2", "pgd_linf"}),
        ("robench plan --defense vi", {"vit"}),
        ("robench train --dataset dig", {"digits"}),
        ("robench show ks", {"ksa"}),
        ("robench run --dry", {"--dry-run"}),
        ("robench do", {"doctor"}),
    ],
)
def test_the_shell_completes_names_without_torch(line: str, names: set[str]) -> None:
    code = (
        "import sys\nfrom robench.cli import app\ntry:\n    app(prog_name='robench')\n"
        "finally:\n    assert 'torch' not in sys.modules"
    )
    environment = {"COMP_WORDS": line, "COMP_CWORD": str(line.count(" ")), "_ROBENCH_COMPLETE": "complete_bash"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | environment, check=False
    )
    assert set(done.stdout.split()) == names, done.stderr


def test_all_entries_are_completed() -> None:
    from robench.cli.completion import entries

    for kind, registry in (("defense", robench.DEFENSES), ("attack", robench.ATTACKS), ("dataset", robench.DATASETS)):
        assert [name for name, _ in entries(kind)("")] == list(registry)


@pytest.mark.parametrize(
    "text",
    ["0.5/255", "1.5/255", "2.5/255", "254.5/255", "0.1/255", "0.25/255", "8/255", "320/255", "0.2", "1e-05", "0.05"],
)
def test_parts_of_a_grey_level_are_written_as_such_and_read_back_exactly(text: str) -> None:
    value = parse(f"a(x={text})").options["x"]
    assert written_float(value) == text


@pytest.mark.parametrize("value", [0.00196078431372548, 0.031372549, 5.0 + 1 / 255, -0.5 / 255, 1 / 7, 1e-300])
def test_what_is_only_near_is_written_as_it_is(value: float) -> None:
    assert "/" not in written_float(value) or value == 0.5 / 255
    assert parse(f"a(x={written_float(value)})").options["x"] == value


def test_a_header_has_half_grey_levels() -> None:
    result, _ = small_run(attack="pgd_linf(eps=0.5/255, steps=1)", workers=1)
    assert "ASR 0.5/255" in result.table()


def test_a_dry_run_knows_which_images_must_be_kept() -> None:
    words = ("--defense", SMALL, "--attack", PGD, "--dataset", "digits", "--n", "60", "--workers", "1")

    def planned(*more: str) -> dict[str, Any]:
        (unit,) = json.loads(cli(*more, *words, "--json").stdout)["cells"]
        return dict(unit)

    assert cli("run", *words).exit_code == 0
    assert planned("run", "--dry-run")["missing"] == planned("plan")["missing"] == 0
    for command in (("run", "--dry-run", "--keep-images"), ("plan", "--keep-images")):
        unit = planned(*command)
        assert 0 < unit["missing"] <= 52
        assert unit["why"] == (
            f"60 of 60 images are there, {unit['missing']} of them without the adversarial images that are to be kept"
        )
    done = cli("run", *words, "--keep-images", "--json")
    assert "60/60 images" in done.stderr
    assert planned("plan", "--keep-images")["missing"] == 0
    assert "nothing is left to do" in cli("plan", *words, "--keep-images").stdout


def test_an_attack_on_what_is_not_trained_is_measured_on_the_untrained_model() -> None:
    places, settings = Places.of(), Settings(n=60, workers=1)
    _, (before,) = plan_rows(
        rows_of(["vit(depth=1, epochs=2, seed=5)"], [EXACT], ["digits"], settings, places), settings, places
    )
    assert before.why == "not trained"
    assert before.passes == pytest.approx(60 * 11, abs=60), "five steps and a look, forward and backward"
    assert before.seconds is not None and before.seconds > 0
    source = "transfer(source='carlini(epochs=2, width=4, seed=6)', eps=0.1, attack=mim(steps=2))"
    trainings, (unit,) = plan_rows(rows_of([SMALL], [source], ["digits"], settings, places), settings, places)
    assert len(trainings) >= 1
    assert unit.seconds is not None


def test_a_probe_that_takes_long_is_stopped_and_says_at_least(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("robench.running.plan.PROBE_SECONDS", 0.3)
    places, settings = Places.of(), Settings(n=60, workers=1)
    (row,) = rows_of(["vit(depth=1, seed=5)"], ["cw_l2(steps=10000)"], ["digits"], settings, places)
    probe = Probe(row.subject(stand_in(row.checkpoint), torch.device("cpu")), 0, trained=False)
    cost = probe.cost(row.conditions[0])
    assert cost.at_least and cost.passes > 1
    words = ("plan", "--defense", "vit(depth=1, seed=5)", "--attack", "cw_l2(steps=10000)", "--dataset", "digits")
    assert re.search(r"\(not trained\); at least [\d,]+ passes", cli(*words, "--n", "60").stdout)


def test_a_run_on_all_images_says_first_what_it_costs_and_how_to_take_fewer() -> None:
    defense = "vit(depth=1, epochs=1, seed=9)"
    words = ("run", "--defense", defense, "--attack", "fgsm(eps=0.1)", "--dataset", "digits", "--workers", "1")
    lines = cli(*words).stderr.splitlines()
    assert re.match(
        r"on all 359 images: about \d+ s of training and \d+ s of attacks; --n 100 attacks the pinned, class-balanced 100 "
        r"instead, in about \d+ s\. Stop it at any time: the same command goes on from there$",
        lines[0],
    )
    assert lines[1].startswith("training vit")
    assert "on all" not in cli(*words).stderr, "all is stored"
    assert "on all" not in cli(*words[:-2], "--store", "other", "--n", "50").stderr
    assert cli(*words, "--store", "quiet", "--quiet").stderr == ""


def test_the_first_steps_of_a_training_are_not_taken_for_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow start would be multiplied by all steps; slow steps are measured once."""
    data = load_data("digits", Places.of())
    checkpoint = Checkpoint.of("vit(depth=1, epochs=2)", data.splits, data.card, Places.of().cache)

    def estimated(*steps: float) -> float:
        now, left = [0.0], list(steps)

        class Clock:
            @staticmethod
            def perf_counter() -> float:
                now[0] += left.pop(0) if left else steps[-1]
                return now[0]

        monkeypatch.setattr(duration, "time", Clock)
        recipe = checkpoint.recipe()
        return training_seconds(checkpoint, recipe, torch.device("cpu")) / recipe.schedule.steps

    assert estimated(0.0, 3.0, 1.0, 0.2, 0.1) == pytest.approx(0.1)
    assert estimated(0.0, 30.0, 20.0) == pytest.approx(20.0)
    monkeypatch.setattr(duration, "time", time)
    assert not list(Path(checkpoint.folder).glob("*")), "nothing is left of it"
