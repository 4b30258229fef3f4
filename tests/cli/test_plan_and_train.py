"""`robench plan` and `robench train`, and the ways into the command: what they say is what is so."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner, Result

from robench import Places, recipe_of
from robench.cli import app
from robench.data.loading import load_data
from robench.training.building import task_of
from robench.training.checkpoints import Checkpoint

TINY = "vit(depth=1, epochs=2, seed=7)"


def cli(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def planned(*more: str, attack: str = "fgsm(eps=0.1)") -> dict[str, list[dict[str, object]]]:
    done = cli("plan", "--defense", TINY, "--attack", attack, "--dataset", "digits", "--n", "40", "--json", *more)
    assert done.exit_code == 0, done.output
    found: dict[str, list[dict[str, object]]] = json.loads(done.stdout)
    return found


def test_a_plan_says_what_is_trained_and_attacked_and_what_it_costs() -> None:
    """Two epochs of 1,294 images in batches of 32: 40 steps each. FGSM: two passes for each image that is right."""
    words = ["--defense", TINY, "--attack", "fgsm(eps=0.1)", "--dataset", "digits", "--n", "40"]
    said = cli("plan", *words).stdout
    data = load_data("digits", Places.of())
    assert recipe_of(TINY, task_of(data.splits, data.card)).schedule.steps == 2 * (1294 // 32) == 80
    assert f"train {TINY} on digits: 2 epochs, 80 steps" in said
    assert "40 of 40 images to attack (not trained); about 80 passes" in said, "as if all were classified right"
    assert re.fullmatch("in all about .* of training and .* of attacks", said.splitlines()[-1])
    before = planned()
    assert [(t["epochs"], t["steps"]) for t in before["trainings"]] == [(2, 80)]
    assert before["cells"][0]["passes"] == 80
    assert not Path("results").exists(), "a plan attacks nothing"

    assert cli("train", "--defense", TINY, "--dataset", "digits").exit_code == 0
    data = load_data("digits", Places.of(), 40)
    trained = Checkpoint.of(TINY, data.splits, data.card, Places.of().cache).load()
    assert trained is not None
    with torch.no_grad():
        right = (trained.model(data.split.inputs(slice(0, 8))).argmax(1) == data.split.targets()[:8]).sum()
    after = planned()
    assert after["trainings"] == []
    (cell,) = after["cells"]
    assert (cell["n"], cell["missing"], cell["why"]) == (40, 40, "not run yet")
    assert cell["passes"] == 2 * int(right) / 8 * 40
    assert "about" in cli("plan", *words).stdout

    assert cli("run", *words).exit_code == 0
    (cell,) = planned()["cells"]
    assert (cell["missing"], cell["why"], cell["passes"]) == (0, "in the store", 0)
    (more,) = planned("--n", "50")["cells"]
    assert (more["n"], more["missing"], more["why"]) == (50, 10, "40 of 50 images are there")
    assert cli("run", *words, "--dry-run").stdout.startswith("vit(")


def test_on_the_diagonal_the_other_radii_are_left_out() -> None:
    call = "madry(eps=0.1, steps=1, model=vit(depth=1, epochs=1))"
    asked = ["--defense", call, "--attack", "fgsm(eps=[0.05, 0.1])", "--dataset", "digits", "--n", "20"]
    said = [cli("plan", *asked, *flag).stdout for flag in ([], ["--diagonal"])]
    said.append(cli("run", *asked, "--diagonal", "--dry-run").stdout)
    assert ["fgsm(eps=0.05)" in text for text in said] == [True, False, False]
    assert all("fgsm(eps=0.1)" in text for text in said)


def test_a_training_says_what_its_model_scores_and_where_it_is() -> None:
    done = cli("train", "--defense", TINY, "--dataset", "digits")
    assert done.exit_code == 0, done.output
    data = load_data("digits", Places.of())
    checkpoint = Checkpoint.of(TINY, data.splits, data.card, Places.of().cache)
    trained = checkpoint.load()
    assert trained is not None
    test, validation = data.splits.test, data.splits.validation
    with torch.no_grad():
        scores = [
            float((trained.model(split.inputs(slice(None))).argmax(1) == split.targets()).double().mean())
            for split in (test, validation)
        ]
    first, weights = done.stdout.splitlines()
    found = re.search(r"test accuracy ([\d.]+) % \(n = 359\), validation ([\d.]+) %, 2 epochs in", first)
    assert found, first
    assert [float(number) for number in found.groups()] == pytest.approx([100 * s for s in scores], abs=0.051)
    assert Path(weights.strip()) == checkpoint.folder / "weights.safetensors"
    assert Path(weights.strip()).is_file()
    (line,) = json.loads(cli("train", "--defense", TINY, "--dataset", "digits", "--json").stdout)
    assert line["test_accuracy"] == pytest.approx(scores[0])
    assert (line["n"], line["epochs"], line["validation_accuracy"]) == (359, 2, pytest.approx(scores[1]))
    assert not Path("results").exists(), "a training attacks nothing"


@pytest.mark.parametrize("way", [["-m", "robench"], ["-c", "from robench.__main__ import main; main()"]])
def test_the_command_is_there_as_a_module_and_as_the_script_that_is_installed(way: list[str]) -> None:
    done = subprocess.run([sys.executable, *way, "show", "digts"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "did you mean 'digits'" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_installed_script_is_that_function() -> None:
    from importlib.metadata import entry_points

    from robench.__main__ import main

    (script,) = entry_points(group="console_scripts", name="robench")
    assert script.load() is main
