"""Adversarial images that were made elsewhere: for a reviewer, and as a check of one library against another."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from robench import Classifier, DataError, FilePath, Norm, Split, UsageError, attack, picture_pixels

SAMPLE = 64
"""So many rows of a file without ids are compared with the clean images, to see whether they are in their order."""


@dataclass(frozen=True)
class Given:
    """What a file or a folder holds.

    Attributes:
        path: as it was given.
        images: floats in [0, 1] or uint8, (N, C, H, W); None for a folder, whose images are read one by one.
        rows: of the images by id; None: row i is image i of the data set's test split.
    """

    path: Path
    images: Any
    rows: dict[str, int] | None

    def image(self, name: str, position: int) -> Tensor | None:
        """The adversarial image of an image, float64 in [0, 1]; None where there is none."""
        if self.images is None:
            return _from_folder(self.path, name)
        row = position if self.rows is None else self.rows.get(name)
        return _unit(np.asarray(self.images[row])) if row is not None and row < len(self.images) else None

    def has(self, name: str, position: int) -> bool:
        """Whether there is an adversarial image of an image."""
        if self.images is None:
            return any((self.path / f"{name}{ending}").exists() for ending in (".npy", ".png"))
        return name in self.rows if self.rows is not None else position < len(self.images)


def _given(options: dict[str, Any], split: Split, positions: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which of the evaluated images there are adversarial ones of; said once, before any work."""
    found = _read(options["path"])
    ids, places = split.image_ids().tolist(), positions.tolist()
    has = np.array([found.has(name, place) for name, place in zip(ids, places, strict=True)], dtype=bool)
    if not has.any():
        how = (
            f"its rows are the first {len(found.images):,} images of the test split"
            if found.images is not None and found.rows is None
            else f"name them by the column `image` of the records, for example {ids[0]}"
        )
        raise UsageError(f"{options['path']!r} has none of these {len(ids):,} images; {how}")
    if found.images is not None and tuple(found.images.shape[1:]) != split.shape:
        raise DataError(
            f"{options['path']!r} holds images of shape {tuple(found.images.shape[1:])}; {split.shape} (C, H, W) was wanted"
        )
    if found.images is not None and found.rows is None:
        _refuse_another_order(found, split, np.flatnonzero(has)[:SAMPLE], places)
    return has


def _refuse_another_order(found: Given, split: Split, chosen: NDArray[np.int64], places: list[int]) -> None:
    """Rows that mostly lie closer to another clean image than to their own are not in the order of the test split."""
    clean = split.inputs(chosen).flatten(1)
    rows = torch.stack([_unit(np.asarray(found.images[places[i]])).to(clean).flatten() for i in chosen.tolist()])
    apart = torch.cdist(rows, clean)
    astray = int((apart.min(1).values < apart.diagonal()).sum())
    if 2 * astray > len(chosen):
        raise DataError(
            f"{str(found.path)!r} does not seem to be in the order of the data set's test split, where row i is image i: "
            f"{astray} of {len(chosen)} rows lie closer to another image; give an .npz file with `ids` beside `images`"
        )


@attack(norm="linf", goal="minimal", knowledge="none", given=_given)
def images(model: Classifier, inputs: Tensor, labels: Tensor, *, path: FilePath, norm: Norm = "linf") -> Tensor:
    """Judges images from a file or a folder, such as a submission to RobustBench; nothing is attacked.

    Images are matched by their ids, those of the records (column `image`), where the file has ids. Else row i is image i of
    the data set's own test split: all of it, or its first rows. An image that is not there counts as not attacked: it
    stays as it is, and fails, and the table says how many there were.

    Args:
        inputs: images in [0, 1], (N, C, H, W).
        path: images are floats in [0, 1] or uint8, (N, C, H, W). An .npz file with an array `images` (or a single one), and
            perhaps `ids` (N,); an .npy file; a .pt file with a tensor, or a tuple or dict that holds one; or a folder with
            a file <id>.npy or <id>.png for each image.
        norm: in which they are scored at a radius; all norms are recorded.
    """
    found, result = _read(path), inputs.clone()
    for row, (name, position) in enumerate(zip(model.ids, model.positions, strict=True)):
        pixels = found.image(name, position)
        if pixels is None:
            continue
        if pixels.shape != inputs.shape[1:]:
            raise DataError(
                f"image {name} in {path!r} is of shape {tuple(pixels.shape)}; {tuple(inputs.shape[1:])} was wanted"
            )
        result[row] = pixels.to(inputs)
    return result


def _read(path: str) -> Given:
    source = Path(path).expanduser() if path.startswith("~") else Path(path).absolute()
    if source.is_dir():
        return Given(source, None, None)
    if not source.is_file():
        raise DataError(
            f"there is no {path!r} to read adversarial images from; give an .npz, .npy or .pt file, or a folder"
        )
    return _from_file(source, source.stat().st_mtime_ns)


@lru_cache(maxsize=1)
def _from_file(path: Path, changed: int) -> Given:
    """All images of a file, read once for all shards; again when the file has changed."""
    read = {".npz": _npz, ".npy": _npy, ".pt": _pt, ".pth": _pt}.get(path.suffix.lower())
    if read is None:
        raise DataError(f"{path} is none of .npz, .npy, .pt and .pth, which adversarial images are read from")
    try:
        pixels, ids = read(path)
    except pickle.UnpicklingError as error:
        raise DataError(
            f"{path} holds objects besides tensors, which are not loaded; save the tensor of the images alone"
        ) from error
    except (OSError, ValueError, EOFError, RuntimeError, KeyError, BadZipFile) as error:
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{path} cannot be read as a file of adversarial images: {said[:200]}") from error
    _refuse_other_pixels(pixels, path, count="N, ")
    if ids is not None and len(ids) != len(pixels):
        raise DataError(f"{path} has {len(ids)} ids and {len(pixels)} images; one id for each image was wanted")
    if ids is not None and len(set(ids)) < len(ids):
        raise DataError(f"{path} has ids that stand there more than once; one image for each id was wanted")
    return Given(path, pixels, None if ids is None else {name: row for row, name in enumerate(ids)})


Read = tuple[NDArray[Any], list[str] | None]


def _npz(path: Path) -> Read:
    with path.open("rb") as stream:  # numpy leaves a damaged file open
        arrays = np.load(stream, allow_pickle=False)
        if not isinstance(arrays, np.lib.npyio.NpzFile):
            raise ValueError("it is no .npz file")
        ids = arrays["ids"].astype(str).tolist() if "ids" in arrays else None
        name = "images" if "images" in arrays else _the_one([n for n in arrays if arrays[n].ndim == 4], list(arrays))
        return arrays[name], ids


def _npy(path: Path) -> Read:
    return np.load(path, allow_pickle=False, mmap_mode="r"), None


def _pt(path: Path) -> Read:
    """A tensor, or what holds one; nothing but tensors, numbers, texts and their containers is read from such a file."""
    held = torch.load(path, map_location="cpu", weights_only=True)
    named = held if isinstance(held, dict) else dict(enumerate(held if isinstance(held, list | tuple) else [held]))
    tensors = {name: value for name, value in named.items() if isinstance(value, Tensor)}
    name = "images" if "images" in tensors else _the_one([n for n, t in tensors.items() if t.ndim == 4], list(named))
    pixels, ids = tensors[name].detach(), named.get("ids")
    exact = pixels.float() if pixels.is_floating_point() and pixels.dtype != torch.float64 else pixels
    return exact.numpy(), [str(i) for i in ids] if isinstance(ids, list | tuple) else None


def _the_one(fitting: list[Any], there: list[Any]) -> Any:
    """The name of the only array of images."""
    if len(fitting) != 1:
        raise ValueError(
            f"{len(fitting)} of what it holds ({', '.join(map(str, there))}) are arrays (N, C, H, W); name the one that is meant `images`"
        )
    return fitting[0]


def _from_folder(folder: Path, name: str) -> Tensor | None:
    array, picture = folder / f"{name}.npy", folder / f"{name}.png"
    try:
        if array.exists():
            pixels = np.load(array, allow_pickle=False)
            _refuse_other_pixels(pixels, array)
            return _unit(pixels)
        if picture.exists():
            pixels = picture_pixels(picture, str(picture))
            return _unit(pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1))
    except (OSError, ValueError) as error:
        raise DataError(f"the image {name} in {folder} cannot be read: {error}") from error
    return None


def _refuse_other_pixels(pixels: NDArray[Any], path: Path, count: str = "") -> None:
    """Raises DataError for what are no floats in [0, 1] or 8-bit values of shape (C, H, W), or (N, C, H, W)."""
    shaped = pixels.ndim == (4 if count else 3)
    if not shaped or not (pixels.dtype == np.uint8 or np.issubdtype(pixels.dtype, np.floating)):
        raise DataError(
            f"{path} holds {pixels.dtype} of shape {tuple(pixels.shape)}; floats in [0, 1] or uint8 of shape ({count}C, H, W) were wanted"
        )
    if pixels.dtype != np.uint8 and pixels.size and float(np.nanmax(pixels)) > 2:
        raise DataError(
            f"{path} holds floats up to {float(np.nanmax(pixels)):.4g}; they must lie in [0, 1]: divide them by 255"
        )


def _unit(pixels: NDArray[Any]) -> Tensor:
    """Pixels in [0, 1], float64, from floats or 8-bit values."""
    return torch.from_numpy(pixels.astype(np.float64) / (255 if pixels.dtype == np.uint8 else 1))
