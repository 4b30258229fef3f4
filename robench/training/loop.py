"""The one training loop: seeded, resumable after every epoch, the same on every run of the same machine."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from robench.attacking.classifier import forward
from robench.data.splits import Split
from robench.errors import ModelError, RobenchError, ran_out
from robench.training.adversary import robust_accuracy
from robench.training.batches import Pool, augment, room_on
from robench.training.recipe import Batch, Objective, Progress, Recipe, Schedule, steps_per_epoch
from robench.training.snapshots import Average, Snapshot, append_line

Report = Callable[[Progress], None]


def train(
    recipe: Recipe,
    split: Split,
    validation: Split,
    *,
    seed: int,
    device: torch.device,
    state: Path | None = None,
    log: Path | None = None,
    report: Report = lambda _: None,
    check: Callable[[], None] = lambda: None,
    tell: Callable[[str], None] = lambda _: None,
) -> nn.Module:
    """Train a recipe's model in place and return it in eval mode.

    Args:
        seed: of the order of the images, their augmentation, and what the objective draws from torch.
        state: where to save after each epoch (safetensors) and from where to resume.
        log: JSON lines, one an epoch: loss, learning rate, validation accuracy (null where it was not looked at), seconds,
            the robust accuracy that the best epoch is chosen by, the objective's own numbers. Without a log none is chosen.
        check: called before anything is written; raises where another process trains this by now.
        tell: told where a state is damaged.

    Raises:
        ModelError: the loss is no longer finite.
    """
    schedule, objective = recipe.schedule, recipe.objective
    model = recipe.model.to(device).train()
    objective.to(device)
    optimizer = optimizer_of(model, schedule)
    now = Snapshot(model, optimizer, objective, Average(model, schedule.average) if schedule.average else None)
    if state:
        now.load(state, tell)
    pool = Pool(split, device, room_on(device))
    while now.step < schedule.steps:
        started, losses = time.perf_counter(), []
        examples = objective.examples(model, split, validation, now.epoch)
        if examples is not pool.split:
            pool = Pool(examples, device, room_on(device))
        labels = examples.targets()
        order = np.random.default_rng([seed, now.epoch]).permutation(len(examples))
        batches = min(steps_per_epoch(len(examples), schedule.batch_size), schedule.steps - now.step)
        draws = torch.Generator().manual_seed(seed * 1_000_003 + now.epoch)
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(seed * 1_000_003 + now.epoch)
            for start in range(0, batches * schedule.batch_size, schedule.batch_size):
                progress = Progress(now.step, schedule.steps, now.epoch, seed)
                for group in optimizer.param_groups:
                    group["lr"] = learning_rate(schedule, now.step)
                places = order[start : start + schedule.batch_size]
                inputs = augment(pool.pixels(places), schedule, draws).float().div_(255)
                batch = Batch(inputs, labels[places].to(device), torch.from_numpy(places).to(device))
                optimizer.zero_grad(set_to_none=True)
                losses.append(_backward(model, objective, batch, progress, schedule))
                nn.utils.clip_grad_norm_(model.parameters(), schedule.clip)
                optimizer.step()
                objective.after_step(model, progress)
                now.step += 1
                if now.average:
                    now.average.update(model, now.step)
                report(progress._replace(step=now.step))
        now.best.now = None
        # Epochs that are shorter than the validation split are not worth a look each.
        seen = [done * schedule.batch_size // max(1, len(validation)) for done in (now.step - batches, now.step)]
        looked = seen[1] > seen[0] or now.step == schedule.steps
        if looked and recipe.selection and log:
            now.best.consider(robust_accuracy(now.kept, validation, recipe.selection, device), now.kept, now.epoch + 1)
        check()
        if log:
            line = {
                "epoch": now.epoch + 1,
                "images": len(examples),
                "loss": torch.stack(losses).mean().item(),
                "lr": learning_rate(schedule, now.step - 1),
                "validation_accuracy": accuracy(now.kept, validation, device) if looked else None,
                "seconds": round(time.perf_counter() - started, 3),
                **now.best.report(),
                **objective.report(),
            }
            append_line(log, line, now.epoch)
        now.epoch += 1
        if state:
            now.save(state)
    if now.best.weights or now.average:
        model.load_state_dict(now.best.weights or now.kept.state_dict())
    return model.eval()


def _backward(model: nn.Module, objective: Objective, batch: Batch, progress: Progress, schedule: Schedule) -> Tensor:
    """Add up the gradients of a batch, part by part, and return its mean loss.

    Raises:
        ModelError: the loss is not finite, or could not be computed.
    """
    total = torch.zeros((), device=batch.inputs.device)
    size = -(-len(batch.inputs) // schedule.accumulate)
    for start in range(0, len(batch.inputs), size):
        part = batch.part(slice(start, start + size))
        with (
            as_model_error(progress, len(part.inputs)),
            torch.autocast("cuda", torch.bfloat16, enabled=schedule.half and batch.inputs.is_cuda),
        ):
            loss = objective.loss(model, part, progress)
        if not torch.isfinite(loss):
            raise ModelError(
                f"the training loss became {loss.item()} at step {progress.step} of {progress.steps}; "
                f"try a smaller lr than {schedule.lr:g}"
            )
        share = len(part.inputs) / len(batch.inputs)
        with as_model_error(progress, len(part.inputs)):
            (loss * share if share < 1 else loss).backward()  # type: ignore[no-untyped-call]
        total += share * loss.detach()
    return total


@contextmanager
def as_model_error(progress: Progress, images: int) -> Iterator[None]:
    """What a model or an objective raises in a training, as one message."""
    try:
        yield
    except RobenchError:
        raise
    except Exception as error:
        if ran_out(error):
            raise ModelError(
                f"the training ran out of memory with {images} images at once; try a smaller batch_size, or parts of a batch: "
                "augmented(model=..., accumulate=4)"
            ) from error
        raise ModelError(
            f"the training failed at step {progress.step} of {progress.steps}: {type(error).__name__}: {error}"
        ) from error


def optimizer_of(model: nn.Module, schedule: Schedule) -> torch.optim.Optimizer:
    """The schedule's optimiser over a model's parameters."""
    groups = _groups(model, schedule.weight_decay)
    if schedule.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=schedule.lr, momentum=0.9, nesterov=True)
    return torch.optim.AdamW(groups, lr=schedule.lr)


def learning_rate(schedule: Schedule, step: int) -> float:
    """Linear warm-up to `lr`, then what the schedule's decay says.

    Example:
        >>> schedule = Schedule(steps=100, lr=0.1, warmup=0.1)
        >>> [round(learning_rate(schedule, step), 3) for step in (0, 9, 55, 99)]
        [0.01, 0.1, 0.05, 0.0]
    """
    warm = max(1, round(schedule.warmup * schedule.steps))
    if step < warm:
        return schedule.lr * (step + 1) / warm
    if schedule.decay != "cosine":
        drops = sum(step >= turn * schedule.steps for turn in (0.5, 0.75)) if schedule.decay == "steps" else 0
        return schedule.lr * 0.1**drops
    share = (step - warm) / max(1, schedule.steps - warm)
    return schedule.lr * 0.5 * (1 + math.cos(math.pi * share))


@torch.no_grad()
def accuracy(model: nn.Module, split: Split, device: torch.device) -> float | None:
    """Share of a split that the model classifies correctly (None for an empty split); leaves the mode as it was."""
    if not len(split):
        return None
    mode, labels, right = model.training, split.targets(), 0
    model.eval()
    for start in range(0, len(split), 256):
        part = slice(start, start + 256)
        right += int((forward(model, split.inputs(part).to(device)).argmax(1).cpu() == labels[part]).sum())
    model.train(mode)
    return right / len(split)


def _groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Decay matrices only: not biases, norms, or the embeddings of class and position."""
    matrices = [p for n, p in model.named_parameters() if p.ndim > 1 and not n.endswith(("pos_embed", "cls_token"))]
    chosen = {id(p) for p in matrices}
    others = [p for p in model.parameters() if id(p) not in chosen]
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
