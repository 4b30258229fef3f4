"""ImageNet's validation images."""

from __future__ import annotations

from robench import Interpolation, Places, Positive, Splits, dataset, load_imagenet

GRID = {"linf": [0.5 / 255, 1 / 255, 2 / 255, 4 / 255], "l2": [0.5, 1.0, 2.0, 3.0]}


@dataset(paper="arXiv:1409.0575", epochs=30, crop=16, flip=True, eps=GRID)
def imagenet(
    places: Places, *, resize: Positive = 256, size: Positive = 224, interpolation: Interpolation = "bilinear"
) -> Splits:
    """ImageNet's 50,000 validation images in 1,000 classes; not downloaded, and there is nothing to train on.

    Looked for in the data folder as imagenet/val/WNID/IMAGE, with train/ beside it or not, as torchvision lays them; the
    folder may be called ILSVRC2012 too, and the class folders may lie right in it. Labels are always places among the
    1,000, in the order of the outputs of published models; classes are named by the first of their words, with the wnid
    behind it where two share one (the cranes, the maillots).

    Args:
        resize: pixels of the shorter side before the crop.
        size: pixels of the sides of the centre that is cropped.
        interpolation: bilinear is what torchvision's weights are published with and ImageNet-C was made with; models of timm
            name their own, mostly bicubic.
    """
    return load_imagenet(places, resize=resize, size=size, interpolation=interpolation)
