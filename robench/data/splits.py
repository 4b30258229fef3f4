"""Images and labels: uint8 on disk and in memory, float in [0, 1] only a batch at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from robench.data.checking import checked_ids, checked_images, checked_labels, refuse_labels, taken_out
from robench.entries.calls import plain_value
from robench.errors import DataError, UsageError
from robench.hashing import pixel_ids

MOMENT_IMAGES = 10_000
VALIDATION_SHARE = 0.1


class Frames(Protocol):
    """Sequences of frames that are read when they are asked for."""

    def __getitem__(self, rows: NDArray[np.int64], /) -> NDArray[np.uint8]:
        """The frames of some images, uint8, (rows, T, C, H, W)."""

    def digests(self) -> list[str]:
        """Of the frames of each image, or of the file that they are in."""


@dataclass(frozen=True, eq=False)
class Split:
    """Images with labels and ids.

    Attributes:
        images: uint8, (N, C, H, W); a memory map where the set is large.
        labels: int64, (N,).
        ids: (N,), from the decoded pixels (see `hashing.pixel_ids`).
        rows: the rows of `images` that belong to this split, in its order.
        digests: of the pixels, (N,), where the ids are names that other sets have too; None: they are the ids.
        frames: of the sequence that each image begins, uint8, (N, T, C, H, W), with their digests; None: there are none.

    Example:
        >>> import numpy as np
        >>> split = Split.of("mine", np.full((4, 3, 8, 8), 255, dtype=np.uint8), np.array([0, 1, 0, 1]))
        >>> split.first(2).targets().sort().values
        tensor([0, 1])
    """

    name: str
    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    ids: NDArray[np.str_]
    rows: NDArray[np.int64]
    digests: NDArray[np.str_] | None = None
    frames: Frames | None = None

    def __post_init__(self) -> None:
        right = isinstance(self.images, np.ndarray) and self.images.dtype == np.uint8 and self.images.ndim == 4
        if not right or not len(self.images) == len(self.labels) == len(self.ids):
            raise DataError(
                f"the split {self.name!r} has other images, labels or ids than Split.of makes: use Split.of(name, images, labels)"
            )

    @classmethod
    def of(
        cls, name: str, images: NDArray[np.uint8], labels: NDArray[np.int64], ids: NDArray[np.str_] | None = None
    ) -> Split:
        """A split of all the images given: nothing is converted but tensors to arrays, and labels to int64.

        Args:
            images: uint8, 0 to 255, (N, C, H, W), an array or a tensor.
            labels: whole numbers, counted from 0, (N,).
            ids: texts, no two alike, (N,); None: from the pixels.

        Raises:
            DataError: images, labels or ids are something else; with how to convert them.
        """
        checked = checked_images(images, name, values=ids is None)
        return cls(
            name,
            checked,
            checked_labels(labels, name, len(checked)),
            pixel_ids(checked) if ids is None else checked_ids(ids, name, len(checked)),
            np.arange(len(checked)),
        )

    def named(self, names: NDArray[np.str_]) -> Split:
        """The same images known by these names, (N,), of all of `images`: for sets of which each image is another's, changed.

        The pinned subset is then the same for all of them.
        """
        digests = self.ids if self.digests is None else self.digests
        return replace(self, ids=checked_ids(names, self.name, len(self.images)), digests=digests)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        channels, height, width = self.images.shape[1:]
        return channels, height, width

    def pixels(self, indices: Sequence[int] | NDArray[np.int64] | slice) -> NDArray[np.uint8]:
        """The images at these places of the split, uint8."""
        return np.ascontiguousarray(self.images[self.rows[indices]])

    def inputs(self, indices: Sequence[int] | NDArray[np.int64] | slice) -> Tensor:
        """The images at these places of the split, float32 in [0, 1], (n, C, H, W)."""
        return to_unit(self.pixels(indices))

    def targets(self) -> Tensor:
        """All labels, int64, (N,)."""
        return torch.from_numpy(self.labels[self.rows].copy())

    def image_ids(self) -> NDArray[np.str_]:
        """All ids, in the split's order."""
        return self.ids[self.rows]

    def select(self, places: NDArray[np.int64], name: str | None = None) -> Split:
        """The part of the split at these places."""
        return replace(self, name=name or self.name, rows=self.rows[places])

    def pinned_order(self) -> NDArray[np.int64]:
        """Places of the split, class after class in turn, within a class by id: the same whatever the file order was.

        What is held out of a training, and what a training looks at, follows it.
        """
        keys, rank = self._turns
        return np.lexsort((keys, self.labels[self.rows], rank))

    @cached_property
    def _turns(self) -> tuple[NDArray[np.str_], NDArray[np.int64]]:
        """Of each image a key, from its id, and its rank: how many of its class have a smaller key."""
        labels, ids = self.labels[self.rows], self.image_ids()
        rank = np.empty(len(self), dtype=np.int64)
        keys = np.array([hashlib.blake2b(i.encode(), digest_size=8, person=b"order").hexdigest() for i in ids.tolist()])
        by_key = np.argsort(keys, kind="stable")
        seen: dict[int, int] = {}
        for place in by_key:
            label = int(labels[place])
            rank[place] = seen.get(label, 0)
            seen[label] = rank[place] + 1
        return keys, rank

    def first(self, n: int | None) -> Split:
        """The pinned subset of n images (all for None): each prefix is as balanced as it can be, a larger n adds images.

        In each turn the classes follow each other by their images' ids, so that n below their number takes some of them
        by chance and not the first ones.
        """
        n = plain_value(n)
        if n is not None and not (isinstance(n, int) and not isinstance(n, bool) and 1 <= n <= len(self)):
            raise UsageError(
                f"n={n!r} was asked for, but the {self.name} split has {len(self)} images; n may be 1 to {len(self)}"
            )
        return self.select(np.lexsort(self._turns)[:n])

    @cached_property
    def fingerprint(self) -> str:
        """Digest of the pixels (through the ids) and labels, whatever their order: 16 hexadecimal digits."""
        names = self.image_ids().tolist()
        if self.digests is not None:
            names = [f"{name}:{d}" for name, d in zip(names, self.digests[self.rows].tolist(), strict=True)]
        if self.frames is not None:  # sequences may begin with the same image
            held = self.frames.digests()
            names = [f"{name}:{held[row]}" for name, row in zip(names, self.rows.tolist(), strict=True)]
        pairs = sorted(f"{i}:{label}" for i, label in zip(names, self.labels[self.rows].tolist(), strict=True))
        return hashlib.sha256("\n".join(pairs).encode()).hexdigest()[:16]

    @cached_property
    def moments(self) -> tuple[list[float], list[float]]:
        """Mean and standard deviation of each channel over up to 10,000 pinned images, for pixels in [0, 1]."""
        std, mean = torch.std_mean(self.inputs(self.pinned_order()[:MOMENT_IMAGES]), dim=(0, 2, 3))
        return mean.tolist(), std.tolist()

    def verify(self) -> None:
        """Check that the pixels still are those that the ids were made from.

        Raises:
            DataError: naming the first image that changed.
        """
        known = set((self.ids if self.digests is None else self.digests).tolist())
        for start in range(0, len(self), 4096):
            fresh = pixel_ids(self.pixels(slice(start, start + 4096)))
            changed = [i for i in fresh.tolist() if i not in known]
            if changed:
                raise DataError(
                    f"the {self.name} split holds an image whose pixels are not those it was made with (now {changed[0]})"
                    f"{taken_out(self.images)}"
                )


def to_unit(pixels: NDArray[np.uint8]) -> Tensor:
    """8-bit pixels as float32 in [0, 1]."""
    return torch.from_numpy(pixels).float().div_(255)


@dataclass(frozen=True, eq=False)
class Among:
    """The classes of a data set as some of the outputs of a wider model, such as ten of ImageNet's 1,000.

    Attributes:
        outputs: the place of each class that is present among the model's outputs, counted from 0.
        width: how many outputs that model has; None: not known, more than the largest place.
        everything: labels are places among all outputs, and all compete; else those of the present classes alone do.

    Example:
        >>> Among(outputs=(3, 7), width=10, everything=False).fits(10)
        True
    """

    outputs: tuple[int, ...]
    width: int | None
    everything: bool

    def fits(self, outputs: int) -> bool:
        """Whether a model with so many outputs has the classes among them."""
        return outputs == self.width if self.width else outputs > max(self.outputs)


@dataclass(frozen=True, eq=False)
class Splits:
    """A data set: what is trained on, what choices are made on, and what is reported on.

    Attributes:
        classes: how many there are.
        source: where the images were found.
        names: of the classes, in their order; empty where they have none.
        order: by what rule the classes are in this order, where it was read from a folder; else empty.
        among: where the classes are among the outputs of a wider model; None: that is not known.
        corruption, severity: of the test images, where they are one condition of a set that is published corrupted.
        generated: whether robench corrupted these images, though they lie as published ones do.
        unseen: how many of the classes, the last ones, no output stands for: to be told from the others, and never named.

    Raises:
        DataError: there is a single class, a label is none of them, there are not as many names, or images differ in shape.

    Example:
        >>> splits = DATASETS["digits"].function(Places.of())
        >>> len(splits.train), len(splits.validation), len(splits.test), splits.classes
        (1294, 144, 359, 10)
    """

    train: Split
    validation: Split
    test: Split
    classes: int
    source: str = "memory"
    names: tuple[str, ...] = ()
    order: str = ""
    among: Among | None = None
    corruption: str | None = None
    severity: int | None = None
    unseen: int = 0
    generated: bool = False

    def __post_init__(self) -> None:
        if self.classes < 2:
            named = f" ({self.names[0]!r})" if self.names else ""
            raise DataError(
                f"{self.source} has {self.classes} class{named}: a single class has nothing to be told from; give images of two "
                "classes or more, or folder(among='all', ...) for a model whose other outputs compete"
            )
        if self.names and len(self.names) != self.classes:
            raise DataError(f"{self.source} has {self.classes} classes, but {len(self.names)} names of classes")
        for part in (self.train, self.validation, self.test):
            refuse_labels(part.labels[part.rows], self.classes, f"the {part.name} split of {self.source}")
            if part.shape != self.test.shape:
                raise DataError(
                    f"the {part.name} images of {self.source} have the shape {part.shape}, the test images {self.test.shape}; "
                    "all must be alike"
                )


def hold_out(split: Split, share: float, name: str) -> tuple[Split, Split]:
    """Cut a class-balanced, pinned share off a split: (the rest, the part held out).

    Example:
        >>> rest, test = hold_out(DATASETS["digits"].function(Places.of()).train, 0.5, "test")
        >>> len(rest), len(test)
        (647, 647)
    """
    order = split.pinned_order()
    size = round(share * len(split))
    return split.select(np.sort(order[size:])), split.select(order[:size], name)


def with_validation(train: Split, test: Split) -> tuple[Split, Split, Split]:
    """Training, validation and test images of a data set that is published with a training and a test half."""
    rest, held = hold_out(train, VALIDATION_SHARE, "validation")
    return rest.select(np.arange(len(rest)), "train"), held, test.select(np.arange(len(test)), "test")
