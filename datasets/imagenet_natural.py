"""ImageNet-A, -R and -O: pictures of 200 of ImageNet's classes that are hard or no photographs, and of other classes."""

from __future__ import annotations

from typing import Literal

from robench import Interpolation, Places, Positive, Splits, dataset, load_natural, load_out_of_distribution

GRID = {"linf": [0.5 / 255, 1 / 255, 2 / 255, 4 / 255], "l2": [0.5, 1.0, 2.0, 3.0]}
Among = Literal["present", "all"]


@dataset(paper="arXiv:1907.07174", epochs=30, crop=16, flip=True, eps=GRID)
def imagenet_a(
    places: Places,
    *,
    among: Among = "present",
    resize: Positive = 256,
    size: Positive = 224,
    interpolation: Interpolation = "bilinear",
) -> Splits:
    """ImageNet-A: 7,500 photographs of 200 classes that a ResNet-50 got wrong; not downloaded, nothing to train on.

    Looked for in the data folder as imagenet-a/WNID/IMAGE.

    Args:
        among: of a model with 1,000 outputs "present" reads those of the 200 classes, as published figures have it; with
            "all" the other 800 compete too.
        resize: pixels of the shorter side before the crop.
        size: pixels of the sides of the centre that is cropped.
        interpolation: of the resizing.
    """
    return load_natural(places, "imagenet_a", among, resize=resize, size=size, interpolation=interpolation)


@dataset(paper="arXiv:2006.16241", epochs=30, crop=16, flip=True, eps=GRID)
def imagenet_r(
    places: Places,
    *,
    among: Among = "present",
    resize: Positive = 256,
    size: Positive = 224,
    interpolation: Interpolation = "bilinear",
) -> Splits:
    """ImageNet-R: 30,000 drawings, sculptures, toys and other renditions of 200 classes; not downloaded, nothing to train on.

    Looked for in the data folder as imagenet-r/WNID/IMAGE.

    Args:
        among: of a model with 1,000 outputs "present" reads those of the 200 classes, as published figures have it; with
            "all" the other 800 compete too.
        resize: pixels of the shorter side before the crop.
        size: pixels of the sides of the centre that is cropped.
        interpolation: of the resizing.
    """
    return load_natural(places, "imagenet_r", among, resize=resize, size=size, interpolation=interpolation)


@dataset(paper="arXiv:1907.07174", epochs=30, crop=16, flip=True, eps=GRID)
def imagenet_o(
    places: Places, *, resize: Positive = 256, size: Positive = 224, interpolation: Interpolation = "bilinear"
) -> Splits:
    """ImageNet-O: 2,000 photographs of no class of ImageNet, to be told from those of 200 classes; not downloaded.

    Looked for in the data folder as imagenet-o/WNID/IMAGE, and the others as `imagenet` is. Run it with `--attack clean`: what
    is measured is how well a model's confidence tells them apart. Of a model with 1,000 outputs those of the 200 are read.

    Args:
        resize: pixels of the shorter side before the crop.
        size: pixels of the sides of the centre that is cropped.
        interpolation: of the resizing.
    """
    return load_out_of_distribution(places, resize=resize, size=size, interpolation=interpolation)
