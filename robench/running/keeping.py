"""What a shard's records lack: the images that were not attacked, where they are to be kept, and which those were."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from robench.data.splits import Split, to_unit
from robench.running.conditions import Condition
from robench.running.subject import Subject
from robench.running.workers import Sink


@dataclass(frozen=True)
class Keeping:
    """A sink that completes records before it passes them on.

    An image that was misclassified before is kept as it is, so that the kept images are those of the whole subset. An
    image of which a file holds no adversarial one has no margin: it was not attacked.

    Attributes:
        keep: ids of the images that are kept although they are not attacked.
        given: of which images of the split there are adversarial ones; None: they are made.
    """

    sink: Sink
    split: Split
    keep: set[str]
    given: NDArray[np.bool_] | None

    @classmethod
    def of(cls, sink: Sink, subject: Subject, condition: Condition, keep: set[str]) -> Keeping:
        """For a condition on a subject."""
        left_out = set() if condition.goal == "natural" else keep  # no image is left out of natural threats
        return cls(sink, subject.split, left_out, condition.images_given(subject.split, subject.positions))

    def add(self, frame: pd.DataFrame) -> None:
        """Pass records on, completed."""
        frame, ids = frame.copy(), self.split.image_ids().tolist()
        wanted = set(frame["image"])
        place = {image: i for i, image in enumerate(ids) if image in wanted}
        for row in np.flatnonzero(~frame["correct"].to_numpy(dtype=bool) & frame["image"].isin(self.keep).to_numpy()):
            pixels = self.split.pixels([place[frame.at[row, "image"]]])
            frame.at[row, "adversarial"] = to_unit(pixels).numpy().tobytes()
            frame.at[row, "clean"] = pixels.tobytes()
        if self.given is not None:
            attacked = np.array([bool(self.given[place[image]]) for image in frame["image"]])
            frame["margin"] = frame["margin"].where(attacked)
        self.sink.add(frame)


class InMemory:
    """A sink of records that are not stored."""

    def __init__(self) -> None:
        self.frames: list[pd.DataFrame] = []

    def add(self, frame: pd.DataFrame) -> None:
        self.frames.append(frame)
