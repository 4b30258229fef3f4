"""What a row is, in whole runs: a changed file, another training, a card that was measured on one image."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import PGD, SMALL, small_run

import robench
from robench import UsageError
from robench.records.store import Store
from robench.reporting.pages import render, stored
from robench.running.rows import rows_of
from robench.running.settings import Settings
from robench.training.facts import WeightFacts

DEFENSE = '''from torch import nn
import robench

@robench.defense()
def own(task: robench.Task, *, seed: int = 0) -> robench.Recipe:
    """One linear layer."""
    channels, height, width = task.shape
    model = nn.Sequential(nn.Flatten(), nn.Linear(channels * height * width, task.classes))
    return robench.Recipe(model, robench.Schedule(steps=STEPS, lr=0.02))
'''


def test_two_versions_of_a_file_never_share_a_row_and_the_older_is_counted() -> None:
    rates = {}
    for steps in ("5", "200"):
        Path("mine.py").write_text(DEFENSE.replace("STEPS", steps))
        result, _ = small_run(defense="./mine.py", attack=["fgsm(eps=0.1)", PGD][: 1 if steps == "200" else 2])
        rates[steps] = result.summary()[0]["clean_accuracy"]["value"]  # type: ignore[index,call-overload]
    shown, notes = stored(Path("results"))
    (table, *_) = shown.tables()
    assert [label for label, _ in table.rows] == ["./mine.py"]
    assert table.rows[0][1][0].value == rates["200"]
    assert len(table.columns) == 3, "PGD was run on the older version alone"
    assert [note.partition(",")[0] for note in notes] == ["2 older cells of 1 older model"]
    everything, notes = stored(Path("results"), everything=True)
    assert len(everything.tables()[0].rows) == 2
    assert notes == []
    assert {label.partition(" · ")[0] for label, _ in everything.tables()[0].rows} == {"./mine.py"}


def test_two_trainings_under_one_text_have_a_row_each(tmp_path: Path) -> None:
    text = "vit(depth=1, epochs=1)"
    small_run(defense=text, cache=tmp_path / "one", attack="fgsm(eps=0.1)")
    small_run(defense=text, cache=tmp_path / "two", attack="fgsm(eps=0.1)")
    assert len(stored(Path("results"))[0].tables()[0].rows) == 1, "the same training ends with the same weights"
    facts = next((tmp_path / "two").rglob("facts.json"))
    from safetensors.torch import load_file, save_file

    from robench.hashing import file_digest

    weights = facts.with_name("weights.safetensors")
    save_file({name: 1.5 * tensor for name, tensor in load_file(weights).items()}, weights)
    known = WeightFacts.read(facts.parent)
    assert known
    replace(known, sha256=file_digest(weights)).write(facts.parent)
    _, said = small_run(defense=text, cache=tmp_path / "two", attack="fgsm(eps=0.1)")
    assert any("is run again: the weights, the model's answers to a few images changed" in line for line in said)
    result, notes = stored(Path("results"))
    labels = [label for label, _ in result.tables()[0].rows]
    assert len(labels) == len(set(labels)) == 2
    assert all(label.startswith(f"{text} · weights ") for label in labels)
    assert notes == []


def test_a_card_of_one_image_does_not_stay_for_sixty_and_two_models_have_two_cards() -> None:
    small_run(n=1)
    (card,) = Store(Path("results")).cards().values()
    assert card.images == 1
    small_run(n=60)
    (card,) = Store(Path("results")).cards().values()
    assert card.images == 60
    small_run(n=20)
    (card,) = Store(Path("results")).cards().values()
    assert card.images == 60
    small_run(defense=[SMALL, "ksa(k=2, model=vit(depth=1, epochs=1), hard_top_k=[False, True])"], n=20)
    cards = Store(Path("results")).cards().values()
    assert len(cards) == 3
    assert len({card.weights for card in cards}) <= 3
    assert [card.approximate_slopes for card in cards if "hard_top_k" in str(card.defense)] == [True]


def test_a_report_runs_no_file_and_loads_neither_torch_nor_entries() -> None:
    Path("mine.py").write_text(DEFENSE.replace("STEPS", "20"))
    small_run(defense="./mine.py", attack="fgsm(eps=0.1)", n=20)
    Path("mine.py").write_text("import pathlib\npathlib.Path('RAN').touch()\n")
    code = (
        "import sys\nfrom robench.cli import app\nfrom typer.testing import CliRunner\n"
        "for words in (['report'], ['report', '--format', 'json'], ['report', '--format', 'text'], ['store', 'ls']):\n"
        "    done = CliRunner().invoke(app, words)\n    assert done.exit_code == 0, done.output\n"
        "bad = [name for name in sys.modules if name.split('.')[0] == 'torch' or name.startswith(('robench.attacks', 'robench.running'))]\n"
        "sys.exit(', '.join(bad) or 0)"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not Path("RAN").exists()
    page = Path("results/report.html").read_text()
    assert "data:image/png" in page, "the pictures come from the store"


def test_a_run_mends_a_damaged_manifest_and_a_report_does_not() -> None:
    before, _ = small_run(n=20)
    small_run(n=20, attack="fgsm(eps=0.1)")
    manifest = next(Path("results").glob("records/vit-pgd*/manifest.json"))
    manifest.write_text("{")
    shown, notes = stored(Path("results"))
    assert [str(one.unit.spec.attack) for one in shown.measured] == ["fgsm(eps=0.1)"]
    assert len(notes) == 1 and "is damaged" in notes[0]
    assert "note: " in render(shown, "text", notes)
    assert manifest.read_text() == "{"
    after, said = small_run(n=20)
    assert any("is written anew" in line for line in said)
    assert after.table() == before.table()
    assert len(stored(Path("results"))[0].measured) == 2
    assert len(list(Path("results").glob("damaged/*/*manifest.json"))) == 1


def test_class_names_and_clean_images_are_in_the_store() -> None:
    small_run(n=20)
    (unit,) = Store(Path("results")).units()
    assert unit.facts.class_names == [str(digit) for digit in range(10)]
    kept = unit.read(pixels=True)
    kept = kept[kept["adversarial"].notna()]
    assert len(kept)
    assert kept["clean"].notna().all()
    assert {len(pixels) for pixels in kept["clean"]} == {64}


def test_code_that_came_back_is_what_is_shown() -> None:
    """From one version of a file to another and back: the unit that is in use again is no older one."""
    weights = []
    for steps in ("5", "9", "5"):
        Path("mine.py").write_text(DEFENSE.replace("STEPS", steps))
        result, _ = small_run(defense="./mine.py", attack="fgsm(eps=0.1)", n=20)
        weights.append(result.summary()[0]["weights"])
    assert weights[0] == weights[2] != weights[1]
    shown, notes = stored(Path("results"))
    assert [one.unit.identity.weights for one in shown.measured] == [weights[2]]
    assert len(notes) == 1


def test_patches_may_be_those_of_the_rows_own_model_and_the_share_is_said_of_each() -> None:
    """A twentieth of 16 patches is one, of 4 also: 6.25 and 25 %; of the common grid of 64 it is three, 4.69 %."""
    noises = ["patch_noise(share=0.05, patch='model')", "patch_noise(share=0.05)"]
    result, _ = small_run(
        defense=[SMALL, SMALL.replace("depth=2", "depth=2, patch=4")], attack=noises, keep_images=True
    )
    assert not result.refused
    text = result.table()
    assert "touches 6.25 % (vit(depth=2, epochs=12)), 25 % (vit(patch=4, depth=2, epochs=12)) of the patches" in text
    assert "touches 4.69 % of the patches" in text
    most = [int(one.unit.read()["l0"].max()) for one in result.measured]
    assert most == [4, 3, 16, 3], "pixels: a patch of 2 by 2, three of one, a patch of 4 by 4, three of one"


def test_a_model_without_patches_has_none_of_its_own() -> None:
    result, _ = small_run(
        defense=[SMALL, "madry_cnn(epochs=1)"], attack=["patch_noise(patch='model')", "fgsm(eps=0.1)"], n=12
    )
    (refused,) = result.refused
    assert "cuts images into no patches" in refused.reason
    assert len(result.measured) == 3


def rows_on_diagonal(defense: str, *attacks: str) -> list[list[str]]:
    """The conditions of each row, as texts."""
    places = robench.Places.of(None, "results")
    rows = rows_of([defense], [*attacks], ["digits"], Settings(n=20, diagonal=True), places)
    return [[condition.text for condition in row.conditions] for row in rows]


LINF = "pgd_linf(eps=[2/255, 4/255, 8/255])"


def test_on_the_diagonal_each_model_is_attacked_at_the_radius_it_was_trained_at() -> None:
    found = rows_on_diagonal("madry(eps=[2/255, 4/255], model=vit(epochs=1))", LINF, "cw_linf")
    assert found == [["pgd_linf(eps=2/255)", "cw_linf"], ["pgd_linf(eps=4/255)", "cw_linf"]]
    patches = rows_on_diagonal("madry(eps=2/255, model=vit(epochs=1))", LINF, "patch_pgd(steps=3)", "patch_noise")
    assert patches == [["pgd_linf(eps=2/255)", "patch_pgd(steps=3)", "patch_noise"]], "another kind of threat"
    plain = rows_on_diagonal("vit(epochs=1)", LINF)
    assert plain == [["pgd_linf(eps=2/255)", "pgd_linf(eps=4/255)", "pgd_linf(eps=8/255)"]]


@pytest.mark.parametrize(
    ("defense", "kept"),
    [
        ("madry", ["pgd_linf(eps=8/255)"]),  # its default
        ("fat(eps=4/255)", ["pgd_linf(eps=4/255)"]),
        ("trades(eps=4/255)", ["pgd_linf(eps=4/255)"]),
        ("half_half(norm='l2', eps=0.5)", ["pgd_l2(eps=0.5)"]),
        ("madry(norm='l2', eps=8/255)", ["pgd_l2(eps=8/255)"]),  # not in the other norm
        ("rspc(model=madry(eps=2/255))", ["pgd_linf(eps=2/255)"]),  # what it is made of
    ],
)
def test_the_ball_is_that_of_the_training(defense: str, kept: list[str]) -> None:
    assert rows_on_diagonal(defense, LINF, "pgd_l2(eps=[8/255, 0.5])") == [kept]


def test_a_radius_that_no_attack_has_is_told_before_any_work() -> None:
    with pytest.raises(UsageError, match=r"madry is trained in linf 0.1, .* attacks are at linf 2/255.* add eps=0.1"):
        rows_on_diagonal("madry(eps=0.1)", LINF)
    with pytest.raises(UsageError, match="diagonal='yes': True or False is wanted"):
        robench.run("vit", "fgsm(eps=0.1)", "digits", diagonal="yes")  # type: ignore[arg-type]
