"""One shard: some images of a model are attacked, judged and recorded."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from robench.classifier import Cancelled, Classifier, checked_forward
from robench.errors import AttackError, RobenchError
from robench.expectation import Expectation
from robench.images import Split
from robench.judge import judge
from robench.memory import ran_out
from robench.patches import patch_mask
from robench.plan import Condition
from robench.records import attacked_rows, clean_error_rows
from robench.targets import resolve_targets

Precision = Literal["float32", "bfloat16"]


@dataclass(frozen=True)
class Subject:
    """A trained model, ready to be attacked, and what it says of the clean images.

    Attributes:
        clean: logits of the split's images, (N, classes), on the CPU; of none before it was `asked`.
        precision: of the passes that attacks make; the judge's are float32.
    """

    name: str
    module: nn.Module
    classes: int
    device: torch.device
    split: Split
    clean: Tensor = field(default_factory=lambda: torch.empty(0))
    precision: Precision = "float32"

    def asked(self) -> Subject:
        """The same with its clean logits."""
        return replace(self, clean=clean_logits(self.judged, self.split, self.classes, self.device, self.name))

    @property
    def judged(self) -> nn.Module:
        """The model as the judge asks it."""
        return self.module.judging() if isinstance(self.module, Expectation) else self.module


def clean_logits(
    module: nn.Module, split: Split, classes: int, device: torch.device, name: str, batch: int = 256
) -> Tensor:
    """Logits of all images of a split, on the CPU; in smaller batches where memory runs out."""
    try:
        with torch.no_grad():
            parts = [
                checked_forward(module, split.inputs(slice(i, i + batch)).to(device), classes, name).float().cpu()
                for i in range(0, len(split), batch)
            ]
    except (RuntimeError, MemoryError) as error:
        if not ran_out(error) or batch == 1:
            raise
        return clean_logits(module, split, classes, device, name, batch // 2)
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
        model = Classifier(
            subject.module, subject.classes, row_ids, seed=seed, name=subject.name, stop=stop,
            half=subject.precision == "bfloat16",
        )  # fmt: skip
        adversarial = _run(condition, model, inputs, labels[rows].to(device), goal)
        verdict = judge(
            subject.judged, inputs, adversarial, labels[rows].to(device), goal, classes=subject.classes, norm=condition.norm,
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
    except Exception as error:
        if ran_out(error):
            raise
        raise AttackError(f"{condition.text} raised {type(error).__name__}: {error}") from error
    if not (torch.equal(before[0], inputs) and torch.equal(before[1], labels)):
        raise AttackError(
            f"{condition.text} changed its inputs or labels in place; an attack must leave them as they were"
        )
    return adversarial.detach() if isinstance(adversarial, Tensor) else adversarial
