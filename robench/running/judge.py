"""The judge: an attack never scores itself.

It runs every adversarial image again in a fresh float32 forward pass and checks that the image is one that the threat
model allows. What is not allowed is an error, not a failed or a successful attack. The records are made here too.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor, nn

from robench.attacking.classifier import checked_forward
from robench.attacking.losses import SUCCESS_SHARE, goal_margin, spread
from robench.attacking.norms import inside, lengths
from robench.errors import AttackError
from robench.records.schema import frame_of


@dataclass(frozen=True)
class Verdict:
    """What the judge found, one row an image.

    Attributes:
        fooled: the image is not classified as its label.
        success: the attack's goal is reached: fooled, or classified as the target where there is one.
        margin: of the goal, in logits; above 0 where it is reached.
        confidence, certainty: softmax probabilities of the label and of the prediction.
        prediction_uint8, success_uint8: the same after rounding to 8 bits a channel.
        norms: L0, L1, L2, L∞ of the perturbation.
    """

    prediction: Tensor
    fooled: Tensor
    success: Tensor
    margin: Tensor
    confidence: Tensor
    certainty: Tensor
    prediction_uint8: Tensor
    success_uint8: Tensor
    norms: dict[str, Tensor]


@torch.no_grad()
def judge(
    module: nn.Module,
    inputs: Tensor,
    adversarial: Tensor,
    labels: Tensor,
    targets: Tensor | None,
    *,
    classes: int,
    norm: str,
    eps: float | None,
    ids: list[str],
    attack: str,
    name: str = "the model",
    allowed: Tensor | None = None,
    clean: Tensor | None = None,
) -> Verdict:
    """Judge adversarial images.

    Args:
        inputs: the images that were attacked; the model classifies them correctly.
        allowed: the pixels that may change, bool, (N, 1, H, W); None: all.
        eps: radius of the ball that they must lie in (None for a minimal attack).
        ids, attack: for the message.
        clean: logits of the inputs, (N, classes), by whose spread success is measured; None: the model is asked again.

    Raises:
        AttackError: wrong shape, a value that is not finite or outside [0, 1], a perturbation outside the ball, or a success
            at an image that did not change.
    """
    _check(inputs, adversarial, norm, eps, ids, attack)
    if allowed is not None:
        outside = ((adversarial.to(inputs) != inputs) & ~allowed.to(inputs.device)).flatten(1).any(1)
        _refuse(outside, ids, attack, "changed outside its patches")
    adversarial = adversarial.to(inputs)
    logits = checked_forward(module, adversarial, classes, name)
    rounded = checked_forward(module, (adversarial * 255).round().div(255), classes, name)
    clean = checked_forward(module, inputs, classes, name) if clean is None else clean.to(inputs.device)
    needed = SUCCESS_SHARE * spread(clean)
    hit, away = _reached(logits, labels, targets)
    success, norms = hit > needed, lengths(adversarial.double() - inputs.double())
    if not getattr(module, "draws", 0):  # answers of random models differ from batch to batch
        unmoved = success & (adversarial == inputs).flatten(1).all(1)
        _refuse(
            unmoved, ids, attack, "is taken for another class although nothing of it changed (was the model changed?)"
        )
    return Verdict(
        prediction=logits.argmax(1).cpu(),
        fooled=(away > needed).cpu(),
        success=success.cpu(),
        margin=hit.cpu(),
        confidence=logits.softmax(1).gather(1, labels[:, None]).squeeze(1).cpu(),
        certainty=logits.softmax(1).amax(1).clamp(max=1).cpu(),
        prediction_uint8=rounded.argmax(1).cpu(),
        success_uint8=(_reached(rounded, labels, targets)[0] > needed).cpu(),
        norms={key: value.cpu() for key, value in norms.items()},
    )


def _reached(logits: Tensor, labels: Tensor, targets: Tensor | None) -> tuple[Tensor, Tensor]:
    """Margins of the attack's goal and of leaving the label."""
    away = goal_margin(logits, labels, None)
    return (away if targets is None else goal_margin(logits, labels, targets)), away


def _check(inputs: Tensor, adversarial: Tensor, norm: str, eps: float | None, ids: list[str], attack: str) -> None:
    if not isinstance(adversarial, Tensor) or adversarial.shape != inputs.shape:
        given = tuple(adversarial.shape) if isinstance(adversarial, Tensor) else type(adversarial).__name__
        raise AttackError(f"{attack} returned {given}, but images of shape {tuple(inputs.shape)} were wanted")
    flat = adversarial.flatten(1)
    _refuse(~torch.isfinite(flat).all(1), ids, attack, "holds values that are not finite")
    _refuse((flat < 0).any(1) | (flat > 1).any(1), ids, attack, "leaves the box [0, 1]")
    if eps is not None:
        size = lengths(adversarial.double() - inputs.double())[norm]
        _refuse(
            ~inside(adversarial, inputs, norm, eps),
            ids,
            attack,
            f"lies outside the {norm} ball of radius {eps:.6g} (up to {size.max().item():.6g})",
        )


def _refuse(wrong: Tensor, ids: list[str], attack: str, what: str) -> None:
    if wrong.any():
        first = ids[int(wrong.nonzero()[0])]
        raise AttackError(
            f"{attack} broke its threat model: image {first} {what}; {int(wrong.sum())} of {len(ids)} images do"
        )


@dataclass(frozen=True)
class Asked:
    """Images of a shard and what was wanted of them, a row for each (image, target, draw).

    Attributes:
        clean: logits before the attack, (N, classes).
        targets: classes aimed at, (N,); None where the attack was untargeted.
        eps: radius of the condition; None for a minimal attack.
        draws: which of several of the same condition, such as masks, (N,); None where there is one of each.
    """

    ids: list[str]
    labels: Tensor
    clean: Tensor
    targets: Tensor | None
    eps: float | None
    draws: Tensor | None = None

    def repeated(self, times: int) -> Asked:
        """The same with so many draws of each row, one after another."""
        ids = [name for name in self.ids for _ in range(times)]
        labels, clean = (each.repeat_interleave(times, 0) for each in (self.labels, self.clean))
        targets = None if self.targets is None else self.targets.repeat_interleave(times)
        return Asked(ids, labels, clean, targets, self.eps, torch.arange(times).repeat(len(self.ids)))

    def columns(self) -> dict[str, object]:
        """What the records say of it."""
        predictions = self.clean.argmax(1)
        return {
            "image": self.ids,
            "label": self.labels,
            "clean_prediction": predictions,
            "eps": self.eps,
            "target": self.targets,
            "draw": self.draws,
        }


def records_of_attacked(
    asked: Asked, verdict: Verdict, passes: tuple[Tensor, Tensor, float], kept: dict[int, tuple[bytes, bytes]]
) -> pd.DataFrame:
    """Records of attacked images.

    Args:
        passes: forward and backward passes of each row, and seconds of the whole shard, shared evenly among its rows.
        kept: pixels of the rows whose images are kept: adversarial (float32), clean (uint8).
    """
    forwards, backwards, seconds = passes
    count = len(asked.ids)
    return _records(
        count,
        asked.columns()
        | {"correct": True, "forwards": forwards, "backwards": backwards, "seconds": seconds / max(1, count)}
        | {"prediction": verdict.prediction, "fooled": verdict.fooled, "success": verdict.success}
        | {"prediction_uint8": verdict.prediction_uint8, "success_uint8": verdict.success_uint8}
        | {"margin": verdict.margin, "confidence": verdict.confidence, "certainty": verdict.certainty}
        | verdict.norms
        | {"adversarial": [kept[row][0] if row in kept else None for row in range(count)]}
        | {"clean": [kept[row][1] if row in kept else None for row in range(count)]},
    )


def records_of_clean_errors(asked: Asked) -> pd.DataFrame:
    """Records of images that were misclassified before the attack: fooled at distance 0, and not attacked."""
    predictions = asked.clean.argmax(1)
    success = True if asked.targets is None else predictions == asked.targets
    likely = asked.clean.double().softmax(1)
    confidence, certainty = likely.gather(1, asked.labels[:, None]).squeeze(1), likely.amax(1).clamp(max=1)
    return _records(
        len(asked.ids),
        asked.columns()
        | {"correct": False, "forwards": 0, "backwards": 0, "seconds": 0.0}
        | {"prediction": predictions, "fooled": True, "success": success}
        | {"prediction_uint8": predictions, "success_uint8": success}
        | {"confidence": confidence, "certainty": certainty}
        | {"l0": 0.0, "l1": 0.0, "l2": 0.0, "linf": 0.0},
    )


def _records(count: int, columns: dict[str, object]) -> pd.DataFrame:
    plain = {
        name: value.detach().cpu().numpy() if isinstance(value, Tensor) else value for name, value in columns.items()
    }
    return frame_of(count, plain)
