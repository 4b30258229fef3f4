"""What a training needs to go on after a kill, and the weights of its best epoch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from robench.files import atomic_path, parse_json
from robench.training.recipe import Objective


def save_tensors(tensors: Mapping[str, Tensor], path: Path, told: dict[str, str] | None = None) -> None:
    """Write tensors as safetensors.

    Raises:
        OSError: it cannot be written; the library has an error of its own for a full disk.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    try:
        save_file(dict(tensors), path, told)
    except SafetensorError as error:
        raise OSError(str(error)) from error


@dataclass
class Best:
    """The weights of the epoch with the highest score so far; the earliest of equals.

    Attributes:
        epoch: counted from 1; 0 while nothing was considered.
        now: the latest score.
    """

    score: float = -1.0
    epoch: int = 0
    now: float | None = None
    weights: dict[str, Tensor] = field(default_factory=dict)

    def consider(self, score: float | None, model: nn.Module, epoch: int) -> None:
        """Keep the model's weights if their score is the highest so far."""
        self.now = score
        if score is not None and score > self.score:
            self.score, self.epoch = score, epoch
            self.weights = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}

    def report(self) -> dict[str, float | None]:
        """For the log."""
        return {"validation_robust_accuracy": self.now, "kept_epoch": self.epoch} if self.epoch else {}


class Average:
    """A moving average of a model's weights and statistics.

    Attributes:
        model: of the same kind, holding the averages; in eval mode.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model, self.decay = deepcopy(model).eval().requires_grad_(False), decay

    @torch.no_grad()
    def update(self, model: nn.Module, steps: int) -> None:
        """Take in the weights after so many steps; early averages are shorter, so that the first weights do not stay."""
        decay = min(self.decay, (1 + steps) / (10 + steps))
        for own, new in zip(self.model.state_dict().values(), model.state_dict().values(), strict=True):
            if own.is_floating_point():
                own.lerp_(new, 1 - decay)
            else:
                own.copy_(new)


@dataclass
class Snapshot:
    """A training between two epochs: all of it that changes."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    objective: Objective
    average: Average | None = None
    best: Best = field(default_factory=Best)
    epoch: int = 0
    step: int = 0

    @property
    def kept(self) -> nn.Module:
        """The model whose weights count."""
        return self.average.model if self.average else self.model

    def save(self, path: Path) -> None:
        """Write it, whole or not at all (safetensors)."""
        tensors = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        for index, slots in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{slot}": torch.as_tensor(value) for slot, value in slots.items()}
        tensors |= {f"objective.{name}": tensor for name, tensor in self.objective.state_dict().items()}
        tensors |= {f"average.{n}": t for n, t in self.average.model.state_dict().items()} if self.average else {}
        tensors |= {f"best.{name}": tensor for name, tensor in self.best.weights.items()}
        counts = json.dumps(
            {"epoch": self.epoch, "step": self.step, "best": [self.best.score, self.best.epoch]}, sort_keys=True
        )
        flat = {name: t.contiguous().cpu().clone() for name, t in tensors.items()}
        with atomic_path(path) as temporary:
            save_tensors(flat, temporary, {"counts": counts, "digest": _digest(flat, counts)})

    def load(self, path: Path, tell: Callable[[str], None] = lambda _: None) -> None:
        """Put back what was saved; nothing where there is nothing to use, which is told where it is damaged."""
        from safetensors import SafetensorError, safe_open

        if not path.exists():
            return
        try:
            with safe_open(path, "pt") as stored:
                told = stored.metadata()["counts"]
                tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
                sound = stored.metadata()["digest"] == _digest(tensors, told)
        except (OSError, SafetensorError, TypeError, KeyError, ValueError):
            sound = False
        if not sound:
            tell(f"the state of a training in {path} is damaged; the training begins again")
            return
        counts = parse_json(told)
        parts: dict[str, dict[str, Tensor]] = {"model": {}, "optimizer": {}, "objective": {}, "best": {}, "average": {}}
        for name, tensor in tensors.items():
            part, _, rest = name.partition(".")
            parts[part][rest] = tensor
        self.model.load_state_dict(parts["model"])
        self.objective.load_state_dict(parts["objective"])
        if self.average:
            self.average.model.load_state_dict(parts["average"])
        self.best = Best(counts["best"][0], counts["best"][1], weights=parts["best"])
        slots: dict[int, dict[str, Tensor]] = {}
        for name, tensor in parts["optimizer"].items():
            index, _, slot = name.partition(".")
            slots.setdefault(int(index), {})[slot] = tensor
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": slots, "param_groups": groups})
        self.epoch, self.step = counts["epoch"], counts["step"]


def _digest(tensors: dict[str, Tensor], counts: str) -> str:
    """SHA-256 of all that a saved training holds."""
    found = hashlib.sha256(counts.encode())
    for name, tensor in sorted(tensors.items()):
        found.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        found.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def append_line(log: Path, line: dict[str, Any], epoch: int) -> None:
    """Append an epoch's line to a log, dropping what an earlier, killed run wrote of this epoch or a later one."""
    lines = [json.dumps(known) for known in read_lines(log)[:epoch]]
    with atomic_path(log) as temporary:
        temporary.write_text("\n".join([*lines, json.dumps(line)]) + "\n", encoding="utf-8")


def read_lines(log: Path) -> list[dict[str, Any]]:
    """The lines of a log, up to the first that is damaged."""
    found = list[dict[str, Any]]()
    with suppress(OSError, ValueError):
        for text in log.read_text(encoding="utf-8").splitlines():
            line = parse_json(text)
            if not isinstance(line, dict) or not isinstance(line.get("seconds"), int | float):
                break
            found.append(line)
    return found
