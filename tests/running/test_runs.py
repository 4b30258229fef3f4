"""Whole runs on the digits: what is computed once is not computed again."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import PGD, SMALL, small_run

import robench
from robench import UsageError
from robench.places import Places
from robench.running.plan import plan_rows
from robench.running.rows import rows_of
from robench.running.settings import Settings


def test_the_second_run_computes_nothing_and_says_the_same() -> None:
    first, _ = small_run()
    written = {p: p.stat().st_mtime_ns for p in Path("results").rglob("*.parquet")}
    second, _ = small_run()
    assert second.table() == first.table()
    assert {p: p.stat().st_mtime_ns for p in Path("results").rglob("*.parquet")} == written


def test_more_images_only_add_to_what_is_there() -> None:
    small_run(n=40)
    before = set(Path("results").rglob("part-*.parquet"))
    result, _ = small_run(n=60)
    assert before < set(Path("results").rglob("part-*.parquet"))
    assert result.records["image"].is_unique
    assert len(result.records) == 60


def test_pixels_asked_for_later_are_kept_once() -> None:
    before, _ = small_run(n=30)
    small_run(n=30, keep_images=True)
    written = set(Path("results").rglob("part-*.parquet"))
    after, _ = small_run(n=30, keep_images=True)
    assert set(Path("results").rglob("part-*.parquet")) == written
    assert len(after.records) == 30
    assert (after.records["success"].mean(), len(before.records)) == (before.records["success"].mean(), 30)


def test_workers_and_batches_change_no_success() -> None:
    results = [
        small_run(store=f"store-{workers}-{size}", workers=workers, batch_size=size)[0]
        for workers, size in ((1, 64), (2, 7))
    ]
    first, second = (r.records.set_index("image")["success"].sort_index() for r in results)
    assert (first == second).mean() >= 0.99


def test_targets_of_every_class_make_a_row_for_each() -> None:
    result, _ = small_run(attack="fgsm(eps=0.1, targets='all')", n=20)
    counts = result.records.groupby("image")["target"].nunique()
    assert set(counts) == {9}
    rates = result.summary()[0]["targets"]
    assert rates["worst"] <= rates["average"] <= rates["best"]
    assert not (result.records["target"] == result.records["label"]).any()


@pytest.mark.parametrize("rule", ["random", "least_likely", "next"])
def test_other_targets_are_one_a_image_and_never_the_label(rule: str) -> None:
    records = small_run(attack=f"fgsm(eps=0.1, targets='{rule}')", n=20)[0].records
    assert len(records) == 20
    assert not (records["target"] == records["label"]).any()


def test_a_cell_that_is_run_again_says_which_part_changed(tmp_path: Path) -> None:
    mine = tmp_path / "mine.py"
    source = (
        "import robench\n"
        '@robench.attack(norm="linf", goal="budget")\n'
        "def shift(model, inputs, labels, *, eps: float):\n"
        '    """Brighter."""\n'
        "    return (inputs + eps).clamp(0, 1)\n"
    )
    mine.write_text(source)
    small_run(attack=f"{mine}(eps=0.1)")
    mine.write_text("# a comment changes nothing\n" + source)
    _, said = small_run(attack=f"{mine}(eps=0.1)")
    assert not any("run again" in line for line in said)
    mine.write_text(source.replace("inputs + eps", "inputs - eps"))
    _, said = small_run(attack=f"{mine}(eps=0.1)")
    assert any("run again: the code of the attack (mine.py) changed" in line for line in said)


def test_a_plan_names_what_is_stored_and_what_is_missing() -> None:
    places, settings = Places.of(), Settings(n=60)
    trainings, cells = plan_rows(
        rows_of(["vit(depth=1, epochs=2)"], [PGD], ["digits"], settings, places), settings, places
    )
    assert [t.epochs for t in trainings] == [2]
    assert cells[0].why == "not trained"
    small_run()
    _, cells = plan_rows(rows_of([SMALL], [PGD], ["digits"], Settings(n=100), places), Settings(n=100), places)
    assert cells[0].missing == 40
    assert cells[0].why == "60 of 100 images are there"
    assert cells[0].passes is not None and 0 < cells[0].passes <= 2 * 5 * 40 + 40


def test_a_users_own_file_adds_a_defense_and_an_attack(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import torch\nfrom torch import nn\nimport robench\n\n"
        "@robench.defense()\n"
        "def linear(task: robench.Task, *, seed: int = 0) -> robench.Recipe:\n"
        '    """One linear layer."""\n'
        "    channels, height, width = task.shape\n"
        "    model = nn.Sequential(nn.Flatten(), nn.Linear(channels * height * width, task.classes))\n"
        "    return robench.Recipe(model, robench.Schedule(steps=200, lr=0.02))\n\n"
        '@robench.attack(norm="linf", goal="budget", knowledge="none")\n'
        "def noise(model, inputs, labels, *, eps: robench.Radius):\n"
        '    """Uniform noise."""\n'
        '    draw = model.draws.uniform("noise", 0, None, inputs.shape[1:])\n'
        "    return (inputs + eps * (2 * draw - 1)).to(inputs).clamp(0, 1)\n"
    )
    result = robench.run("./mine.py::linear", ["./mine.py::noise(eps=[0.1, 0.3])", "fgsm(eps=0.1)"], "digits", n=50)
    asr = {row["attack"]: row["asr"]["value"] for row in result.summary()}
    assert asr["./mine.py::noise(eps=0.1)"] <= asr["fgsm(eps=0.1)"]
    assert result.summary()[0]["clean_accuracy"]["value"] > 0.8


def test_lists_and_seeds_that_make_no_sense_are_said() -> None:
    with pytest.raises(UsageError, match="a seed is a whole number of at least 0"):
        small_run(defense="vit(seed=-1)")
    with pytest.raises(UsageError, match="has no preset"):
        small_run(attack="pgd_linf(eps=0.1, preset=['quick', 'art'])")
    result, _ = small_run(attack="pgd_linf(eps=0.1, steps=[1, 2], targets=[None, 'random'])")
    assert len(result.measured) == 4


def test_a_list_where_a_defense_wants_one_value_is_a_row_each() -> None:
    result, _ = small_run(defense="ksa(layers=[[1], 'all'], seed=[0, 1], model=vit(depth=2, epochs=1))", n=20)
    names = [row["defense"] for row in result.summary()]
    assert names == [
        f"ksa({options}model=vit(depth=2, epochs=1){seed})"
        for options in ("layers=[1], ", "")
        for seed in ("", ", seed=1")
    ]
    assert len({one.unit.identity.weights for one in result.measured}) == 4
    with pytest.raises(UsageError, match="wanted a whole number"):
        small_run(defense="distill(teacher=vit(seed=[0, 1]))")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"n": "5"}, "n='5' was asked for"),
        ({"n": 2.5}, "n=2.5 was asked for"),
        ({"defense": None}, "None names no defense"),
        ({"dataset": 3}, "3 names no dataset"),
        ({"defense": []}, "name at least one defense and one data set"),
        ({"attack": "pgd_linf(eps=[0.1, 1e400])"}, "wanted a number at least 0"),
        ({"seed": "x"}, "seed='x': a whole number is wanted"),
        ({"workers": 0}, "workers=0: a whole number of at least 1"),
        ({"batch_size": 0}, "batch_size=0: a whole number of at least 1"),
        ({"device": "gpu"}, "device='gpu': one of 'auto', 'cpu', 'cuda'"),
        ({"precision": "float16"}, "precision='float16': one of 'float32', 'bfloat16'"),
    ],
)
def test_what_python_callers_get_wrong_is_one_message(changes: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=re.escape(said)):
        small_run(**changes)


def test_evaluate_says_what_it_wants_to_be_given() -> None:
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
    with pytest.raises(UsageError, match="was given a Tensor; give images with labels"):
        robench.evaluate(net, "fgsm(eps=0.1)", torch.rand(3, 1, 8, 8))  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="an empty split"):
        robench.evaluate(
            net,
            "fgsm(eps=0.1)",
            robench.DATASETS["digits"].function(Places.of()).test.select(np.array([], dtype=np.int64)),
        )
