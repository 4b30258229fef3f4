"""Pictures of a row as one image: clean, adversarial, and their difference, of the first images that an attack broke."""

from __future__ import annotations

import base64
import io
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from robench.records.schema import adversarial_pixels, clean_pixels
from robench.records.unit import Measured
from robench.reporting.evidence import on_board

PICTURED = 4
LARGEST = 96
"""Pixels of a side; larger images are made smaller."""


class Sprite(NamedTuple):
    """A picture of pictures: a row each of clean and adversarial images and of their differences.

    Attributes:
        png: the bytes of the file.
        columns: how many images there are.
        attack: that made them.
        said: of each image what it is and what it was taken for.
    """

    png: bytes
    columns: int
    attack: Measured
    said: list[str]

    @property
    def address(self) -> str:
        return "data:image/png;base64," + base64.b64encode(self.png).decode()


def sprite(units: list[Measured]) -> Sprite | None:
    """Of the first unit that broke the most of the images whose pixels were kept; None where none did.

    A difference is enlarged until its largest part fills the range; grey is no change.
    """
    best, most = None, 0
    for one in units:
        if not on_board(one):
            continue
        kept = one.pictured()
        kept = kept[kept["correct"].astype(bool)]
        broken = kept[kept["success"].astype(bool)].head(PICTURED)
        if len(broken) > most:
            best, most = (one, broken), len(broken)
        if most == PICTURED:
            break
    if best is None:
        return None
    one, broken = best
    shape, names, columns, said = one.unit.facts.shape, one.unit.facts.class_names, [], []
    for _, record in broken.iterrows():
        clean, adversarial = clean_pixels(record, shape), adversarial_pixels(record, shape)
        change = adversarial - clean
        widest = float(np.abs(change).max()) or 1.0
        columns.append(np.concatenate([clean, adversarial, 0.5 + 0.5 * change / widest], axis=1))
        label, taken = (int(record[name]) for name in ("label", "prediction"))
        said.append(" taken for ".join(names[c] if c < len(names) else str(c) for c in (label, taken)))
    return Sprite(_png(np.concatenate(columns, axis=2), max(shape[1:])), most, one, said)


def _png(pixels: NDArray[np.float32], side: int) -> bytes:
    """An image (C, H, W) in [0, 1] as a PNG, smaller where its tiles are of more than `LARGEST` pixels."""
    from PIL import Image

    array = np.clip(np.round(pixels * 255), 0, 255).astype(np.uint8)
    image = Image.fromarray(array[0] if array.shape[0] == 1 else array.transpose(1, 2, 0))
    if side > LARGEST:
        image = image.resize((image.width * LARGEST // side, image.height * LARGEST // side))
    out = io.BytesIO()
    image.save(out, "PNG", optimize=True)
    return out.getvalue()
