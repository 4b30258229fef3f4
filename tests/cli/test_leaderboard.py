"""`robench leaderboard` and `run --suite`: from a store alone, whole files, one message for what cannot be made."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from large import made
from typer.testing import CliRunner

from robench import parse
from robench.cli import app
from robench.entries.modules import built_in_folder
from robench.errors import UsageError
from robench.files import read_toml
from robench.records.refusals import Refusal, accept, refusals, refuse
from robench.records.store import Store
from robench.reporting import templates


def filled(root: Path, defenses: int = 2, attacks: int = 5) -> Store:
    """A store of made-up units."""
    store, result = Store(root), made(defenses, attacks, 40)
    for one in result.measured:
        store.unit(one.unit.spec, one.unit.identity, one.unit.facts).add(one.records)
    for card in result.cards.values():
        store.write_card(card)
    return store


def said(*words: str, status: int = 0) -> str:
    found = CliRunner().invoke(app, ["leaderboard", *words])
    assert found.exit_code == status, found.output
    assert "Traceback" not in found.output
    return " ".join(found.output.split())


def test_all_forms_are_written_from_the_store_alone(tmp_path: Path) -> None:
    filled(tmp_path / "s")
    outs = [str(tmp_path / f"board.{form}") for form in ("html", "md", "json", "csv")]
    told = said("--store", str(tmp_path / "s"), *(word for out in outs for word in ("--out", out)))
    assert all(out in told for out in outs)
    assert len(json.loads((tmp_path / "board.json").read_text())["boards"]) == 2
    assert said("--store", str(tmp_path / "s")).endswith("leaderboard.html")
    assert (tmp_path / "s" / "leaderboard.html").read_text().startswith("<!doctype html>")


def test_neither_torch_nor_an_entry_is_loaded(tmp_path: Path) -> None:
    filled(tmp_path / "s")
    code = (
        "import sys; from robench.cli import app; from typer.testing import CliRunner;"
        f"found = CliRunner().invoke(app, ['leaderboard', '--store', {str(tmp_path / 's')!r}]);"
        "assert found.exit_code == 0, found.output;"
        "print([name for name in sys.modules if name == 'torch' or name.startswith(('robench.attacks', 'robench.defenses'))])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_a_frozen_board_is_made_again_from_the_same_records(tmp_path: Path) -> None:
    store, root = filled(tmp_path / "s"), str(tmp_path / "s")
    told = said("--store", root, "--out", str(tmp_path / "then.json"), "--freeze", "2026-11")
    assert told.endswith("boards/2026-11.json")
    held = json.loads((tmp_path / "s" / "boards" / "2026-11.json").read_text())
    assert set(held) == {"schema", "made", "version", "suite", "data", "units", "parts", "refused", "digest"}
    assert store.frozen() == {unit.identity.digest() for unit in store.units()}
    more = made(3, 5, 60)
    for one in more.measured:  # a row more, and twenty images more of the others
        unit = store.unit(one.unit.spec, one.unit.identity, one.unit.facts)
        unit.add(one.records if not unit.named() else one.records.iloc[40:])
    said("--store", root, "--out", str(tmp_path / "now.json"))
    said("--store", root, "--frozen", "2026-11", "--out", str(tmp_path / "again.json"))
    then, now, again = (
        json.loads((tmp_path / f"{name}.json").read_text())["boards"] for name in ("then", "now", "again")
    )
    assert then == again
    assert len(now[0]["rows"]) == 3 and now[0]["rows"][0]["n"] != then[0]["rows"][0]["n"]
    assert "is frozen already" in said("--store", root, "--freeze", "2026-11", status=2)
    assert "did you mean '2026-11'" in said("--store", root, "--frozen", "2026-12", status=2)
    assert "cannot be named" in said("--store", root, "--freeze", "../x", status=2)
    names = {name for parts in held["parts"].values() for name in parts}
    part = next(path for path in (tmp_path / "s").rglob("part-*.parquet") if path.name in names)
    part.unlink()
    assert "cannot be made again: " in said("--store", root, "--frozen", "2026-11", status=5)


def test_a_frozen_board_keeps_what_was_refused(tmp_path: Path) -> None:
    filled(tmp_path)
    refuse(
        tmp_path,
        Refusal(parse("odd"), parse("digits"), None, "dada00", "", 0, "float32", "it returns probabilities", 1.0),
    )
    root = str(tmp_path)
    said("--store", root, "--out", str(tmp_path / "then.md"), "--freeze", "2026-11")
    accept(tmp_path, refusals(tmp_path)[0].name)
    said("--store", root, "--out", str(tmp_path / "now.md"))
    said("--store", root, "--out", str(tmp_path / "again.md"), "--frozen", "2026-11")
    then, now, again = ((tmp_path / f"{name}.md").read_text(encoding="utf-8") for name in ("then", "now", "again"))
    line = "| – | odd | refused: it returns probabilities |"
    assert line in then and line not in now and line in again


@pytest.mark.parametrize("of", ["leaderboard", "report"])
@pytest.mark.parametrize(
    ("broken", "told"), [("{% for %}", "is broken in line 1"), ("{{ nothing }}", "'nothing' is undefined")]
)
def test_a_broken_template_is_one_message_and_leaves_the_page_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, of: str, broken: str, told: str
) -> None:
    filled(tmp_path)
    copy = tmp_path / "reports"
    shutil.copytree(built_in_folder("reports"), copy)
    (copy / ("section.html.j2" if of == "report" else "leaderboard.html.j2")).write_text(broken)
    monkeypatch.setattr(templates, "built_in_folder", lambda _: copy)
    page = tmp_path / "page.html"
    page.write_text("a good one")
    result = CliRunner().invoke(app, [of, "--store", str(tmp_path), "--out", str(page)])
    assert result.exit_code == 2 and told in result.stderr and len(result.stderr.splitlines()) == 1
    assert page.read_text() == "a good one"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--out", "board.pdf"], "ends in none of .html, .md, .json, .csv"),
        (["--suite", "lnf"], "no suite is named 'lnf'; did you mean 'linf'"),
        (["--frozen", "x", "--all"], "goes without --freeze, --dataset, --suite and --all"),
        (["--dataset", "mnist"], "has no records of mnist; it has digits"),
    ],
)
def test_what_cannot_be_made_is_one_message(tmp_path: Path, words: list[str], told: str) -> None:
    filled(tmp_path / "s", 1, 4)
    assert told in said("--store", str(tmp_path / "s"), *words, status=2)


def test_an_empty_store_and_one_without_a_board_say_how_to_begin(tmp_path: Path) -> None:
    assert "it is empty" in said("--store", str(tmp_path / "nothing"), status=2)
    store, (one, *_) = Store(tmp_path / "s"), made(1, 4, 20).measured
    facts = replace(one.unit.facts, norm="l0")
    store.unit(one.unit.spec, one.unit.identity, facts).add(one.records)
    assert "has nothing for a board" in said("--store", str(tmp_path / "s"), status=2)


def test_a_file_that_cannot_be_written_leaves_the_one_before(tmp_path: Path) -> None:
    filled(tmp_path / "s", 1, 4)
    (tmp_path / "taken").write_text("a file")
    assert "Traceback" not in said(
        "--store", str(tmp_path / "s"), "--out", str(tmp_path / "taken" / "b.html"), status=5
    )
    assert (tmp_path / "taken").read_text() == "a file"


def test_a_run_takes_the_attacks_of_a_suite(tmp_path: Path) -> None:
    words = [
        "plan",
        "--defense",
        "vit(epochs=1)",
        "--dataset",
        "digits",
        "--n",
        "8",
        "--json",
        "--store",
        str(tmp_path / "s"),
    ]
    found = CliRunner().invoke(app, [*words, "--suite", "linf(eps=[0.1, 0.2])", "--attack", "cw_l2"])
    assert found.exit_code == 0, found.output
    attacks = [cell["attack"] for cell in json.loads(found.stdout)["cells"]]
    assert attacks[0] == "cw_l2"
    assert attacks[1:3] == ["fgsm(eps=0.1)", "fgsm(eps=0.2)"]
    assert len(attacks) == 1 + 4 * 2
    bare = CliRunner().invoke(app, words)
    assert bare.exit_code == 2
    assert "no attack was named; give one with --attack" in " ".join(bare.output.split())


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[linf]\nattacks = [", "line 2, column 12"),
        ("a = 1\na = 2", "line 2"),
        ("a = 1\n\xff", "is no TOML: line 2 is not in UTF-8"),
        ("a = 1\n\n= 2\nb = 3", "line 3, column 1"),
    ],
)
def test_broken_toml_says_where(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "suites.toml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError, match=told):
        read_toml(path)
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        read_toml(tmp_path / "nowhere.toml")
