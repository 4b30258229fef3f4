"""Images and labels: uint8 on disk and in memory, float in [0, 1] only a batch at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from robench.errors import DataError, UsageError
from robench.hashing import pixel_ids

MOMENT_IMAGES = 10_000


@dataclass(frozen=True, eq=False)
class Split:
    """Images with labels and ids.

    Attributes:
        images: uint8, (N, C, H, W); a memory map where the set is large.
        labels: int64, (N,).
        ids: (N,), from the decoded pixels (see `hashing.pixel_ids`).
        rows: the rows of `images` that belong to this split, in its order.

    Example:
        >>> import numpy as np
        >>> split = Split.of("mine", np.zeros((4, 3, 8, 8), dtype=np.uint8), np.array([0, 1, 0, 1]))
        >>> split.first(2).targets()
        tensor([0, 1])
    """

    name: str
    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    ids: NDArray[np.str_]
    rows: NDArray[np.int64]

    @classmethod
    def of(
        cls, name: str, images: NDArray[np.uint8], labels: NDArray[np.int64], ids: NDArray[np.str_] | None = None
    ) -> Split:
        """A split of all the images given."""
        ids = pixel_ids(images) if ids is None else ids
        return cls(name, images, np.asarray(labels, dtype=np.int64), ids, np.arange(len(images)))

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

        The first n of it are the pinned, class-balanced subset of n; a larger n only adds images.
        """
        labels, ids = self.labels[self.rows], self.image_ids()
        rank = np.empty(len(self), dtype=np.int64)
        keys = np.array([hashlib.blake2b(i.encode(), digest_size=8, person=b"order").hexdigest() for i in ids.tolist()])
        by_key = np.argsort(keys, kind="stable")
        seen: dict[int, int] = {}
        for place in by_key:
            label = int(labels[place])
            rank[place] = seen.get(label, 0)
            seen[label] = rank[place] + 1
        return np.lexsort((keys, labels, rank))

    def first(self, n: int | None) -> Split:
        """The pinned subset of n images (all for None)."""
        if n is not None and not (isinstance(n, int) and 1 <= n <= len(self)):
            raise UsageError(
                f"n={n!r} was asked for, but the {self.name} split has {len(self)} images; n may be 1 to {len(self)}"
            )
        return self.select(self.pinned_order()[:n])

    @cached_property
    def fingerprint(self) -> str:
        """Digest of the pixels (through the ids) and labels, whatever their order: 16 hexadecimal digits."""
        pairs = sorted(
            f"{i}:{label}" for i, label in zip(self.image_ids().tolist(), self.labels[self.rows].tolist(), strict=True)
        )
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
        known = set(self.ids.tolist())
        for start in range(0, len(self), 4096):
            fresh = pixel_ids(self.pixels(slice(start, start + 4096)))
            changed = [i for i in fresh.tolist() if i not in known]
            if changed:
                raise DataError(
                    f"the {self.name} split holds an image whose pixels are not those it was decoded with (now {changed[0]}); "
                    "the decoded copy in the cache is damaged: delete the cache's 'decoded' folder and run again"
                )


def to_unit(pixels: NDArray[np.uint8]) -> Tensor:
    """8-bit pixels as float32 in [0, 1]."""
    return torch.from_numpy(pixels).float().div_(255)


@dataclass(frozen=True, eq=False)
class Splits:
    """A data set: what is trained on, what choices are made on, and what is reported on.

    Attributes:
        classes: how many there are.
        source: where the images were found.
        names: of the classes, in their order; empty where they have none.

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
