"""Weights of your own, put into an architecture: from safetensors, or from a pickle, of which nothing is run."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import torch
from torch import nn

from robench import Above0, FilePath, Normalize, Recipe, Task, UsageError, Wrapped, defense, load_weights, recipe_of


@defense(paper="")
def checkpoint(
    task: Task,
    *,
    path: FilePath,
    arch: Wrapped,
    strip: str = "",
    mean: list[float] | Literal["none"] | None = None,
    std: list[Above0] | None = None,
) -> Recipe:
    """Weights from a file in any architecture: `checkpoint(path='weights.safetensors', arch=vit(depth=12))`.

    Args:
        path: .safetensors, or a file of torch.save, torch.jit.save or pickle, of which nothing is run. Its contents are part of
            what the row is named by. Names as torch.compile, DDP, Lightning, moving averages and others save them are
            understood, in whatever nest they are.
        arch: the defense whose architecture it is; its training is left out.
        strip: what stands before the names of the architecture in the file, nests first, where several weights fit:
            'state_dict_ema.'.
        mean, std: of the normalisation in front, one number for each channel or one for all, for pixels in [0, 1]: mean=[0],
            std=[1/255] for weights that were trained on pixels from 0 to 255. mean='none': there is no normalisation in front.
            None: that of the file where it has one, else that of arch, which mostly is the data's. The run says which it is.
    """
    recipe = recipe_of(arch, task)
    in_file = load_weights(recipe.model, path, str(arch), strip)
    begins = recipe.model[0] if isinstance(recipe.model, nn.Sequential) and len(recipe.model) else None
    own = begins if isinstance(begins, Normalize) else None
    model, origin = recipe.model, f"as {arch} has it"
    wanted = _wanted(task, mean, std)
    if given := wanted or in_file:
        origin = "as given" if wanted else f"from {path}"
        normalisation = Normalize(*_of_channels(given, task.shape[0]))
        if own is None:
            model = nn.Sequential(normalisation, recipe.model)
            own = normalisation
        else:
            own.load_state_dict(normalisation.state_dict())
    note = f"no normalisation that robench knows of in front of {arch}"
    if own is not None:
        shown = [[round(float(v), 6) for v in part.flatten()] for part in (own.mean, own.std)]
        note = f"pixels in [0, 1] are normalised in front, {origin}: mean {shown[0]}, std {shown[1]}"
    if mean == "none":
        note = "pixels in [0, 1] are not normalised in front"
    return replace(recipe, model=model, schedule=replace(recipe.schedule, steps=0), selection=None, note=note)


def _wanted(
    task: Task, mean: list[float] | Literal["none"] | None, std: list[float] | None
) -> tuple[list[float], list[float]] | None:
    """The normalisation that the options ask for."""
    if mean == "none" and std is None:
        return [0.0], [1.0]
    if mean is None and std is None:
        return None
    if mean is None or std is None or mean == "none":
        raise UsageError("checkpoint takes mean and std together, such as mean=[0.5], std=[0.25], or mean='none' alone")
    for name, values in (("mean", mean), ("std", std)):
        if len(values) not in (1, task.shape[0]):
            raise UsageError(
                f"checkpoint({name}={values}): images have {task.shape[0]} channels; give one number for each, or one"
            )
    return mean, std


def _of_channels(values: tuple[list[float], list[float]], channels: int) -> tuple[list[float], list[float]]:
    mean, std = (torch.tensor(part).expand(channels).tolist() for part in values)
    return mean, std
