"""Weights of your own, put into an architecture: from safetensors, or from a pickle that holds tensors only."""

from __future__ import annotations

import pickle
import re
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from robench import DataError, FilePath, Recipe, Task, UsageError, Wrapped, defense, recipe_of

NESTS = ("state_dict", "model_state_dict", "model", "net", "ema")
"""Under which keys training scripts keep the weights."""


@defense(paper="")
def checkpoint(task: Task, *, path: FilePath, arch: Wrapped, strip: str = "") -> Recipe:
    """Weights from a file in any architecture: `checkpoint(path='weights.safetensors', arch=vit(depth=12))`.

    Args:
        path: .safetensors, or a file of torch.save that holds nothing but tensors. Its contents are part of what the row is
            named by. A pickle that would run code is refused.
        arch: the defense whose architecture it is; its training is left out.
            Weights of a model without robench's normalisation in front are put behind that of arch.
        strip: a prefix of the names in the file that the architecture does not have ("module." is taken off by itself).
    """
    recipe = recipe_of(arch, task)
    file = Path(path).expanduser()
    if not file.is_file():
        raise DataError(f"there is no file {path!r} to read weights from; give a .safetensors or .pt file")
    weights = {name.removeprefix("module.").removeprefix(strip): tensor for name, tensor in _read(file).items()}
    own = recipe.model.state_dict()
    if not own.keys() & weights.keys():  # a model from elsewhere has no normalisation ahead of it: that of arch stays
        inner = {f"1.{name}": tensor for name, tensor in weights.items()}
        weights = inner | {name: own[name] for name in ("0.mean", "0.std") if name in own}
    missing, strange = sorted(own.keys() - weights.keys()), sorted(weights.keys() - own.keys())
    if missing or strange:
        raise UsageError(
            f"{path!r} does not hold the weights of {arch}: {len(missing)} are missing ({', '.join(missing[:3])}), {len(strange)} "
            f"are not known ({', '.join(strange[:3])}); another arch, or strip='...'?"
        )
    for name, tensor in own.items():
        if tensor.shape != weights[name].shape:
            raise UsageError(
                f"{path!r} holds {name} of shape {tuple(weights[name].shape)}, but {arch} on this data has {tuple(tensor.shape)}"
            )
    recipe.model.load_state_dict(weights)
    return replace(recipe, schedule=replace(recipe.schedule, steps=0), selection=None)


def _read(file: Path) -> dict[str, Tensor]:
    """The tensors of a file by their names.

    Raises:
        DataError: it is damaged, or a pickle that wants to run code.
    """
    if file.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return load_file(file)
        except SafetensorError as error:
            raise DataError(f"{str(file)!r} cannot be read as safetensors: {error}") from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pickle protocols that torch.save does not write
            found: Any = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise DataError(
            f"{str(file)!r} is refused: it is a pickle that would run code when it is loaded, or it is damaged "
            f"({_reason(error)}). Save the weights alone: torch.save(model.state_dict(), path), or as safetensors"
        ) from error
    except (RuntimeError, EOFError, ValueError, KeyError, IndexError, AttributeError) as error:
        raise DataError(f"{str(file)!r} cannot be read as a file of torch.save: {error}") from error
    for key in NESTS:
        if isinstance(found, dict) and isinstance(found.get(key), dict):
            found = found[key]
    if not isinstance(found, dict) or not all(isinstance(value, Tensor) for value in found.values()):
        raise DataError(f"{str(file)!r} holds {type(found).__name__}, not weights by their names")
    return found


def _reason(error: Exception) -> str:
    """What of the pickle torch would not load, without the advice around it."""
    named = re.search(r"(?:GLOBAL|global|class|function) ([\w.]+)", str(error))
    return f"it names {named[1]}" if named else str(error).splitlines()[0]
