"""What would make an attack's numbers false is looked for before it: a few small forward passes and one backward pass."""

from __future__ import annotations

import torch
from torch import Tensor

from robench.attacking.classifier import Classifier, checked_forward, forward
from robench.attacking.expectation import Expectation
from robench.errors import ModelError
from robench.running.subject import Subject
from robench.training.outputs import Chosen

IMAGES = 4
NOISE = 1e-3
"""Logits of the same image may differ by this share of their scale: float32 sums in another order."""


def preflight(subject: Subject, *, gradients: bool) -> None:
    """Check that a model can be attacked honestly.

    Args:
        gradients: whether an attack will follow its gradients.

    Raises:
        ModelError: it raises (as with a tensor that was left on another device), returns probabilities, differs from call
            to call or from batch to batch, or has no gradients, gradients that are not finite, or only zeros; with what
            to do.
    """
    module, name = subject.module, subject.name
    inputs = subject.split.inputs(slice(0, IMAGES)).to(subject.device)
    if not len(inputs):
        return
    with torch.no_grad():
        first, second = (checked_forward(module, inputs, subject.classes, name) for _ in range(2))
        alone = checked_forward(module, inputs[:1], subject.classes, name)
        every = forward(module.module, inputs) if isinstance(module, Chosen) else first
    _refuse_probabilities(every, name)
    random = isinstance(module, Expectation)  # declared; the mean of its draws is what is attacked
    if not random and _differ(first, second):
        raise ModelError(
            f"{name} returns other logits when the same images are given again (by up to {_gap(first, second):.3g}), although it "
            "is in eval mode; an attack and the judge would see different models: make it deterministic (dropout, noise, "
            "random resizing), or declare it: @defense(stochastic=True), and the mean of many draws is attacked and judged"
        )
    if not random and _differ(first[:1], alone):
        raise ModelError(
            f"{name} returns other logits for an image alone than beside others (by up to {_gap(first[:1], alone):.3g}); its "
            "outputs depend on the batch: put normalisation layers in eval mode and compute no statistics over the batch"
        )
    if gradients:
        _check_gradients(subject, inputs)


def _refuse_probabilities(logits: Tensor, name: str) -> None:
    sums = logits.sum(1)
    if bool((logits >= 0).all()) and bool(((sums - 1).abs() < 1e-4).all()):
        raise ModelError(
            f"{name} returns probabilities (no entry is negative, rows sum to 1); return logits: leave the last softmax out. "
            "Through it gradients vanish where the model is sure, and attacks look weaker than they are"
        )


def _check_gradients(subject: Subject, inputs: Tensor) -> None:
    model = Classifier(subject.module, subject.classes, [""] * len(inputs), name=subject.name)
    probe = inputs.clone().requires_grad_()
    logits = model(probe)
    best = logits.detach().argmax(1, keepdim=True)
    gradient = model.gradient(probe, logits.gather(1, best).squeeze(1) - logits.mean(1))
    if not gradient.any():
        raise ModelError(
            f"{subject.name} has gradients that are zero everywhere on {len(inputs)} images; a white-box attack would stand still "
            "and call it robust: look for rounding, thresholds or a detach() between the image and the logits, give those steps a "
            "slope with robench.straight_through, or use a score- or decision-based attack"
        )


def _gap(first: Tensor, second: Tensor) -> float:
    return (first - second).abs().max().item()


def _differ(first: Tensor, second: Tensor) -> bool:
    return _gap(first, second) > NOISE * max(first.abs().max().item(), 1e-6)
