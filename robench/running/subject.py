"""The subject of an attack: a trained model on its device, and what it says of the clean images."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from robench.attacking.classifier import checked_forward, count_classes
from robench.attacking.expectation import Expectation
from robench.data.checking import refuse_labels
from robench.data.splits import Split
from robench.errors import ModelError, UsageError, ran_out

Precision = Literal["float32", "bfloat16"]


@dataclass(frozen=True)
class Subject:
    """A trained model, ready to be attacked.

    Attributes:
        clean: logits of the split's images, (N, classes), on the CPU; empty before `with_clean_logits`.
        published: the corruption and the severity that the split's images are published with.
        precision: of the passes that attacks make; the judge's are float32.
        positions: of the split's images in the data set's test split, (N,); None: they are all of it, in its order.
    """

    name: str
    module: nn.Module
    classes: int
    device: torch.device
    split: Split
    clean: Tensor = field(default_factory=lambda: torch.empty(0))
    precision: Precision = "float32"
    published: tuple[str | None, int | None] = (None, None)
    positions: NDArray[np.int64] | None = None

    def with_clean_logits(self) -> Subject:
        """The same, its logits of the clean images at hand."""
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


def evaluated_classes(module: nn.Module, split: Split, given: int | None, device: torch.device, name: str) -> int:
    """How many classes a model is evaluated on: as many as are given, else as there are labels; it has a logit for each.

    Raises:
        UsageError: `given` is no number of classes.
        DataError: a label is none of them.
        ModelError: the model has another number of logits.
    """
    if given is not None and (not isinstance(given, int) or isinstance(given, bool) or given < 2):
        raise UsageError(f"classes={given!r} was given; give the number of the model's logits, at least 2, or None")
    labels, outputs = split.targets().numpy(), count_classes(module, split.inputs(slice(0, 1)).to(device), name)
    classes = given or int(labels.max()) + 1
    if classes == outputs or labels.max() >= outputs:
        refuse_labels(labels, outputs, f"the split {split.name!r}")
    if classes == outputs:
        return classes
    said = f"classes={given}" if given else f"the labels are {labels.min()} to {labels.max()}"
    raise ModelError(
        f"{name} returns {outputs} logits for an image, but logits of shape {(len(split), classes)} (images, classes) were "
        f"wanted, since {said}; give classes={outputs} if the labels are places among its {outputs} logits, or the model that belongs to these labels"
    )
