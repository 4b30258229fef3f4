"""How often `robench check` is wrong: runs of the whole procedure on outcomes that are drawn, for docs/measurements/gate.md.

    .venv/bin/python tests/gate/error_rates.py

An image is robust before with chance one half. From one run to the next it flips by itself with a chance each way, and is lost
with a further one, the drop. Before and after are judged as two baselines would be: margin, McNemar, Holm, the pooled test.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from gated import minimal, side

from robench.gate.cells import Cell
from robench.gate.judging import judged
from robench.gate.policy import Gate
from robench.gate.sources import Side
from robench.gate.verdicts import Verdict
from robench.reporting.printed import Printed
from robench.reporting.statistics import wilson

GATE = Gate("robust", max_drop=1.0)


def printed(attack: str, **changes: object) -> Printed:
    """What a drawn cell is of."""
    plain = dict(defense="vit", attack=attack, dataset="digits", seed=0, precision="float32", data="dada", subset=None)
    plain |= dict(weights="w", code="c", engine=4, norm="linf", goal="budget", eps=0.1)
    return Printed(**{**plain, **changes})  # type: ignore[arg-type]


def drawn(random: np.random.Generator, images: int, flips: float, drops: list[float]) -> tuple[Side, Side]:
    """Cells before and after, one for each drop."""
    ids = np.array([f"{place:06}" for place in range(images)])
    right = np.ones(images, dtype=bool)
    before, after = list[Cell](), list[Cell]()
    for place, drop in enumerate(drops):
        was = random.random(images) < 0.5
        # Twice the chance, since half of the images can be lost, and half won.
        falls, rises = random.random(images) < 2 * (flips + drop), random.random(images) < 2 * flips
        now = np.where(was, ~falls, rises)
        identity = printed(f"attack{place}")
        before.append(Cell(identity, ids, right, was))
        after.append(Cell(identity, ids, right, now))
    return Side("before", before), Side("after", after)


def verdicts(random: np.random.Generator, images: int, flips: float, drops: list[float]) -> list[Verdict]:
    """One check."""
    return judged([GATE], *drawn(random, images, flips, drops))


def red(found: list[Verdict]) -> bool:
    return any(verdict.kind == "regressed" for verdict in found)


def share(hits: int, of: int) -> str:
    low, high = wilson(hits, of)
    return f"{100 * hits / of:.1f} [{100 * low:.1f}, {100 * high:.1f}]"


def main() -> None:
    random = np.random.default_rng(0)
    print(
        "Red builds in %, with 95 % intervals; margin 1 point, alpha .01. One cell; ten cells, of which one or all drop.\n"
    )
    print("| n | flips each way | drop | one cell | ten, one drops | ten, all drop | inconclusive (one cell) |")
    print("|---:|---:|---:|---:|---:|---:|---:|")
    for images, times in ((256, 1000), (1000, 1000), (10000, 100)):
        for flips in (0.0, 0.005, 0.02):
            for drop in (0.0, 0.01, 0.02, 0.05):
                often = times if drop or images < 10000 else 5 * times  # a rate near 0 takes more
                single = [verdicts(random, images, flips, [drop]) for _ in range(2 * often)]
                one = [verdicts(random, images, flips, [drop, *[0.0] * 9]) for _ in range(often)]
                every = [verdicts(random, images, flips, [drop] * 10) for _ in range(times if drop else 0)]
                unsure = sum(found[0].kind == "inconclusive" for found in single if found)
                cells = [
                    share(sum(map(red, single)), len(single)),
                    share(sum(map(red, one)), len(one)),
                    share(sum(map(red, every)), len(every)) if every else "",
                    share(unsure, len(single)),
                ]
                print(f"| {images:,} | {100 * flips:g} % | {100 * drop:g} | {' | '.join(cells)} |", flush=True)


def distances() -> None:
    """Mean distances where nothing changes but by noise, of each image by itself."""
    random, gate = np.random.default_rng(0), Gate("far", metric="mean_distance", max_drop=5.0)
    print("\n| broken images | spread .6, noise .5 | spread .02, noise .15 |")
    print("|---:|---:|---:|")
    for images in (10, 15, 30, 100):
        cells = []
        for spread, noise in ((0.6, 0.5), (0.02, 0.15)):
            hits = 0
            for _ in range(2000):
                sizes = np.exp(random.normal(0, spread, images))
                both = (minimal((sizes * np.exp(random.normal(0, noise, images))).tolist()) for _ in range(2))
                hits += red(judged([gate], *map(side, both)))
            cells.append(share(hits, 2000))
        print(f"| {images} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
    distances()
