"""The model that an attack is given: frozen, checked, and counted per image."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from copy import copy
from typing import Any

import torch
from torch import Tensor, nn

from robench.attacking.draws import Draws
from robench.attacking.losses import HALF_STOP_SHARE, STOP_SHARE, goal_margin
from robench.errors import ModelError, ran_out

NO_GRADIENT = "does not require grad"
"""In what torch says where something is to be differentiated, and gradients are not enabled."""


class Cancelled(Exception):
    """The run was stopped; raised inside an attack at its next forward pass."""


def checked_forward(module: nn.Module, inputs: Tensor, classes: int, name: str) -> Tensor:
    """Logits of a model, with what the model does wrong said in one message.

    The model gets a copy of the inputs: it may work in place. One that differentiates inside may do so also where no gradient
    is wanted. Logits of less than 32 bits become float32.

    Raises:
        ModelError: it raises, or its output is not finite, not real or not of shape (N, classes).
    """
    logits = _forward(module, inputs, name)
    wanted = (len(inputs), classes)
    if not isinstance(logits, Tensor) or logits.shape != wanted or logits.is_complex():
        raise ModelError(
            f"{name} returned {_instead(logits, len(inputs), f'logits of shape {wanted} (images, classes)')}"
        )
    if not torch.isfinite(logits).all():
        row = int((~torch.isfinite(logits).all(1)).nonzero()[0])
        raise ModelError(
            f"{name} returned logits that are not finite (first at image {row} of the batch); logits must be finite numbers"
        )
    return logits if logits.dtype in (torch.float32, torch.float64) else logits.float()


def count_classes(module: nn.Module, inputs: Tensor, name: str) -> int:
    """How many logits a model has, from a forward pass of the first input.

    Raises:
        ModelError: it raises, or returns something else than logits of shape (N, classes), with at least two.
    """
    with torch.no_grad():
        logits = _forward(module, inputs[:1], name)
    right = isinstance(logits, Tensor) and logits.ndim == 2 and len(logits) == len(inputs[:1])
    if not right or logits.shape[1] < 2 or logits.is_complex():
        raise ModelError(f"{name} returned {_instead(logits, 1, 'logits of shape (images, classes)')}")
    return int(logits.shape[1])


def _instead(output: Any, images: int, wanted: str) -> str:
    """What a model returned, what was wanted, and what to try."""
    way = ""
    if isinstance(output, dict):
        way = f"the logits alone, such as output[{next((key for key in output if 'logit' in str(key)), 'logits')!r}]"
    elif isinstance(output, tuple) and hasattr(output, "_fields"):
        way = f"the logits alone, such as output.{output._fields[0]}"
    elif isinstance(output, tuple | list):
        way = "the logits alone, such as output[0]"
    elif hasattr(output, "logits"):
        way = "the logits alone: output.logits"
    if not isinstance(output, Tensor):
        return f"{type(output).__name__}, but {wanted} were wanted; return {way or 'a tensor'}"
    given = f"{tuple(output.shape)}"
    if output.is_complex():
        given, way = f"{given} ({output.dtype})", "real numbers, such as output.real or output.abs()"
    elif output.shape == (images, 1):
        way = "a logit for each class, at least two; of a single logit z of two classes, torch.cat([-z, z], 1)"
    elif output.ndim > 2 and output[:1].numel() == max(output.shape[1:]):
        way = "output.flatten(1)"
    elif output.ndim == 1:
        way = "a logit for each class, not the class or a single score"
    return f"{given}, but {wanted} were wanted" + (f"; return {way}" if way else "")


def forward(module: nn.Module, inputs: Tensor) -> Any:
    """The output of a model on a copy of the inputs.

    A model that differentiates inside may count on gradients being enabled: where none is wanted outwards, they are
    enabled for it, on inputs that are cut off.
    """
    try:
        return module(inputs.clone())
    except RuntimeError as error:
        if NO_GRADIENT not in str(error) or (torch.is_grad_enabled() and inputs.requires_grad):
            raise
    with torch.enable_grad():
        try:
            output = module(inputs.detach().clone())
        except RuntimeError as error:
            if NO_GRADIENT not in str(error):
                raise
            output = module(inputs.detach().clone().requires_grad_())
    return output.detach() if isinstance(output, Tensor) else output


def _forward(module: nn.Module, inputs: Tensor, name: str) -> Any:
    try:
        return forward(module, inputs)
    except Exception as error:
        if ran_out(error):
            raise
        way = (
            ""
            if NO_GRADIENT not in str(error)
            else (
                "; a model that differentiates inside does it within torch.enable_grad(), on inputs.detach().requires_grad_()"
            )
        )
        raise ModelError(
            f"{name} raised {type(error).__name__} on images of shape {tuple(inputs.shape)} in [0, 1]: {error}{way}"
        ) from error


class Classifier:
    """A frozen model for one shard of images. Call it as `model(x, rows)`.

    `rows` says which of the shard's images the rows of `x` are (None: all, in order). Each call counts one forward
    pass for each row, each gradient taken through its logits one backward pass; for a random model one for each draw.

    Attributes:
        draws: random numbers that belong to the images; `model.draws.uniform("start", 0, rows, shape)`.
        forwards, backwards: passes so far, int64, (images,).
        classes: number of logits.
        random: its answers are means of draws, so that a success may be luck: an attack should go on after one.
        ids: of the images.
        positions: of the images in the data set's own test split, from 0; those of the shard where it is all there is.
        seed: of the attack.

    Args:
        half: make the passes in bfloat16.
        spread: of each image's logits before the attack, (images,), as `robench.spread` has it; None: 1 for each.

    Example:
        >>> model = Classifier(nn.Sequential(nn.Flatten(), nn.Linear(4, 3)), 3, ["first", "second"], seed=0)
        >>> probe = torch.rand(2, 1, 2, 2).requires_grad_()
        >>> model.gradient(probe, cross_entropy(model(probe), torch.tensor([0, 1]), None)).shape
        torch.Size([2, 1, 2, 2])
        >>> model.forwards, model.backwards
        (tensor([1, 1]), tensor([1, 1]))
    """

    def __init__(
        self,
        module: nn.Module,
        classes: int,
        ids: Sequence[str],
        *,
        seed: int = 0,
        name: str = "the model",
        stop: threading.Event | None = None,
        half: bool = False,
        spread: Tensor | None = None,
        positions: Sequence[int] | None = None,
    ) -> None:
        self._module = module
        self._half = half
        self._cost = int(getattr(module, "draws", 1))
        self._name = name
        self._stop = stop
        self.classes = classes
        self.random = self._cost > 1
        self.ids = list(ids)
        self.positions = list(range(len(ids))) if positions is None else list(positions)
        self.seed = seed
        self.draws = Draws(seed, ids)
        self._places = torch.arange(len(ids))
        self._spread = torch.ones(len(ids), dtype=torch.float64) if spread is None else spread.detach().cpu().double()
        self.forwards = torch.zeros(len(ids), dtype=torch.int64)
        self.backwards = torch.zeros(len(ids), dtype=torch.int64)

    def __call__(self, inputs: Tensor, rows: Tensor | None = None) -> Tensor:
        if self._stop is not None and self._stop.is_set():
            raise Cancelled
        with torch.autocast(inputs.device.type, torch.bfloat16, enabled=self._half):
            logits = checked_forward(self._module, inputs, self.classes, self._name)
        logits = logits.to(inputs.dtype)
        places = self._placed(rows, len(inputs))
        ones = torch.full_like(places, self._cost)
        self.forwards.index_add_(0, places, ones)
        if logits.requires_grad:
            logits.register_hook(lambda _: self._count_backward(places, ones))  # type: ignore[no-untyped-call]
        return logits

    def _placed(self, rows: Tensor | None, count: int) -> Tensor:
        """Places of the images in the shard."""
        return self._places[:count] if rows is None else self._places[rows.cpu()]

    def spread(self, like: Tensor, rows: Tensor | None = None) -> Tensor:
        """The scale of each image's logits, (n,), of the type of `like`, (n, ...); see `robench.spread`."""
        return self._spread[self._placed(rows, len(like))].to(like)

    def stop_margin(self, like: Tensor, rows: Tensor | None = None) -> Tensor:
        """The margin, in logits, above which an attack takes its goal as reached, (n,), of the type of `like`, (n, ...).

        It is a share of the image's own spread of logits, ten times what the judge asks for in its own forward pass; in
        bfloat16 as much as its rounding may be wrong by, since the judge's pass is in float32.
        """
        return (HALF_STOP_SHARE if self._half else STOP_SHARE) * self.spread(like, rows)

    def reached(self, logits: Tensor, labels: Tensor, targets: Tensor | None, rows: Tensor | None = None) -> Tensor:
        """Where the goal is reached, safely enough that the judge will agree, bool, (n,).

        Args:
            labels, targets: of these rows, (n,).
        """
        return goal_margin(logits, labels, targets) > self.stop_margin(logits, rows)

    def of(self, rows: Tensor) -> Classifier:
        """The same model for some of the images, which may repeat: row r of its batches is image rows[r] of this one.

        It is what an attack gives to another attack that goes on with the images that are left; passes are counted here.
        """
        part = copy(self)
        part._places, part.draws = self._places[rows.cpu()], self.draws.of(rows)
        part.ids = [self.ids[row] for row in rows.tolist()]
        part.positions = [self.positions[row] for row in rows.tolist()]
        return part

    def _count_backward(self, places: Tensor, ones: Tensor) -> None:
        self.backwards.index_add_(0, places, ones)

    def gradient(self, inputs: Tensor, loss: Tensor, *, again: bool = False) -> Tensor:
        """Gradient of the sum of per-image losses with respect to the inputs, checked to be finite.

        Args:
            again: whether another gradient is wanted of the same forward pass.

        Raises:
            ModelError: there is no gradient or it is not finite.
        """
        try:
            (gradient,) = torch.autograd.grad(loss.sum(), inputs, retain_graph=again)
        except RuntimeError as error:
            if ran_out(error):
                raise
            raise ModelError(
                f"{self._name} has no gradient with respect to its inputs ({error}); "
                "a white-box attack needs one: use a score- or decision-based attack"
            ) from error
        if not torch.isfinite(gradient).all():
            raise ModelError(f"{self._name} has gradients that are not finite; a white-box attack cannot follow them")
        return gradient


def frozen(module: nn.Module, device: torch.device, dtype: torch.dtype = torch.float32) -> nn.Module:
    """The module in eval mode on a device, its parameters without gradients; for models that robench owns."""
    module = module.to(device=device, dtype=dtype).eval()
    for parameter in module.parameters():  # a scripted module has no requires_grad_ of its own
        parameter.requires_grad_(False)
    return module
