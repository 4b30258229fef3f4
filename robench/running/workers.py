"""Runs the missing images of a unit: in shards, in threads of one intra-op thread each, judged and written as they end."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import nn

from robench.attacking.classifier import Classifier, forward
from robench.attacking.stillness import unchanged
from robench.errors import UsageError, ran_out
from robench.running.conditions import Condition
from robench.running.shards import attack_shard
from robench.running.subject import Subject

log = logging.getLogger(__name__)
SHARD_SECONDS = 20.0
"""A shard is sized to take about this long, so that a killed run loses little."""
SMALLEST_SHARD = 32
"""Below this many images a forward pass costs twice as much for each of them; a slow attack's shards stay this large."""
WRITE_SECONDS = 5.0
"""Records of shards that end within so long are written together: a write costs as much as many images of a quick threat."""


class Sink(Protocol):
    """Where records go: a unit of the store, or memory."""

    def add(self, frame: pd.DataFrame) -> None: ...


@dataclass
class WrittenTogether:
    """A sink that writes the records of quick shards together."""

    sink: Sink
    frames: list[pd.DataFrame] = field(default_factory=list)
    written: float = field(default_factory=time.perf_counter)

    def add(self, frame: pd.DataFrame) -> None:
        """Keep records, and write all that are kept where the last write was a while ago."""
        self.frames.append(frame)
        if time.perf_counter() - self.written >= WRITE_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write what is kept."""
        frames, self.frames = self.frames, []
        if frames:
            self.sink.add(pd.concat(frames, ignore_index=True))
        self.written = time.perf_counter()


@dataclass
class Pace:
    """Seconds of a worker for each image, learnt from the shards that have ended; it sizes the next ones.

    Attributes:
        quick: the cost is that of a pass or so, as of natural threats: the first shard need not be small.
    """

    batch: int
    quick: bool = False
    seconds: float = 0.0
    images: int = 0

    def next(self, left: int, workers: int, free: int) -> int:
        """Images of the next shard: small at first, then as many as take `SHARD_SECONDS`, the rest shared evenly.

        Args:
            left: images that are in no shard yet.
            free: workers that have no shard; what is quick is shared among them, for the others end as soon.
        """
        if self.quick:
            return min(self.batch, max(SMALLEST_SHARD, -(-left // free)), left)
        even = -(-left // workers)
        if not self.images:
            size = min(self.batch, SMALLEST_SHARD)
        else:
            size = min(self.batch, max(SMALLEST_SHARD, int(SHARD_SECONDS * self.images / max(self.seconds, 1e-9))))
        return max(1, min(size, even))


def complete(
    unit: Sink,
    subject: Subject,
    condition: Condition,
    seed: int,
    missing: NDArray[np.int64],
    keep: set[str],
    *,
    workers: int,
    batch: int,
    done: Callable[[int], None],
) -> None:
    """Attack the missing images of a unit and write them, shard by shard. What is written stays if the rest fails.

    Where memory runs out, shards are halved until they fit. The model is put back if the attack changed it.

    Args:
        done: told after each shard how many images it held.
    """
    stop = threading.Event()
    queue, pace, gathered = missing, Pace(batch, quick=condition.goal == "natural"), WrittenTogether(unit)
    running: dict[Future[tuple[pd.DataFrame, float]], int] = {}

    def attacked(places: NDArray[np.int64]) -> pd.DataFrame:
        try:
            return attack_shard(subject, condition, seed, places, keep, stop, kept)
        except (RuntimeError, MemoryError) as error:
            if not ran_out(error):
                raise
            if len(places) == 1:
                raise UsageError(
                    f"{condition.text} on {subject.name} ran out of memory with a single image; free memory, or take another device"
                ) from None
        half = len(places) // 2
        pace.batch = min(pace.batch, half)
        return pd.concat([attacked(places[:half]), attacked(places[half:])], ignore_index=True)

    def work(places: NDArray[np.int64]) -> tuple[pd.DataFrame, float]:
        torch.set_num_threads(1)
        started = time.perf_counter()
        return attacked(places), time.perf_counter() - started

    others = [value for value in condition.call.options.values() if isinstance(value, nn.Module)]
    with unchanged([subject.module, *others], condition.text) as kept, ThreadPoolExecutor(workers) as pool:
        with torch.no_grad():
            forward(subject.module, subject.split.inputs(slice(0, 1)).to(subject.device))
        kept.settle()
        try:
            while len(queue) or running:
                while len(queue) and len(running) < workers:
                    size = pace.next(len(queue), workers, workers - len(running))
                    running[pool.submit(work, queue[:size])] = size
                    queue = queue[size:]
                ended, _ = wait(running, timeout=0.2, return_when=FIRST_COMPLETED)
                for future in ended:
                    size = running.pop(future)
                    frame, seconds = future.result()
                    gathered.add(frame)
                    pace.seconds, pace.images = pace.seconds + seconds, pace.images + size
                    done(size)
                    log.debug("%s: a shard of %d images in %.2f s", condition.text, size, seconds)
        except BaseException:
            stop.set()
            raise
        finally:
            gathered.flush()


@contextmanager
def one_intra_op_thread() -> Iterator[None]:
    """Workers use a thread each; torch's own threads on top of them would fight for the cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def best_batch(subject: Subject, sizes: Iterable[int] = (32, 64, 128, 256)) -> tuple[int, float]:
    """The batch size with the most forward-and-gradient passes a second, measured, and seconds for each pass.

    Returns:
        (images in a batch, seconds of one forward and backward pass of one image on one worker).
    """
    best, found = float("inf"), 32
    with one_intra_op_thread():
        for size in sizes:
            places = np.arange(size) % len(subject.split)
            inputs = subject.split.inputs(places).to(subject.device)
            model = Classifier(subject.module, subject.classes, [""] * size, name=subject.name)
            cost = float("inf")
            try:
                for _ in range(3):
                    started = time.perf_counter()
                    probe = inputs.clone().requires_grad_()
                    logits = model(probe)
                    if logits.requires_grad:
                        torch.autograd.grad(logits.sum(), probe)
                    if subject.device.type == "cuda":
                        torch.cuda.synchronize()
                    cost = min(cost, (time.perf_counter() - started) / size)
            except (RuntimeError, MemoryError) as error:
                if not ran_out(error):
                    raise
                break
            if cost < 0.97 * best:
                best, found = cost, size
            elif cost > 1.3 * best:
                break
    return found, best
