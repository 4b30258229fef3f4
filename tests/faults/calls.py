"""Words that nobody means, in every place where a person writes: calls, options, paths, sizes.

    python tests/faults/calls.py [COUNT] [SEED]

Each must end within `LIMIT` seconds of one core with one message, or do what it says: never a traceback.
"""

from __future__ import annotations

import random
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from faults.tally import Tally, told_badly  # noqa: E402
from forked import Robench  # noqa: E402

LIMIT = 60
"""Seconds of the clock of a busy machine; alone it is a tenth of it."""
DEFENSES = (
    "vit",
    "ksa(k=4)",
    "vit(depth=1, dim=8)",
    "madry(model=vit(depth=1), eps=8/255)",
    "rspc(weight=0.5)",
    "ksa(layers=[1])",
    "checkpoint(path='x')",
)
ATTACKS = (
    "fgsm(eps=0.1)",
    "pgd_linf(eps=8/255, steps=10)",
    "cw_l2(targets='random')",
    "patch_noise(share=[0.1])",
    "transfer(source=vit)",
    "images(path='x')",
)
DATASETS = ("digits", "folder(path='pics', size=8)", "subset(of=digits, classes=[1, 2])", "mnist(train_share=0.5)")
NUMBERS = (
    "0", "-1", "1e308", "1e-308", "1e308/1e-308", "1/0", "1e400", "-1e400", "nan", "inf", "9" * 30, "9" * 5000, "1_000", "0x10", "1e5",
    "1/1/1/1/1/1/1/1/1/1/1", "/".join("1" * 400), "-" * 400 + "1", "+" * 50 + "1", "100000", "2**64", "True", "None", "1j", "1" + "0" * 18,
)  # fmt: skip
TEXTS = (
    "''", "'\\x00'", "'a\x00b'", "'~nosuchuser/x'", "'" + "a" * 5000 + "'", "'../../..'", "'/'", "'/dev/zero'", "'/proc/self/mem'", "'\ud83d'",
    "'ü'", "b'x'", "f'{1}'", "lambda: 1", "__import__('os').system('true')", "[" * 60 + "]" * 60, "[" * 5000, "(" * 300 + ")" * 300,
    "{'a': 1}", "[1, 'a', None]", "[]", "vit(" * 60 + ")" * 60, "madry(model=" * 80 + "vit" + ")" * 80, "not a call", "x for x in y", "*", "**{}",
    "vit", "ksa(ksa(ksa))", ",", "=", "a=b=c", "1 if 2 else 3",
)  # fmt: skip
SHAPES = (
    "plan",
    "run",
    "list",
    "show",
    "report",
    "train",
    "leaderboard",
    "corrupt",
    "images",
    "check",
    "store",
    "sweep",
    "doctor",
    "reproduce",
)
SIZES = ("--n", "--seed", "--workers", "--batch-size")
PLACES = ("--store", "--data", "--out", "--config", "--log", "--baseline")


def calls(count: int = 1000, seed: int = 0) -> Tally:
    """So many command lines."""
    tally, process, chance = Tally("fuzzed command lines"), Robench(loaded=True), random.Random(seed)
    root = Path(tempfile.mkdtemp(prefix="robench-fuzz-"))
    try:
        for place in range(count):
            words = _words(chance)
            folder = root / str(place)
            folder.mkdir()
            status, said = process.within(folder, *words, limit=LIMIT)
            tally.tried += 1
            about = f"line {place} of seed {seed}: {ascii(' '.join(words))[:300]}"
            if not told_badly(tally, status, said, about):
                tally.count(f"status {status}")
                if status not in (0, 2, 3, 5):
                    tally.count("bugs", f"{about}: status {status}: {said[-200:]}")
            shutil.rmtree(folder)
    finally:
        process.close()
        shutil.rmtree(root, ignore_errors=True)
    return tally


def _words(chance: random.Random) -> list[str]:
    """A command line, most of it as it should be."""
    kind = chance.random()
    if kind < 0.1:
        words = [
            chance.choice(SHAPES),
            *(_spoilt(chance.choice((*DEFENSES, *ATTACKS)), chance) for _ in range(chance.randrange(3))),
        ]
    elif kind < 0.2:
        words = ["show", _spoilt(chance.choice((*DEFENSES, *ATTACKS, *DATASETS)), chance)]
    else:
        words = ["plan", "--dataset", "digits", "--n", "4"]
        words += [
            "--defense",
            _maybe(chance.choice(DEFENSES), chance),
            "--attack",
            _maybe(chance.choice(ATTACKS), chance),
        ]
        if chance.random() < 0.2:
            words[2] = _spoilt(chance.choice(DATASETS), chance)
        if chance.random() < 0.3:
            words += [chance.choice(SIZES), chance.choice(NUMBERS)]
        if chance.random() < 0.2:
            words += [chance.choice(PLACES), chance.choice(TEXTS).strip("'")]
    return [word.replace("\x00", "").encode("utf-8", "replace").decode() for word in words]


def _maybe(call: str, chance: random.Random) -> str:
    return _spoilt(call, chance) if chance.random() < 0.6 else call


def _spoilt(call: str, chance: random.Random) -> str:
    """A call with something in it that does not belong there."""
    bad = chance.choice((*NUMBERS, *TEXTS))
    how = chance.randrange(5)
    if how == 0:
        return bad
    name, _, inner = call.partition("(")
    if how == 1 and inner:  # another value of its first option
        option = inner.partition("=")[0]
        return f"{name}({option}={bad})"
    if how == 2:  # an option of any name
        option = chance.choice(
            (
                "eps",
                "steps",
                "depth",
                "dim",
                "heads",
                "model",
                "layers",
                "seed",
                "epochs",
                "k",
                "path",
                "patch",
                "lr",
                "batch_size",
            )
        )
        return f"{name}({option}={bad})"
    if how == 3:  # letters are lost, doubled or exchanged
        place = chance.randrange(len(call) + 1)
        return (
            call[:place]
            + chance.choice(("", "(", ")", "'", ",", "=", " ", "\\", "é", "\n"))
            + call[place + chance.randrange(2) :]
        )
    return f"{call}{bad}"


if __name__ == "__main__":
    result = calls(*(int(word) for word in sys.argv[1:3]))
    result.print()
    sys.exit(bool(result.problems))
