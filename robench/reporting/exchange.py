"""Adversarial images as others read them: arrays in the order of the test set, and files of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from robench.entries.calls import Call, parse
from robench.errors import UsageError
from robench.files import atomic_path
from robench.records.orders import read_order
from robench.records.schema import adversarial_pixels, clean_pixels
from robench.records.unit import Measured
from robench.reporting.groups import Group


@dataclass(frozen=True)
class AdversarialImages:
    """The images of one cell, a row for each, or for each (image, target), in the order of the data set's own test split.

    Attributes:
        ids: of the images, as in the records, (N,).
        positions: in the test split, int64, (N,).
        images: adversarial, float32 in [0, 1], (N, C, H, W). An image that was misclassified before stays as it was.
        clean: before the attack, likewise.
        labels: int64, (N,).
        targets: classes aimed at, int64, (N,); -1 where the attack was untargeted.
        of: images of the test split.
    """

    ids: NDArray[np.str_]
    positions: NDArray[np.int64]
    images: NDArray[np.float32]
    clean: NDArray[np.float32]
    labels: NDArray[np.int64]
    targets: NDArray[np.int64]
    of: int

    def write(self, path: Path) -> Path:
        """Write them to a file: .npz with all of it, .npy with the images alone, .pt with them as a tensor of torch.

        The last two are what another library reads, and do not say which images of the test set they hold.

        Raises:
            UsageError: the format is another one, or cannot hold several rows of an image.
            StoreError: the file cannot be written.
        """
        if path.suffix not in (".npz", ".npy", ".pt"):
            raise UsageError(f"{str(path)!r} is none of .npz, .npy and .pt, which adversarial images are written to")
        if path.suffix != ".npz" and len(set(self.positions.tolist())) < len(self.positions):
            raise UsageError(
                f"there are several adversarial images for each image, one for each target; {path.suffix} files hold one: write .npz"
            )
        with atomic_path(path) as temporary, temporary.open("wb") as stream:
            if path.suffix == ".npz":
                named = {
                    name: getattr(self, name) for name in ("ids", "positions", "images", "clean", "labels", "targets")
                }
                np.savez(stream, **named)
            elif path.suffix == ".npy":
                np.save(stream, self.images)
            else:
                import torch

                torch.save(torch.from_numpy(self.images), stream)
        return path


def images_of(
    groups: Sequence[Group], defense: str | None, attack: str | None, dataset: str | None
) -> AdversarialImages:
    """The images of the one cell that is meant.

    Args:
        defense, attack, dataset: names, or calls as the table has them; None: any.

    Raises:
        UsageError: several cells are meant or none, or not all of its images were kept.
    """
    cells = [(group, one) for group in groups for one in group.units]
    meant = [
        (group, one)
        for group, one in cells
        if _means(dataset, group.name, one.unit.spec.dataset)
        and _means(defense, group.label(one), one.unit.spec.defense)
        and _means(attack, group.attack_in_full(one), one.unit.spec.attack)
    ]
    if len(meant) != 1:
        shown = [f"{g.label(one)} under {g.attack_in_full(one)} on {g.name}" for g, one in (meant or cells)[:8]]
        what = "several cells are" if meant else "no cell is"
        raise UsageError(
            f"{what} meant; name one by its defense, attack and data set: {'; '.join(shown) or 'there is none'}"
            + ("; …" if len(meant or cells) > 8 else "")
        )
    group, one = meant[0]
    return _images(one, f"{group.label(one)} under {group.attack_in_full(one)} on {group.name}")


def _means(given: str | None, label: str, call: Call) -> bool:
    """Whether a text names a call: by its label, its text, another way of writing it, or its name alone."""
    if given is None or given in (label, str(call), call.name):
        return True
    try:
        return str(parse(given)) == str(call)
    except UsageError:
        return False


def _images(one: Measured, name: str) -> AdversarialImages:
    wanted = set(one.records["image"])
    records = one.unit.read(pixels=True)
    records = records[records["image"].isin(wanted)]
    lacking = int(records.loc[records["adversarial"].isna(), "image"].nunique())
    order = read_order(one.unit.folder.parents[1], one.unit.identity.data)
    place = {image: i for i, image in enumerate(order or [])}
    again = f"run {name} again with --keep-images (keep_images=True)"
    if lacking:
        raise UsageError(f"{lacking:,} of {len(wanted):,} adversarial images were not kept; {again}")
    if order is None or not all(image in place for image in wanted):
        raise UsageError(f"the order of the test set was not kept; {again}, which attacks nothing anew")
    records = records.assign(place=records["image"].map(place)).sort_values(["place", "target"], kind="stable")
    shape = one.unit.facts.shape
    return AdversarialImages(
        ids=records["image"].to_numpy(dtype=np.str_),
        positions=records["place"].to_numpy(dtype=np.int64),
        images=np.stack([adversarial_pixels(record, shape) for _, record in records.iterrows()]),
        clean=np.stack([clean_pixels(record, shape) for _, record in records.iterrows()]),
        labels=records["label"].to_numpy(dtype=np.int64),
        targets=records["target"].fillna(-1).to_numpy(dtype=np.int64),
        of=len(place),
    )
