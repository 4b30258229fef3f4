"""One process at a time holds a lease, and none that is dead, silent or stopped holds it for ever."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from robench.errors import StoreError
from robench.leases import taking
from robench.leases.holders import Holder
from robench.leases.taking import LeaseLost, held, lease


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Seconds as they are in a hurry."""
    monkeypatch.setattr(taking, "HEARTBEAT", 0.05)
    monkeypatch.setattr(taking, "STALE", 0.6)
    monkeypatch.setattr(taking, "UNREADABLE", 0.3)
    monkeypatch.chdir(tmp_path)


PATH = Path("unit") / "lease"


def written(content: bytes, path: Path = PATH) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def content(**changes: Any) -> bytes:
    return json.dumps(asdict(Holder.this()) | changes).encode()


def dead() -> bytes:
    """The lease of a process of this machine that has ended."""
    found = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    return content(pid=int(found.stdout), began="1")


def taken_within(seconds: float, path: Path = PATH) -> float:
    """How long it takes to take the lease; fails where that is longer."""
    begun = time.monotonic()
    done = threading.Event()

    def take() -> None:
        with lease(path, poll=0.02):
            done.set()

    thread = threading.Thread(target=take, daemon=True)
    thread.start()
    in_time, taken = done.wait(seconds), time.monotonic() - begun
    if not in_time:
        path.unlink()  # so that the thread ends
    thread.join(seconds)
    assert in_time, f"not taken within {seconds} s"
    return taken


@contextmanager
def stopped(path: Path = PATH) -> Iterator[taking.Lease]:
    """A lease whose holder lives and does not touch it, as one that was stopped."""
    own = content()
    written(own, path)
    yield taking.Lease(path, own)


NO_LEASES = [b"", b"null", b"[]", b"7", b"\xff\xfe", b"{", b"{}", b'{"host": "here", "pid": 1}', b"[" * 5000]
NO_HOLDERS: list[dict[str, Any]] = [
    *({"pid": pid} for pid in (0, -1, 10**30, True, "7")),
    {"token": None},
    {"other": 1},
]


@pytest.mark.parametrize("place", range(len(NO_LEASES) + len(NO_HOLDERS)))
def test_what_is_no_lease_is_an_old_one(place: int) -> None:
    text = [*NO_LEASES, *(content(**changes) for changes in NO_HOLDERS)][place]
    assert Holder.of(written(text).read_bytes()) is None
    assert taken_within(5) > 0.25
    assert not PATH.exists(), "and it is given back"


def test_the_lease_of_a_dead_process_is_taken_at_once_whatever_its_time() -> None:
    os.utime(written(dead()), (4e9, 4e9))
    assert taken_within(5) < 0.3


def test_a_number_that_is_used_again_is_another_process() -> None:
    written(content(began="1"))
    assert not held(PATH)
    assert taken_within(5) < 0.3


@pytest.mark.parametrize("modified", [0.0, 4e9])
def test_silence_on_another_machine_is_counted_by_who_waits(modified: float) -> None:
    os.utime(written(content(machine="another", pid=1)), (modified, modified))
    assert taken_within(5) > 0.5


def test_a_holder_that_touches_its_lease_is_waited_for() -> None:
    said, waited = list[str](), list[bool]()
    with lease(PATH):
        PATH.write_bytes(content(machine="another"))  # so that its life is seen by its heartbeat alone
        holds = threading.Event()

        def beat() -> None:
            while not holds.wait(0.05):
                os.utime(PATH)

        def wait() -> None:
            with lease(PATH, waiting=said.append, poll=0.02):
                waited.append(True)

        heart, thread = threading.Thread(target=beat), threading.Thread(target=wait)
        heart.start()
        thread.start()
        time.sleep(1.5)
        assert not waited
        holds.set()
        heart.join()
        PATH.unlink()
        thread.join(5)
    assert waited == [True]
    assert len(said) == 1 and f"unit is being worked on by process {os.getpid()}" in said[0]


def test_the_heart_beats_while_a_lease_is_held() -> None:
    with lease(PATH):
        first = PATH.stat().st_mtime_ns
        time.sleep(0.3)
        assert PATH.stat().st_mtime_ns > first
    assert not PATH.exists()


def test_a_stopped_holder_is_replaced_and_finds_out() -> None:
    said = list[str]()
    with stopped() as old:
        old.check()
        with lease(PATH, waiting=said.append, poll=0.02) as new:
            with pytest.raises(LeaseLost, match="unit was taken over by another process"):
                old.check()
            assert not old.beat()
            old.give_back()
            new.check()
            assert PATH.exists(), "the end of a lease removes no other's"
    assert any("has been silent for" in line for line in said)


@pytest.mark.parametrize("where", ["_look", "_create", "replace"])
def test_of_many_waiters_one_takes_a_dead_lease_whenever_it_is_delayed(
    where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The delays are longer than what lies between looking and renaming, and shorter than silence."""
    of: Any = Path if where == "replace" else taking
    plain = getattr(of, where)
    turn = iter(range(10**6))

    def late(*given: Any) -> Any:
        if next(turn) % 2:
            time.sleep(0.1)
            return plain(*given)
        found = plain(*given)
        time.sleep(0.1)
        return found

    monkeypatch.setattr(of, where, late)
    monkeypatch.setattr(taking, "STALE", 30.0)
    written(dead())
    inside, most, count, lock = 0, 0, 0, threading.Lock()

    def work() -> None:
        nonlocal inside, most, count
        with lease(PATH, poll=0.01) as own:
            with lock:
                inside += 1
                count += 1
                most = max(most, inside)
            time.sleep(0.05)
            own.check()
            with lock:
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert (count, most) == (6, 1)
    assert [*PATH.parent.iterdir()] == []


def test_a_claim_whose_maker_was_killed_is_taken_over_too() -> None:
    first, second = dead(), dead()
    claim = taking.Seen(first, (0, 0), 0.0).claim(written(first))
    written(second, claim)
    assert taken_within(5) < 0.5
    assert [*PATH.parent.iterdir()] == []


def test_claims_of_the_killed_are_cleared_by_the_next_holder() -> None:
    written(dead(), PATH.with_name("lease.0badcafe"))
    with lease(PATH):
        assert [path.name for path in PATH.parent.iterdir()] == ["lease"]


def test_a_lease_that_is_claimed_is_left_to_who_claims_it() -> None:
    with stopped() as old:
        found = taking.Seen(old.content, (0, 0), 0.0)
        written(content(), found.claim(PATH))
        old.give_back()
        assert PATH.exists()


def test_an_empty_folder_is_no_lease_and_a_full_one_is_told() -> None:
    PATH.mkdir(parents=True)
    assert taken_within(5) < 0.5
    (PATH / "kept").mkdir(parents=True)
    with pytest.raises(StoreError, match="is a folder where a lease is written"), lease(PATH):
        pass
    assert (PATH / "kept").exists()


def test_a_full_disk_is_one_message_and_leaves_no_empty_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int, mode: str) -> Any:
        os.close(handle)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fdopen", full)
    with pytest.raises(StoreError, match="free some space"), lease(PATH):
        pass
    assert not PATH.exists()


def test_a_full_disk_at_the_end_still_gives_back(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> bool:
        raise StoreError("no space")

    with lease(PATH):
        monkeypatch.setattr(taking, "_create", full)
    assert not PATH.exists()


def test_a_folder_that_was_removed_meanwhile_is_not_made_again() -> None:
    with lease(PATH) as own:
        PATH.unlink()
        PATH.parent.rmdir()
        with pytest.raises(LeaseLost):
            own.check()
    assert not PATH.parent.exists()


def test_at_one_look_a_lease_is_held_by_who_lives() -> None:
    assert not held(PATH)
    with lease(PATH):
        assert held(PATH)
    written(dead())
    assert not held(PATH)
    written(replace_machine())
    assert held(PATH)
    os.utime(PATH, (0, 0))
    assert not held(PATH)


def replace_machine() -> bytes:
    return json.dumps(asdict(replace(Holder.this(), machine="another"))).encode()


THROUGH_ANOTHER = """
import sys
from pathlib import Path
from robench.leases import taking
taking.HEARTBEAT, taking.STALE = 0.05, float(sys.argv[2])
print("waits", flush=True)
with taking.lease(Path(sys.argv[1]), poll=0.02) as own:
    own.check()
    print("has it", flush=True)
    sys.stdin.readline()
    own.check()
"""


@pytest.mark.skipif(
    not shutil.which("unshare") or bool(subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode),
    reason="a second mount point of a folder needs a namespace of mounts of one's own",
)
@pytest.mark.parametrize("silent", [False, True])
def test_through_two_mount_points_of_one_folder_one_process_has_it(silent: bool, tmp_path: Path) -> None:
    """The other sees the folder under another path, as on another machine: it waits, or takes over who is silent, who finds out."""
    (tmp_path / "other").mkdir()
    (tmp_path / "unit").mkdir()
    mounted = f'mount --bind {tmp_path / "unit"} {tmp_path / "other"} && exec "$@"'
    command = [sys.executable, "-c", THROUGH_ANOTHER, str(tmp_path / "other" / "lease"), "0.6" if silent else "30"]

    def started() -> subprocess.Popen[str]:
        words = ["unshare", "-rm", "sh", "-c", mounted, "sh", *command]
        return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def next_line(running: subprocess.Popen[str]) -> str:
        assert running.stdout is not None
        return running.stdout.readline().strip()

    if silent:
        with stopped() as old, started() as running:
            assert [next_line(running), next_line(running)] == ["waits", "has it"]
            with pytest.raises(LeaseLost):
                old.check()
            assert held(PATH)
            running.communicate("\n", timeout=30)
        assert running.returncode == 0 and not PATH.exists()
        return
    with lease(PATH) as own:
        with started() as running:
            assert next_line(running) == "waits"
            time.sleep(0.5)
            own.check()
            own.give_back()
            assert next_line(running) == "has it"
            with pytest.raises(LeaseLost):
                own.check()
            running.communicate("\n", timeout=30)
        assert running.returncode == 0
