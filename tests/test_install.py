"""Installed as users install it: a wheel, an editable checkout, and the newest timm that is supported."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from conftest import SMALL

ROOT = Path(__file__).parents[1]
RUN = ["run", "--defense", SMALL, "--attack", "fgsm", "--dataset", "digits", "--n", "20"]

pytestmark = pytest.mark.slow


def cloned(folder: Path) -> Path:
    """A clean clone of what is committed."""
    subprocess.run(["git", "clone", "-q", str(ROOT), str(folder)], check=True)
    return folder


def robench_in(python: Path | str, folder: Path, arguments: list[str], first: Path | None = None) -> str:
    """What robench prints when it is run in another folder, with `first` at the head of the path; first where it is."""
    code = "import robench, sys; from robench.cli import app; print(robench.__file__); app(sys.argv[1:])"
    done = subprocess.run(
        [str(python), "-W", "ignore", "-c", code, *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, **({"PYTHONPATH": str(first)} if first else {})},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_works_from_another_directory(tmp_path: Path) -> None:
    copy = cloned(tmp_path / "source")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", str(tmp_path), str(copy)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("robench-*.whl")
    site = tmp_path / "site"
    subprocess.run([sys.executable, "-m", "zipfile", "-e", str(wheel), str(site)], check=True)
    for arguments in (["list"], RUN):
        assert str(site) in robench_in(sys.executable, tmp_path, arguments, site)
    assert (tmp_path / "results" / "report.html").exists()
    assert "632" in robench_in(sys.executable, tmp_path, ["reproduce", "vit_variants"], site)
    assert "MIT" in (site / "robench" / "reports" / "published" / "NOTICE").read_text(encoding="utf-8")
    measured = {path.suffix for path in (site / "robench" / "reports" / "papers").iterdir()}
    assert measured == {".toml"}, "what was measured is for readers of the repository"


def test_an_editable_install_sees_a_new_file_at_once(tmp_path: Path) -> None:
    copy = cloned(tmp_path / "source")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "venv")], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    (site,) = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    install = [sys.executable, "-m", "uv", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "-e", str(copy)]
    subprocess.run([*install, "--target", str(site)], check=True, capture_output=True)
    (site / "borrowed.pth").write_text(sysconfig.get_paths()["purelib"])  # its dependencies: those of this environment
    assert str(copy) in robench_in(python, tmp_path, RUN)
    (copy / "defenses" / "fresh.py").write_text(
        "import robench\n\n\n@robench.defense()\ndef fresh(task: robench.Task) -> robench.Recipe:\n"
        '    """A file that was added after the installation."""\n    return robench.recipe_of("vit", task)\n'
    )
    assert "added after the installation" in robench_in(python, tmp_path, ["list"])


def test_the_core_runs_on_the_newest_timm_it_names(tmp_path: Path) -> None:
    newer = tmp_path / "timm"
    install = [sys.executable, "-m", "uv", "pip", "install", "-q", "--no-deps", "--target", str(newer), "timm==1.0.31"]
    subprocess.run(install, check=True, capture_output=True)
    assert "Robustness on digits" in robench_in(sys.executable, tmp_path, RUN, newer)
