"""Entries of other packages: found by their entry points, beside the built-in ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from robench import UsageError
from robench.entries.cards import AttackCard, DefenseCard
from robench.entries.registry import ATTACKS, AttackEntry, Entry, Registry

MODULE = '''
import robench


@robench.attack(norm="linf", goal="budget")
def still(model, inputs, labels, *, eps: float):
    """Does nothing."""
    return inputs.clone()


@robench.defense()
def plain(task):
    """Another name of the ViT."""
    return robench.recipe_of("vit", task)
'''


def installed(folder: Path, monkeypatch: pytest.MonkeyPatch, points: str, code: str = MODULE) -> None:
    """A package as an installer leaves it: a module, and the metadata that names its entry points."""
    about = folder / "plugged-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: plugged\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(points)
    (folder / "plugged.py").write_text(code)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(__import__("sys").modules, "plugged", raising=False)


@pytest.mark.parametrize("point", ["still = plugged:still", "all = plugged"])
def test_a_function_or_all_of_a_module_is_an_entry(point: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(tmp_path / "site", monkeypatch, f"[robench.attacks]\n{point}\n")
    attacks = Registry("attack", AttackCard, AttackEntry)
    assert "still" in attacks
    assert attacks["still"].summary == "Does nothing."
    assert set(ATTACKS) <= set(attacks), "beside the built-in ones"
    assert set(attacks) - set(ATTACKS) == {"still"}, "a defense in the same module is not an attack"


def test_an_entry_that_has_a_built_in_name_or_is_of_another_kind_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = "[robench.attacks]\nfgsm = plugged:fgsm\n[robench.defenses]\nstill = plugged:still\n"
    installed(tmp_path / "site", monkeypatch, points, MODULE + MODULE.replace("def still", "def fgsm"))
    with pytest.raises(UsageError, match=r"two attacks are named 'fgsm', in fgsm.py and in plugged:fgsm"):
        _ = Registry("attack", AttackCard, AttackEntry)["fgsm"]
    with pytest.raises(UsageError, match="'still' from plugged:still is not a defense"):
        _ = Registry("defense", DefenseCard, Entry)["still"]
