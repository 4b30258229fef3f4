"""Runs robench from any copy of the source, each time in a process of its own that is forked from one with torch loaded.

Started as a process it takes requests, a line of JSON each, and answers with exit statuses. It never computes anything
itself: a process whose threads have worked must not be forked.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import warnings
from pathlib import Path


class Robench:
    """The process that others are forked from."""

    def __init__(self) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-W", "ignore", __file__]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def __call__(self, tree: Path, *words: str) -> tuple[int, str]:
        """The exit status and what is printed by `robench` with these arguments, in the folder of a tree and with its source."""
        output = tree / "output"
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps([str(tree), str(output), words]) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline()), output.read_text(encoding="utf-8", errors="replace")

    def close(self) -> None:
        """End the process, and close the pipes to it (left open, a later test is blamed for them)."""
        self._process.terminate()
        self._process.communicate()


def _serve() -> None:
    warnings.simplefilter("ignore")
    import pandas  # noqa: F401
    import pyarrow  # noqa: F401
    import scipy.stats  # noqa: F401
    import sklearn.datasets  # noqa: F401
    import timm.models.vision_transformer  # noqa: F401
    import torch  # noqa: F401
    import torchvision  # noqa: F401

    answers = os.dup(1)
    for line in sys.stdin:
        tree, output, words = json.loads(line)
        child = os.fork()
        if not child:
            status = 70
            try:
                status = _run(tree, output, words)
            finally:
                os._exit(status)
        os.write(answers, f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n".encode())


def _run(tree: str, output: str, words: list[str]) -> int:
    opened = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(opened, 1)
    os.dup2(opened, 2)
    os.chdir(tree)
    os.environ["ROBENCH_CACHE"] = str(Path(tree) / "cache")
    sys.path.insert(0, tree)
    sys.stdin = io.StringIO()
    sys.stdout, sys.stderr = (io.TextIOWrapper(io.FileIO(n, "w", closefd=False), encoding="utf-8") for n in (1, 2))
    import robench.cli

    assert tree in str(robench.cli.__file__)
    sys.argv = ["robench", *words]
    try:
        robench.cli.main()
    except SystemExit as end:
        return int(end.code or 0)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


if __name__ == "__main__":
    _serve()
