"""Any folder of images."""

from __future__ import annotations

from pathlib import Path

from robench import Places, Positive, Splits, dataset, load_folder


@dataset(
    epochs=30,
    crop=16,
    flip=True,
    eps={"linf": [0.5 / 255, 1 / 255, 2 / 255, 4 / 255], "l2": [0.5, 1.0, 2.0, 3.0]},
)
def folder(places: Places, *, path: str, size: Positive = 224) -> Splits:
    """A folder of images, one folder a class (torchvision's ImageFolder).

    Args:
        path: holds train/CLASS/IMAGE and test/ or val/ beside it; with the classes' folders alone, all of it is the
            test split and nothing can be trained on it.
        size: images are resized to this many pixels on their shorter side and cropped to the centre.
    """
    return load_folder(places, Path(path).expanduser(), size)
