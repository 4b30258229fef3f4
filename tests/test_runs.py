"""Whole runs on the digits: what is computed once is not computed again, and what is wrong is said."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from conftest import SMALL
from typer.testing import CliRunner

import robench
from robench import DataError, StoreError, UsageError
from robench.checkpoints import Checkpoint
from robench.cli import app
from robench.console import Silent
from robench.forecast import plan_rows
from robench.harness import Settings, rows_of
from robench.places import Places
from robench.plan import load_data
from robench.store import Store

PGD = "pgd_linf(eps=0.1, steps=5)"


def small_run(**changes: object) -> tuple[robench.Result, list[str]]:
    told = Silent()
    settings = {
        "defense": SMALL,
        "attack": PGD,
        "dataset": "digits",
        "n": 60,
        "workers": 2,
        "reporter": told,
        **changes,
    }
    return robench.run(**settings), told.said  # type: ignore[arg-type]


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


def test_a_damaged_part_is_found_out_and_its_images_are_attacked_again() -> None:
    first, _ = small_run()
    part = next(Path("results").rglob("part-*.parquet"))
    part.write_bytes(part.read_bytes()[:-20])
    second, said = small_run()
    assert any("was damaged" in line for line in said)
    assert second.table() == first.table()


def test_damaged_weights_are_found_out_and_trained_again(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    text = "vit(depth=1, epochs=1)"
    small_run(defense=text, cache=cache, attack="fgsm(eps=0.1)")
    weights = next(cache.rglob("weights.safetensors"))
    original = weights.read_bytes()
    weights.write_bytes(original[:-8] + bytes(8))
    _, said = small_run(defense=text, cache=cache, attack="fgsm(eps=0.1)")
    assert any("damaged" in line and "training again" in line for line in said)
    assert weights.read_bytes() == original


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
    assert any("attack changed" in line for line in said)


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


def test_a_training_that_was_interrupted_ends_with_the_same_weights(tmp_path: Path) -> None:
    class Enough(Exception):
        pass

    data = load_data("digits", Places.of())

    def weights(folder: Path, interrupted: bool) -> bytes:
        checkpoint = Checkpoint.of("ksa(model=vit(depth=1, epochs=3))", data.splits, data.card, folder)
        import torch

        if interrupted:

            def stop(progress: object) -> None:
                if progress.step == 70:  # type: ignore[attr-defined]
                    raise Enough

            with pytest.raises(Enough):
                checkpoint.obtain(torch.device("cpu"), report=stop)
            assert (checkpoint.folder / "state.safetensors").exists()
        checkpoint.obtain(torch.device("cpu"))
        assert len((checkpoint.folder / "log.jsonl").read_text().splitlines()) == 3
        return (checkpoint.folder / "weights.safetensors").read_bytes()

    assert weights(tmp_path / "whole", False) == weights(tmp_path / "broken", True)


def test_a_full_disk_is_one_message_and_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    small_run(n=40)
    import pyarrow.parquet as pq

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(pq, "write_table", full)
        with pytest.raises(StoreError, match="No space left.*free some space"):
            small_run(n=60)
    assert not list(Path("results").rglob("*.part"))
    assert len(small_run(n=60)[0].records) == 60


def test_two_processes_on_the_same_cell_do_its_work_once(shared_cache: Path) -> None:
    small_run(n=1, attack="fgsm(eps=0.1)")
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "robench",
        "run",
        "--defense",
        SMALL,
        "--attack",
        PGD,
        "--dataset",
        "digits",
        "--n",
        "60",
    ]
    both = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ)
        for _ in range(2)
    ]
    said = [process.communicate(timeout=120)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    (unit,) = [u for u in Store(Path("results")).units() if u.spec["attack"].startswith("pgd")]
    parts = [part for part in unit.folder.glob("part-*.parquet")]
    assert len(unit.read()) == 60
    import pyarrow.parquet as pq

    assert sum(pq.read_metadata(part).num_rows for part in parts) == 60


def cli(*arguments: str) -> Result:
    """The command line within this process; importing torch anew for each call would take most of the time."""
    return CliRunner().invoke(app, arguments)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--defense", "kas", "--attack", "fgsm", "--dataset", "digits"], "did you mean 'ksa'"),
        (["--defense", "vit", "--attack", "pgd_linf(eps=8/0)", "--dataset", "digits"], "divides by zero"),
        (["--defense", "vit", "--attack", "fgsm", "--dataset", "digits", "--n", "9999"], "has 359 images"),
        (["--defense", "vit(patch=3)", "--attack", "fgsm", "--dataset", "digits"], "patches that do"),
        (["--defense", "ksa(layers=[9])", "--attack", "fgsm", "--dataset", "digits"], "6 attention layers"),
        (["--defense", "ksa(k=40)", "--attack", "fgsm", "--dataset", "digits"], "leaves nothing out"),
        (
            ["--defense", "vit", "--attack", "fgsm", "--dataset", "digits", "--batch-size", "big"],
            "neither a whole number",
        ),
    ],
)
def test_a_mistake_is_one_line_and_exit_status_2(arguments: list[str], said: str) -> None:
    done = cli("run", *arguments)
    assert done.exit_code == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert len([line for line in done.stderr.splitlines() if line.startswith("robench:")]) == 1


def test_missing_data_says_where_it_looked(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="was not found. Looked for.*ROBENCH_DATA"):
        from robench.decoding import load_published

        load_published(Places(tmp_path, tmp_path / "cache", tmp_path, download=False), "cifar10", "CIFAR10", 10)


def test_a_truncated_parquet_file_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "mnist"
    folder.mkdir()
    for part in ("train", "test"):
        (folder / f"{part}-00000-of-00001.parquet").write_bytes(b"PAR1 and then nothing")
    with pytest.raises(DataError, match="truncated or damaged"):
        load_data("mnist", Places(tmp_path, tmp_path / "cache", tmp_path, download=False))


def test_a_folder_of_images_is_a_data_set(tmp_path: Path) -> None:
    from PIL import Image

    random = np.random.default_rng(0)
    for part, count in (("train", 12), ("test", 6)):
        for name in ("cat", "dog"):
            folder = tmp_path / "pets" / part / name
            folder.mkdir(parents=True)
            for i in range(count):
                Image.fromarray(random.integers(0, 256, (20, 30, 3), dtype=np.uint8)).save(folder / f"{i}.png")
    data = load_data(f"folder(path='{tmp_path}/pets', size=16)", Places.of())
    assert (len(data.splits.train) + len(data.splits.validation), len(data.splits.test)) == (24, 12)
    assert data.splits.test.shape == (3, 16, 16)
    (tmp_path / "pets" / "test" / "cat" / "0.png").write_bytes(b"not an image")
    with pytest.raises(DataError, match="0.png is truncated or is not an image"):
        load_data(f"folder(path='{tmp_path}/pets', size=16)", Places.of())


@pytest.mark.skipif(
    "ROBENCH_DATA" not in os.environ, reason="needs real data: set ROBENCH_DATA to a folder with mnist/ and cifar10/"
)
@pytest.mark.parametrize(("name", "train", "shape"), [("mnist", 54_000, (1, 28, 28)), ("cifar10", 45_000, (3, 32, 32))])
def test_published_files_are_decoded_once_and_mapped_after_that(
    name: str, train: int, shape: tuple[int, int, int]
) -> None:
    first = load_data(name, Places.of())
    again = load_data(name, Places.of())
    assert len(first.splits.train) == train
    assert len(first.splits.test) == 10_000
    assert first.splits.test.shape == shape
    assert isinstance(again.splits.train.images.base, np.memmap) or isinstance(again.splits.train.images, np.memmap)
    assert again.fingerprint == first.fingerprint
    assert sorted(np.bincount(first.splits.test.first(1000).targets().numpy())) == [100] * 10


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


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("import nothing_of_this_name\n")
    with pytest.raises(UsageError, match="broken.py cannot be loaded: ModuleNotFoundError"):
        robench.DEFENSES["./broken.py"]


def test_help_does_not_import_torch() -> None:
    code = "import sys, robench.cli; from typer.main import get_command; get_command(robench.cli.app); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_commands_answer_for_people_and_for_machines() -> None:
    assert "carlini" in cli("list", "attacks").stdout.lower()
    assert json.loads(cli("list", "--json").stdout)["defenses"]
    assert "k = 4  (a whole number at least 1)" in cli("show", "ksa").stdout
    assert "did you mean 'ksa'" in cli("show", "kas").stderr
    assert cli("doctor").exit_code == 0
    assert cli("report").exit_code == 2
    small_run()
    for form in ("text", "markdown", "csv", "latex", "json"):
        done = cli("report", "--format", form)
        assert done.exit_code == 0, done.stderr
        assert "pgd_linf" in done.stdout.replace("\\", "")
    assert cli("report").stdout.strip() == "results/report.html"
    page = Path("results/report.html").read_text()
    assert "<caption>Robustness on digits</caption>" in page
    assert not re.search(r'(src|href)="https?:', page)
    assert "data:image/png" in page


@pytest.mark.slow
def test_the_wheel_works_from_another_directory(tmp_path: Path) -> None:
    root = Path(__file__).parents[1]
    copy = tmp_path / "source"
    subprocess.run(["git", "clone", "-q", str(root), str(copy)], check=True)
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", str(tmp_path), str(copy)],
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("robench-*.whl")
    subprocess.run([sys.executable, "-m", "zipfile", "-e", str(wheel), str(tmp_path / "site")], check=True)
    code = "import robench, sys; from robench.cli import app; print(robench.__file__); app(sys.argv[1:])"
    for arguments in (["list"], ["run", "--defense", SMALL, "--attack", "fgsm", "--dataset", "digits", "--n", "20"]):
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code, *arguments], capture_output=True, text=True, cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(tmp_path / "site")}, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert str(tmp_path / "site") in done.stdout
    assert (tmp_path / "results" / "report.html").exists()


@pytest.mark.slow
def test_killed_at_any_moment_nothing_is_lost_and_nothing_doubled(tmp_path: Path) -> None:
    import random
    import signal
    import time

    command = [
        sys.executable, "-W", "ignore", "-m", "robench", "run", "--defense", "vit(depth=1, epochs=4)", "--dataset", "digits", "--n", "150",
        "--attack", "cw_l2(steps=30, search_steps=3, initial_c=1.0)", "--batch-size", "16",
    ]  # fmt: skip
    environment = {**os.environ, "ROBENCH_CACHE": str(tmp_path / "cache")}
    chance, kept = random.Random(0), 0
    for _ in range(6):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
        time.sleep(chance.uniform(3, 9))
        process.send_signal(signal.SIGKILL)
        process.wait()
        parts = len(list(Path("results").rglob("part-*.parquet")))
        assert parts >= kept
        kept = parts
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    (unit,) = Store(Path("results")).units()
    import pyarrow.parquet as pq

    assert len(unit.read()) == 150
    assert sum(pq.read_metadata(part).num_rows for part in unit.folder.glob("part-*.parquet")) == 150
    clean = subprocess.run([*command, "--store", "again"], capture_output=True, text=True, env=environment, check=False)
    assert clean.stdout.replace("again/", "results/").split("report:")[0] == done.stdout.split("report:")[0]


@pytest.mark.slow
def test_ctrl_c_says_what_is_safe(tmp_path: Path) -> None:
    import signal
    import time

    command = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "robench",
        "run",
        "--defense",
        SMALL,
        "--dataset",
        "digits",
        "--attack",
        "cw_l2(steps=1000)",
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ)
    time.sleep(15)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "goes on from there" in said
    assert "Traceback" not in said
