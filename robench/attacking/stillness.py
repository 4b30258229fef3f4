"""A model's state: held while it is attacked, compared afterwards, put back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

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
    """The state of modules: weights, buffers, modes, and which parameters learn.

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
        self._tensors = [
            (part, key, tensor, tensor.detach().clone(), tensor.requires_grad)
            for part, _ in self._modes
            for key, tensor in [*part._parameters.items(), *part._buffers.items()]
            if tensor is not None
        ]

    def changed(self) -> str | None:
        """What is not as it was, for a person; None where all is. Buffers of whole numbers may count on."""
        for part, key, tensor, copy, learns in self._tensors:
            now = part._parameters.get(key, part._buffers.get(key))
            if now is not tensor or now.requires_grad != learns or not _same(now, copy):
                return key
        return "its mode" if any(part.training != mode for part, mode in self._modes) else None

    @torch.no_grad()
    def restore(self) -> None:
        """Put everything back."""
        for part, mode in self._modes:
            part.training = mode
        for part, key, tensor, copy, learns in self._tensors:
            if not _same(tensor, copy):
                tensor.data = copy.clone()
            tensor.requires_grad_(learns)
            (part._parameters if key in part._parameters else part._buffers)[key] = tensor  # type: ignore[assignment]


def _same(now: Tensor, copy: Tensor) -> bool:
    if now.dtype != copy.dtype or now.shape != copy.shape or now.device != copy.device:
        return False
    if not now.is_floating_point():
        return True
    return torch.equal(now, copy) or torch.allclose(now, copy, rtol=0, atol=0, equal_nan=True)


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
    """The model as it is, able to take inputs of this precision.

    Example:
        >>> native(nn.Linear(2, 2).half(), torch.float32)(torch.zeros(1, 2)).dtype
        torch.float16
    """
    own = next((p.dtype for p in module.parameters() if p.is_floating_point()), dtype)
    return module if own == dtype else Native(module, own)
