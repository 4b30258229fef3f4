"""Damage, kills, full disks, two processes at once: nothing is lost and nothing doubled."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import PGD, SMALL, small_run

from robench import StoreError
from robench.data.loading import load_data
from robench.places import Places
from robench.records.store import Store
from robench.training.checkpoints import Checkpoint


def robench_run(*arguments: str) -> list[str]:
    """`robench run` as a process of its own."""
    return [sys.executable, "-W", "ignore", "-m", "robench", "run", *arguments]


def test_a_damaged_part_is_found_out_and_its_images_are_attacked_again() -> None:
    first, _ = small_run()
    part = next(Path("results").rglob("part-*.parquet"))
    part.write_bytes(part.read_bytes()[:-20])
    second, said = small_run()
    assert any("was damaged" in line for line in said)
    assert second.table() == first.table()


def test_what_is_damaged_is_put_aside_also_where_no_image_is_missing() -> None:
    """A part that says again what others say; a manifest that is gone. Nothing is attacked again."""
    small_run()
    (unit,) = Store(Path("results")).units()
    parts = {path.name for path in unit.folder.glob("part-*")}
    unit.add(unit.read(pixels=True).iloc[:3])
    (again,) = (path for path in unit.folder.glob("part-*") if path.name not in parts)
    again.write_bytes(again.read_bytes()[:-20])
    _, said = small_run()
    assert any(f"{again.name} of {unit.folder.name} was damaged" in line for line in said)
    assert not again.exists() and {path.name for path in unit.folder.glob("part-*")} == parts
    (unit.folder / "manifest.json").unlink()
    small_run()
    assert unit.named() and {path.name for path in unit.folder.glob("part-*")} == parts


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
            assert list(checkpoint.folder.glob("state-*.safetensors"))
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


@pytest.mark.slow
def test_two_processes_on_the_same_cell_do_its_work_once(shared_cache: Path) -> None:
    small_run(n=1, attack="fgsm(eps=0.1)")
    command = robench_run("--defense", SMALL, "--attack", PGD, "--dataset", "digits", "--n", "60")
    both = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ)
        for _ in range(2)
    ]
    said = [process.communicate(timeout=120)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    (unit,) = [u for u in Store(Path("results")).units() if u.spec.attack.name == "pgd_linf"]
    parts = [part for part in unit.folder.glob("part-*.parquet")]
    assert len(unit.read()) == 60
    import pyarrow.parquet as pq

    assert sum(pq.read_metadata(part).num_rows for part in parts) == 60


@pytest.mark.slow
def test_killed_at_any_moment_nothing_is_lost_and_nothing_doubled(tmp_path: Path) -> None:
    import random
    import signal
    import time

    command = robench_run(
        "--defense",
        "vit(depth=1, epochs=4)",
        "--dataset",
        "digits",
        "--n",
        "150",
        "--batch-size",
        "16",
        "--attack",
        "cw_l2(steps=30, search_steps=3, initial_c=1.0)",
    )
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

    command = robench_run("--defense", SMALL, "--dataset", "digits", "--attack", "cw_l2(steps=1000)")

    def heed_interrupts() -> None:
        """A shell that starts the tests in the background has told its children to ignore Ctrl-C."""
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ, preexec_fn=heed_interrupts
    )
    begun = time.monotonic()
    while not any(Path("results").rglob("*lease*")) and time.monotonic() < begun + 90:
        time.sleep(0.2)  # until the attack runs: an interrupt in the middle of an import may be lost
    time.sleep(2)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "goes on from there" in said
    assert "Traceback" not in said
