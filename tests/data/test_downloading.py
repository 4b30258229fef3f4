"""A download is encrypted, checked before it is read, and whole or not there."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from torchvision import datasets

from robench import DataError, Places, load_published
from robench.data import downloading
from robench.data.downloading import REMOTE, Remote, download


class Answer(io.BytesIO):
    """What a server answers."""

    def __init__(self, content: bytes, url: str) -> None:
        super().__init__(content)
        self.url = url


def idx(values: np.ndarray) -> bytes:
    sizes = b"".join(int(size).to_bytes(4, "big") for size in values.shape)
    return gzip.compress(bytes([0, 0, 8, values.ndim]) + sizes + values.astype(np.uint8).tobytes())


IMAGES, LABELS = np.arange(4 * 28 * 28).reshape(4, 28, 28) % 251, np.arange(4)
FILES = {
    f"{half}-{kind}-ubyte.gz": idx(values)
    for half in ("train", "t10k")
    for kind, values in (("images-idx3", IMAGES), ("labels-idx1", LABELS))
}


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[bytes, str]]:
    """What servers answer by the names of files: four images of clothing, whose digests are known, and from where."""
    known = {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}
    small = [one._replace(sha256=known[one.name]) for one in REMOTE["FashionMNIST"]]
    monkeypatch.setitem(downloading.REMOTE, "FashionMNIST", small)
    answers = {one.name: (FILES[one.name], one.url) for one in small}
    monkeypatch.setattr(downloading, "urlopen", lambda url, timeout: Answer(*answers[url.rpartition("/")[2]]))
    return answers


def test_all_are_encrypted_and_have_a_digest() -> None:
    every = [one for files in REMOTE.values() for one in files]
    assert all(one.url.startswith("https://") and len(one.sha256) == 64 for one in every)
    assert len({one.sha256 for one in every}) == len(every) == 10


def test_what_is_right_is_laid_as_it_is_read(served: dict[str, tuple[bytes, str]], tmp_path: Path) -> None:
    assert download(Places(None, tmp_path, tmp_path), "FashionMNIST") is None
    read = datasets.FashionMNIST(str(tmp_path / "data"), train=False)
    assert np.array_equal(read.data.numpy(), IMAGES) and read.targets.tolist() == [0, 1, 2, 3]
    assert not [path for path in (tmp_path / "data").iterdir() if path.name.startswith(".")]


def test_another_content_is_not_read_and_not_left(served: dict[str, tuple[bytes, str]], tmp_path: Path) -> None:
    name = "t10k-images-idx3-ubyte.gz"
    served[name] = (FILES[name][:-1] + b"x", "https://elsewhere/x")
    problem = download(Places(None, tmp_path, tmp_path), "FashionMNIST")
    assert problem and "is not what it was: its SHA-256 is" in problem
    assert not (tmp_path / "data/FashionMNIST/raw/t10k-images-idx3-ubyte").exists()
    with pytest.raises(DataError, match=r"fashion_mnist was not found\..*is not what it was"):
        load_published(Places(None, tmp_path, tmp_path), "fashion_mnist", "FashionMNIST", [str(i) for i in range(10)])


def test_a_way_that_is_not_encrypted_is_not_followed(served: dict[str, tuple[bytes, str]], tmp_path: Path) -> None:
    for name, (content, url) in served.items():
        served[name] = content, url.replace("https:", "http:")
    assert "which is not encrypted" in (download(Places(None, tmp_path, tmp_path), "FashionMNIST") or "")


def test_what_has_no_known_digest_is_not_downloaded(tmp_path: Path) -> None:
    assert "and not KMNIST" in (download(Places(None, tmp_path, tmp_path), "KMNIST") or "")


def test_an_archive_writes_nowhere_else(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name in ("batches/one", "../outside"):
            entry = tarfile.TarInfo(name)
            entry.size = 3
            tar.addfile(entry, io.BytesIO(b"abc"))
    content = packed.getvalue()
    remote = Remote("https://there/c.tar.gz", hashlib.sha256(content).hexdigest())
    monkeypatch.setitem(downloading.REMOTE, "CIFAR10", [remote])
    monkeypatch.setattr(downloading, "urlopen", lambda url, timeout: Answer(content, url))
    assert "outside" in (download(Places(None, tmp_path / "cache", tmp_path), "CIFAR10") or "")
    assert not [path for path in tmp_path.rglob("outside*")]
