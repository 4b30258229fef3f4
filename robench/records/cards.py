"""Model cards: what a report says of a trained model, apart from how it was attacked."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from robench.entries.calls import Call, Json, call_to_json
from robench.files import atomic_path
from robench.records.manifest import Damaged, read_signed, signed
from robench.records.typed import built

LARGEST = 4
"""So many weights of a row of attention are summed where one number is printed, as in the KSA paper."""


@dataclass(frozen=True)
class QueryMaps:
    """How much one patch attends to every other, before and after noise covered some patches.

    Attributes:
        grid: patches down and across.
        query: the number of the patch, row by row.
        clean, covered: for each layer the attention to each patch, averaged over heads.
        shape: of the image, (C, H, W).
        images: before and after, uint8, base64; none where they were left out.
    """

    grid: tuple[int, int]
    query: int
    clean: list[list[float]]
    covered: list[list[float]]
    shape: list[int]
    images: list[str]


@dataclass(frozen=True)
class AttentionStudy:
    """What papers draw of attention; see `running.attention_study`.

    Attributes:
        images: so many test images `gaps` is of.
        gaps: for each layer how often the largest gap of a sorted row stands at position 1, 2, …, weighted, a share of the rows.
        patch, share: side in pixels of the patches that noise covered, the model's own, and the share of them.
        cosines: for each layer and image the mean cosine of a row of attention before and after.
        maps: of the first image.
    """

    images: int
    gaps: list[list[float]]
    patch: int
    share: float
    cosines: list[list[float]]
    maps: QueryMaps | None = None


@dataclass(frozen=True)
class ModelCard:
    """The size of a model, its training's cost, its attention, how it takes occluded patches.

    Attributes:
        model: its name, as `Identity.model` has it.
        defense, dataset: as a person writes them.
        weights: digest of the weights; empty: it is of an architecture alone, whose weights were not made.
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
        study: what papers draw of its attention; None where that cannot be watched, or the card is older.
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
    study: AttentionStudy | None = None

    @property
    def without_pictures(self) -> ModelCard:
        """The same without the test images that its maps are of, which a file that is given away may not hold."""
        if self.study is None or self.study.maps is None:
            return self
        return replace(self, study=replace(self.study, maps=replace(self.study.maps, images=[])))

    @property
    def held_by_largest(self) -> list[float]:
        """For each attention layer the share of a row that its four largest weights hold; layers that were not seen are left out."""
        return [layer[min(LARGEST, len(layer)) - 1] for layer in self.attention if layer]

    def plain(self) -> dict[str, Json]:
        """As JSON has it."""
        return {**asdict(self), "defense": call_to_json(self.defense), "dataset": call_to_json(self.dataset)}

    @classmethod
    def of(cls, plain: dict[str, Json]) -> ModelCard:
        """What `plain` was written from.

        Raises:
            Damaged: it is something else.
        """
        try:
            return built(cls, plain)
        except ValueError as error:
            raise Damaged(f"it lacks what a model card holds ({error})") from error

    def write(self, path: Path) -> None:
        """Write it, whole or not at all."""
        with atomic_path(path) as temporary:
            temporary.write_text(json.dumps(signed(self.plain()), indent=1), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> ModelCard:
        """Read one.

        Raises:
            Damaged: it is not what was written.
            StoreError: it is of another version.
        """
        content = read_signed(path)
        content.pop("schema", None)
        return cls.of(content)
