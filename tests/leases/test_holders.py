"""A process is named so that no other is taken for it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from robench.leases import holders
from robench.leases.holders import UNKNOWN, Holder, began, machine


def test_a_process_has_one_beginning_and_no_two_the_same_name() -> None:
    assert began(os.getpid()) == began(os.getpid()) is not None
    assert Holder.this().token != Holder.this().token
    assert not Holder.this().dead
    told = "from robench.leases.holders import *; import os; print(machine()); print(began(os.getpid()))"
    time.sleep(0.02)
    other = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    there, when = other.stdout.splitlines()
    assert there == machine() and when != began(os.getpid())


def test_what_has_ended_has_none_buried_or_not() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(
        os.P_PID, process.pid, os.WEXITED | os.WNOWAIT
    )  # a zombie: it has ended, and nobody has asked for its status
    assert began(process.pid) is None
    process.wait()
    assert began(process.pid) is None


def test_without_proc_the_system_is_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(holders, "Path", lambda *_: tmp_path / "nothing")
    asked = list[list[str]]()

    def ps(words: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        asked.append(words)
        return subprocess.CompletedProcess(
            words, 0, {"1": "Ss Mon Nov 30 14:00:00 2026\n", "2": "Z Mon\n"}.get(words[-1], "")
        )

    monkeypatch.setattr(subprocess, "run", ps)
    assert (began(1), began(2), began(3)) == ("Mon Nov 30 14:00:00 2026", None, None)
    assert asked[0][-1] == "1"

    def missing(*_: object, **__: object) -> None:
        raise FileNotFoundError

    monkeypatch.setattr(subprocess, "run", missing)
    assert began(1) == UNKNOWN
