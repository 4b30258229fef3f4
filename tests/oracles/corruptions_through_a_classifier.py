"""Accuracy under robench's corruptions and under a second implementation's, of the same classifier on the same photographs.

Not a test: it takes most of an hour. `python tests/oracles/corruptions_through_a_classifier.py 200` prints a line for each
corruption and severity, and for each corruption the mean paired difference over its severities with a 95 % interval over
images.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

warnings.simplefilter("ignore")
sys.path.insert(0, str(Path(__file__).parents[1]))

import imagecorruptions  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from torch import Tensor  # noqa: E402

import robench  # noqa: E402
from robench import DEFENSES, Places, Task  # noqa: E402
from robench.attacking.corruptions import corrupt  # noqa: E402
from robench.attacking.draws import Draws  # noqa: E402
from robench.benchmarks import CORRUPTION_VALIDATION, CORRUPTIONS, SEVERITIES  # noqa: E402
from robench.data.loading import load_data  # noqa: E402
from robench.reporting.resampling import bootstrap  # noqa: E402

BATCH = 16


def main(count: int) -> None:
    torch.set_num_threads(1)
    split = load_data("imagenet", Places.of(), count).split
    task = Task(split.shape, 1000, 0, (0.5,) * 3, (0.5,) * 3)
    model = DEFENSES["efficientnet_lite"].function(task).model.eval()
    labels, ids = split.targets(), split.image_ids().tolist()

    @torch.no_grad()
    def right(images: Tensor) -> np.ndarray:
        logits = torch.cat([model(images[i : i + BATCH]) for i in range(0, len(images), BATCH)])
        return (logits.argmax(1) == labels).numpy()

    inputs = split.inputs(slice(None))
    print(f"robench {robench.__version__}, {count} photographs, clean {100 * right(inputs).mean():.1f} %", flush=True)
    for name in (*CORRUPTIONS, *CORRUPTION_VALIDATION):
        differences = []
        for severity in SEVERITIES:
            np.random.seed(severity)
            ours = torch.cat(
                [
                    corrupt(inputs[i : i + BATCH], name, severity, Draws(0, ids[i : i + BATCH]))
                    for i in range(0, count, BATCH)
                ]
            )
            pictures = [p.transpose(1, 2, 0) for p in split.pixels(slice(None))]
            other = np.stack(
                [
                    imagecorruptions.corrupt(np.ascontiguousarray(p), corruption_name=name, severity=severity)
                    for p in pictures
                ]
            )
            theirs = torch.from_numpy(other.transpose(0, 3, 1, 2).copy()).float() / 255
            own, rival = right(ours), right(theirs)
            differences.append(own.astype(float) - rival)
            print(f"  {name:<18}{severity}  {100 * own.mean():6.1f}{100 * rival.mean():7.1f}", flush=True)
        value, interval = bootstrap(lambda means: float(means.mean()), np.stack(differences, 1))
        low, high = 100 * interval.low, 100 * interval.high
        print(f"{name:<20} difference {100 * value:+.2f}, {low:+.2f} to {high:+.2f}", flush=True)


main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
