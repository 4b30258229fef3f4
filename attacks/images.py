"""Adversarial images that were made elsewhere: for a reviewer, and as a check of one library against another."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from robench import Classifier, DataError, FilePath, Norm, UsageError, attack


@attack(norm="linf", goal="minimal", knowledge="none")
def images(model: Classifier, inputs: Tensor, labels: Tensor, *, path: FilePath, norm: Norm = "linf") -> Tensor:
    """Judges images from a file or a folder, matched by image id; nothing is attacked.

    Ids are those of the records (column `image`). An image that is not there counts as not attacked: it stays as it is,
    and fails.

    Args:
        inputs: images in [0, 1], (N, C, H, W).
        path: an .npz file with arrays `ids` (N,) and `images` (N, C, H, W), floats in [0, 1] or uint8; or a folder with
            a file <id>.npy or <id>.png for each image.
        norm: in which they are scored at a radius; all norms are recorded.
    """
    source = Path(path).expanduser()
    if source.suffix == ".npy":
        raise DataError(
            f"{path!r} holds images without their ids; give an .npz file with arrays `ids` and `images`, or a folder of <id>.npy"
        )
    if not source.exists():
        raise DataError(f"there is no {path!r} to read adversarial images from; give an .npz file or a folder")
    found = _from_file(source, source.stat().st_mtime_ns) if source.is_file() else None
    result, seen = inputs.clone(), 0
    for row, name in enumerate(model.ids):
        pixels = found.get(name) if found is not None else _from_folder(source, name)
        if pixels is None:
            continue
        if pixels.shape != inputs.shape[1:]:
            raise DataError(
                f"image {name} in {path!r} is of shape {tuple(pixels.shape)}; {tuple(inputs.shape[1:])} was wanted"
            )
        seen += 1
        result[row] = pixels.to(inputs)
    if not seen:
        raise UsageError(
            f"{path!r} has none of these {len(inputs)} images, for example {model.ids[0]}; name them by the column `image` of the records"
        )
    return result


@lru_cache(maxsize=1)
def _from_file(path: Path, changed: int) -> dict[str, Tensor]:
    """All images of a file, read once for all shards; again when the file has changed."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            ids, pixels = arrays["ids"].astype(str).tolist(), arrays["images"]
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{path} is not an .npz file with arrays `ids` and `images`: {error}") from error
    if len(ids) != len(pixels):
        raise DataError(f"{path} has {len(ids)} ids and {len(pixels)} images; one id for each image was wanted")
    return {name: _unit(image) for name, image in zip(ids, pixels, strict=True)}


def _from_folder(folder: Path, name: str) -> Tensor | None:
    array, picture = folder / f"{name}.npy", folder / f"{name}.png"
    try:
        if array.exists():
            return _unit(np.load(array, allow_pickle=False))
        if picture.exists():
            from PIL import Image

            with Image.open(picture) as opened:
                pixels = np.asarray(opened)
            return _unit(pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1))
    except (OSError, ValueError) as error:
        raise DataError(f"the image {name} in {folder} cannot be read: {error}") from error
    return None


def _unit(pixels: np.ndarray) -> Tensor:
    """Pixels in [0, 1], float64, from floats or 8-bit values."""
    return torch.from_numpy(pixels.astype(np.float64) / (255 if pixels.dtype == np.uint8 else 1))
