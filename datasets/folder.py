"""Any folder of images."""

from __future__ import annotations

from typing import Literal

from robench import Places, Positive, Splits, dataset, load_folder


@dataset(
    epochs=30,
    crop=16,
    flip=True,
    eps={"linf": [0.5 / 255, 1 / 255, 2 / 255, 4 / 255], "l2": [0.5, 1.0, 2.0, 3.0]},
    reads=("imagenetv2", "imagenetsketch", "imagenette", "ilsvrc", "imagewoof", "tinyimagenet"),
)
def folder(places: Places, *, path: str, size: Positive = 224, among: Literal["present", "all"] = "present") -> Splits:
    """A folder of images, one folder a class (torchvision's ImageFolder).

    Args:
        path: holds train/CLASS/IMAGE and test/ or val/ beside it; with the classes' folders alone, all of it is the
            test split and nothing can be trained on it.
        size: images are resized to this many pixels on their shorter side and cropped to the centre.
        among: for a model with more outputs than the folder has classes, such as ImageNet's 1,000: "present" reads those
            of the folder's classes alone (as ImageNet-A and -R do), with "all" its other outputs compete. Which outputs
            they are is known of folders named by wnid or by number, else `classes.csv` says it (folder,index).
    """
    return load_folder(places, path, size, among)
