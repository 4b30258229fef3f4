"""The examples run as they stand, and say what their comments promise."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


def python(*arguments: str, folder: Path) -> str:
    """What a Python process prints, in a folder of its own, with the places of the tests."""
    command = [sys.executable, "-W", "ignore", *arguments]
    # Compiled files are kept between the examples, for machines where Python is told to write none.
    bytecode = str(Path(os.environ["ROBENCH_CACHE"]) / "bytecode")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": bytecode}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("attack_your_own_net.py", "correctly classified images"),
        ("add_a_defense.py", "blurred"),
        ("add_an_attack.py", "sign_noise"),
    ],
)
def test_an_example_runs(name: str, says: str, tmp_path: Path) -> None:
    assert says in python(str(EXAMPLES / name), folder=tmp_path)


def test_the_notebook_runs_from_its_first_cell_to_its_last(tmp_path: Path) -> None:
    notebook = json.loads((EXAMPLES / "notebook.ipynb").read_text(encoding="utf-8"))
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells)
    code = tmp_path / "cells.py"
    code.write_text("\n\n".join("".join(cell["source"]) for cell in cells), encoding="utf-8")
    assert "Robustness on digits" in python(str(code), folder=tmp_path)


def test_every_example_is_run_here() -> None:
    assert {path.name for path in EXAMPLES.glob("*.*")} == {
        "attack_your_own_net.py",
        "add_a_defense.py",
        "add_an_attack.py",
        "notebook.ipynb",
    }
