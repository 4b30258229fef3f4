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

from robench import (
    Classifier,
    Knowledge,
    Nearest,
    Norm,
    Positive,
    Radius,
    UsageError,
    attack,
    did_you_mean,
    digest,
    goal_margin,
    inside,
    into_ball,
    lengths,
    picked,
    rowwise,
    weight_scale,
)

_ONE_AT_A_TIME = threading.Lock()
"""ART draws from numpy's global random state, and seeds are put there."""
ORDERS = {"linf": np.inf, "l2": 2, "l1": 1}
"""What ART calls the norms, for its classes that take one."""
STRANGE = 1000.0
"""Logits whose spread is beyond this, or below its reciprocal, are scaled for ART."""
FURTHER = [1e-5 * 4**k for k in range(6)]
"""Shares by which a perturbation is lengthened that ends so near to the boundary that last bits decide on which side."""


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

    An image that ART leaves on the boundary, nearer to it than the judge asks for (its DeepFool does, on either side), is
    moved on along its own perturbation, by 1 % at most. Where its last image fails, or without eps is not the nearest that it asked about and
    that reached the goal, that one is taken.

    Args:
        inputs: images in [0, 1], (N, C, H, W).
        name: of a class in art.attacks.evasion; further options are that class's own.
        norm: in which it is judged and scored, given to the class if it takes one.
        eps: radius of the ball it must stay in, given to the class if it takes one; None for a minimal attack.
        targets: classes to be taken for, (N,); None to leave the label.
        together: give ART all images in one call. That is faster, but where ART draws random numbers, results then depend
            on the batch. Otherwise it is called once for each image, with random numbers that belong to the image.
    """
    kind = _class_of(name)
    accepted = inspect.signature(kind).parameters
    offered = {
        "norm": ORDERS.get(norm),
        "eps": eps,
        "targeted": targets is not None,
        "verbose": False,
        "summary_writer": False,
    }
    given = options | {option: value for option, value in offered.items() if option in accepted and value is not None}
    parts = [torch.arange(len(inputs))] if together else [torch.tensor([row]) for row in range(len(inputs))]
    found = inputs.clone()
    with _ONE_AT_A_TIME:
        for rows in parts:
            asked = _Asked(model.of(rows), inputs[rows], labels[rows], picked(targets, rows), norm, eps)
            found[rows] = asked.mended(_generate(kind, given, asked))
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


class _Asked(nn.Module):
    """The classifier as ART sees it: any number of queries about its images, in float32, counted for each.

    It remembers each image's nearest query that reached the goal. Logits of a scale that no trained classifier has are
    brought to the usual one: ART adds constants to gradients, and its losses are flat where a softmax is 0 or 1.
    """

    def __init__(
        self,
        model: Classifier,
        inputs: Tensor,
        labels: Tensor,
        targets: Tensor | None,
        norm: str,
        eps: float | None,
    ) -> None:
        super().__init__()
        self.model, self.inputs, self.labels, self.targets = model, inputs, labels, targets
        self.norm, self.eps = norm, eps
        self._nearest, scale = Nearest(inputs), model.spread(inputs).median()
        self._factor = 1.0 if 1 / STRANGE < float(scale) < STRANGE else float(weight_scale(scale))

    def forward(self, x: Tensor) -> Tensor:
        rows = torch.arange(len(x)) % len(self.inputs)
        logits = self.model(x.float(), rows)
        points = x.detach().to(self.inputs)
        won = self._won(points, logits.detach(), rows)
        for start in range(0, len(points), len(self.inputs)):
            self._remember(points[start:][: len(self.inputs)], won[start:][: len(self.inputs)])
        return self._factor * logits

    def _won(self, x: Tensor, logits: Tensor, rows: Tensor) -> Tensor:
        """Where the goal is reached inside the box and the ball, bool, (N,)."""
        won = self.model.reached(logits, self.labels[rows], picked(self.targets, rows), rows)
        won &= ((x >= 0) & (x <= 1)).flatten(1).all(1)
        return won if self.eps is None else won & inside(x, self.inputs[rows], self.norm, self.eps)

    def _remember(self, points: Tensor, won: Tensor) -> None:
        """Keep what is nearer than what there is; point i is compared with image i, whichever image ART meant."""
        rows = torch.arange(len(points), device=points.device)
        self._nearest.offer(rows, points, lengths(points - self.inputs[rows])[self.norm], won)

    @torch.no_grad()
    def mended(self, found: Tensor) -> Tensor:
        """What ART found, moved on where it stands on the boundary; or the nearest query that reached the goal."""
        rows = torch.arange(len(found))
        logits = self.model(found, rows)
        left = ~self._won(found, logits, rows)
        near = goal_margin(logits, self.labels, self.targets) > -self.model.stop_margin(logits, rows)
        for share in FURTHER:
            rows = (left & near).nonzero().squeeze(1)
            if not len(rows):
                break
            delta = (1 + share) * (found[rows] - self.inputs[rows])
            delta = delta if self.eps is None or self.norm == "l0" else into_ball(delta, self.eps, self.norm)
            moved = (self.inputs[rows] + delta).clamp(0, 1)
            won = self._won(moved, self.model(moved, rows.cpu()), rows.cpu())
            found[rows[won]] = moved[won]
            left[rows[won]] = False
        had, size = self._nearest.sizes, lengths(found - self.inputs)[self.norm]
        lost = (had < size) if self.eps is None else torch.zeros_like(left)
        return torch.where(rowwise((left | lost) & had.isfinite(), found), self._nearest.images, found)


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


def _generate(kind: type, options: dict[str, Any], asked: _Asked) -> Tensor:
    """One call of ART, its random numbers those of the first image."""
    model, inputs = asked.model, asked.inputs
    goal = asked.labels if asked.targets is None else asked.targets
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
                asked,
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
