"""Pictures of images that are newly broken, where the store kept them: the image beside what fools the model now."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from robench.files import atomic_path
from robench.gate.verdicts import Verdict
from robench.hashing import digest
from robench.records.schema import adversarial_pixels, clean_pixels
from robench.reporting.figures import png

MOST, WIDTH = 10, 96
"""Pictures of each number; pixels that an image is enlarged to."""


def write_pictures(verdicts: Sequence[Verdict], folder: Path) -> dict[tuple[str, str, str], Path]:
    """Write them as PNG; their files by gate, number and image."""
    found: dict[tuple[str, str, str], Path] = {}
    for verdict in verdicts:
        lost, written = set(verdict.lost_images.tolist()), 0
        told = verdict.kind in ("regressed", "warn") and verdict.gate.metric != "clean_accuracy"  # which no attack made
        for cell in verdict.subject.after if told else ():
            one = cell.measured
            if one is None:
                continue
            records, shape = one.pictured(), one.unit.facts.shape
            kept = records[records["image"].isin(lost) & records["fooled"].astype(bool)]
            for _, record in kept.drop_duplicates("image").iterrows():
                key = verdict.gate.id, verdict.subject.text, str(record["image"])
                if key in found or written >= MOST:
                    continue
                both = np.concatenate([clean_pixels(record, shape), adversarial_pixels(record, shape)], axis=2)
                path = folder / f"{digest(key[:2])}-{record['image']}.png"
                with atomic_path(path) as temporary:
                    temporary.write_bytes(png(both, max(1, WIDTH // shape[1])))
                found[key] = path
                written += 1
    return found
