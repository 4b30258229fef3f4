"""What `robench doctor` looks at: versions, a torch and torchvision that fit, the GPU, data, disk."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal, NamedTuple

from robench.places import Places

PACKAGES = [
    "torch",
    "torchvision",
    "timm",
    "numpy",
    "pandas",
    "pyarrow",
    "scipy",
    "matplotlib",
    "jinja2",
    "safetensors",
]
EXTRAS = {"adversarial-robustness-toolbox": "art", "robustbench": "robustbench"}
NEEDED_BYTES = 2 * 10**9


class Finding(NamedTuple):
    """One line of the doctor's."""

    state: Literal["ok", "note", "problem"]
    about: str
    text: str


def findings(places: Places) -> Iterator[Finding]:
    """Look at everything, in the order in which a person would."""
    from robench import __version__

    yield Finding("ok", "robench", f"{__version__} on Python {platform.python_version()}, {platform.system()}")
    for package in PACKAGES:
        try:
            yield Finding("ok", package, version(package))
        except PackageNotFoundError:
            yield Finding("problem", package, f"is not installed: pip install {package}")
    for package, extra in EXTRAS.items():
        try:
            yield Finding("ok", package, version(package))
        except PackageNotFoundError:
            yield Finding("note", package, f"is not installed; what needs it needs: pip install 'robench[{extra}]'")
    yield from _torch()
    yield from _data(places)
    yield from _disk(places)


def _torch() -> Iterator[Finding]:
    try:
        import torch
    except Exception as error:
        yield Finding("problem", "torch", f"cannot be imported: {error}")
        return
    try:
        import torchvision  # noqa: F401
    except Exception as error:
        yield Finding(
            "problem",
            "torchvision",
            f"does not fit torch {torch.__version__} ({error}); install the pair of one release together, for example with -c constraints.txt",
        )
    else:
        yield Finding("ok", "torch and torchvision", "fit each other")
    if torch.cuda.is_available():
        name, memory = torch.cuda.get_device_name(), torch.cuda.get_device_properties(0).total_memory
        yield Finding("ok", "GPU", f"{name}, {memory / 2**30:.0f} GiB")
    else:
        yield Finding("note", "GPU", "torch sees none; everything runs on the CPU")


def _data(places: Places) -> Iterator[Finding]:
    if places.data is None:
        yield Finding("note", "data", "ROBENCH_DATA is not set; data sets are looked for in the cache, then downloaded")
    elif not places.data.is_dir():
        yield Finding(
            "problem",
            "data",
            f"{places.data} is not a folder; set ROBENCH_DATA or --data to the one that holds the data sets",
        )
    else:
        yield Finding(
            "ok",
            "data",
            f"{places.data}: {', '.join(sorted(p.name for p in places.data.iterdir() if p.is_dir())) or 'empty'}",
        )


def _disk(places: Places) -> Iterator[Finding]:
    for what, folder in (("cache", places.cache), ("store", places.store)):
        there = next((p for p in (folder, *folder.absolute().parents) if p.exists()), Path("/"))
        free = shutil.disk_usage(there).free
        state: Literal["ok", "problem"] = "ok" if free > NEEDED_BYTES else "problem"
        yield Finding(
            state,
            what,
            f"{folder}: {free / 2**30:.1f} GiB free"
            + ("" if state == "ok" else "; make room or choose another folder"),
        )
