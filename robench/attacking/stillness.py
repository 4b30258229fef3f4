"""A model's state: held while it is attacked, compared afterwards, put back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from robench.attacking.classifier import checked_forward
from robench.attacking.losses import spread
from robench.errors import AttackError, ModelError


@contextmanager
def held_still(module: nn.Module) -> Iterator[None]:
    """The module in eval mode, its parameters without gradients; every part of it as it was, afterwards.

    Example:
        >>> net = nn.Linear(2, 2).train()
        >>> with held_still(net):
        ...     net.training, net.weight.requires_grad
        (False, False)
        >>> net.training, net.weight.requires_grad
        (True, True)
    """
    modes = [(part, part.training) for part in module.modules()]
    learning = [parameter for parameter in module.parameters() if parameter.requires_grad]
    module.eval()
    for parameter in learning:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for part, mode in modes:
            part.training = mode
        for parameter in learning:
            parameter.requires_grad_(True)


def refuse_unmade(module: nn.Module, name: str) -> None:
    """Check that a model has all its weights.

    Raises:
        ModelError: it has layers that get theirs at their first forward pass.
    """
    unmade = [key for key, tensor in [*module.named_parameters(), *module.named_buffers()] if is_lazy(tensor)]
    if unmade:
        raise ModelError(
            f"{name} has layers without weights yet ({', '.join(unmade[:3])}); pass a batch through it once before it is given to robench"
        )


class Kept:
    """The state of modules: parts, weights, buffers, hooks, modes, and which parameters learn.

    Example:
        >>> net = nn.Linear(2, 2)
        >>> kept = Kept([net])
        >>> net.weight.data.zero_()
        tensor([[0., 0.],
                [0., 0.]])
        >>> kept.changed()
        'weight'
        >>> kept.restore()
        >>> kept.changed() is None
        True
    """

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        self._modes = [(part, part.training) for module in modules for part in module.modules()]
        self._build = [(part, _build(part)) for part, _ in self._modes]
        self._tensors = [
            (key, tensor, tensor.detach().clone(), tensor.requires_grad)
            for part, _ in self._modes
            for key, tensor in [*part.named_parameters(recurse=False), *part.named_buffers(recurse=False)]
        ]
        self._own: set[int] = set()

    def settle(self) -> None:
        """To be called after a pass of the model alone: what that changed is its own count, for which no attack is blamed."""
        self._own = {id(tensor) for _, tensor, copy, _ in self._tensors if not _same(tensor, copy)}

    def changed(self) -> str | None:
        """What is not as it was, for a person; None where all is. Buffers of whole numbers may count on."""
        for part, build in self._build:
            now = _build(part)
            for name in {**build, **now}:
                if name not in build or name not in now or not _alike(build[name], now[name]):
                    return _named(name, build.get(name), now.get(name))
        for key, tensor, copy, learns in self._tensors:
            counts = not tensor.is_floating_point() or id(tensor) in self._own
            if tensor.requires_grad != learns or not (counts or _same(tensor, copy)):
                return key
        return "its mode" if any(part.training != mode for part, mode in self._modes) else None

    @torch.no_grad()
    def restore(self) -> None:
        """Put everything back."""
        for part, build in self._build:
            for name in set(_build(part)) - set(build):
                del vars(part)[name]
            for name, value in build.items():
                if isinstance(value, dict):
                    vars(part)[name].clear()
                    vars(part)[name].update(value)
                else:
                    vars(part)[name] = value
        for part, mode in self._modes:
            part.training = mode
        for _, tensor, copy, learns in self._tensors:
            if not _same(tensor, copy):
                tensor.data = copy.clone()
            tensor.requires_grad_(learns)


def _build(part: nn.Module) -> dict[str, Any]:
    """What a module consists of: its parts, weights, buffers and hooks by name, and the numbers of a layer of torch's."""
    if isinstance(part, torch.jit.ScriptModule):
        return {}
    own = vars(part)
    found: dict[str, Any] = {
        name: dict(value) for name, value in own.items() if name.startswith("_") and isinstance(value, dict)
    }
    if type(part).__module__.startswith(
        "torch.nn."
    ):  # numbers in a layer of one's own may be its own count of something
        found |= {name: value for name, value in own.items() if isinstance(value, int | float | str | tuple)}
        found.pop("training", None)
    return found | ({"forward": own["forward"]} if "forward" in own else {})


def _alike(before: Any, now: Any) -> bool:
    """Whether a part of a module is the one it was; those in dictionaries are compared as objects."""
    if isinstance(before, dict) and isinstance(now, dict):
        return before.keys() == now.keys() and all(before[key] is now[key] for key in before)
    return before is now or (type(before) is type(now) and bool(before == now))


def _named(name: str, before: Any, now: Any) -> str:
    """A changed part of a module in words."""
    if isinstance(before, dict) and isinstance(now, dict) and "hooks" not in name:
        keys = [key for key in {**before, **now} if before.get(key) is not now.get(key)]
        return str(keys[0])
    return "a hook" if "hooks" in name else name


def _same(now: Tensor, copy: Tensor) -> bool:
    if now.dtype != copy.dtype or now.shape != copy.shape or now.device != copy.device:
        return False
    return torch.equal(now, copy) or (
        now.is_floating_point() and torch.allclose(now, copy, rtol=0, atol=0, equal_nan=True)
    )


@contextmanager
def unchanged(modules: Sequence[nn.Module], attack: str) -> Iterator[Kept]:
    """Modules that an attack is given; they are put back afterwards, whatever it did to them.

    Raises:
        AttackError: it changed them.
    """
    kept = Kept(modules)
    try:
        yield kept
        refuse_changed(kept, attack)
    finally:
        kept.restore()


def refuse_changed(kept: Kept, attack: str) -> None:
    """Check that an attack left the model alone.

    Raises:
        AttackError: naming the attack and what it changed.
    """
    changed = kept.changed()
    if changed:
        raise AttackError(
            f"{attack} changed the model that it attacks ({changed}); what it found is of another model and is not recorded. "
            "An attack may call the model, and work on a copy.deepcopy of it"
        )


CHECKED = 8
"""Images of a shard that the model is asked again after an attack."""


@torch.no_grad()
def refuse_other_answers(module: nn.Module, inputs: Tensor, clean: Tensor, attack: str) -> None:
    """Check that a model answers as before the attack: there is more to a model than what `Kept` can see.

    Args:
        inputs: as they were given to the attack, (N, ...).
        clean: the model's logits of them before it, (N, classes).

    Raises:
        AttackError: naming the attack.
    """
    rows = torch.linspace(0, len(inputs) - 1, min(CHECKED, len(inputs))).long()
    images, before = inputs[rows.to(inputs.device)], clean[rows].to(inputs.device)
    fine = all(torch.finfo(p.dtype).bits >= 32 for p in module.parameters() if p.is_floating_point())

    def differ(one: Tensor, other: Tensor) -> bool:
        off = (one - other).abs().amax(1) / spread(before).clamp_min(1e-30)
        return bool((off > (0.01 if fine else 0.2)).any())

    def answers() -> Tensor:
        return checked_forward(module, images, before.shape[1], "the model").to(before)

    now = answers()
    if differ(now, before) and not differ(now, answers()):  # a random model differs from itself
        raise AttackError(
            f"{attack} changed the model that it attacks (it answers otherwise on the images as they were); what it found "
            "is of another model and is not recorded. An attack may call the model, and work on a copy.deepcopy of it"
        )


class Native(nn.Module):
    """A model of another precision, given inputs of its own precision.

    Args:
        dtype: of its weights.
    """

    def __init__(self, module: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.module, self.dtype = module, dtype

    def forward(self, inputs: Tensor) -> Tensor:
        logits: Tensor = self.module(inputs.to(self.dtype))
        return logits


def native(module: nn.Module, dtype: torch.dtype) -> nn.Module:
    """The model as it is, able to take inputs of this precision. Its own is that of most of its weights and buffers.

    Example:
        >>> native(nn.Linear(2, 2).half(), torch.float32)(torch.zeros(1, 2)).dtype
        torch.float16
    """
    sizes = Counter[torch.dtype]()
    for tensor in [*module.parameters(), *module.buffers()]:
        if tensor.is_floating_point():
            sizes[tensor.dtype] += tensor.numel()
    own = sizes.most_common(1)[0][0] if sizes else dtype
    return module if own == dtype else Native(module, own)
