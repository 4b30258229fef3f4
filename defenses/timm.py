"""Any model of timm, by its name, with its own normalisation."""

from __future__ import annotations

from typing import Annotated, Any

from torch import nn

from robench import (
    Above0,
    Bounds,
    Normalize,
    NotNegative,
    Positive,
    Recipe,
    Schedule,
    Task,
    Upscale,
    UsageError,
    defense,
    did_you_mean,
    patch_of,
    timm_library,
)


@defense(paper="")
def timm(
    task: Task,
    *,
    name: str,
    pretrained: bool = False,
    upscale: Positive | None = None,
    epochs: Annotated[int, Bounds(0)] | None = None,
    batch_size: Positive = 128,
    lr: Above0 = 1e-3,
    weight_decay: NotNegative = 0.05,
    seed: int = 0,
) -> Recipe:
    """Any model of timm: `timm(name='deit_tiny_patch16_224')`, for the data set's image size and classes.

    Args:
        name: as `timm.list_models()` has it, or one of those that robench adds: `rvt_tiny`, `rvt_small`, `rvt_base` and their
            `_plus` forms, `fan_tiny_hybrid`, `fan_small_hybrid`, `fan_base_hybrid`, `pvt_tiny` to `pvt_large`, `t2t_vit_t_14`,
            `t2t_vit_t_24`.
        pretrained: begin with published weights, which timm downloads. They are used as they are where they have as many
            classes as the data set and no epochs are asked for.
        upscale: side in pixels that images are made larger to, as the authors of RVT and FAN do with CIFAR's (224); a layer of
            the model, so that attacks stay in pixels of the data. None: they stay as they are.
        epochs: 0 for none; None: as many as suit the data set, and none for published weights of the same classes.
        seed: of the initial weights, the order of the images and their augmentation.
    """
    library = timm_library()
    if name not in library.list_models(name) and not library.is_model(name.partition(".")[0]):
        raise UsageError(f"timm has no model {name!r}{did_you_mean(name, library.list_models())}")
    height, width = task.shape[1:]
    if upscale is not None and (height != width or upscale <= height):
        raise UsageError(f"timm(upscale={upscale}) makes square images larger; these are of {height} x {width} pixels")
    height, width = (upscale, upscale) if upscale else (height, width)
    shape: dict[str, Any] = {"in_chans": task.shape[0]}
    published = library.get_pretrained_cfg(name) or library.get_pretrained_cfg(name.partition(".")[0])
    if published is not None and published.fixed_input_size:
        shape["img_size"] = (height, width)
    try:
        model = library.create_model(name, pretrained=pretrained, num_classes=task.classes, **shape)
    except AssertionError as error:
        raise UsageError(f"timm's {name} cannot be built for images of {height} x {width} pixels: {error}") from error
    except OSError as error:
        raise UsageError(
            f"timm could not fetch the published weights of {name}; is there a network? ({type(error).__name__}: {error})"
        ) from error
    patch = patch_of(model)
    if patch and (height % patch or width % patch):
        raise UsageError(
            f"timm's {name} has patches of {patch} pixels, which do not divide images of {height} x {width}"
        )
    as_it_is = pretrained and published is not None and published.num_classes == task.classes
    facts = model.pretrained_cfg
    colours = len(facts["mean"]) == task.shape[0]
    mean, std = (facts["mean"], facts["std"]) if colours else (task.mean, task.std)
    length = 0 if epochs is None and as_it_is else epochs
    schedule = Schedule.of(task, length, batch_size, lr, weight_decay=weight_decay)
    larger = [Upscale(task.shape[1:], upscale)] if upscale else []
    return Recipe(nn.Sequential(Normalize(mean, std), *larger, model), schedule)
