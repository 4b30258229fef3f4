"""Runs the missing images of a unit: in shards, in threads of one intra-op thread each, judged and written as they end."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from robench.classifier import Cancelled, Classifier, checked_forward
from robench.errors import AttackError, RobenchError, UsageError
from robench.images import Split
from robench.judge import judge
from robench.patches import patch_mask
from robench.plan import Condition
from robench.records import attacked_rows, clean_error_rows
from robench.targets import resolve_targets

SHARD_SECONDS = 20.0
"""A shard is sized to take about this long, so that a killed run loses little."""
SMALLEST_SHARD = 32
"""Below this many images a forward pass costs twice as much for each of them; a slow attack's shards stay this large."""


@dataclass(frozen=True)
class Subject:
    """A trained model, ready to be attacked, and what it says of the clean images.

    Attributes:
        clean: logits of the split's images, (N, classes), on the CPU.
    """

    name: str
    module: nn.Module
    classes: int
    device: torch.device
    split: Split
    clean: Tensor


def clean_logits(
    module: nn.Module, split: Split, classes: int, device: torch.device, name: str, batch: int = 256
) -> Tensor:
    """Logits of all images of a split, on the CPU."""
    with torch.no_grad():
        parts = [
            checked_forward(module, split.inputs(slice(start, start + batch)).to(device), classes, name).float().cpu()
            for start in range(0, len(split), batch)
        ]
    return torch.cat(parts)


def attack_shard(
    subject: Subject,
    condition: Condition,
    seed: int,
    places: NDArray[np.int64],
    keep: set[str],
    stop: threading.Event | None = None,
) -> pd.DataFrame:
    """Attack, judge and record some images of the split.

    Args:
        places: of the images in the split.
        keep: ids whose adversarial pixels go into the records.
    """
    started = time.thread_time() if subject.device.type == "cpu" else time.perf_counter()
    split, rule = subject.split, condition.targets
    labels, ids, clean = split.targets()[places], split.image_ids()[places].tolist(), subject.clean[places]
    per_image = None
    if rule is not None:
        every = Classifier(subject.module, subject.classes, ids, seed=seed)
        per_image = resolve_targets(rule, labels, clean, every.draws)  # type: ignore[arg-type]
    correct = clean.argmax(1) == labels

    def spread(rows: Tensor) -> tuple[Tensor, Tensor | None]:
        """One row for each (image, target) of these images: the rows, and the targets."""
        if per_image is None:
            return rows, None
        return rows.repeat_interleave(per_image.shape[1]), per_image[rows].flatten()

    wrong, missed = spread((~correct).nonzero().squeeze(1))
    frames = [clean_error_rows([ids[r] for r in wrong], labels[wrong], clean[wrong], missed, condition.eps)]
    rows, targets = spread(correct.nonzero().squeeze(1))
    if len(rows):
        device = subject.device
        inputs, goal = split.inputs(places[rows.numpy()]).to(device), None if targets is None else targets.to(device)
        row_ids = [ids[r] for r in rows]
        model = Classifier(subject.module, subject.classes, row_ids, seed=seed, name=subject.name, stop=stop)
        adversarial = _run(condition, model, inputs, labels[rows].to(device), goal)
        verdict = judge(
            subject.module, inputs, adversarial, labels[rows].to(device), goal, classes=subject.classes, norm=condition.norm,
            eps=condition.eps if condition.goal == "budget" else None, ids=row_ids, attack=condition.text, name=subject.name,
            allowed=_allowed(condition, model, inputs),
        )  # fmt: skip
        seconds = (time.thread_time() if device.type == "cpu" else time.perf_counter()) - started
        frames.append(
            attacked_rows(
                row_ids, labels[rows], clean[rows].argmax(1), targets, condition.eps, verdict,
                model.forwards, model.backwards, seconds, adversarial, keep,
            )
        )  # fmt: skip
    return pd.concat([frame for frame in frames if len(frame)], ignore_index=True)


def _allowed(condition: Condition, model: Classifier, inputs: Tensor) -> Tensor | None:
    """The pixels that a confined attack may change, drawn again by the judge's side."""
    if not condition.card.confined:
        return None
    options = condition.call.options
    return patch_mask(model.draws, inputs.shape, options["patch"], options["share"])


def _run(condition: Condition, model: Classifier, inputs: Tensor, labels: Tensor, targets: Tensor | None) -> Tensor:
    options = dict(condition.call.options)
    if "targets" in options:
        options["targets"] = targets
    before = inputs.clone(), labels.clone()
    try:
        adversarial: Tensor = condition.entry.function(model, inputs, labels, **options)
    except (RobenchError, Cancelled):
        raise
    except torch.OutOfMemoryError as error:
        raise UsageError(
            f"{condition.text} ran out of memory with {len(inputs)} images in a batch; give a smaller --batch-size"
        ) from error
    except Exception as error:
        raise AttackError(f"{condition.text} raised {type(error).__name__}: {error}") from error
    if not (torch.equal(before[0], inputs) and torch.equal(before[1], labels)):
        raise AttackError(
            f"{condition.text} changed its inputs or labels in place; an attack must leave them as they were"
        )
    return adversarial.detach() if isinstance(adversarial, Tensor) else adversarial


class Sink(Protocol):
    """Where records go: a unit of the store, or memory."""

    def add(self, frame: pd.DataFrame) -> None: ...


@dataclass
class Pace:
    """Seconds of a worker for each image, learnt from the shards that have ended; it sizes the next ones."""

    batch: int
    seconds: float = 0.0
    images: int = 0

    def next(self, left: int, workers: int) -> int:
        """Images of the next shard: small at first, then as many as take `SHARD_SECONDS`, the rest shared evenly."""
        if not self.images:
            size = min(self.batch, SMALLEST_SHARD)
        else:
            size = min(self.batch, max(SMALLEST_SHARD, int(SHARD_SECONDS * self.images / max(self.seconds, 1e-9))))
        return max(1, min(size, -(-left // workers)))


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

    Args:
        done: told after each shard how many images it held.
    """
    stop = threading.Event()
    queue, pace = missing, Pace(batch)
    running: dict[Future[tuple[pd.DataFrame, float]], int] = {}

    def work(places: NDArray[np.int64]) -> tuple[pd.DataFrame, float]:
        torch.set_num_threads(1)
        started = time.perf_counter()
        return attack_shard(subject, condition, seed, places, keep, stop), time.perf_counter() - started

    with ThreadPoolExecutor(workers) as pool:
        try:
            while len(queue) or running:
                while len(queue) and len(running) < workers:
                    size = pace.next(len(queue), workers)
                    running[pool.submit(work, queue[:size])] = size
                    queue = queue[size:]
                ended, _ = wait(running, timeout=0.2, return_when=FIRST_COMPLETED)
                for future in ended:
                    size = running.pop(future)
                    frame, seconds = future.result()
                    unit.add(frame)
                    pace.seconds, pace.images = pace.seconds + seconds, pace.images + size
                    done(size)
        except BaseException:
            stop.set()
            raise


@contextmanager
def one_intra_op_thread() -> Iterator[None]:
    """Workers use a thread each; torch's own threads on top of them would fight for the cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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
            except torch.OutOfMemoryError:
                break
            if cost < 0.97 * best:
                best, found = cost, size
            elif cost > 1.3 * best:
                break
    return found, best
