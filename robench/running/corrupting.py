"""Writes corrupted images in the layouts that the benchmarks are published in, so that other tools can read them."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from robench.attacking.corruptions import corrupt, sequence
from robench.attacking.draws import Draws
from robench.benchmarks import (
    CORRUPTION_VALIDATION,
    CORRUPTIONS,
    PERTURBATION_VALIDATION,
    PERTURBATIONS,
    SEVERITIES,
)
from robench.console import Reporter
from robench.data.corrupted import CIFAR_SHAPE, SIDE
from robench.data.finding import MADE
from robench.data.layouts import write_cifar_c, write_cifar_p, write_imagenet_c, write_imagenet_p
from robench.data.loading import Data
from robench.data.splits import Split, to_unit
from robench.errors import UsageError, did_you_mean
from robench.files import atomic_path, check_writable, parse_json
from robench.hashing import ENGINE
from robench.running.natural import batch_of
from robench.running.workers import one_intra_op_thread

Make = Callable[[Tensor, Draws], Tensor]


@dataclass
class Gathered:
    """Arrays of one shape but for their length, one after another in a file."""

    file: IO[bytes]
    shape: tuple[int, ...] = ()
    count: int = 0

    def add(self, part: NDArray[np.uint8]) -> None:
        """One more."""
        self.file.write(np.ascontiguousarray(part).tobytes())
        self.shape, self.count = part.shape[1:], self.count + len(part)

    @property
    def array(self) -> NDArray[np.uint8]:
        """All of them, memory-mapped."""
        self.file.flush()
        return np.memmap(self.file, np.uint8, "r", shape=(self.count, *self.shape))


def check_names(names: Sequence[str], *, sequences: bool) -> None:
    """Raises UsageError for what is no corruption, or no perturbation, that has a place in the layouts."""
    known = [*PERTURBATIONS, *PERTURBATION_VALIDATION] if sequences else [*CORRUPTIONS, *CORRUPTION_VALIDATION]
    for name in names:
        if name not in known:
            kind = "perturbation" if sequences else "corruption"
            raise UsageError(f"no published {kind} is named {name!r}{did_you_mean(name, known)}")


@dataclass(frozen=True)
class Corruptor:
    """A data set's evaluated images on their way to a folder.

    Attributes:
        workers: threads that corrupt.
    """

    data: Data
    out: Path
    seed: int
    workers: int
    reporter: Reporter

    def write(self, names: Sequence[str], severities: Sequence[int]) -> list[str]:
        """Write corruptions; those that are there already, whole, are left. CIFAR's layout has all five severities in a file.

        Returns:
            What was written now.

        Raises:
            UsageError: the layout has no place for these images, or the folder holds something else.
            StoreError: a file cannot be written.
        """
        split, written, arrays = self.data.split, list[str](), self._arrays()
        if arrays and set(severities) != set(SEVERITIES):
            raise UsageError(
                "CIFAR-10-C's layout has all five severities of a corruption in one file; leave --severities out"
            )
        done = self._begun({"what": "corruptions"})
        for name in names:
            for part in [name] if arrays else [f"{name}/{severity}" for severity in severities]:
                if part in done:
                    continue
                if arrays:
                    with self._gathered() as gathered:
                        for severity in SEVERITIES:
                            what = f"{name}, severity {severity}"
                            for images in self._batches(what, self._corruption(name, severity)):
                                gathered.add(images.transpose(0, 2, 3, 1))
                        five = gathered.array.reshape(len(SEVERITIES), len(split), *CIFAR_SHAPE)
                        write_cifar_c(self.out, name, five, split.targets().numpy())
                else:
                    self._pictures(name, int(part.rpartition("/")[2]))
                done.append(part)
                written.append(part)
                self._end(done)
        return written

    def write_sequences(self, names: Sequence[str]) -> list[str]:
        """Write sequences of perturbations, those of 32 x 32 pixels as CIFAR-10-P has them, others as ImageNet-P; likewise."""
        split = self.data.split
        arrays = self._arrays()
        done, written = self._begun({"what": "sequences"}), list[str]()
        for name in names:
            if name in done:
                continue
            batches = self._batches(name, lambda images, draws, name=name: sequence(images, name, draws))  # type: ignore[misc]
            if arrays:
                with self._gathered() as gathered:
                    for images in batches:
                        gathered.add(images.transpose(0, 1, 3, 4, 2))
                    write_cifar_p(self.out, name, gathered.array)
            else:
                labels, files, start = split.targets().tolist(), split.image_ids().tolist(), 0
                for images in batches:
                    rows = slice(start, start + len(images))
                    write_imagenet_p(self.out, name, images.transpose(0, 1, 3, 4, 2), labels[rows], files[rows])
                    start += len(images)
            done.append(name)
            written.append(name)
            self._end(done)
        return written

    def _arrays(self) -> bool:
        """Whether the layout of these images is CIFAR's files of numpy, and not ImageNet's folders.

        Raises:
            UsageError: it is neither.
        """
        channels, height, width = self.data.split.shape
        if (height, width, channels) != CIFAR_SHAPE and (channels, height, width) != (3, SIDE, SIDE):
            raise UsageError(
                f"{self.data.name} has images of shape {self.data.split.shape}; the benchmarks' layouts are of colour images of "
                f"32 x 32 (CIFAR-10-C and -P) or {SIDE} x {SIDE} pixels (ImageNet-C and -P)"
            )
        return (height, width, channels) == CIFAR_SHAPE

    @contextmanager
    def _gathered(self) -> Iterator[Gathered]:
        """Batches one after another in a file, so that memory stays as it is however many there are."""
        with tempfile.TemporaryFile(dir=self.out) as file:
            yield Gathered(file)

    def _pictures(self, name: str, severity: int) -> None:
        split, start = self.data.split, 0
        labels, files = split.targets().tolist(), [f"{one}.JPEG" for one in split.image_ids().tolist()]
        for images in self._batches(f"{name}, severity {severity}", self._corruption(name, severity)):
            rows = slice(start, start + len(images))
            write_imagenet_c(self.out, name, severity, images.transpose(0, 2, 3, 1), labels[rows], files[rows])
            start += len(images)

    @staticmethod
    def _corruption(name: str, severity: int) -> Make:
        return lambda images, draws: corrupt(images, name, severity, draws)

    def _batches(self, what: str, make: Make) -> Iterator[NDArray[np.uint8]]:
        """What is made of all images, uint8, in their order: some ahead of the reader, and no more."""
        split: Split = self.data.split
        size = max(1, batch_of(split.shape) // 4)
        work = self.reporter.work(f"{what} of {self.data.name}", unit="image", total=len(split))

        def made(places: NDArray[np.int64]) -> NDArray[np.uint8]:
            torch.set_num_threads(1)
            draws = Draws(self.seed, split.image_ids()[places].tolist())
            found = make(to_unit(split.pixels(places)), draws)
            return np.asarray((found * 255).round().to(torch.uint8).numpy())

        try:
            with one_intra_op_thread(), ThreadPoolExecutor(self.workers) as pool:
                places = [np.arange(i, min(i + size, len(split))) for i in range(0, len(split), size)]
                ahead = [pool.submit(made, part) for part in places[: 2 * self.workers]]
                rest = iter(places[2 * self.workers :])
                while ahead:
                    images = ahead.pop(0).result()
                    if (following := next(rest, None)) is not None:
                        ahead.append(pool.submit(made, following))
                    work.advance(len(images))
                    yield images
        finally:
            work.close()

    def _begun(self, about: dict[str, str]) -> list[str]:
        """What of this is in the folder already, whole.

        Raises:
            UsageError: the folder holds images of something else.
        """
        check_writable(self.out)
        facts = {**about, **self._facts()}
        file = self.out / MADE
        if not file.exists():
            if others := sorted(path.name for path in self.out.iterdir() if not path.name.startswith(".")):
                raise UsageError(
                    f"{self.out} holds {others[0]!r} and says not what was made there; give an empty folder"
                )
            self._save(facts, [])
            return []
        try:
            held = parse_json(file.read_text(encoding="utf-8"))
            before, done = held["of"], list(held["done"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UsageError(f"{file} cannot be read ({error}); give an empty folder") from error
        if before != facts:
            differing = [name for name in facts if before.get(name) != facts[name]]
            raise UsageError(
                f"{self.out} holds {before.get('what')} of {before.get('dataset')}, and {', '.join(differing)} would be others now; "
                "give another folder"
            )
        return [part for part in done if self._whole(part)]

    def _whole(self, part: str) -> bool:
        """Whether what is said to be there is: a file of so many images, or so many pictures."""
        count = len(self.data.split)
        if (folder := self.out / part).is_dir():
            return sum(1 for _ in folder.rglob("[!.]*.*")) == count
        try:
            array = np.load(self.out / f"{part}.npy", mmap_mode="r")
        except (OSError, ValueError):
            return False
        return len(array) in (count, len(SEVERITIES) * count)

    def _facts(self) -> dict[str, object]:
        split = self.data.split
        return {
            "dataset": self.data.name,
            "fingerprint": split.fingerprint,
            "n": len(split),
            "seed": self.seed,
            "engine": ENGINE,
            "frost": "textures made by rule",
        }

    def _end(self, done: list[str]) -> None:
        held = parse_json((self.out / MADE).read_text(encoding="utf-8"))
        self._save(held["of"], done)

    def _save(self, facts: dict[str, object], done: list[str]) -> None:
        with atomic_path(self.out / MADE) as temporary:
            temporary.write_text(json.dumps({"of": facts, "done": done}, indent=1), encoding="utf-8")
