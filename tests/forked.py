"""Runs robench from any copy of the source, each time in a process of its own that is forked from one with torch loaded.

Started as a process it takes requests, a line of JSON each, and answers with exit statuses. It never computes anything
itself: a process whose threads have worked must not be forked. A request may name a fault: what happens at the k-th call to the
file system that has to do with its folder.
"""

from __future__ import annotations

import errno
import io
import json
import os
import signal
import subprocess
import sys
import threading
import warnings
from pathlib import Path
from typing import Any, Literal, NamedTuple

Kind = Literal["count", "full", "kill", "interrupt"]
WATCHED = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.utime", "os.truncate", "os.listdir"}
"""Audit events of Python that are calls to the file system."""


class Fault(NamedTuple):
    """What happens at a call to the file system.

    Attributes:
        kind: count: nothing; how many calls there were is written to the file `calls`. full: the call fails as on a full disk.
            kill: the process ends before the call. interrupt: Ctrl-C.
        at: which call, from 1.
    """

    kind: Kind
    at: int = 0


class Robench:
    """The process that others are forked from.

    Args:
        loaded: with this source's robench loaded too; else each is given the source of a tree of its own.
    """

    def __init__(self, *, loaded: bool = False) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-W", "ignore", __file__, *(["loaded"] if loaded else [])]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self._lock = threading.Lock()

    def __call__(self, tree: Path, *words: str) -> tuple[int, str]:
        """The exit status and what is printed by `robench` with these arguments, in the folder of a tree and with its source."""
        return self._ask(tree, words, source=str(tree))

    def within(self, folder: Path, *words: str, fault: Fault | None = None, limit: int = 0) -> tuple[int, str]:
        """The same of this source, in a folder.

        Args:
            limit: seconds after which it is ended by SIGALRM (status -14).
        """
        return self._ask(folder, words, fault=fault, limit=limit)

    def _ask(self, folder: Path, words: tuple[str, ...], **more: Any) -> tuple[int, str]:
        output = folder / "output"
        assert self._process.stdin is not None and self._process.stdout is not None
        with self._lock:
            request = {"folder": str(folder), "output": str(output), "words": words, **more}
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            status = int(self._process.stdout.readline())
        return status, output.read_text(encoding="utf-8", errors="replace")

    def close(self) -> None:
        """End the process, and close the pipes to it (left open, a later test is blamed for them)."""
        self._process.terminate()
        self._process.communicate()


def _serve() -> None:
    warnings.simplefilter("ignore")
    import pandas  # noqa: F401
    import pyarrow.parquet  # noqa: F401
    import scipy.stats  # noqa: F401
    import sklearn.datasets  # noqa: F401
    import timm.models.vision_transformer  # noqa: F401
    import torch  # noqa: F401
    import torchvision  # noqa: F401

    if sys.argv[1:] == ["loaded"]:
        import robench.api
        import robench.cli
        import robench.gate.sources
        import robench.reporting.papers.pages
        import robench.running.reproducing  # noqa: F401

        for registry in (robench.ATTACKS, robench.DEFENSES, robench.DATASETS):
            list(registry)

    answers = os.dup(1)
    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if not child:
            status = 70
            try:
                status = _run(**request)
            finally:
                os._exit(status)
        os.write(answers, f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n".encode())


def _run(
    folder: str,
    output: str,
    words: list[str],
    source: str | None = None,
    fault: tuple[Kind, int] | None = None,
    limit: int = 0,
) -> int:
    opened = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(opened, 1)
    os.dup2(opened, 2)
    os.chdir(folder)
    os.environ["ROBENCH_CACHE"] = str(Path(folder) / "cache")
    if source:
        sys.path.insert(0, source)
    sys.stdin = io.StringIO()
    sys.stdout, sys.stderr = (io.TextIOWrapper(io.FileIO(n, "w", closefd=False), encoding="utf-8") for n in (1, 2))
    import robench.cli
    from robench.__main__ import main

    assert not source or source in str(robench.cli.__file__)
    sys.argv = ["robench", *words]
    signal.alarm(limit)
    calls = _inject(Path(folder), *fault) if fault else []
    try:
        main()
    except SystemExit as end:
        return int(end.code or 0)
    finally:
        if fault and fault[0] == "count":
            Path(folder, "calls").write_text(str(len(calls)), encoding="utf-8")
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


def _inject(folder: Path, kind: Kind, at: int) -> list[str]:
    """From now on, count calls that have to do with what is in a folder, and do something at one of them."""
    calls, within = list[str](), str(folder)

    def heed(event: str, given: tuple[object, ...]) -> None:
        if event not in WATCHED or not isinstance(given[0], str | bytes | os.PathLike):
            return
        path = os.fsdecode(given[0])
        if not Path(within, path).is_relative_to(within) or path.endswith(("output", "calls")):
            return
        calls.append(event)
        if len(calls) != at:
            return
        if kind == "kill":
            os._exit(137)
        if kind == "interrupt":
            signal.raise_signal(signal.SIGINT)
        if kind == "full":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)

    sys.addaudithook(heed)
    return calls


if __name__ == "__main__":
    _serve()
