"""Every kind of file that robench writes is damaged in every way; reports say so and change nothing, and the same command mends it.

python tests/faults/damage.py [EVERY]
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from faults.tally import Held, Tally, compare, held, told_badly  # noqa: E402
from forked import Fault, Robench  # noqa: E402

DATA = "folder(path='pictures', size=8)"
VIT, LONGER = "vit(depth=1, dim=8, heads=1, epochs=2, seed=1)", "vit(depth=1, dim=8, heads=1, epochs=40)"
RUN = (
    *("run", "--dataset", DATA, "--data", ".", "--batch-size", "6", "--workers", "1"),
    *("--defense", VIT, "--attack", "fgsm(eps=0.1)", "--attack", "pgd_linf(eps=0.1, steps=2)"),
)
BROKEN = ("run", "--dataset", DATA, "--data", ".", "--defense", "./broken.py", "--attack", "fgsm(eps=0.1)", "--quiet")
"""A row that is refused."""
BOARD = ("leaderboard", "--freeze", "mine", "--out", "board.html")
READING = (
    ("report", "--format", "csv"),
    ("report", "--out", "report.html"),
    ("leaderboard", "--out", "page.html"),
    ("leaderboard", "--frozen", "mine", "--out", "page.html"),
    ("store", "ls"),
)
SAID = ("damaged", "missing", "no manifest", "cannot be read", "again", "is not known", "no card", "lacks", "gone")
LIMIT = 120
TREES = ("results", "cache")


def damage(every: int = 1, skip: int = 0) -> Tally:
    """Each `every`th pair of a file and a damage."""
    tally, process = Tally("damaged files"), Robench(loaded=True)
    root = Path(tempfile.mkdtemp(prefix="robench-damage-"))
    try:
        whole = _made(root / "whole", process)
        expected, table = held(whole / "results"), process.within(whole, *READING[0])[1]
        pairs = [(file, how) for file in _files(whole) for how in _ways((whole / file).read_bytes())]
        for place in range(skip, len(pairs), every):
            file, how = pairs[place]
            _try(tally, process, root, (file, how), expected, table)
    finally:
        process.close()
        shutil.rmtree(root)
    tally.what = f"damaged files, {len(_kinds)} kinds"
    return tally


_kinds: set[str] = set()


def _made(folder: Path, process: Robench) -> Path:
    """A folder with pictures, and all kinds of files that robench makes of them."""
    from PIL import Image

    draws = np.random.default_rng(0)
    for half, count in (("train", 20), ("test", 4)):
        for label, name in enumerate(("ape", "bee", "cat")):
            at = folder / "pictures" / half / name
            at.mkdir(parents=True)
            for i in range(count):
                pixels = draws.integers(0, 90, (8, 8, 3)) + 80 * label
                Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(at / f"{i}.png")
    (folder / "broken.py").write_text(
        "import robench, torch\n@robench.defense()\ndef broken(task: robench.Task) -> robench.Recipe:\n"
        '    """Returns no numbers."""\n    class Net(torch.nn.Module):\n        def forward(self, x):\n'
        "            return torch.full((len(x), task.classes), float('nan'))\n"
        "    return robench.Recipe(Net(), robench.Schedule(steps=0))\n"
    )
    for words in (RUN, BROKEN, BOARD):
        status, said = process.within(folder, *words)
        assert status == (5 if words is BROKEN else 0), said
    # A training that was stopped half way: its state is there too.
    process.within(folder, *RUN, "--defense", LONGER, fault=Fault("kill", 120))
    assert [*folder.glob("cache/weights/*/state-*")], "no training was caught half way"
    return folder


def _files(folder: Path) -> list[Path]:
    """One file of each kind."""
    found: dict[str, Path] = {}
    for path in sorted(path for tree in TREES for path in (folder / tree).rglob("*") if path.is_file()):
        kind = f"{path.parent.parent.name}/{path.name.split('-')[0].split('.')[0]}{path.suffix}"
        if not path.name.endswith((".part", ".html")) and not path.name.startswith("lease"):
            found.setdefault(kind, path.relative_to(folder))
    _kinds.update(found)
    return [*found.values()]


def _ways(sound: bytes) -> Iterator[tuple[str, bytes | None]]:
    yield from (
        ("emptied", b""),
        ("deleted", None),
        ("cut in half", sound[: len(sound) // 2]),
        ("longer", sound + b"0"),
    )
    draws = np.random.default_rng(len(sound))
    for place in draws.integers(0, len(sound), 4).tolist():
        flipped = bytearray(sound)
        flipped[place] ^= 1 << int(draws.integers(8))
        yield f"bit of byte {place} flipped", bytes(flipped)
    yield "other text", b'{"schema": 3}'


def _listing(folder: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for tree in TREES for p in (folder / tree).rglob("*") if p.is_file()}


def _try(
    tally: Tally,
    process: Robench,
    root: Path,
    damaged: tuple[Path, tuple[str, bytes | None]],
    expected: Held,
    table: str,
) -> None:
    file, (how, content) = damaged
    about, folder = f"{file} {how}", root / "tried"
    shutil.copytree(root / "whole", folder)
    tally.tried += 1
    path, told = folder / file, ""
    path.unlink() if content is None else path.write_bytes(content)
    before = _listing(folder)
    for words in READING:
        status, said = process.within(folder, *words, limit=LIMIT)
        bad = told_badly(tally, status, said, f"{about}: {' '.join(words)}")
        if not bad and words == READING[0] and said != table and not any(word in said for word in SAID):
            tally.count("silent", f"{about}: the report is another: {said[:200]}")
        told += said
    after = _listing(folder)
    changed = sorted(name for name in before if after.get(name) != before[name] and not name.endswith(".html"))
    if changed:
        tally.count("left behind", f"{about}: reading changed {Path(changed[0]).relative_to(folder)}")
    for words in (RUN, (*RUN, "--defense", LONGER)):
        status, said = process.within(folder, *words, limit=LIMIT)
        if not told_badly(tally, status, said, f"{about}: again") and status not in (0, 5):
            tally.count("lost", f"{about}: again: status {status}: {said[-300:]}")
        told += said
    found = held(folder / "results")
    own = {name: rows for name, rows in found.rows.items() if name in expected.rows}
    compare(tally, Held(own, {name: found.stored[name] for name in own}), expected, about)
    tally.count("told" if any(word in told for word in SAID) else "harmless")
    shutil.rmtree(folder)


if __name__ == "__main__":
    result = damage(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
    result.print()
    sys.exit(bool(result.problems))
