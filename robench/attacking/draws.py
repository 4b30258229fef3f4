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

    def shared(self, names: Sequence[str]) -> Draws:
        """Random numbers of the same seed that belong to no image, such as masks that all images share; a row for each name."""
        return Draws(self._seed, names)

    def _keys(self, ids: NDArray[np.uint64], purpose: str, step: int) -> NDArray[np.uint64]:
        """A key for each image, of the seed, the image, the purpose and the step."""
        return _mix(ids ^ _key(f"{self._seed}/{purpose}/{step}"))

    def _bits(self, purpose: str, step: int, rows: Tensor | None, count: int) -> NDArray[np.uint64]:
        ids = self._ids if rows is None else self._ids[rows.cpu().numpy()]
        rowwise = self._keys(ids, purpose, step)
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

    def bulk_uniform(self, purpose: str, step: int, shape: Sequence[int]) -> Tensor:
        """Uniform on [0, 1), float32 in steps of 2^-24, (images, *shape): for noise on every pixel, in a third of the time.

        A generator (SFC64) is seeded by the same hash for each image; its raw bits are the same in every version of NumPy.
        """
        count = int(np.prod(shape, dtype=int))
        keys = self._keys(self._ids, purpose, step)
        found = torch.empty(len(keys), count)
        for row, key in enumerate(keys.tolist()):
            bits = np.random.SFC64(key).random_raw((count + 1) // 2).view(np.int32)[:count]
            torch.mul(torch.from_numpy(bits).bitwise_and_(0xFFFFFF), 2.0**-24, out=found[row])
        return found.reshape(-1, *shape)

    def bulk_normal(self, purpose: str, step: int, shape: Sequence[int]) -> Tensor:
        """Standard normal, float32, (images, *shape), by the Box-Muller transform: both numbers of each pair are used."""
        count = int(np.prod(shape, dtype=int))
        half = (count + 1) // 2
        pairs = self.bulk_uniform(purpose, step, (2, half))
        # Image by image, because its numbers then stay in the processor's cache.
        for radius, angle in pairs:
            radius.neg_().log1p_().mul_(-2).sqrt_()
            cosine = angle.mul_(2 * torch.pi).cos()
            angle.sin_().mul_(radius)
            radius.mul_(cosine)
        return pairs.flatten(1)[:, :count].reshape(-1, *shape)
