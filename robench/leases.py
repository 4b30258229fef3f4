"""Leases: two processes or two machines share a store without doing the same work twice.

A lease is a file that only one process can create; its holder touches it every few seconds. A lease whose holder is
gone (its process is dead, or it was not touched for a while) is taken over.
"""

from __future__ import annotations

import json
import os
import platform
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from robench.errors import StoreError, UsageError

HEARTBEAT = 5.0
STALE = 60.0


def refuse_windows() -> None:
    """Refuse to run where looking whether another process lives may end it.

    Raises:
        UsageError: on Windows.
    """
    if platform.system() == "Windows":
        raise UsageError(
            "robench does not run on Windows: looking whether another process still lives may end it there. Use Linux or WSL"
        )


@contextmanager
def lease(path: Path, *, waiting: Callable[[str], None] = lambda _: None, poll: float = 0.5) -> Iterator[bool]:
    """Hold the lease at `path` for the block; yields whether it had to be waited for.

    Args:
        waiting: told once, in words, who holds it.
    """
    refuse_windows()
    waited = False
    while not _create(path):
        holder = _holder(path)
        if holder is None:
            continue
        if _gone(path, holder):
            _break(path)
            continue
        if not waited:
            waiting(
                f"{path.parent.name} is being worked on by process {holder.get('pid')} on {holder.get('host')}; waiting for it"
            )
            waited = True
        time.sleep(poll)
    ended = threading.Event()
    heart = threading.Thread(target=_beat, args=(path, ended), daemon=True)
    heart.start()
    try:
        yield waited
    finally:
        ended.set()
        heart.join()
        path.unlink(missing_ok=True)


def held(path: Path) -> bool:
    """Whether a living process holds the lease at `path`."""
    holder = _holder(path)
    return holder is not None and not _gone(path, holder)


def _create(path: Path) -> bool:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
    except FileExistsError:
        return False
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror}; free some space or choose another folder") from error
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        json.dump({"host": socket.gethostname(), "pid": os.getpid()}, stream)
    return True


def _holder(path: Path) -> dict[str, object] | None:
    """Who holds a lease: None if it was given back meanwhile, {} if it cannot be read (its writer was killed)."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    try:
        held: dict[str, object] = json.loads(text)
    except ValueError:
        return {}
    return held


def _gone(path: Path, holder: dict[str, object]) -> bool:
    try:
        silent = time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return False
    if holder.get("host") == socket.gethostname() and isinstance(pid := holder.get("pid"), int):
        return not _alive(pid)
    return silent > (STALE if holder else HEARTBEAT)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _break(path: Path) -> None:
    """Take a dead holder's lease away; of several processes that try, one renames it."""
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        path.rename(aside)
    except FileNotFoundError:
        return
    aside.unlink(missing_ok=True)


def _beat(path: Path, ended: threading.Event) -> None:
    while not ended.wait(HEARTBEAT):
        try:
            os.utime(path)
        except OSError:
            return
