"""Images and labels that a person gives, checked by one rule each; what does not follow it is refused, never converted.

Images are uint8, 0 to 255, (N, C, H, W), and not all black; with a last axis of 1 to 4 and a second of more they are taken
for (N, H, W, C). Labels are whole numbers from 0, (N,). Ids are texts, (N,), no two alike. Tensors and arrays are taken alike.
"""

from __future__ import annotations

import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from robench.errors import DataError

COLOURS = (1, 3)
"""Channels of a grey and of a colour picture."""
WITH_ALPHA = (1, 2, 3, 4)
"""The same, and with a channel of alpha."""
WANTED = "give uint8 pixels from 0 to 255, of shape (N, C, H, W)"


def checked_images(images: Any, name: str, *, values: bool = True) -> NDArray[np.uint8]:
    """Images as an array, as they were given.

    Args:
        name: of the split, for messages.
        values: look at every pixel too, not only at type and shape.

    Raises:
        DataError: they are not uint8, (N, C, H, W), with at least one image.
    """
    what = f"the images of {name!r}"
    found = _array(images, what, "numpy.stack(images), if all are of one size")
    if found.dtype == object:
        raise DataError(f"{what} are an array of objects, as of pictures of several sizes; {WANTED}")
    if found.ndim != 4:
        ways = {2: "images.reshape(N, C, H, W)", 3: "images[:, None] for N grey images, images[None] for a single one"}
        way = f"; try {ways[found.ndim]}" if found.ndim in ways else ""
        raise DataError(f"{what} have the shape {found.shape}; {WANTED}{way}")
    _, channels, height, width = found.shape
    if not len(found):
        raise DataError(f"{what} are none: their shape is {found.shape}; {WANTED}, with N of at least 1")
    if not channels or not height or not width:
        raise DataError(f"{what} have no pixels: their shape is {found.shape}; {WANTED}")
    last = width in WITH_ALPHA and channels not in WITH_ALPHA
    if last or (channels not in COLOURS and (width in COLOURS or (width == 4 and channels == height))):
        raise DataError(
            f"{what} have the shape {found.shape}, which is (N, H, W, C): channels come last; {WANTED}: "
            "images.transpose(0, 3, 1, 2) (of a tensor: images.permute(0, 3, 1, 2))"
        )
    if found.dtype != np.uint8:
        raise DataError(f"{what} are {found.dtype}{_as_8_bit(found)}")
    if values and found.max() == 1:
        raise DataError(f"{what} are uint8 but hold only 0 and 1, which is black; {WANTED}: 255 * images")
    if values and not found.any():
        raise DataError(
            f"{what} are uint8 but hold only 0, as pixels from 0 to 1 become that are cast; {WANTED}: "
            "numpy.round(255 * images).astype(numpy.uint8), of the pixels before the cast"
        )
    return found


def checked_labels(labels: Any, name: str, count: int) -> NDArray[np.int64]:
    """Labels as int64.

    Args:
        count: of the images.

    Raises:
        DataError: they are not `count` whole numbers of at least 0.
    """
    what, wanted = f"the labels of {name!r}", "give one whole number for each image, counted from 0, of shape (N,)"
    found = _array(list(labels) if isinstance(labels, tuple) else labels, what, wanted, lists=True)
    if found.ndim != 1:
        way = ""
        if found.ndim == 2 and len(found) == count:
            way = "; try labels[:, 0]" if found.shape[1] == 1 else "; for one-hot rows, labels.argmax(1)"
        raise DataError(f"{what} have the shape {found.shape}; {wanted}{way}")
    if len(found) != count:
        raise DataError(f"{what} are {len(found):,}, the images {count:,}; {wanted}")
    if not np.issubdtype(found.dtype, np.integer):
        way = ": labels.astype(int), if they are whole numbers" if np.issubdtype(found.dtype, np.floating) else ""
        raise DataError(f"{what} are {found.dtype} (the first is {found.tolist()[0]!r}); {wanted}{way}")
    least, most = int(found.min()), int(found.max())
    wrong = least if least < 0 else most if most >= 2**31 else None
    if wrong is not None:
        raise DataError(f"{what} hold the label {wrong} (image {found.tolist().index(wrong)}); {wanted}")
    return found.astype(np.int64)


def checked_ids(ids: Any, name: str, count: int) -> NDArray[np.str_]:
    """Ids of images as an array of texts.

    Args:
        count: of the images.

    Raises:
        DataError: they are not `count` texts, or two are alike.
    """
    what, wanted = f"the ids of {name!r}", "give one text for each image, no two alike, of shape (N,), or None"
    if isinstance(ids, list | tuple) or (isinstance(ids, np.ndarray) and ids.dtype == object):
        ids = np.array(list(ids)) if all(isinstance(one, str) for one in ids) else ids
    if not isinstance(ids, np.ndarray) or ids.dtype.kind != "U" or ids.ndim != 1 or isinstance(ids, np.ma.MaskedArray):
        kind = ids.dtype if isinstance(ids, np.ndarray) else type(ids).__name__
        raise DataError(
            f"{what} are of type {kind} and not all texts; {wanted}: numpy.array(ids).astype(str), of numbers"
        )
    texts = ids.tolist()
    if len(texts) != count:
        raise DataError(f"{what} are {len(texts):,}, the images {count:,}; {wanted}")
    if len(set(texts)) < count:
        twice = next(text for text, times in Counter(texts).items() if times > 1)
        raise DataError(f"{what} hold {twice!r} twice (image {texts.index(twice)} is the first); {wanted}")
    return ids


def refuse_labels(labels: NDArray[np.int64], classes: int, what: str) -> None:
    """Refuse labels that are none of the classes.

    Raises:
        DataError: naming the label and its image.
    """
    if not len(labels) or (labels.min() >= 0 and labels.max() < classes):
        return
    place = int(np.flatnonzero((labels < 0) | (labels >= classes))[0])
    counted = labels.min() == 1 and labels.max() == classes
    way = (
        "they look counted from 1: give labels - 1"
        if counted
        else "look for a wrong label, or a wrong number of classes"
    )
    raise DataError(
        f"the label {labels[place]} (image {place} of {what}) is none of the {classes} classes 0 to {classes - 1}; {way}"
    )


def _array(given: Any, what: str, way: str, *, lists: bool = False) -> NDArray[Any]:
    if isinstance(given, torch.Tensor):
        try:
            given = given.detach().cpu()
            array: NDArray[Any] = (given.float() if given.is_floating_point() else given).resolve_conj().numpy()
        except (TypeError, NotImplementedError, RuntimeError) as error:  # sparse, quantized, without values
            kind = f"{given.dtype}, {given.layout}, on {given.device}"
            raise DataError(
                f"{what} are a tensor that is no array ({kind}); {way}: images.to_dense(), perhaps"
            ) from error
        return array
    if isinstance(given, np.ma.MaskedArray):
        raise DataError(
            f"{what} are a masked array, and nothing says what is behind the mask; fill it first: its filled(...)"
        )
    if isinstance(given, list) and lists:
        try:
            given = np.array(given)
        except (ValueError, OverflowError) as error:
            raise DataError(f"{what} are a list that is no array ({error}); {way}") from error
    if not isinstance(given, np.ndarray):
        raise DataError(f"{what} are of type {type(given).__name__}, not an array; try {way}")
    return given


def _as_8_bit(images: NDArray[Any]) -> str:
    """The end of a message: what range the pixels have, and how they become 8-bit ones."""
    if images.dtype == bool:
        return f"; {WANTED}: 255 * images.astype(numpy.uint8)"
    if not np.issubdtype(images.dtype, np.number) or np.iscomplexobj(images):
        return f"; {WANTED}"
    if not np.isfinite(images).all():
        return f", and not all are finite; {WANTED}"
    low, high = images.min(), images.max()
    said = f", from {low:.6g} to {high:.6g}; {WANTED}"
    if images.dtype == np.int8:
        return (
            f"{said}: images.view(numpy.uint8) if 8-bit pixels were read as int8, so that those above 127 are below 0"
        )
    if low < 0 and np.issubdtype(images.dtype, np.integer):
        return f"{said}: add what was subtracted, such as (images + 128).astype(numpy.uint8)"
    if low < 0:
        return (
            f"{said}: take what was subtracted and divided (a normalisation) back before, which belongs into the model"
        )
    if high <= 1:
        return f"{said}: numpy.round(255 * images).astype(numpy.uint8)"
    if high <= 255:
        return f"{said}: numpy.round(images).astype(numpy.uint8)"
    return f"{said}: numpy.round(images / 257).astype(numpy.uint8), if 65535 is white" if high < 65536 else said


def taken_out(images: NDArray[Any]) -> str:
    """Take the decoded copy in the cache that pixels are read from, if they are, out of use; how to go on."""
    file = getattr(images, "filename", None)
    if file is None:
        return "; they were changed in memory"
    set_aside(Path(file).parent)
    return "; their decoded copy in the cache was damaged and is set aside: run the same again, and it is decoded anew"


def set_aside(folder: Path) -> None:
    """Keep a damaged folder of the cache beside its place, under another name."""
    with suppress(OSError):
        folder.replace(folder.with_name(f"damaged-{time.time_ns()}-{folder.name}"))
