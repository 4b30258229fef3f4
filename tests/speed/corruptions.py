"""What corruptions cost beside a second implementation, on the same photographs: `make speed`.

Not a test: it prints ratios of CPU time on one thread, medians of several rounds in one run, at 224 pixels, batches of 16; from
8-bit pixels to the batch of floats that a model is given, on both sides.
"""

from __future__ import annotations

import statistics
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

warnings.simplefilter("ignore")
sys.path.insert(0, str(Path(__file__).parents[1]))

import imagecorruptions  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from photographs import photographs  # noqa: E402

from robench.attacking.corruptions import corrupt  # noqa: E402
from robench.attacking.draws import Draws  # noqa: E402
from robench.benchmarks import CORRUPTION_VALIDATION, CORRUPTIONS  # noqa: E402

IMAGES, SEVERITY, ROUNDS = 16, 3, 5


def seconds(run: Callable[[], object], rounds: int) -> float:
    """The median CPU time of a run."""
    run()
    times = []
    for _ in range(rounds):
        started = time.process_time()
        run()
        times.append(time.process_time() - started)
    return statistics.median(times)


def main() -> None:
    torch.set_num_threads(1)
    pixels = photographs(IMAGES)
    pictures = [np.ascontiguousarray(one.permute(1, 2, 0).numpy()) for one in pixels]
    draws = Draws(0, [str(place) for place in range(IMAGES)])
    ratios = []
    print(f"{'':<20}{'robench':>10}{'other':>10}{'ratio':>8}   CPU ms an image, severity {SEVERITY}")
    for name in (*CORRUPTIONS, *CORRUPTION_VALIDATION):
        rounds = 1 if name == "glass_blur" else ROUNDS

        def ours(name: str = name) -> object:
            return corrupt(pixels.float().div_(255), name, SEVERITY, draws)

        def theirs(name: str = name) -> object:
            each = [imagecorruptions.corrupt(one, corruption_name=name, severity=SEVERITY) for one in pictures]
            return torch.from_numpy(np.stack(each)).permute(0, 3, 1, 2).float().div_(255)

        own, other = (1000 * seconds(run, rounds) / IMAGES for run in (ours, theirs))
        ratios.append(other / own)
        print(f"{name:<20}{own:>10.2f}{other:>10.2f}{other / own:>8.2f}")
    print(f"geometric mean {np.exp(np.mean(np.log(ratios))):.2f}, least {min(ratios):.2f}")


main()
