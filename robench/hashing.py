"""Content hashes: of values, files and pixels."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ENGINE = 4
"""Raised when the engine changes in a way that can change a number; what was computed before is then computed again.

`tests/test_golden.py` fails where a number changes and this does not.
"""


def digest(value: Any, length: int = 16) -> str:
    """Hexadecimal digest of anything that JSON can say; keys are sorted, so that their order does not matter.

    Example:
        >>> digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
        True
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def tensor_bytes(tensor: Any) -> bytes:
    """The elements of a tensor of torch, of any type, as they lie in memory."""
    import torch

    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return bytes(flat.view(torch.uint8).numpy().tobytes()) if flat.numel() else b""


def pixel_ids(images: NDArray[np.uint8]) -> NDArray[np.str_]:
    """Ids of images from their decoded pixels: 16 hexadecimal digits, the same on every machine.

    Args:
        images: (N, C, H, W), uint8. A repeated image gets an id of its own from how often it was seen before.
    """
    seen: dict[bytes, int] = {}
    ids = np.empty(len(images), dtype="<U16")
    shape = str(images.shape[1:]).encode()
    for row, image in enumerate(images):
        pixels = hashlib.blake2b(np.ascontiguousarray(image).tobytes(), digest_size=8, key=shape).digest()
        again = seen.get(pixels, 0)
        seen[pixels] = again + 1
        ids[row] = (
            pixels.hex() if not again else hashlib.blake2b(pixels, digest_size=8, salt=str(again).encode()).hexdigest()
        )
    return ids
