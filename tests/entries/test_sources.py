"""The code behind an entry is its file and all of the user's that loading it imports: a change there is a change."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from robench import ATTACKS, DEFENSES

ENTRY = """
import pathlib, sys
sys.path.insert(0, str(pathlib.Path(__file__).parent))
import robench
{imports}
@robench.defense(paper="")
def own(task: robench.Task, *, width: int = 3) -> robench.Recipe:
    '''Made elsewhere.'''
    {inside}
    return robench.Recipe(net(width), robench.Schedule(steps=0))
"""
HELPER = """from torch import nn
LEVELS = {value}
def net(width):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
"""
WAYS = {
    "from helper_a import net": ("from helper_a import net", "", "helper_a.py"),
    "import helper_b": ("import helper_b", "net = helper_b.net", "helper_b.py"),
    "a helper of a helper": ("from outer_c import net", "", "inner_c.py"),
    "relative within a package": ("from package_d.nets import net", "", "package_d/deep.py"),
    "the package itself": ("import package_e.nets", "net = package_e.nets.net", "package_e/__init__.py"),
    "when it is called": ("", "from helper_f import net", "helper_f.py"),
    "by importlib": (
        "import importlib\nmodule = importlib.import_module('helper_g')\nnet = module.net",
        "",
        "helper_g.py",
    ),
    "a star": ("from helper_h import *", "", "helper_h.py"),
}


def written(folder: Path, way: str) -> tuple[Path, Path]:
    """The entry's file, and the helper that is to be changed."""
    imports, inside, helper = WAYS[way]
    file = folder / "mine.py"
    file.write_text(ENTRY.format(imports=imports, inside=inside or "pass"), encoding="utf-8")
    (folder / "outer_c.py").write_text(
        "import inner_c\ndef net(width):\n    return inner_c.net(width)\n", encoding="utf-8"
    )
    for package in ("package_d", "package_e"):
        (folder / package).mkdir()
        (folder / package / "__init__.py").write_text("", encoding="utf-8")
        (folder / package / "nets.py").write_text("from .deep import net\n", encoding="utf-8")
        (folder / package / "deep.py").write_text(HELPER.format(value=1), encoding="utf-8")
    changed = folder / helper
    changed.write_text(HELPER.format(value=1), encoding="utf-8")
    return file, changed


def sources(file: Path) -> str:
    """As a process of its own has them, which is how a run meets a changed file."""
    code = f"from robench import DEFENSES; print(sorted(DEFENSES[{str(file)!r}].source().items()))"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True, env={**os.environ}
    )
    return done.stdout


@pytest.mark.matrix(way={"a helper of a helper", "when it is called"})
@pytest.mark.parametrize("way", WAYS)
def test_a_changed_helper_is_a_change_and_a_comment_is_none(way: str, tmp_path: Path) -> None:
    file, helper = written(tmp_path, way)
    before = sources(file)
    helper.write_text('"""What it is."""\n# a remark\n' + HELPER.format(value=1), encoding="utf-8")
    assert sources(file) == before
    helper.write_text(HELPER.format(value=2), encoding="utf-8")
    after = sources(file)
    assert after != before
    assert helper.stem.replace("__init__", helper.parent.name) in after


def test_a_helper_that_was_changed_is_loaded_anew_in_the_same_process(tmp_path: Path) -> None:
    file, helper = written(tmp_path, "import helper_b")
    assert DEFENSES[str(file)].function.__globals__["helper_b"].LEVELS == 1
    before = DEFENSES[str(file)].source()
    helper.write_text(HELPER.format(value=2), encoding="utf-8")
    os.utime(helper, ns=(1, 1))
    assert DEFENSES[str(file)].function.__globals__["helper_b"].LEVELS == 2
    assert DEFENSES[str(file)].source() != before


def test_built_in_entries_and_what_is_installed_stand_for_themselves() -> None:
    assert list(DEFENSES["ksa"].source()) == ["ksa.py"]
    assert list(ATTACKS["art"].source()) == ["art.py"]
