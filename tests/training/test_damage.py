"""Every byte of the cache that weights depend on is checked, and who lost a training to another process writes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from robench.data.loading import load_data
from robench.leases.holders import Holder
from robench.places import Places
from robench.training.checkpoints import Checkpoint
from robench.training.recipe import Objective, Progress
from robench.training.snapshots import Average, Snapshot, append_line, read_lines

CALL = "vit(depth=1, dim=8, heads=1, epochs=3)"


def checkpoint(folder: Path) -> Checkpoint:
    data = load_data("digits", Places.of())
    return Checkpoint.of(CALL, data.splits, data.card, folder)


def interrupted(folder: Path) -> Checkpoint:
    """A training that was stopped after its first epoch."""
    found = checkpoint(folder)

    def stop(progress: Progress) -> None:
        if progress.epoch == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        found.obtain(torch.device("cpu"), report=stop)
    return found


def made(value: float) -> Snapshot:
    model = nn.Linear(2, 1)
    model.weight.data.fill_(value)
    return Snapshot(model, torch.optim.SGD(model.parameters(), 0.1), Objective(), Average(model, 0.5))


def damaged(sound: bytes) -> dict[str, bytes]:
    """A file after each kind of accident."""
    draws = np.random.default_rng(0)
    found = {"empty": b"", "half": sound[: len(sound) // 2], "longer": sound + b"0"}
    for place in draws.integers(0, len(sound), 40).tolist():
        flipped = bytearray(sound)
        flipped[place] ^= 1 << int(draws.integers(8))
        found[f"bit of byte {place}"] = bytes(flipped)
    return found


def test_a_state_that_is_damaged_anywhere_is_told_and_none_of_it_is_used(tmp_path: Path) -> None:
    saved, path = made(2.0), tmp_path / "state"
    saved.epoch, saved.step = 4, 40
    saved.save(path)
    sound = path.read_bytes()
    for what, content in damaged(sound).items():
        path.write_bytes(content)
        loaded, told = made(5.0), list[str]()
        loaded.load(path, told.append)
        used = (loaded.epoch, loaded.step, loaded.model.weight.detach()[0, 0].item())
        silent = used == (4, 40, 2.0) and not told  # such as a bit of the padding of the header
        assert silent or (used == (0, 0, 5.0) and len(told) == 1 and "the training begins again" in told[0]), what


@pytest.mark.parametrize("file", ["state", "log.jsonl"])
def test_a_training_that_goes_on_from_damage_ends_with_the_same_weights(file: str, tmp_path: Path) -> None:
    whole = checkpoint(tmp_path / "whole").obtain(torch.device("cpu"))
    found, told = interrupted(tmp_path / "broken"), list[str]()
    (path,) = found.folder.glob(f"{file}*")
    path.write_bytes(path.read_bytes()[:-40])
    again = found.obtain(torch.device("cpu"), tell=told.append)
    assert again.weights == whole.weights
    assert (len(told) == 1 and "begins again" in told[0]) if file == "state" else not told
    assert read_lines(found.folder / "log.jsonl")[-1]["epoch"] == 3


def spoilt(name: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        (folder / name).write_bytes(change((folder / name).read_bytes()))

    return spoil


def digit(content: bytes) -> bytes:
    """Another number of seconds, which nothing but a digest can tell from the true one."""
    told = json.loads(content)
    return json.dumps({**told, "seconds": told["seconds"] + 1}).encode()


@pytest.mark.parametrize(
    ("spoil", "message", "trained_again"),
    [
        (
            spoilt("facts.json", lambda _: b""),
            "facts.json, which says what the weights beside it are, is damaged",
            True,
        ),
        (spoilt("facts.json", lambda _: b"null"), "is damaged; training again", True),
        (spoilt("facts.json", lambda _: b"[" * 9000), "is damaged; training again", True),
        (spoilt("facts.json", digit), "is damaged; training again", True),
        (spoilt("weights.safetensors", lambda old: old[:-1] + b"\x07"), "their hash is wrong", True),
        (spoilt("log.jsonl", lambda old: old[:-9]), "log.jsonl is damaged: the course of the training", False),
        (spoilt("log.jsonl", lambda _: b"\xff\n"), "its weights are sound", False),
    ],
)
def test_what_stands_beside_weights_is_checked(
    spoil: Callable[[Path], None], message: str, trained_again: bool, tmp_path: Path
) -> None:
    found, told, trained = checkpoint(tmp_path), list[str](), list[object]()
    first = found.obtain(torch.device("cpu"))
    spoil(found.folder)
    again = found.obtain(torch.device("cpu"), tell=told.append, announce=trained.append)
    assert again.weights == first.weights
    assert len(told) == 1 and message in told[0]
    assert bool(trained) == trained_again
    assert again.log == [] if not trained_again else len(again.log) == 3


def test_a_log_is_read_up_to_the_first_line_that_is_none(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    assert read_lines(log) == []
    for line in (b'{"epoch": 2}', b"[]", b'{"epoch": 2, "seconds": "x"}', b"{", b"\xff", b"null"):
        log.write_bytes(b'{"epoch": 1, "seconds": 1}\n' + line + b'\n{"epoch": 3, "seconds": 1}\n')
        assert [one["epoch"] for one in read_lines(log)] in ([1], [])
    append_line(log, {"epoch": 1, "seconds": 2.5}, 0)
    assert [one["seconds"] for one in read_lines(log)] == [2.5]


def test_who_lost_a_training_looks_again_and_ends_with_the_same_weights(tmp_path: Path) -> None:
    whole = checkpoint(tmp_path / "whole").obtain(torch.device("cpu"))
    found, told = checkpoint(tmp_path / "lost"), list[str]()
    other = json.dumps(asdict(Holder.this()) | {"began": "1"})
    lost, logs = list[bytes](), list[bytes]()
    log = found.folder / "log.jsonl"

    def tell(line: str) -> None:
        told.append(line)
        logs.append(log.read_bytes())

    def lose(progress: Progress) -> None:
        if progress.epoch == 1 and not lost:
            lost.append(log.read_bytes())
            (found.folder / "lease").write_text(other)

    again = found.obtain(torch.device("cpu"), tell=tell, report=lose)
    assert again.weights == whole.weights
    assert logs == lost, "nothing was written after it was lost"
    assert [line for line in told if "was taken over by another process" in line] == told and len(told) == 1
    assert not (found.folder / "lease").exists()
