"""Leases: two processes or two machines share a folder without doing the same work twice.

A lease is a file that only one process can create. Its content names the holder (host, machine, pid, when that process began,
a token of its own); a heartbeat touches it every few seconds. It is taken over where its process is dead, which is seen at once
on the same machine, or where it has not been touched for `STALE` seconds, as the one who waits counts them: no two clocks are
compared. What is no lease (a killed writer left it empty, a person wrote it) counts as one whose holder is silent.

Who takes a lease over first creates a *claim* beside it, named by the digest of what it takes over: one process can, and it looks
again whether that is still there before it puts its own in its place by one rename. Who gives a lease back claims it first too.
A holder that was stopped and sleeps through its time is found out by itself: see `Lease.check`.

What is assumed: files are created exclusively, and renamed, atomically, and a file that is opened anew has its newest time (local
file systems; NFS from version 3 on).
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from robench.errors import StoreError, UsageError
from robench.leases.holders import Holder, machine

HEARTBEAT = 5.0
STALE = 45.0
UNREADABLE = 2 * HEARTBEAT
"""Seconds after which what is no lease is taken over: its writer may be between creating it and writing it."""
MOST_BYTES = 4096


class LeaseLost(StoreError):
    """Another process took the lease over while this one was stopped; what it was about to write is not written."""


@dataclass(frozen=True)
class Seen:
    """A lease as it was read: its content, and a stamp that each heartbeat changes."""

    content: bytes
    stamp: tuple[int, int]
    modified: float

    @property
    def holder(self) -> Holder | None:
        return Holder.of(self.content)

    def claim(self, path: Path) -> Path:
        """The file that only who takes this lease over, or gives it back, can create."""
        return path.with_name(f"{path.name}.{hashlib.sha256(self.content).hexdigest()[:8]}")


class Lease:
    """A lease that this process took."""

    def __init__(self, path: Path, content: bytes) -> None:
        self.path, self.content = path, content

    def check(self) -> None:
        """Before anything is written under it.

        Raises:
            LeaseLost: it was taken over, since this process was stopped or too slow to touch it.
        """
        found = _look(self.path)
        if found is None or found.content != self.content:
            raise LeaseLost(f"{self.path.parent.name} was taken over by another process while this one was stopped")

    def beat(self) -> bool:
        """Touch it; False: it is another's by now."""
        try:
            self.check()
            os.utime(self.path)
        except LeaseLost:
            return False
        except (OSError, StoreError):
            pass  # a full disk, a network that is away for a while
        return True

    def give_back(self) -> None:
        """Remove it, unless another took it over or is about to."""
        found = _look(self.path)
        if found is None or found.content != self.content:
            return
        claim = found.claim(self.path)
        try:
            claimed = _create(claim, self.content)
        except StoreError:  # a full disk: without a claim, one may be taking it over in this very moment
            claimed = True
        if claimed:
            with suppress(OSError):  # it is as good as given back where its process has ended, or is silent
                self.path.unlink(missing_ok=True)
                claim.unlink(missing_ok=True)


@contextmanager
def lease(path: Path, *, waiting: Callable[[str], None] = lambda _: None, poll: float = 0.5) -> Iterator[Lease]:
    """Hold the lease at `path` for the block.

    Args:
        waiting: told once, in words, who holds it, and who is given up.

    Raises:
        StoreError: it cannot be written.
    """
    refuse_windows()
    own = json.dumps(asdict(Holder.this())).encode()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(OSError):
            path.rmdir()  # an empty folder is no lease; nothing else is removed by this
    except OSError as error:
        raise StoreError(f"cannot write {path.parent}: {error.strerror}; choose another folder") from error
    watch, waited = _Watch(waiting), False
    while not _acquire(path, own, watch):
        found = _look(path)
        if found and found.holder and not waited:
            waiting(
                f"{path.parent.name} is being worked on by process {found.holder.pid} on {found.holder.host}; waiting for it"
            )
        waited = True
        time.sleep(poll)
    taken, ended = Lease(path, own), threading.Event()
    _forget_claims(path, own)
    heart = threading.Thread(target=_beat, args=(taken, ended), daemon=True)
    heart.start()
    try:
        yield taken
    finally:
        ended.set()
        try:
            heart.join()
            taken.give_back()
        except BaseException:  # Ctrl-C in this very moment
            taken.give_back()
            raise


def held(path: Path) -> bool:
    """Whether a living process seems to hold the lease at `path`, at one look.

    Of another machine's lease its age is what can be seen: here clocks are compared.
    """
    found = _look(path)
    if found is None:
        return False
    if found.holder is not None and found.holder.machine == machine():
        return not found.holder.dead
    return abs(time.time() - found.modified) < STALE


def refuse_windows() -> None:
    """Refuse to run where looking whether another process lives may end it.

    Raises:
        UsageError: on Windows.
    """
    if platform.system() == "Windows":
        raise UsageError(
            "robench does not run on Windows: looking whether another process still lives may end it there. Use Linux or WSL"
        )


class _Watch:
    """Since when leases have not changed, by the watcher's own clock."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._first: dict[tuple[Path, bytes, tuple[int, int]], float] = {}
        self._tell = tell

    def given_up(self, path: Path, seen: Seen) -> bool:
        """Whether a lease may be taken over."""
        holder = seen.holder
        if holder and holder.dead:
            return True
        since = self._first.setdefault((path, seen.content, seen.stamp), time.monotonic())
        silent = time.monotonic() - since > (STALE if holder else UNREADABLE)
        if silent and holder:
            self._tell(f"process {holder.pid} on {holder.host} has been silent for {STALE:.0f} s; it is taken over")
        return silent


def _acquire(path: Path, own: bytes, watch: _Watch) -> bool:
    """One attempt: whether the lease, or the claim, at `path` is this process's now."""
    if _create(path, own):
        return True
    seen = _look(path)
    if seen is None or not watch.given_up(path, seen):
        return False
    claim = seen.claim(path)
    if not _acquire(claim, own, watch):  # a claim is taken over in the same way where who made it was killed
        return False
    now = _look(path)
    if now is None or now.content != seen.content:
        claim.unlink(missing_ok=True)
        return False
    try:
        claim.replace(path)
    except OSError as error:
        raise _cannot_write(path, error) from error
    return True


def _create(path: Path, content: bytes) -> bool:
    """Make a file that was not there; False: it was."""
    try:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
    except FileExistsError:
        return False
    except OSError as error:
        raise _cannot_write(path, error) from error
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
    except BaseException as error:
        path.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise _cannot_write(path, error) from error
        raise
    return True


def _look(path: Path) -> Seen | None:
    """What is there; None: nothing. It is opened each time, since a network's client may remember an old time of a closed file."""
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as stream:
            about = os.fstat(stream.fileno())
            if stat.S_ISDIR(about.st_mode):
                raise IsADirectoryError
            content = stream.read(MOST_BYTES) if stat.S_ISREG(about.st_mode) else b""
            return Seen(content, (about.st_ino, about.st_mtime_ns), about.st_mtime)
    except FileNotFoundError:
        if not path.is_symlink():
            return None
        about = path.lstat()  # of a link that leads nowhere, which is in the way all the same
        return Seen(b"", (about.st_ino, about.st_mtime_ns), about.st_mtime)
    except IsADirectoryError as error:
        raise StoreError(f"{path} is a folder where a lease is written; move it away") from error
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror}; may this user read and write there?") from error


def _forget_claims(path: Path, own: bytes) -> None:
    """Remove what those left who were killed while they took over or gave back an older lease."""
    mine = Seen(own, (0, 0), 0.0).claim(path).name
    for claim in path.parent.glob(f"{path.name}.*"):
        if not claim.name.startswith(mine):
            claim.unlink(missing_ok=True)


def _beat(taken: Lease, ended: threading.Event) -> None:
    while not ended.wait(HEARTBEAT) and taken.beat():
        pass


def _cannot_write(path: Path, error: OSError) -> StoreError:
    return StoreError(f"cannot write {path}: {error.strerror}; free some space or choose another folder")
