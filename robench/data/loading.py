"""A data set as a run uses it: loaded by its call, with the name of its variant and the pinned subset that is evaluated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robench.data.splits import Split, Splits
from robench.entries.calls import Call, Name
from robench.entries.cards import DatasetCard
from robench.entries.registry import DATASETS
from robench.errors import UsageError
from robench.hashing import digest
from robench.places import Places

ALL_CLASSES, FEW_CLASSES = 20, 5
"""Up to so many classes are all said, of more the first few."""


@dataclass(frozen=True)
class Data:
    """A loaded data set.

    Attributes:
        call: as a person writes it.
        fingerprint: of the whole test split, and of the condition where it is published corrupted.
        variant: the name of this copy, where the card knows it; else empty.
        split: the pinned images that are evaluated.
        family: the call without its condition, where the images are published corrupted; else empty.
    """

    call: Call
    card: DatasetCard
    splits: Splits
    fingerprint: str
    variant: str
    split: Split
    family: str = ""

    @property
    def name(self) -> str:
        """The call as text."""
        return str(self.call)

    @property
    def classes_said(self) -> str:
        """Which class is which, with how many test images, where the classes were read from a folder; else empty."""
        splits = self.splits
        if not splits.order:
            return ""
        counts = np.bincount(splits.test.targets().numpy(), minlength=splits.classes)
        present = np.flatnonzero(counts).tolist()
        shown = present if len(present) <= ALL_CLASSES else present[:FEW_CLASSES]
        each = [f"class {c} = {splits.names[c]!r} ({counts[c]:,} image{'s' if counts[c] > 1 else ''})" for c in shown]
        more = [f"and {len(present) - len(shown):,} more"] if len(present) > len(shown) else []
        several = f"{splits.classes:,} class{'es' if splits.classes > 1 else ''}"
        return f"{self.name}: {several}, {splits.order}: {', '.join([*each, *more])}"


def data_calls(name: Name) -> list[Call]:
    """The data sets that are meant: one for each item of a list where one value is wanted, or of the card's own lists."""
    entry, call = DATASETS.call(name)
    lists = {option: [*values] for option, values in entry.card.each.items() if call.options.get(option) is None}
    return entry.each(Call(call.name, {**call.options, **lists}))


def load_data(name: Name, places: Places, n: int | None = None) -> Data:
    """Load a data set by its call.

    Args:
        n: size of the pinned, class-balanced subset of the test split; None: all of it.

    Raises:
        UsageError: there is no such data set, or it has fewer images.
        DataError: its files are missing or damaged.
    """
    entry, call = DATASETS.find(name)
    splits = entry.function(places, **call.options)
    if not isinstance(splits, Splits):
        raise UsageError(
            f"{call} returned {type(splits).__name__}; a data set returns robench.Splits(train, validation, test, classes)"
        )
    fingerprint = splits.test.fingerprint
    variant = entry.card.variants.get(fingerprint, "")
    if splits.corruption is not None:  # two conditions may be of the same pixels, and are two data sets all the same
        fingerprint = digest([fingerprint, splits.corruption, splits.severity])
    shown, family = entry.shown(call), ""
    if splits.corruption is not None:
        family = str(Call(shown.name, {o: v for o, v in shown.options.items() if o not in entry.card.each}))
    return Data(shown, entry.card, splits, fingerprint, variant, splits.test.first(n), family)
