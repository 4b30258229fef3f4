"""What the training engine costs beside a bare loop of the same passes: part of `make speed`.

Both train the same `vit` on the same random images of CIFAR-10's size, one thread, in CPU seconds; they take turns.
"""

from __future__ import annotations

import statistics
import time
import warnings

warnings.simplefilter("ignore")

import numpy as np  # noqa: E402
import torch  # noqa: E402
from torch import nn  # noqa: E402

from robench import Recipe, Schedule, Split, Task, recipe_of  # noqa: E402
from robench.training.loop import optimizer_of, train  # noqa: E402

STEPS, BATCH = 25, 128


def made(task: Task) -> tuple[nn.Module, Schedule]:
    torch.manual_seed(0)
    return recipe_of("vit", task).model, Schedule(STEPS, BATCH, crop=4, flip=True)


def engine(task: Task, split: Split) -> float:
    model, schedule = made(task)
    started = time.thread_time()
    train(Recipe(model, schedule), split, split.select(np.arange(0)), seed=0, device=torch.device("cpu"))
    return time.thread_time() - started


def bare(task: Task, split: Split) -> float:
    """The same steps with nothing around them: no augmentation, no checks, no log."""
    model, schedule = made(task)
    optimizer = optimizer_of(model.train(), schedule)
    inputs, labels = split.inputs(slice(0, BATCH)), split.targets()[:BATCH]
    started = time.thread_time()
    for _ in range(STEPS):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(inputs), labels).backward()
        optimizer.step()
    return time.thread_time() - started


def main() -> None:
    torch.set_num_threads(1)
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (STEPS * BATCH, 3, 32, 32), dtype=np.uint8)
    split = Split.of("train", pixels, random.integers(0, 10, len(pixels)))
    task = Task((3, 32, 32), 10, len(pixels), (0.5,) * 3, (0.25,) * 3)
    engine(task, split)
    ratios = [bare(task, split) / engine(task, split) for _ in range(5)]
    images = STEPS * BATCH / engine(task, split)
    print(
        f"training vit, {images:.0f} images a second: {statistics.median(ratios):.2f} x the throughput of a bare loop"
    )


if __name__ == "__main__":
    main()
