"""At the k-th call to the file system a run is killed, interrupted, or told that the disk is full; the same command then ends right.

python tests/faults/crash_points.py [EVERY]
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from faults.tally import RUN, Tally, compare, held, left_behind, told_badly  # noqa: E402
from forked import Fault, Kind, Robench  # noqa: E402

KINDS: tuple[Kind, ...] = ("kill", "full", "interrupt")
LIMIT = 120
MESSAGES = {"full": (0, 2, 5), "interrupt": (0, 130), "kill": (0, 137)}


def crash_points(every: int = 1, kinds: tuple[Kind, ...] = KINDS, skip: int = 0) -> Tally:
    """Each `every`th call of a run, from the `skip`th on, with each kind of fault."""
    tally, process = Tally("crash points"), Robench(loaded=True)
    root = Path(tempfile.mkdtemp(prefix="robench-crash-"))
    try:
        whole = _folder(root / "whole")
        status, said = process.within(whole, *RUN, fault=Fault("count"), limit=LIMIT)
        assert status == 0, said
        expected, calls = held(whole / "results"), int((whole / "calls").read_text(encoding="utf-8"))
        for at in range(1 + skip, calls + 1, every):
            for kind in kinds:
                _try(tally, process, root / f"{kind}-{at}", Fault(kind, at), expected)
    finally:
        process.close()
        shutil.rmtree(root)
    tally.what = f"crash points, of {calls} calls to the file system"
    return tally


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


def _try(tally: Tally, process: Robench, folder: Path, fault: Fault, expected: object) -> None:
    tally.tried += 1
    about = f"{fault.kind} at call {fault.at}"
    status, said = process.within(_folder(folder), *RUN, fault=fault, limit=LIMIT)
    if not told_badly(tally, status, said, about) and status not in MESSAGES[fault.kind]:
        tally.count("bugs", f"{about}: status {status}: {said[-160:]}")
    status, said = process.within(folder, *RUN, limit=LIMIT)
    if not told_badly(tally, status, said, f"again after {about}") and status:
        tally.count("lost", f"again after {about}: status {status}: {said[-300:]}")
    compare(tally, held(folder / "results"), expected, about)  # type: ignore[arg-type]
    if left := left_behind(folder):
        tally.count("left behind", f"{about}: {left[0]}")
    shutil.rmtree(folder)


if __name__ == "__main__":
    result = crash_points(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
    result.print()
    sys.exit(bool(result.problems))
