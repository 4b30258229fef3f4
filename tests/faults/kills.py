"""A run is killed, or asked to stop, at any moment of its life, its imports included; the same command then ends right.

python tests/faults/kills.py [TIMES]
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from faults.tally import RUN, Held, Tally, compare, held, left_behind, told_badly  # noqa: E402

SIGNALS = {signal.SIGKILL: (-9, 137), signal.SIGINT: (130,), signal.SIGTERM: (143,)}
"""And the exit statuses that each ends with, where it does not come too late."""
LIMIT = 240


def kills(times: int = 100, seed: int = 0) -> Tally:
    """So many runs, each stopped at a moment of its own by one of the signals in turn."""
    tally, chosen = Tally("moments of a run"), random.Random(seed)
    root = Path(tempfile.mkdtemp(prefix="robench-kills-"))
    try:
        began = time.monotonic()
        status, said = _ends(_started(_folder(root / "whole")))
        assert status == 0, said
        life, expected = time.monotonic() - began, held(root / "whole" / "results")
        for turn in range(times):
            _try(tally, root / str(turn), [*SIGNALS][turn % len(SIGNALS)], chosen.uniform(0, life), expected)
    finally:
        shutil.rmtree(root)
    return tally


def _try(tally: Tally, folder: Path, with_signal: signal.Signals, after: float, expected: Held) -> None:
    tally.tried += 1
    about = f"{with_signal.name} after {after:.2f} s"
    running = _started(_folder(folder))
    time.sleep(after)
    running.send_signal(with_signal)
    status, said = _ends(running)
    if not told_badly(tally, status, said, about):
        if status not in (0, *SIGNALS[with_signal]):
            tally.count("bugs", f"{about}: status {status}: {said[-160:]}")
        tally.count("came too late" if status == 0 else f"stopped by {with_signal.name}")
    status, said = _ends(_started(folder))
    if not told_badly(tally, status, said, f"again after {about}") and status:
        tally.count("lost", f"again after {about}: status {status}: {said[-300:]}")
    compare(tally, held(folder / "results"), expected, about)
    if left := left_behind(folder):
        tally.count("left behind", f"{about}: {left[0]}")
    shutil.rmtree(folder)


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


def _started(folder: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "ROBENCH_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1", "PYTHONPATH": ROOT}
    command = [sys.executable, "-W", "ignore", "-m", "robench", *RUN]
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


ROOT = str(Path(__file__).parents[2])


def _ends(running: subprocess.Popen[str]) -> tuple[int, str]:
    try:
        said, _ = running.communicate(timeout=LIMIT)
    except subprocess.TimeoutExpired:
        running.kill()
        said, _ = running.communicate()
        return 124, said
    return running.returncode, said


if __name__ == "__main__":
    result = kills(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
    result.print()
    sys.exit(bool(result.problems))
