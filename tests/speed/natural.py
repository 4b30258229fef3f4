"""What a grid of corruptions costs beside its two parts, and whether memory grows with the images: `make speed`.

Not a test. CIFAR-10's test images under all 15 corruptions at 5 severities, and the small ViT, whose weights do not matter here. Alone
are one thread that makes the pixels and one that asks the model; together, `robench.run` with two workers, from reading the
data to the last record. Memory is the peak of a process of its own.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import torch

import robench
from robench.attacking.corruptions import corrupt
from robench.attacking.draws import Draws
from robench.benchmarks import CORRUPTIONS, SEVERITIES

IMAGES, BATCH = 1_000, 250
DEFENSE, DATASET = "vit(epochs=1)", "cifar10(train_share=0.01)"
PEAK = """
import resource, robench
robench.run({defense!r}, "corruptions(names=['fog', 'glass_blur'], severities=[3])", {dataset!r}, n={n}, store={store!r}, workers=2)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def seconds(run: Callable[[], object]) -> float:
    """Wall time of a run."""
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def main() -> None:
    torch.set_num_threads(1)
    split = robench.DATASETS["cifar10"].function(robench.Places.of()).test.first(IMAGES)
    inputs, ids = split.inputs(slice(None)), split.image_ids().tolist()
    task = robench.Task(split.shape, 10, 45_000, (0.5,) * 3, (0.25,) * 3)
    model = robench.recipe_of(DEFENSE, task).model.eval()
    starts = range(0, IMAGES, BATCH)

    def generate() -> None:
        for name in CORRUPTIONS:
            for severity in SEVERITIES:
                for at in starts:
                    corrupt(inputs[at : at + BATCH], name, severity, Draws(0, ids[at : at + BATCH]))

    def infer() -> None:
        with torch.no_grad():
            for _ in range(len(CORRUPTIONS) * len(SEVERITIES)):
                for at in starts:
                    model(inputs[at : at + BATCH])

    with tempfile.TemporaryDirectory() as store:
        robench.run(DEFENSE, "fgsm(eps=0.1)", DATASET, n=10, store=store)  # trains it
        making, asking = seconds(generate), seconds(infer)
        both = seconds(lambda: robench.run(DEFENSE, "corruptions", DATASET, n=IMAGES, store=store, workers=2))
        print(
            f"{IMAGES} images, 75 conditions: pixels alone {making:.1f} s, model alone {asking:.1f} s, both on two workers"
        )
        print(f"{both:.1f} s: {both / max(making, asking):.2f} of the larger")
        for n in (1_000, 10_000):
            code = PEAK.format(defense=DEFENSE, dataset=DATASET, n=n, store=f"{store}/{n}")
            found = subprocess.run(
                [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True
            )
            print(f"{n} images: peak of memory {float(found.stdout.split()[-1]):.0f} MB")


main()
