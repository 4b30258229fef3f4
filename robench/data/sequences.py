"""Perturbation sequences as they are published: CIFAR-10-P in files of numpy, ImageNet-P in folders of short films.

The measures of these sequences ask whether a prediction changes from frame to frame, so that no labels are needed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from robench.benchmarks import Flip, FlipValidation
from robench.data.arrays import array_splits, mapped_images
from robench.data.decoding import Half, decoded
from robench.data.finding import by_robench, few, named_folders, not_found
from robench.data.folders import contents
from robench.data.imagenet import imagenet_classes, imagenet_splits
from robench.data.splits import Frames, Splits
from robench.errors import DataError, UsageError, did_you_mean
from robench.hashing import file_digest
from robench.places import Places

PublishedPerturbation = Literal[Flip, FlipValidation]
"""The ten perturbations of the benchmark, and the four that are for choices."""
LEVELLED = ("gaussian_noise", "shot_noise", "speckle_noise")
"""Those whose harder levels 2 and 3 are files of their own: `gaussian_noise_2`."""
FRAMES, TRANSLATED = 31, 41
"""Frames of a film of ImageNet-P, and of one that is moved."""
IMAGENET_P, SIDE = "ImageNet-P", 224
LEAST = 2
"""Frames that make a sequence."""


class Clip(NamedTuple):
    """One film.

    Attributes:
        frames: uint8, (T, H, W, 3), RGB.
        label: of the picture that it was made from, among ImageNet's 1,000 classes.
    """

    frames: NDArray[np.uint8]
    label: int
    file: Path


def check_perturbation(name: str) -> None:
    """Raises UsageError where there is no such perturbation."""
    known = [*get_args(PublishedPerturbation), *(f"{noise}_{level}" for noise in LEVELLED for level in (2, 3))]
    if name not in known:
        raise UsageError(f"no published perturbation is named {name!r}{did_you_mean(name, known)}")


def read_sequences(root: Path, name: str) -> NDArray[np.uint8]:
    """The sequences of a perturbation, memory-mapped, from `NAME.npy`.

    Args:
        root: the folder of CIFAR-10-P, say.
        name: of the perturbation; the harder levels of the noises are `gaussian_noise_2` and `_3`.

    Returns:
        uint8, (N, T, H, W, 3).

    Raises:
        DataError: the file is missing or damaged, or holds something else or single frames.
        UsageError: there is no such perturbation.

    Example:
        sequences = read_sequences(Path("CIFAR-10-P"), "tilt")
    """
    check_perturbation(name)
    file = root / f"{name}.npy"
    if not file.is_file():
        there = [near.stem for near in contents(root) if near.suffix == ".npy"] if root.is_dir() else []
        raise DataError(f"there is no {file} (there are {few(there) or 'none'}); wanted uint8 of shape (N, T, H, W, 3)")
    sequences = mapped_images(file, (None, None, None, None, 3))
    if sequences.shape[1] < LEAST:
        raise DataError(f"{file} has sequences of {sequences.shape[1]} frame; wanted {LEAST} or more, (N, T, H, W, 3)")
    return sequences


def read_clips(root: Path, name: str, frames: int | None = None) -> Iterator[Clip]:
    """The films of a perturbation one after another, from `NAME/WNID/*.mp4`; needs PyAV.

    Args:
        root: the folder of ImageNet-P, say.
        name: of the perturbation.
        frames: that each film has; None: as ImageNet-P's, 31, and 41 of `translate`.

    Raises:
        DataError: there are none, a folder is none of ImageNet's classes, or a film is damaged or has other frames.
        UsageError: there is no such perturbation, or PyAV is not installed.

    Example:
        clips = read_clips(Path("ImageNet-P"), "tilt")
    """
    films, labels, wanted = films_of(root, name), _labels(), frames or frames_of(name)
    library = pyav()
    return (Clip(_frames(library, film, wanted), labels[film.parent.name], film) for film in films)


def frames_of(name: str) -> int:
    """Frames of a film of ImageNet-P."""
    return TRANSLATED if name == "translate" else FRAMES


def _labels() -> dict[str, int]:
    return {known.wnid: known.index for known in imagenet_classes()}


def films_of(root: Path, name: str) -> list[Path]:
    """The films of a perturbation, `NAME/WNID/*.mp4`, sorted.

    Raises:
        DataError: there are none, or a folder is none of ImageNet's classes.
        UsageError: there is no such perturbation.
    """
    check_perturbation(name)
    labels, folder = _labels(), root / name
    found = [] if not folder.is_dir() else [inside for inside in contents(folder) if inside.is_dir()]
    if unknown := [inside for inside in found if not inside.name.startswith(".") and inside.name not in labels]:
        raise DataError(f"{unknown[0]} is none of ImageNet's 1,000 classes by its name, a wnid; take it away")
    films = [film for inside in found for film in contents(inside) if film.suffix == ".mp4" and film.name[0] != "."]
    if not films:
        there = [near.name for near in contents(root)] if root.is_dir() else []
        raise DataError(f"{folder} holds no films; wanted {folder}/WNID/*.mp4 (in {root} are {few(there) or 'none'})")
    return films


class Films:
    """The frames of many films, read when they are asked for: `films[rows]` is uint8, (rows, T, C, H, W).

    Args:
        frames: that each film has.
    """

    def __init__(self, films: Sequence[Path], frames: int) -> None:
        self._films, self._count, self._library = films, frames, pyav()

    def __getitem__(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        found = [_frames(self._library, self._films[row], self._count, SIDE) for row in rows.tolist()]
        return np.moveaxis(np.stack(found), 4, 2)

    def digests(self) -> list[str]:
        """Of the films' files."""
        return [file_digest(film) for film in self._films]

    def first(self, row: int) -> NDArray[np.uint8]:
        """The first frame of a film, (H, W, C)."""
        frame: NDArray[np.uint8] = _frames(self._library, self._films[row], self._count, SIDE)[0]
        return frame


class Mapped:
    """Sequences of an array, uint8, (N, T, H, W, C), likewise."""

    def __init__(self, sequences: NDArray[np.uint8]) -> None:
        self._sequences = sequences

    def __getitem__(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        return np.moveaxis(self._sequences[rows], 4, 2)

    def digests(self) -> list[str]:
        """Of the frames of each sequence."""
        return [hashlib.blake2b(np.ascontiguousarray(one).data, digest_size=8).hexdigest() for one in self._sequences]


def load_cifar_p(places: Places, folder: str, name: str, names: Sequence[str]) -> Splits:
    """A perturbation of CIFAR-10-P from `NAME.npy`: the first frames are the images, and what they begin is beside them.

    There are no labels, and no figure of sequences asks for one: all images are said to be of class 0.

    Args:
        folder: under the data folder.
        names: of the classes.

    Raises:
        DataError: the file is missing or damaged.

    Example:
        splits = load_cifar_p(places, "CIFAR-10-P", "tilt", names)
    """
    check_perturbation(name)
    roots = named_folders(places, [folder], folder)
    root = next((root for root in roots if (root / f"{name}.npy").is_file()), None)
    if root is None:
        there = sorted({file.stem for each in roots for file in contents(each) if file.suffix == ".npy"})
        looked = [f"{each} (there are {few(there) or 'none'})" for each in roots]
        raise not_found(places, folder, f"{name}.npy", looked, f"{folder}/{name}.npy")
    films = read_sequences(root, name)
    unknown = np.zeros(len(films), dtype=np.int64)
    splits = array_splits(films[:, 0], unknown, names, f"{folder}/{name}.npy{by_robench(root)} in {root}")
    return _with_frames(splits, [f"{place:05d}" for place in range(len(films))], Mapped(films), name, root)


def load_imagenet_p(places: Places, name: str) -> Splits:
    """A perturbation of ImageNet-P from `NAME/WNID/*.mp4`, likewise; the first frames are decoded once into the cache.

    Raises:
        DataError: a folder is missing, none of ImageNet's classes, or a film is damaged or has too few frames.
        UsageError: PyAV is not installed.

    Example:
        splits = load_imagenet_p(places, "tilt")
    """
    check_perturbation(name)
    roots = named_folders(places, [IMAGENET_P], IMAGENET_P)
    root = next((root for root in roots if (root / name).is_dir()), None)
    if root is None:
        raise not_found(places, IMAGENET_P, f"a folder {name}/", roots, f"{IMAGENET_P}/{name}/WNID/FILM.mp4")
    files, labels = films_of(root, name), _labels()
    films = Films(files, frames_of(name))
    rows = ((films.first(row), labels[file.parent.name]) for row, file in enumerate(files))
    half = Half(files, len(files), lambda: rows, ["first frames", frames_of(name)])
    splits = imagenet_splits(
        decoded(places.cache, half, f"{IMAGENET_P}/{name}"), f"{IMAGENET_P}/{name}{by_robench(root)} in {root}"
    )
    return _with_frames(splits, [f"{file.parent.name}/{file.stem}" for file in files], films, name, root)


def _with_frames(splits: Splits, images: list[str], frames: Frames, name: str, root: Path) -> Splits:
    test = replace(splits.test.named(np.array(images)), frames=frames)
    return replace(splits, test=test, corruption=name, generated=bool(by_robench(root)))


def pyav() -> Any:
    """The library that reads and writes films.

    Raises:
        UsageError: it is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise UsageError(
            f"PyAV, which reads and writes films, is not installed ({error}); pip install 'robench[video]'"
        ) from error
    return av


def _frames(library: Any, film: Path, wanted: int, side: int | None = None) -> NDArray[np.uint8]:
    try:
        with library.open(str(film)) as opened:
            frames = [frame.to_ndarray(format="rgb24") for frame in opened.decode(video=0)]
    except Exception as error:  # PyAV raises many kinds, IndexError among them
        raise DataError(f"{film} is truncated or is no film ({error}); fetch it again") from error
    if side and frames and frames[0].shape[:2] != (side, side):
        height, width = frames[0].shape[:2]
        raise DataError(
            f"{film} has frames of {height} x {width} pixels, and {side} x {side} were wanted; fetch it again"
        )
    if len(frames) != wanted:
        raise DataError(f"{film} has {len(frames)} frames, and {wanted} were wanted; fetch it again")
    stacked: NDArray[np.uint8] = np.stack(frames)
    return stacked
