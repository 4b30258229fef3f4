"""Model cards: what a report says of a trained model, apart from how it was attacked."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from robench.entries.calls import Call, call_from_json, call_to_json
from robench.files import atomic_path
from robench.records.manifest import Damaged, read_signed, signed

LARGEST = 4
"""So many weights of a row of attention are summed where one number is printed, as in the KSA paper."""


@dataclass(frozen=True)
class ModelCard:
    """The size of a model, its training's cost, its attention, how it takes occluded patches.

    Attributes:
        model: its name, as `Identity.model` has it.
        defense, dataset: as a person writes them.
        weights: digest of the weights.
        data: fingerprint of the test split.
        images: so many test images the last three were measured on.
        seconds, epochs: of the training that made it; 0 where there was none.
        parameters: all of them.
        macs: multiply-accumulates of a forward pass of one image.
        attention: for each attention layer the share of a row that its 1, 2, … largest weights hold; empty for models
            without robench's attention.
        attention_cosines: for each attention layer, clean against occluded.
        feature_distances: for each block, as a share of the output's length.
        approximate_slopes: white-box attacks follow slopes that stand in for the model's own.
        note: what its defense says of it besides, such as that it resizes images.
    """

    model: str
    defense: Call
    dataset: Call
    weights: str
    data: str
    images: int
    seconds: float
    epochs: int
    parameters: int
    macs: int
    attention: list[list[float]]
    attention_cosines: list[float]
    feature_distances: list[float]
    approximate_slopes: bool
    note: str = ""

    @property
    def held_by_largest(self) -> list[float]:
        """For each attention layer the share of a row that its four largest weights hold; layers that were not seen are left out."""
        return [layer[min(LARGEST, len(layer)) - 1] for layer in self.attention if layer]

    def write(self, path: Path) -> None:
        """Write it, whole or not at all."""
        content = {**asdict(self), "defense": call_to_json(self.defense), "dataset": call_to_json(self.dataset)}
        with atomic_path(path) as temporary:
            temporary.write_text(json.dumps(signed(content), indent=1), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> ModelCard:
        """Read one.

        Raises:
            Damaged: it is not what was written.
            StoreError: it is of another version.
        """
        content = read_signed(path)
        try:
            del content["schema"]
            calls = {name: call_from_json(content[name]) for name in ("defense", "dataset")}
            return cls(**{**content, **calls})
        except (KeyError, TypeError, AttributeError) as error:
            raise Damaged(f"it lacks what a model card holds ({error})") from error
