"""Random numbers that belong to an image, not to a batch.

Every number is a hash of (run seed, image id, purpose, step, element), so that batch size, sharding, worker count and
order never change what an image is dealt.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from copy import copy

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def _mix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of splitmix64 (Steele, Lea & Flood, 2014)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _key(text: str) -> np.uint64:
    return np.uint64(int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little"))


class Draws:
    """A source of random numbers for the images of one run.

    Args:
        seed: the attack's seed.
        ids: image ids; row r of every draw belongs to ids[r].

    Example:
        >>> one, other = Draws(0, ["a", "b"]), Draws(0, ["b"])
        >>> torch.equal(one.uniform("start", 0, None, (3,))[1:], other.uniform("start", 0, None, (3,)))
        True
    """

    def __init__(self, seed: int, ids: Sequence[str]) -> None:
        self._seed = seed
        self._ids = np.array([_key(i) for i in ids], dtype=np.uint64)

    def of(self, rows: Tensor) -> Draws:
        """The random numbers of some of the images."""
        part = copy(self)
        part._ids = self._ids[rows.cpu().numpy()]
        return part

    def _bits(self, purpose: str, step: int, rows: Tensor | None, count: int) -> NDArray[np.uint64]:
        ids = self._ids if rows is None else self._ids[rows.cpu().numpy()]
        rowwise = _mix(ids ^ _key(f"{self._seed}/{purpose}/{step}"))
        return _mix(rowwise[:, None] + _GOLDEN * np.arange(1, count + 1, dtype=np.uint64))

    def uniform(self, purpose: str, step: int, rows: Tensor | None, shape: Sequence[int]) -> Tensor:
        """Uniform on [0, 1), float64, (rows, *shape).

        Args:
            purpose: what for ("start", "target", "mask" mean the same in every attack).
            step: which of several draws for that purpose.
            rows: rows of the images, None for all.
        """
        bits = self._bits(purpose, step, rows, int(np.prod(shape, dtype=int)))
        numbers = (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53
        return torch.from_numpy(numbers).reshape(-1, *shape)

    def normal(self, purpose: str, step: int, rows: Tensor | None, shape: Sequence[int]) -> Tensor:
        """Standard normal, float64, (rows, *shape), by the Box-Muller transform."""
        radius = self.uniform(f"{purpose}/radius", step, rows, shape)
        angle = self.uniform(f"{purpose}/angle", step, rows, shape)
        return (-2 * torch.log1p(-radius)).sqrt() * torch.cos(2 * torch.pi * angle)
