"""The one training loop: seeded, resumable after every epoch, the same on every run of the same machine."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from robench.errors import ModelError
from robench.files import atomic_path
from robench.images import Split
from robench.recipe import Batch, Progress, Recipe, Schedule, steps_per_epoch

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
) -> nn.Module:
    """Train a recipe's model in place and return it in eval mode.

    Args:
        seed: of the order of the images, their augmentation, and what the objective draws from torch.
        state: where to save after each epoch (safetensors) and from where to resume.
        log: JSON lines, one an epoch: loss, learning rate, validation accuracy (null where it was not looked at), seconds, the objective's own numbers.

    Raises:
        ModelError: the loss is no longer finite.
    """
    schedule, objective = recipe.schedule, recipe.objective
    model = recipe.model.to(device).train()
    optimizer = torch.optim.AdamW(_groups(model, schedule.weight_decay), lr=schedule.lr)
    epoch, step = _resume(state, model, optimizer, objective) if state else (0, 0)
    while step < schedule.steps:
        started, losses = time.perf_counter(), []
        examples = objective.examples(model, split, validation, epoch)
        labels = examples.targets()
        order = np.random.default_rng([seed, epoch]).permutation(len(examples))
        batches = min(steps_per_epoch(len(examples), schedule.batch_size), schedule.steps - step)
        draws = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(seed * 1_000_003 + epoch)
            for start in range(0, batches * schedule.batch_size, schedule.batch_size):
                progress = Progress(step, schedule.steps, epoch)
                for group in optimizer.param_groups:
                    group["lr"] = learning_rate(schedule, step)
                places = order[start : start + schedule.batch_size]
                pixels = torch.from_numpy(examples.pixels(places))
                inputs = augment(pixels, schedule, draws).to(device).float().div_(255)
                batch = Batch(inputs, labels[places].to(device), torch.from_numpy(places).to(device))
                loss = objective.loss(model, batch, progress)
                if not torch.isfinite(loss):
                    raise ModelError(
                        f"the training loss became {loss.item()} at step {step} of {schedule.steps}; "
                        f"try a smaller lr than {schedule.lr:g}"
                    )
                optimizer.zero_grad(set_to_none=True)
                loss.backward()  # type: ignore[no-untyped-call]
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                objective.after_step(model, progress)
                losses.append(loss.detach())
                step += 1
                report(Progress(step, schedule.steps, epoch))
        if log:
            # Epochs that are shorter than the validation split are not worth a look each.
            seen = [done * schedule.batch_size // max(1, len(validation)) for done in (step - batches, step)]
            validated = seen[1] > seen[0] or step == schedule.steps
            line = {
                "epoch": epoch + 1, "images": len(examples), "loss": torch.stack(losses).mean().item(),
                "lr": learning_rate(schedule, step - 1),
                "validation_accuracy": accuracy(model, validation, device) if validated else None,
                "seconds": round(time.perf_counter() - started, 3), **objective.report(),
            }  # fmt: skip
            _append(log, line, epoch)
        epoch += 1
        if state:
            _save(state, model, optimizer, objective, epoch, step)
    return model.eval()


def learning_rate(schedule: Schedule, step: int) -> float:
    """Linear warm-up to `lr`, then as it is or along a cosine that reaches zero after the last step."""
    warm = max(1, round(schedule.warmup * schedule.steps))
    if step < warm:
        return schedule.lr * (step + 1) / warm
    if schedule.decay == "none":
        return schedule.lr
    share = (step - warm) / max(1, schedule.steps - warm)
    return schedule.lr * 0.5 * (1 + math.cos(math.pi * share))


def augment(pixels: Tensor, schedule: Schedule, draws: torch.Generator) -> Tensor:
    """Random crops of the zero-padded images and random mirrorings, as the schedule says; uint8 in and out."""
    count, _, height, width = pixels.shape
    if schedule.crop:
        pad = schedule.crop
        padded = nn.functional.pad(pixels, (pad, pad, pad, pad))
        down, right = torch.randint(0, 2 * pad + 1, (2, count, 1), generator=draws)
        rows, columns = down + torch.arange(height), right + torch.arange(width)
        image = torch.arange(count)[:, None, None]
        pixels = padded[image, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
    if schedule.flip:
        mirrored = torch.rand(count, generator=draws) < 0.5
        pixels = torch.where(mirrored[:, None, None, None], pixels.flip(-1), pixels)
    return pixels.contiguous()


@torch.no_grad()
def accuracy(model: nn.Module, split: Split, device: torch.device) -> float | None:
    """Share of a split that the model classifies correctly (None for an empty split); leaves the mode as it was."""
    if not len(split):
        return None
    mode, labels, right = model.training, split.targets(), 0
    model.eval()
    for start in range(0, len(split), 256):
        part = slice(start, start + 256)
        right += int((model(split.inputs(part).to(device)).argmax(1).cpu() == labels[part]).sum())
    model.train(mode)
    return right / len(split)


def _groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Decay matrices only: not biases, norms, or the embeddings of class and position."""
    matrices = [p for n, p in model.named_parameters() if p.ndim > 1 and not n.endswith(("pos_embed", "cls_token"))]
    chosen = {id(p) for p in matrices}
    others = [p for p in model.parameters() if id(p) not in chosen]
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]


def _save(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, objective: Any, epochs: int, steps: int
) -> None:
    from safetensors.torch import save_file

    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    for index, slots in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{slot}": torch.as_tensor(value) for slot, value in slots.items()}
    tensors |= {f"objective.{name}": tensor for name, tensor in objective.state_dict().items()}
    with atomic_path(path) as temporary:
        save_file(
            {name: t.contiguous().cpu().clone() for name, t in tensors.items()},
            temporary,
            {"epochs": str(epochs), "steps": str(steps)},
        )


def _resume(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, objective: Any) -> tuple[int, int]:
    """Load a saved state and return the epochs and steps that it has behind it (none where there is none to use)."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as stored:
            behind = int(stored.metadata()["epochs"]), int(stored.metadata()["steps"])
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
    except (FileNotFoundError, SafetensorError, KeyError):
        return 0, 0
    parts: dict[str, dict[str, Tensor]] = {"model": {}, "optimizer": {}, "objective": {}}
    for name, tensor in tensors.items():
        part, _, rest = name.partition(".")
        parts[part][rest] = tensor
    model.load_state_dict(parts["model"])
    objective.load_state_dict(parts["objective"])
    slots: dict[int, dict[str, Tensor]] = {}
    for name, tensor in parts["optimizer"].items():
        index, _, slot = name.partition(".")
        slots.setdefault(int(index), {})[slot] = tensor
    optimizer.load_state_dict({"state": slots, "param_groups": optimizer.state_dict()["param_groups"]})
    return behind


def _append(log: Path, line: dict[str, Any], epoch: int) -> None:
    """Append a line, dropping what an earlier, killed run wrote of this epoch or a later one."""
    lines = log.read_text(encoding="utf-8").splitlines()[:epoch] if log.exists() else []
    with atomic_path(log) as temporary:
        temporary.write_text("\n".join([*lines, json.dumps(line)]) + "\n", encoding="utf-8")
