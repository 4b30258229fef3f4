"""An entry that cannot be loaded does not stop the others, and is told by name."""

from __future__ import annotations

import json
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from robench import UsageError
from robench.cli import app
from robench.entries import modules, registry
from robench.entries.cards import DefenseCard
from robench.entries.registry import DEFENSES, Entry, Registry
from robench.listing import entry_facts, listing

PLUGIN = """
import robench
@robench.defense()
def extra(task):
    \"\"\"Mine.\"\"\"
@robench.defense()
def vit(task):
    \"\"\"A name that is taken.\"\"\"
"""


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Registry[Any]:
    """The defenses, with plugins of which some raise."""
    Path("good_plugin.py").write_text(PLUGIN.partition("@robench.defense()\ndef vit")[0])
    Path("taken_plugin.py").write_text(PLUGIN)
    Path("raising_plugin.py").write_text("raise RuntimeError('no licence')")
    Path("leaving_plugin.py").write_text("raise SystemExit(3)")
    monkeypatch.syspath_prepend(str(tmp_path))
    names = ["good", "taken", "raising", "leaving", "absent"]
    points = [EntryPoint(name, f"{name}_plugin", "robench.defenses") for name in names]
    points.append(EntryPoint("no_entry", "json:dumps", "robench.defenses"))
    monkeypatch.setattr(modules, "entry_points", lambda group: points)
    made = Registry("defense", DefenseCard, Entry)
    monkeypatch.setitem(registry.REGISTRIES, "defenses", made)
    yield made
    for name in names:
        sys.modules.pop(f"{name}_plugin", None)


def test_a_broken_plugin_leaves_the_others(broken: Registry[Any]) -> None:
    assert set(broken) == {*DEFENSES, "extra"}
    assert broken["vit"].origin == "vit.py"
    assert broken.broken.keys() == {"taken", "raising", "leaving", "absent", "no_entry"}
    text = "\n".join(listing({"defenses": [entry_facts(broken[name]) for name in broken]}))
    assert "raising could not be loaded: RuntimeError: no licence" in text
    assert "two defenses are named" in text


def test_a_list_for_machines_names_what_is_broken(broken: Registry[Any]) -> None:
    found = json.loads(CliRunner().invoke(app, ["list", "defenses", "--json"]).stdout)
    assert "extra" in [entry["name"] for entry in found["defenses"]]
    assert "no licence" in found["broken"]["defenses"]["raising"]


def test_a_broken_entry_says_why_when_it_is_named(broken: Registry[Any]) -> None:
    for name, why in (
        ("raising", "no licence"),
        ("leaving", "SystemExit"),
        ("absent", "No module named"),
        ("no_entry", "is not a defense"),
        ("extrra", r"did you mean 'extra'\? \(absent, leaving"),
    ):
        with pytest.raises(UsageError, match=why):
            broken.find(name)
