"""Class folders of plain pictures, each class of a grey of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from robench import Places, Splits
from robench.data.loading import load_data

GREYS: dict[str, int] = {}


def grey_of(folder: str) -> int:
    """A grey of its own for each class folder, so that labels can be told by pixels."""
    return GREYS.setdefault(folder, (3 + 4 * len(GREYS)) % 251)


def pictures(root: Path, folders: Sequence[str], count: int = 1) -> Path:
    for folder in folders:
        (root / folder).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            pixels = np.full((9, 9, 3), grey_of(Path(folder).name), np.uint8)
            pixels[i // 8, i % 8] = 0
            Image.fromarray(pixels).save(root / folder / f"{i}.png")
    return root


def loaded(root: Path, **options: object) -> Splits:
    given = "".join(f", {name}={value!r}" for name, value in options.items())
    return load_data(f"folder(path={str(root)!r}, size=9{given})", Places.of()).splits


def folders_by_label(splits: Splits) -> dict[int, str]:
    by_grey = {grey: folder for folder, grey in GREYS.items()}
    shown = splits.test.pixels(slice(None))[:, 0, 8, 8]
    return {int(y): by_grey[int(g)] for y, g in zip(splits.test.targets().tolist(), shown, strict=True)}
