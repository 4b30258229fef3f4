"""Natural threats: common corruptions and sequences of small changes (Hendrycks & Dietterich, 2019; Mintun et al., 2021)."""

from __future__ import annotations

from typing import Annotated

from torch import Tensor

from robench import (
    CORRUPTIONS,
    PERTURBATIONS,
    Bounds,
    Classifier,
    CorruptionName,
    SequenceName,
    UsageError,
    attack,
    corrupt,
    sequence,
)


@attack(
    norm="linf",
    goal="natural",
    knowledge="none",
    paper="arXiv:1903.12261",
    each={"names": CORRUPTIONS, "severities": [1, 2, 3, 4, 5]},
)
def corruptions(
    model: Classifier,
    inputs: Tensor,
    labels: Tensor,
    *,
    names: CorruptionName | None = None,
    severities: Annotated[int, Bounds(1, 5)] | None = None,
) -> Tensor:
    """Common corruptions of ImageNet-C and its kin, made in memory: the same pixels for every model.

    They are neither the published files nor stored as JPEG, and so another threat than "ImageNet-C"; frost's textures are
    made by rule. Images up to 64 pixels on the shorter side are corrupted as CIFAR-10-C's, larger ones as ImageNet-C's.

    Args:
        inputs: images in [0, 1], (N, C, H, W).
        names: of the corruptions; None: the 15 of the benchmark. The 4 validation ones and those of ImageNet-C-bar are taken
            by name and are in no mean of the 15.
        severities: 1 to 5; None: all.
    """
    if names is None or severities is None:
        raise UsageError("corruptions is of one corruption at one severity here; give names='fog', severities=3")
    return corrupt(inputs, names, severities, model.draws)


@attack(
    norm="linf",
    goal="natural",
    knowledge="none",
    paper="arXiv:1903.12261",
    several="frame",
    each={"names": PERTURBATIONS},
)
def perturbations(model: Classifier, inputs: Tensor, labels: Tensor, *, names: SequenceName | None = None) -> Tensor:
    """Sequences of small changes, as of ImageNet-P: how often a prediction flips from frame to frame.

    Args:
        inputs: images in [0, 1], (N, C, H, W).
        names: of the perturbations; None: the 10 of the benchmark. Difficulty is 1.

    Returns:
        Frames, (N, T, C, H, W).
    """
    if names is None:
        raise UsageError("perturbations is of one perturbation here; give names='tilt'")
    return sequence(inputs, names, model.draws)


@attack(norm="linf", goal="natural", knowledge="none", as_it_is=True)
def clean(model: Classifier, inputs: Tensor, labels: Tensor) -> Tensor:
    """The images as the data set has them: for sets that are hard as they are, such as ImageNet-A, or published corrupted.

    Args:
        inputs: images in [0, 1], (N, C, H, W).
    """
    return inputs.clone()
