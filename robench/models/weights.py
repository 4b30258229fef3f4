"""Weights of other tools: which of a file's tensors are those of a model, under whatever names they were saved."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from robench.errors import DataError, UsageError
from robench.models.saved import Stored, read_saved
from robench.models.vit import Normalize
from robench.places import home

WRAPPERS = {
    "_orig_mod",  # torch.compile
    "_fsdp_wrapped_module",
    "_checkpoint_wrapped_module",
    "_modules",  # of a whole module that was pickled
    "_parameters",
    "_buffers",
}
"""Parts of names that no layer has."""
COUNTED = ("num_batches_tracked", "relative_position_index", "attn_mask", "position_ids")
"""Ends of the names of buffers that are counted or follow from the shape: a file may lack them, or have them besides."""
BESIDES = (*COUNTED, "n_averaged", "total_ops", "total_params", "_extra_state")
NO_WEIGHTS = ("optim", "opt_", "sched", "lr_sched", "scaler", "amp", "criterion", "loss")
"""Beginnings of what else training scripts save."""
NORMALISERS = (("mean", "std"), ("new_mean", "new_std"), ("mu", "sigma"), ("mu", "std"), ("_mean", "_std"))
"""Ends of the names of a normalisation in front, MadryLab's among them."""

Elements = Stored | Tensor


@dataclass(frozen=True)
class Fit:
    """Tensors of a file that stand under a prefix, beside those of a model.

    Attributes:
        weights: by the model's names.
        missing, strange, misshapen: names that the file lacks, that the model does not know, and of other shapes.
    """

    prefix: str
    weights: dict[str, Elements]
    missing: list[str]
    strange: list[str]
    misshapen: list[str]

    @property
    def right(self) -> bool:
        return not (self.missing or self.strange or self.misshapen)


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
    found = _cleaned(_read(path))
    own = model.state_dict()
    fits = sorted(_fits(own, found, _front(model), _clean(strip)), key=_rank)
    right = [fit for fit in fits if fit.right]
    if not right:
        raise UsageError(_does_not_fit(path, name, own, found, fits[0] if fits else None))
    chosen = next((fit for fit in right if fit.prefix == _clean(strip)), None) if strip else None
    chosen = chosen or right[0]
    others = [fit.prefix for fit in right if not _same(fit, chosen)]
    if others and not (strip and chosen.prefix == _clean(strip)):
        every = sorted({chosen.prefix, *others})
        raise UsageError(
            f"{path!r} holds several weights that fit {name}, under {', '.join(map(repr, every))}; choose one: strip={every[-1]!r}"
        )
    tensors = own | {key: _elements(value, path) for key, value in chosen.weights.items()}
    model.load_state_dict(tensors)
    return _normaliser(found, chosen, own, path)


def _read(path: str) -> dict[str, Elements]:
    """All tensors of a file by their names, those of nests and prefixes before them."""
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
            return {**load_file(file)}
        except (SafetensorError, OSError, ValueError) as error:
            raise DataError(f"{path!r} cannot be read as safetensors: {error}") from error
    return dict(_flat(read_saved(file), ""))


def _flat(node: Any, name: str) -> Iterator[tuple[str, Elements]]:
    if isinstance(node, Stored):
        yield name, node
    elif isinstance(node, dict):
        for key, value in node.items():
            yield from _flat(value, f"{name}.{key}" if name else key)


def _clean(name: str) -> str:
    return ".".join(part for part in name.split(".") if part not in WRAPPERS)


def _cleaned(found: dict[str, Elements]) -> dict[str, Elements]:
    return {_clean(name): value for name, value in reversed(found.items())}  # the first of two stays


def _front(model: nn.Module) -> set[str]:
    """Names of the normalisation that a model begins with."""
    begins = isinstance(model, nn.Sequential) and len(model) and isinstance(model[0], Normalize)
    return {"0.mean", "0.std"} if begins else set()


def _fits(own: dict[str, Tensor], found: dict[str, Elements], front: set[str], strip: str) -> Iterator[Fit]:
    """The file's tensors under every prefix that any name of the model stands behind; of the model too one may be left out."""
    needed = [name for name in own if name not in front]
    for left_out in _prefixes(needed):
        short = {name[len(left_out) :] for name in needed}
        counts = Counter(prefix for name in found for prefix in _before(name, short, strip))
        for prefix, _ in counts.most_common(50):
            yield _fit(own, found, front, left_out, prefix)


def _prefixes(names: list[str]) -> list[str]:
    """What all names begin with: "", "1.", "1.model." …"""
    parts = [name.split(".")[:-1] for name in names]
    common = [column[0] for column in zip(*parts, strict=False) if len(set(column)) == 1] if parts else []
    same = next((n for n in range(len(common), 0, -1) if all(p[:n] == common[:n] for p in parts)), 0)
    return [".".join([*common[:n], ""]) for n in range(same + 1)]


def _before(name: str, short: set[str], strip: str) -> Iterator[str]:
    """What stands in a file's name before one of the model's."""
    starts = [0, *(place + 1 for place, letter in enumerate(name) if letter == ".")]
    for start in starts:
        if strip:
            if name.startswith(strip, start) and name[start + len(strip) :] in short:
                yield name[: start + len(strip)]
        elif name[start:] in short:
            yield name[:start]


def _fit(own: dict[str, Tensor], found: dict[str, Elements], front: set[str], left_out: str, prefix: str) -> Fit:
    inner = {name[len(prefix) :]: value for name, value in found.items() if name.startswith(prefix)}
    pairs = {name for pair in _pairs(inner) for name in pair}
    weights, missing, misshapen = {}, [], []
    for name, tensor in own.items():
        given = inner.pop(name[len(left_out) :], None) if name.startswith(left_out) else None
        if given is None:
            if name not in front and not name.endswith(COUNTED):
                missing.append(name)
        elif (
            tuple(given.shape) != tuple(tensor.shape) or given.dtype.is_floating_point != tensor.dtype.is_floating_point
        ):
            misshapen.append(name)
            weights[name] = given
        else:
            weights[name] = given
    strange = [
        name for name in inner if name not in pairs and not name.endswith(BESIDES) and not name.startswith(NO_WEIGHTS)
    ]
    return Fit(prefix, weights, missing, strange, misshapen)


def _rank(fit: Fit) -> tuple[int, int, int]:
    return len(fit.missing) + len(fit.misshapen), len(fit.strange), len(fit.prefix)


def _same(one: Fit, other: Fit) -> bool:
    """Whether two sets of weights, one of which a wrapper has as well, are equal."""
    return one.weights.keys() == other.weights.keys() and all(
        torch.equal(_elements(one.weights[name], ""), _elements(other.weights[name], "")) for name in one.weights
    )


def _elements(value: Elements, path: str) -> Tensor:
    if isinstance(value, Tensor):
        return value
    try:
        return value.tensor()
    except Exception as error:  # of a damaged archive, too
        raise DataError(f"{path!r} is damaged: a tensor of shape {value.shape} is not whole in it ({error})") from error


def _pairs(found: dict[str, Elements]) -> Iterator[tuple[str, str]]:
    """Names of mean and deviation of normalisations."""
    for name in found:
        begin, dot, end = name.rpartition(".")
        for mean, std in NORMALISERS:
            if end == mean and f"{begin}{dot}{std}" in found:
                yield name, f"{begin}{dot}{std}"


def _normaliser(
    found: dict[str, Elements], chosen: Fit, own: dict[str, Tensor], path: str
) -> tuple[list[float], list[float]] | None:
    """That of the file which stands beside the chosen weights; those that the model has itself are in it already."""
    used = {id(value) for value in chosen.weights.values()}
    pairs = []
    for names in _pairs(found):
        beside = names[0].rpartition(".")[0].rpartition(".")[0]
        tensors = [found[name] for name in names]
        if not any(id(value) in used for value in tensors) and chosen.prefix.startswith(beside and beside + "."):
            pairs.append(tuple(_elements(value, path).flatten().tolist() for value in tensors))
    if not pairs:
        return None
    if any(pair != pairs[0] for pair in pairs):
        raise UsageError(
            f"{path!r} holds several normalisations of pixels, {' and '.join(map(str, pairs))}; say which: mean={pairs[0][0]}, std={pairs[0][1]}"
        )
    return pairs[0][0], pairs[0][1]


def _does_not_fit(path: str, name: str, own: dict[str, Tensor], found: dict[str, Elements], best: Fit | None) -> str:
    """What is wrong, which names the file has, and which option may help."""
    if not found:
        return f"{path!r} holds no tensors under names, and so no weights; save them with torch.save(model.state_dict(), path)"
    listed = f"the file has {_some(list(found))}, and {name} wants {_some(list(own))}"
    example = (
        best.prefix if best and best.prefix else next((f"{n.split('.')[0]}." for n in found if "." in n), "model.")
    )
    helps = f"another arch, or strip={example!r} if that stands before the names"
    if best and best.misshapen and not best.missing and not best.strange:
        wrong = best.misshapen[0]
        return (
            f"{path!r} holds {wrong} of shape {tuple(best.weights[wrong].shape)} ({best.weights[wrong].dtype}), but {name} on this "
            f"data has {tuple(own[wrong].shape)} ({own[wrong].dtype}); {listed}; {helps}?"
        )
    if best is None:
        return f"{path!r} does not hold the weights of {name}: {len(own)} are missing; {listed}; {helps}?"
    return (
        f"{path!r} does not hold the weights of {name}: {len(best.missing)} are missing ({_some(best.missing)}), {len(best.strange)} "
        f"are not known ({_some(best.strange)}), {len(best.misshapen)} of another shape; {listed}; {helps}?"
    )


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "") if names else "none"
