"""What others published of the very weights that were run here, to stand in grey beside ours."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from typing import NamedTuple

from robench.benchmarks import CORRUPTIONS, SEVERITIES
from robench.entries.calls import Call
from robench.entries.modules import built_in_folder
from robench.reporting.published import lines

ROBUSTBENCH, TIMM, TESTBED = "RobustBench", "timm", "ImageNet testbed"
TORCHVISION = {
    f"{name}.tv_in1k": name
    for name in (
        *("resnet18", "resnet50", "resnet101", "resnet152", "resnext50_32x4d", "resnext101_32x8d"),
        *("wide_resnet50_2", "wide_resnet101_2", "vgg16", "vgg19", "densenet121"),
    )
}
"""timm's names of torchvision's weights of 2017 to 2019, and the testbed's, which has the same ones."""


class Known(NamedTuple):
    """A published number of a model.

    Attributes:
        metric: clean_accuracy, robust_accuracy or mean_corruption_accuracy.
        value: a share.
        norm, eps: of robust accuracy.
        protocol: how it was measured.
    """

    metric: str
    value: float
    source: str
    protocol: str
    norm: str = ""
    eps: float = 0.0


class Published(NamedTuple):
    """A published robust accuracy.

    Attributes:
        robust, clean: shares.
        source: who published it.
    """

    robust: float
    clean: float
    source: str


def known(defense: Call, dataset: str) -> list[Known]:
    """What was published of a model on a data set; nothing of one that nobody knows.

    Args:
        defense: without the options that are at their defaults.
        dataset: the name of its entry; of a set that is published corrupted that of the whole.

    Example:
        >>> from robench import parse
        >>> [(one.metric, one.value, one.source) for one in known(parse("efficientnet_lite"), "imagenet")]
        [('clean_accuracy', 0.7483, 'timm')]
    """
    options = {"size": 0, **defense.options}
    match defense.name:
        case "robustbench":
            return list(_robustbench(defense, dataset))
        case "efficientnet_lite":
            return list(_imagenet(f"tf_efficientnet_lite{options['size']}.in1k", dataset))
        case "timm" if defense.options.get("pretrained") is True and set(defense.options) == {"name", "pretrained"}:
            return list(_imagenet(str(defense.options["name"]), dataset))
        case _:
            return []


def published(defense: Call, dataset: str, norm: str, eps: float) -> Published | None:
    """What was published of a defense within a radius against AutoAttack; None where nothing is known.

    Example:
        >>> from robench import parse
        >>> published(parse("robustbench(name='Wong2020Fast')"), "cifar10", "linf", 8 / 255).robust
        0.4321
    """
    numbers = known(defense, dataset)
    clean = next((one.value for one in numbers if one.metric == "clean_accuracy"), math.nan)
    for one in numbers:
        if one.metric == "robust_accuracy" and one.norm == norm and math.isclose(one.eps, eps, rel_tol=1e-6):
            return Published(one.value, clean, one.source)
    return None


def _robustbench(defense: Call, dataset: str) -> Iterator[Known]:
    zoo, threat = (str(defense.options.get(name, own)) for name, own in (("dataset", "cifar10"), ("threat", "Linf")))
    row = _table("robustbench").get(f"{zoo} {threat} {defense.options.get('name')}")
    if row is None:
        return
    images = "5,000 images" if zoo == "imagenet" else "10,000 images"
    if dataset == zoo and row["clean_acc"]:
        yield Known("clean_accuracy", float(row["clean_acc"]) / 100, ROBUSTBENCH, images)
    if dataset == zoo and row["autoattack_acc"] and row["eps"] and threat in ("Linf", "L2"):
        how = f"AutoAttack, {images}" + (", marked unreliable there" if row["unreliable"] == "True" else "")
        eps = float(Fraction(row["eps"]))
        yield Known("robust_accuracy", float(row["autoattack_acc"]) / 100, ROBUSTBENCH, how, threat.lower(), eps)
    if dataset == f"{zoo}_c" and row["corruptions_acc"]:
        yield Known("mean_corruption_accuracy", float(row["corruptions_acc"]) / 100, ROBUSTBENCH, images)


def _imagenet(name: str, dataset: str) -> Iterator[Known]:
    name = _tagged().get(name, name)
    if dataset == "imagenet" and (row := _table("timm").get(name)):
        how = f"50,000 images at {row['size']} pixels, crop {row['crop']}"
        yield Known("clean_accuracy", float(row["top1"]) / 100, TIMM, how)
    tested = _table("imagenet_testbed").get(TORCHVISION.get(name, ""))
    column = {"imagenet": "val", "imagenet_a": "imagenet-a", "imagenet_r": "imagenet-r"}.get(dataset)
    if tested and column and tested[column]:
        yield Known("clean_accuracy", float(tested[column]) / 100, TESTBED, "all images")
    if tested and dataset == "imagenet_c":
        stored = [tested[f"imagenet-c.{each}.{severity}_on-disk"] for each in CORRUPTIONS for severity in SEVERITIES]
        if all(stored):
            mean = sum(map(float, stored)) / len(stored)
            yield Known("mean_corruption_accuracy", mean / 100, TESTBED, "all images, as stored")


@cache
def _tagged() -> dict[str, str]:
    """timm's names without a tag, of the weights that they stand for."""
    return {row["plain"]: name for name, row in _table("timm").items() if row["plain"]}


KEYS = {
    "robustbench": ("dataset", "threat_model", "model_id"),
    "timm": ("name",),
    "imagenet_testbed": ("model",),
}


@cache
def _table(name: str) -> dict[str, dict[str, str]]:
    """A published table by its key."""
    rows = lines(built_in_folder("reports") / "published" / f"{name}.csv", KEYS[name])
    return {" ".join(row[key] for key in KEYS[name]): row for _, row in rows}
