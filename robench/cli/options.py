"""Options that several commands share."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from robench.cli.completion import entries
from robench.cli.ending import clean_exit
from robench.places import home


class Device(StrEnum):
    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


class Precision(StrEnum):
    float32 = "float32"
    bfloat16 = "bfloat16"


DefenseOption = Annotated[
    list[str],
    typer.Option(
        help='A defense, as a name or a call: ksa, "ksa(k=4, layers=[1])", ./mine.py; of a list where one value is wanted, '
        'such as "vit(seed=[0, 1, 2])", one row each. May be repeated.',
        autocompletion=entries("defense"),
    ),
]
AttackOption = Annotated[
    list[str] | None,
    typer.Option(
        help='An attack: cw_l2, "pgd_linf(eps=[2/255, 8/255])". May be repeated.', autocompletion=entries("attack")
    ),
]
SuiteOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help='The attacks that a board asks of every row, at the data set\'s radii or at others: linf, "linf(eps=8/255)". '
        "May be repeated.",
    ),
]
DatasetOption = Annotated[
    list[str],
    typer.Option(
        help="A data set: digits, cifar10, \"folder(path='photos')\". May be repeated.",
        autocompletion=entries("dataset"),
    ),
]
NOption = Annotated[
    int | None,
    typer.Option(help="Test images: the pinned, class-balanced subset of this size; all of them by default."),
]
SeedOption = Annotated[int, typer.Option(help="Of the attacks; a training's seed is an option of its defense.")]
DeviceOption = Annotated[Device, typer.Option(help="auto takes the GPU if there is one.")]
WorkersOption = Annotated[int | None, typer.Option(min=1, help="Threads that attack; one a core by default.")]
BatchSizeOption = Annotated[
    str, typer.Option(help="Images in a batch: a number, or auto to measure. It changes no result.")
]
PrecisionOption = Annotated[
    Precision,
    typer.Option(help="Of the attacks' passes; the judge's are float32, and the table says which attacks had another."),
]
# Paths are texts as they were typed, since `./~` is not `~`.
DataOption = Annotated[str | None, typer.Option(metavar="PATH", help="Folder of data sets; ROBENCH_DATA by default.")]
OnlyDatasetOption = Annotated[list[str] | None, typer.Option(help="Only this data set. May be repeated.")]
EverythingOption = Annotated[
    bool, typer.Option("--all", help="Also what was measured with code that has changed since.")
]
StoreOption = Annotated[str, typer.Option(metavar="PATH", help="Folder of records.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
KeepImagesOption = Annotated[
    bool, typer.Option(help="Keep all adversarial images in the records (those of the first 8 images always are).")
]
DiagonalOption = Annotated[
    bool,
    typer.Option(
        "--diagonal",
        help="Attack what was trained in a ball, such as madry(eps=8/255), at that radius alone, of the attacks in a ball; "
        "attacks without a radius or on patches, and the other defenses, are run as ever.",
    ),
]
QuietOption = Annotated[
    bool, typer.Option("--quiet", "-q", help="Say nothing on standard error but errors: no progress, no estimates.")
]
BaselineOption = Annotated[
    str | None,
    typer.Option(
        metavar="PATH", help="What is compared with: a baseline (.json), another store, or records in Parquet."
    ),
]
ConfigOption = Annotated[
    str | None, typer.Option(metavar="PATH", help="File with [[gate]] and [run]; robench.toml where there is one.")
]
AllowOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PATH", help="A file of yours whose entries may be run, where a store names it. May be repeated."
    ),
]
MATRIX: dict[str, type] = {
    **dict.fromkeys(("defense", "attack", "suite", "dataset"), list),
    **dict.fromkeys(("n", "seed", "workers"), int),
    **dict.fromkeys(("keep_images", "diagonal"), bool),
    **dict.fromkeys(("device", "batch_size", "precision", "data", "store"), str),
}
"""What a file's table [run] may say, and as what."""


def _take_over(context: typer.Context, path: str | None) -> Path | None:
    """What a file says of a run is the default of what is not given on the command line."""
    if path is None:
        return None
    with clean_exit():
        from robench.gate.policy import read_matrix

        file = home(path, "--config")
        context.default_map = read_matrix(file, MATRIX)
    return file


MatrixOption = Annotated[
    str | None,
    typer.Option(
        "--config",
        metavar="PATH",
        help="A TOML file whose table [run] says what is run; what is given here besides has precedence.",
        is_eager=True,
        callback=_take_over,
    ),
]
