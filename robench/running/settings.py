"""What a run is told besides the names of its entries."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, get_args

import torch

from robench.entries.calls import plain_value
from robench.entries.options import whole_seed
from robench.errors import UsageError
from robench.running.subject import Precision

MOST_WORKERS, MOST_IMAGES = 1_024, 1_000_000
"""More than any machine has, or holds."""
Device = Literal["auto", "cpu", "cuda"]


@dataclass(frozen=True)
class Settings:
    """How much is run, on what, and how.

    Attributes:
        n: images of the pinned subset; None: all.
        seed: of the attacks.
        workers: threads that attack; None: one a core, one on a GPU.
        batch_size: "auto" measures it. It changes no result.
        keep_images: keep the adversarial pixels of all images.
        precision: of the attacks' passes.
        diagonal: attack what was trained in a ball at that radius alone.
    """

    n: int | None = None
    seed: int = 0
    device: Device = "auto"
    workers: int | None = None
    batch_size: int | Literal["auto"] = "auto"
    keep_images: bool = False
    precision: Precision = "float32"
    diagonal: bool = False

    def __post_init__(self) -> None:
        """Check what Python callers may give.

        Raises:
            UsageError: naming the setting, what was given and what is wanted.
        """
        for name in ("n", "seed", "workers", "batch_size"):
            object.__setattr__(self, name, plain_value(getattr(self, name)))  # a number of numpy is one
        whole_seed(self.seed)
        for name, switch in (("keep_images", self.keep_images), ("diagonal", self.diagonal)):
            if not isinstance(switch, bool):
                raise UsageError(f"{name}={switch!r}: True or False is wanted")
        for name, value, usual, most in (
            ("workers", self.workers, None, MOST_WORKERS),
            ("batch_size", self.batch_size, "auto", MOST_IMAGES),
        ):
            if value != usual and not (isinstance(value, int) and 1 <= value <= most):
                raise UsageError(f"{name}={value!r}: a whole number of at least 1 is wanted, and of at most {most:,}")
        for name, given, known in (
            ("device", self.device, get_args(Device)),
            ("precision", self.precision, get_args(Precision)),
        ):
            if given not in known:
                raise UsageError(f"{name}={given!r}: one of {', '.join(map(repr, known))} is wanted")

    def torch_device(self) -> torch.device:
        """The device that is meant.

        Raises:
            UsageError: cuda is wanted and there is none.
        """
        if self.device == "cuda" and not torch.cuda.is_available():
            raise UsageError("--device cuda was asked for, but torch sees no GPU; `robench doctor` shows what it sees")
        return torch.device("cuda" if self.device != "cpu" and torch.cuda.is_available() else "cpu")

    def worker_count(self, device: torch.device) -> int:
        """One worker a core; one on a GPU."""
        return self.workers or (1 if device.type == "cuda" else usable_cores())


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def processor() -> str:
    """The processor's name; a number may differ in its last bit between kinds of them."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()
