"""Weights of other tools, put into a model whatever names they were saved under."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from robench.errors import DataError, UsageError
from robench.hashing import tensor_bytes
from robench.models.fits import (
    COUNTED,
    NORMALISERS,
    Contents,
    Elements,
    Fit,
    cleaned,
    does_not_fit,
    fits_of,
    last,
    left_over,
    pairs,
    some,
    too_much,
)
from robench.models.saved import Stored, read_saved
from robench.models.vit import Normalize
from robench.places import home

MOST = 50_000
"""Tensors and containers in a file, each counted wherever it stands: more are no weights but a nest of shared containers."""
NORMALISATIONS = {name for pair in NORMALISERS for name in pair}
STATES = ({"state", "param_groups"}, {"growth_factor", "backoff_factor"})
"""What the state of an optimizer and of a gradient scaler have."""


def load_weights(model: nn.Module, path: str, name: str, strip: str = "") -> tuple[list[float], list[float]] | None:
    """Put the weights of a file into a model; returns mean and standard deviation of a normalisation in the file, if there is one.

    They are found under any prefix and in any nest, as torch.compile, DDP, Lightning, moving averages and others save them.
    A normalisation in front of the model may be missing in the file; it stays as it is. Nothing in the file is run.

    Args:
        model: a normalisation in front of it is a `Normalize` that a Sequential begins with.
        path: of a file of safetensors, torch.save, torch.jit.save or pickle.
        name: of the model, for messages.
        strip: what stands before the model's names, where several sets of weights fit: "state_dict_ema.".

    Raises:
        DataError: the file is missing or damaged, or would run code if it was loaded otherwise.
        UsageError: it does not hold the model's weights, or several that fit.

    Example:
        >>> net = nn.Linear(2, 2)
        >>> torch.save({"model": {"module.weight": torch.eye(2), "module.bias": torch.ones(2)}}, "other.pt")
        >>> load_weights(net, "other.pt", "a linear layer")
        >>> net.bias
        Parameter containing:
        tensor([1., 1.], requires_grad=True)
    """
    contents = _read(path)
    own, found, asked = model.state_dict(), contents.tensors, bool(strip)
    if not found:
        raise UsageError(
            f"{path!r} holds no tensors under names, and so no weights; save them with torch.save(model.state_dict(), path)"
        )
    every = fits_of(own, found, _front(model))
    fits = fits_of(own, found, _front(model), cleaned(strip)) if asked else every
    complete = [fit for fit in every if fit.complete]
    whole = [fit for fit in fits if fit.complete]
    if not whole:
        elsewhere = sorted({fit.prefix for fit in complete})
        raise UsageError(
            f"{path!r} {does_not_fit(name, own, contents, next(iter(fits or every), None), strip, elsewhere)}"
        )
    left = [left_over(fit, contents, [*complete, fit], asked=asked) for fit in whole]
    right = [fit for fit, beside in zip(whole, left, strict=True) if not beside]
    if not right:
        raise UsageError(f"{path!r} {too_much(name, whole[0], left[0], asked=asked)}")
    named = next((fit for fit in right if asked and fit.prefix == cleaned(strip)), None)
    chosen = named or max(
        right, key=lambda fit: len(fit.weights)
    )  # with the normalisation in front, where there is one
    others = [fit.prefix for fit in right if not _within(fit, chosen, path)]
    if others and not (asked and chosen.prefix == cleaned(strip)):
        prefixes = sorted({chosen.prefix, *others})
        raise UsageError(
            f"{path!r} holds several weights that fit {name}, under {', '.join(map(repr, prefixes))}; choose one: strip={prefixes[-1]!r}"
        )
    tensors = {key: _elements(value, path).to(own[key].dtype) for key, value in chosen.weights.items()}
    if broken := [key for key, value in tensors.items() if last(key) not in COUNTED and not value.isfinite().all()]:
        raise DataError(
            f"{path!r} holds weights that are not finite: {some(broken)}; a training that broke down leaves such: take an "
            "earlier checkpoint"
        )
    model.load_state_dict(own | tensors)
    return _normaliser(contents, chosen, path)


def _read(path: str) -> Contents:
    file = home(path, "the file of weights")
    if not file.is_file():
        about = "is a folder; give the file in it" if file.is_dir() else "is not there"
        raise DataError(
            f"there is no file {path!r} to read weights from ({about}): a .safetensors or .pt file is wanted"
        )
    try:
        with file.open("rb") as stream:
            begin = stream.read(9)
    except OSError as error:
        raise DataError(f"{path!r} cannot be read: {error}") from error
    if file.suffix == ".safetensors" or begin[8:9] == b"{":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            found: list[tuple[tuple[str, ...], Elements]] = [
                ((name,), value) for name, value in load_file(file).items()
            ]
        except (SafetensorError, OSError, ValueError) as error:
            raise DataError(f"{path!r} cannot be read as safetensors: {error}") from error
    else:
        found = list(_flat(read_saved(file), path))
    found.reverse()  # of two of one name the first stays
    names = [cleaned(".".join(keys)) for keys, _ in found]
    return Contents(
        {name: value for name, (_, value) in zip(names, found, strict=True)},
        {name: keys for name, (keys, _) in zip(names, found, strict=True)},
    )


def _flat(root: Any, path: str) -> Iterator[tuple[tuple[str, ...], Elements]]:
    """The tensors of nests with the keys before them; the states of optimizers and gradient scalers are left out.

    Raises:
        DataError: there are too many, as a file can have in a few bytes where containers are shared.
    """
    holding: dict[int, list[tuple[str, Any]]] = {}

    def inside(node: Any) -> list[tuple[str, Any]]:
        """What of a dict holds tensors; each dict is looked through once."""
        if id(node) not in holding:
            holding[id(node)] = []  # where it holds itself
            state = any(keys <= {key.removeprefix("_") for key in node} for keys in STATES)
            items = [] if state else [(k, _numbers(k, v)) for k, v in node.items()]
            items = [(k, v) for k, v in items if isinstance(v, Stored | Tensor | dict)]
            holding[id(node)] = [(k, v) for k, v in items if not isinstance(v, dict) or inside(v)]
        return holding[id(node)]

    waiting: list[tuple[tuple[str, ...], Any]] = [((), root)]
    seen = 0
    while waiting:
        keys, node = waiting.pop()
        seen += 1
        if seen > MOST:
            raise DataError(
                f"{path!r} holds more than {MOST:,} tensors and containers, which weights do not; save the model's alone: "
                "torch.save(model.state_dict(), path)"
            )
        if isinstance(node, Stored | Tensor):
            yield keys, node
        elif isinstance(node, dict):
            waiting += [((*keys, key), value) for key, value in reversed(inside(node))]


def _numbers(name: str, value: Any) -> Any:
    """A normalisation that was saved as a list of numbers, of which `read_saved` makes a dict, as a tensor; else the value as it is."""
    numbers = [*value.values()] if isinstance(value, dict) and [*value] == [str(i) for i in range(len(value))] else []
    plain = 0 < len(numbers) <= 4 and all(type(number) in (int, float) for number in numbers)
    return torch.tensor(numbers, dtype=torch.float64) if plain and name in NORMALISATIONS else value


def _front(model: nn.Module) -> set[str]:
    """Names of the normalisation that a model begins with."""
    begins = isinstance(model, nn.Sequential) and len(model) and isinstance(model[0], Normalize)
    return {"0.mean", "0.std"} if begins else set()


def _within(one: Fit, other: Fit, path: str) -> bool:
    """Whether all weights of a set are those of another, bit by bit: a wrapper has them as well, or they are found two ways."""
    return one.weights.keys() <= other.weights.keys() and all(
        value is other.weights[name] or _bits(value, path) == _bits(other.weights[name], path)
        for name, value in one.weights.items()
    )


def _bits(value: Elements, path: str) -> tuple[torch.dtype, bytes]:
    tensor = _elements(value, path)
    return tensor.dtype, tensor_bytes(tensor)


def _elements(value: Elements, path: str) -> Tensor:
    if isinstance(value, Tensor):
        return value
    try:
        return value.tensor()
    except Exception as error:  # of a damaged archive, too
        raise DataError(f"{path!r} is damaged: a tensor of shape {value.shape} is not whole in it ({error})") from error


def _normaliser(contents: Contents, chosen: Fit, path: str) -> tuple[list[float], list[float]] | None:
    """That of the file which stands beside the chosen weights; those that the model has itself are in it already.

    A mean above 1 is of pixels from 0 to 255, and is divided by that, as is its deviation.
    """
    found = contents.tensors
    beside = [
        tuple(_elements(found[name], path).flatten().tolist() for name in (mean, std))
        for mean, std, around in pairs(found)
        if mean not in chosen.used and std not in chosen.used and chosen.prefix.startswith(around)
    ]
    if not beside:
        return None
    beside = [
        (mean, std) if max(mean) <= 1 else tuple([v / 255 for v in part] for part in (mean, std))
        for mean, std in beside
    ]
    if any(pair != beside[0] for pair in beside):
        raise UsageError(
            f"{path!r} holds several normalisations of pixels, {' and '.join(map(str, beside))}; say which: mean={beside[0][0]}, std={beside[0][1]}"
        )
    return beside[0][0], beside[0][1]
