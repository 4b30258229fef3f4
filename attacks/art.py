"""Attacks of the Adversarial Robustness Toolbox (ART), on robench's judge and records."""

from __future__ import annotations

import inspect
import threading
import warnings
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor, nn

from robench import Classifier, Knowledge, Norm, Positive, Radius, UsageError, attack, did_you_mean, digest

_ONE_AT_A_TIME = threading.Lock()
"""ART draws from numpy's global random state, and seeds are put there."""


def _check(options: dict[str, Any]) -> None:
    """The class, its options, and whether it can be targeted."""
    name = options["name"]
    accepted = inspect.signature(_class_of(name)).parameters
    if options["targets"] is not None and "targeted" not in accepted:
        raise UsageError(f"ART's {name} cannot be targeted; leave targets out")
    own = inspect.signature(art).parameters
    for option in options:
        if option not in own and option not in accepted:
            raise UsageError(f"ART's {name} has no option {option!r}{did_you_mean(option, accepted)}")


def _knowledge(options: dict[str, Any]) -> Knowledge:
    """White-box where the class asks its model for gradients, else of answers alone."""
    wanted = str(getattr(_class_of(options["name"]), "_estimator_requirements", ()))
    return "white-box" if "Gradients" in wanted else "score"


@attack(norm="linf", goal="minimal", paper="arXiv:1807.01069", check=_check, knowledge_of=_knowledge)
def art(
    model: Classifier,
    inputs: Tensor,
    labels: Tensor,
    *,
    name: str,
    norm: Norm = "linf",
    eps: Radius | None = None,
    targets: Tensor | None = None,
    together: bool = False,
    **options: Any,
) -> Tensor:
    """Any evasion attack of ART by the name of its class: art("DeepFool", norm="l2", max_iter=50).

    Args:
        inputs: images in [0, 1], (N, C, H, W).
        name: of a class in art.attacks.evasion; further options are that class's own.
        norm: in which it is judged and scored.
        eps: radius of the ball it must stay in, given to the class if it takes one; None for a minimal attack.
        targets: classes to be taken for, (N,); None to leave the label.
        together: give ART all images in one call. That is faster, but where ART draws random numbers, results then depend
            on the batch. Otherwise it is called once for each image, with random numbers that belong to the image.
    """
    kind = _class_of(name)
    accepted = inspect.signature(kind).parameters
    offered = {"eps": eps, "targeted": targets is not None, "verbose": False, "summary_writer": False}
    given = options | {option: value for option, value in offered.items() if option in accepted and value is not None}
    parts = [torch.arange(len(inputs))] if together else [torch.tensor([row]) for row in range(len(inputs))]
    goal = labels if targets is None else targets
    found = inputs.clone()
    with _ONE_AT_A_TIME:
        for rows in parts:
            found[rows] = _generate(kind, given, model.of(rows), inputs[rows], goal[rows])
    return found


@attack(
    paper="arXiv:1904.02144",
    norm="l2",
    goal="minimal",
    knowledge="decision",
    presets={"quick": {"steps": 2}},
)
def hopskipjump(
    model: Classifier, inputs: Tensor, labels: Tensor, *, targets: Tensor | None = None, steps: Positive = 50
) -> Tensor:
    """HopSkipJump in L2, through ART: boundary search with gradients estimated from decisions.

    Args:
        steps: ART's max_iter; each takes hundreds of queries.
    """
    return art(model, inputs, labels, name="HopSkipJump", norm="l2", targets=targets, max_iter=steps)


@attack(
    paper="arXiv:1712.04248",
    norm="l2",
    goal="minimal",
    knowledge="decision",
    presets={"quick": {"steps": 5}},
)
def boundary(
    model: Classifier, inputs: Tensor, labels: Tensor, *, targets: Tensor | None = None, steps: Positive = 5000
) -> Tensor:
    """The boundary attack in L2, through ART: a random walk along the boundary.

    Args:
        steps: ART's max_iter.
    """
    return art(model, inputs, labels, name="BoundaryAttack", norm="l2", targets=targets, max_iter=steps)


class _Counted(nn.Module):
    """The classifier as ART sees it: any number of queries about its images, in float32, counted for each."""

    def __init__(self, model: Classifier) -> None:
        super().__init__()
        self._model = model

    def forward(self, x: Tensor) -> Tensor:
        rows = torch.arange(len(x)) % len(self._model.ids)
        return self._model(x.float(), rows)


def _class_of(name: str) -> type:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from art.attacks import EvasionAttack, evasion
    except ImportError as error:
        raise UsageError(f"ART is not installed ({error}); pip install 'robench[art]'") from error
    known = [n for n, c in vars(evasion).items() if inspect.isclass(c) and issubclass(c, EvasionAttack)]
    if name not in known:
        raise UsageError(f"ART has no evasion attack named {name!r}{did_you_mean(name, known)}")
    kind: type = getattr(evasion, name)
    return kind


def _generate(kind: type, options: dict[str, Any], model: Classifier, inputs: Tensor, goal: Tensor) -> Tensor:
    """One call of ART, its random numbers those of the first image."""
    from art.estimators.classification import PyTorchClassifier

    seed = int(digest([model.seed, model.ids[0]], 8), 16)

    class Seeded(np.random.RandomState):
        """ART makes generators without a seed as well."""

        def __init__(self, own: int | None = None) -> None:
            super().__init__(seed if own is None else own)

    before = np.random.get_state()
    np.random.seed(seed)
    try:
        with (
            warnings.catch_warnings(),
            torch.random.fork_rng(devices=[]),
            patch.object(np.random, "RandomState", Seeded),
        ):
            warnings.simplefilter("ignore")
            torch.manual_seed(seed)
            classifier = PyTorchClassifier(
                _Counted(model),
                nn.CrossEntropyLoss(),
                tuple(inputs.shape[1:]),
                model.classes,
                clip_values=(0.0, 1.0),
                device_type="gpu" if inputs.is_cuda else "cpu",
            )
            onehot = np.eye(model.classes, dtype=np.float32)[goal.cpu().numpy()]
            found = kind(classifier, **options).generate(inputs.cpu().numpy(), onehot)
    finally:
        np.random.set_state(before)
    return torch.from_numpy(np.asarray(found)).to(inputs).clamp(0, 1)
