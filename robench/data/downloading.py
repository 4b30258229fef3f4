"""Downloads published data sets: over https, each file checked by its SHA-256 before anything reads it."""

from __future__ import annotations

import gzip
import hashlib
import logging
import shutil
import tarfile
import tempfile
from pathlib import Path
from typing import NamedTuple
from urllib.request import urlopen

from robench.errors import DataError
from robench.places import Places

log = logging.getLogger(__name__)
TORONTO, MNIST, CLOTHING = (
    "https://www.cs.toronto.edu/~kriz/",
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
)
SECONDS = 60
"""Without a byte, after which a download is given up."""
BLOCK = 1 << 20


class Remote(NamedTuple):
    """A file that is downloaded.

    Attributes:
        folder: where what it holds is put, in the folder that torchvision reads.
    """

    url: str
    sha256: str
    folder: str = ""

    @property
    def name(self) -> str:
        return self.url.rpartition("/")[2]


REMOTE = {
    "CIFAR10": [
        Remote(f"{TORONTO}cifar-10-python.tar.gz", "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce")
    ],
    "CIFAR100": [
        Remote(f"{TORONTO}cifar-100-python.tar.gz", "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7")
    ],
    "MNIST": [
        Remote(f"{MNIST}{name}-ubyte.gz", sha256, "MNIST/raw")
        for name, sha256 in (
            ("train-images-idx3", "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
            ("train-labels-idx1", "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
            ("t10k-images-idx3", "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
            ("t10k-labels-idx1", "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
        )
    ],
    "FashionMNIST": [
        Remote(f"{CLOTHING}{name}-ubyte.gz", sha256, "FashionMNIST/raw")
        for name, sha256 in (
            ("train-images-idx3", "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
            ("train-labels-idx1", "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
            ("t10k-images-idx3", "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
            ("t10k-labels-idx1", "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
        )
    ],
}
"""By torchvision's names. torchvision's own downloads know MD5 alone, and fetch one of these without encryption."""


def download(places: Places, name: str) -> str | None:
    """Download a data set into the cache, as torchvision lays it; what went wrong, or None.

    Args:
        name: torchvision's.
    """
    if not places.download:
        return "the download was not usable"
    if name not in REMOTE:
        return f"robench downloads {', '.join(REMOTE)}, whose digests it knows, and not {name}"
    target = places.cache / "data"
    try:
        target.mkdir(parents=True, exist_ok=True)
        for remote in REMOTE[name]:
            with tempfile.TemporaryDirectory(prefix=f".{remote.name}.", dir=target) as staging:
                _unpack(_fetch(remote, Path(staging)), target / remote.folder)
    except (OSError, EOFError, tarfile.TarError, DataError) as error:
        return f"it could not be downloaded ({error})"
    return None


def _fetch(remote: Remote, folder: Path) -> Path:
    """The file, once its digest is right."""
    log.warning("downloading %s", remote.url)
    path, sha256 = folder / remote.name, hashlib.sha256()
    with urlopen(remote.url, timeout=SECONDS) as answer, path.open("wb") as out:
        if not answer.url.startswith("https://"):
            raise DataError(f"{remote.url} leads to {answer.url}, which is not encrypted")
        while block := answer.read(BLOCK):
            sha256.update(block)
            out.write(block)
    if sha256.hexdigest() != remote.sha256:
        raise DataError(
            f"{remote.url} is not what it was: its SHA-256 is {sha256.hexdigest()}, {remote.sha256} is wanted"
        )
    return path


def _unpack(archive: Path, folder: Path) -> None:
    """Put what an archive holds in a folder, each file whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    if archive.name.endswith(".tar.gz"):
        inside = archive.parent / "inside"
        with tarfile.open(archive) as tar:
            tar.extractall(inside, filter="data")
        for part in inside.iterdir():
            shutil.rmtree(folder / part.name, ignore_errors=True)
            part.replace(folder / part.name)
        return
    plain = archive.with_suffix("")
    with gzip.open(archive) as source, plain.open("wb") as out:
        shutil.copyfileobj(source, out)
    plain.replace(folder / plain.name)
