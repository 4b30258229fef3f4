"""Who holds a lease: pids are used again, and every machine and container has its own."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import uuid
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

MOST_PID = 2**31
UNKNOWN = "unknown"
"""Of a process that cannot be looked at: whether it lives is seen by its heartbeat alone."""


@dataclass(frozen=True)
class Holder:
    """Who holds a lease.

    Attributes:
        host: name of the machine, for a person.
        machine: names its process table: see `machine`.
        pid, began: of the process; a number that is used again names another process that began later.
        token: of this lease alone.
    """

    host: str
    machine: str
    pid: int
    began: str
    token: str

    @classmethod
    def this(cls) -> Holder:
        pid = os.getpid()
        return cls(socket.gethostname(), machine(), pid, began(pid) or UNKNOWN, uuid.uuid4().hex)

    @classmethod
    def of(cls, content: bytes) -> Holder | None:
        """Who wrote a lease; None: it is none."""
        try:
            held = cls(**json.loads(content))
        except (ValueError, TypeError, RecursionError):
            return None
        texts = (held.host, held.machine, held.began, held.token)
        sound = all(isinstance(text, str) for text in texts) and type(held.pid) is int and 0 < held.pid < MOST_PID
        return held if sound else None

    @property
    def dead(self) -> bool:
        """Whether its process is known to have ended: only one of this machine can be looked at."""
        return self.machine == machine() and began(self.pid) != self.began


@cache
def machine() -> str:
    """Names the process table that this process is in: of a boot of a machine, and of a container in it."""
    parts = [socket.gethostname()]
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip())
        parts.append(os.readlink("/proc/self/ns/pid"))
    return " ".join(parts)


def began(pid: int) -> str | None:
    """When a process of this machine began, as its system writes it; None: it has ended."""
    if Path("/proc/self/stat").exists():
        try:
            status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return None
        fields = status.rpartition(")")[2].split()  # the name before may hold blanks and brackets
        return None if fields[0] in "ZX" else fields[19]  # a zombie has ended, and its parent has not asked yet
    try:
        found = subprocess.run(
            ["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
        )
    except OSError:
        return UNKNOWN
    state, _, when = found.stdout.strip().partition(" ")
    return None if not when or state.startswith("Z") else when.strip()
