"""Perturbation sequences: files of numpy that stay on the disk, and films frame by frame."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from robench import DataError, UsageError
from robench.data.layouts import write_cifar_p
from robench.data.sequences import read_clips, read_sequences

TENCH, FIRST_CRANE = "n01440764", "n02012849"


def sequences(count: int = 3, frames: int = 31) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (count, frames, 32, 32, 3), dtype=np.uint8)


@pytest.mark.parametrize(("name", "frames"), [("tilt", 31), ("translate", 16), ("gaussian_noise_3", 31)])
def test_what_is_written_reads_back_exactly_and_stays_on_the_disk(tmp_path: Path, name: str, frames: int) -> None:
    written = sequences(frames=frames)
    assert write_cifar_p(tmp_path / "CIFAR-10-P", name, written) == tmp_path / "CIFAR-10-P" / f"{name}.npy"
    read = read_sequences(tmp_path / "CIFAR-10-P", name)
    assert isinstance(read, np.memmap)
    assert (read.dtype, read.shape) == (np.uint8, (3, frames, 32, 32, 3))
    assert (read == written).all()


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("tild", "did you mean 'tilt'"),
        ("tilt_2", "no published perturbation is named 'tilt_2'"),
        ("fog", "named 'fog'"),
    ],
)
def test_what_is_no_perturbation_is_refused_by_readers_and_writer(tmp_path: Path, name: str, told: str) -> None:
    for use in (
        lambda: read_sequences(tmp_path, name),
        lambda: read_clips(tmp_path, name),
        lambda: write_cifar_p(tmp_path, name, sequences()),
    ):
        with pytest.raises(UsageError, match=told):
            use()


@pytest.mark.parametrize(
    ("array", "told"),
    [
        (
            sequences()[0],
            r"tilt.npy holds uint8 of shape \(31, 32, 32, 3\); wanted uint8 of shape \(any, any, any, any, 3\)",
        ),
        (sequences() / 255, "tilt.npy holds float64"),
        (sequences(frames=1), "tilt.npy has sequences of 1 frame; wanted 2 or more"),
    ],
)
def test_a_file_of_something_else_is_one_error(tmp_path: Path, array: NDArray[Any], told: str) -> None:
    np.save(tmp_path / "tilt.npy", array)
    with pytest.raises(DataError, match=told):
        read_sequences(tmp_path, "tilt")


def test_a_missing_or_truncated_file_is_named(tmp_path: Path) -> None:
    file = write_cifar_p(tmp_path, "tilt", sequences())
    with pytest.raises(DataError, match=r"there is no .*scale.npy \(there are 'tilt'\)"):
        read_sequences(tmp_path, "scale")
    with pytest.raises(DataError, match=r"there is no .*none/scale.npy \(there are none\)"):
        read_sequences(tmp_path / "none", "scale")
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(DataError, match="tilt.npy is truncated or no array of numpy"):
        read_sequences(tmp_path, "tilt")


@pytest.mark.parametrize(
    ("array", "told"),
    [(sequences()[0], r"of shape \(31, 32, 32, 3\); wanted"), (sequences() / 255, "images are float64")],
)
def test_what_are_no_sequences_is_not_written(tmp_path: Path, array: NDArray[Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        write_cifar_p(tmp_path, "tilt", array)
    assert not list(tmp_path.iterdir())


def film(file: Path, frames: int, colour: tuple[int, int, int] = (200, 60, 20)) -> Path:
    """A film of one colour that becomes darker by 2 levels a frame."""
    av = pytest.importorskip("av", reason="needs PyAV: pip install 'robench[video]'")
    file.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(file), "w") as written:
        stream = written.add_stream("mpeg4", rate=1)
        stream.width = stream.height = 64
        stream.pix_fmt, stream.bit_rate = "yuv420p", 4_000_000
        for place in range(frames):
            pixels = np.clip(np.full((64, 64, 3), colour) - 2 * place, 0, 255).astype(np.uint8)
            written.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        written.mux(stream.encode(None))
    return file


@pytest.mark.parametrize(("name", "frames"), [("tilt", 31), ("translate", 41)])
def test_films_are_read_frame_by_frame_in_rgb_with_their_classes(tmp_path: Path, name: str, frames: int) -> None:
    film(tmp_path / name / FIRST_CRANE / "b.mp4", frames)
    film(tmp_path / name / TENCH / "a.mp4", frames, (20, 200, 60))
    (tmp_path / name / TENCH / "notes.txt").write_text("")
    first, second = read_clips(tmp_path, name)
    assert (first.label, second.label, first.file.name) == (0, 134, "a.mp4")
    assert (first.frames.dtype, first.frames.shape) == (np.uint8, (frames, 64, 64, 3))
    seen = second.frames[:, 32, 32].astype(int)
    wanted = np.clip(np.array([200, 60, 20]) - 2 * np.arange(frames)[:, None], 0, 255)
    assert np.abs(seen - wanted).max() < 12


@pytest.mark.parametrize("frames", [30, 32])
def test_a_film_of_other_frames_is_refused_by_name(tmp_path: Path, frames: int) -> None:
    film(tmp_path / "tilt" / TENCH / "a.mp4", frames)
    with pytest.raises(DataError, match=rf"{TENCH}/a.mp4 has {frames} frames, and 31 were wanted"):
        list(read_clips(tmp_path, "tilt"))
    assert [len(clip.frames) for clip in read_clips(tmp_path, "tilt", frames)] == [frames]


def test_a_damaged_film_is_refused_by_name(tmp_path: Path) -> None:
    file = film(tmp_path / "tilt" / TENCH / "a.mp4", 31)
    whole = file.read_bytes()
    for content in (b"", b"no film at all", whole[: len(whole) // 2]):
        file.write_bytes(content)
        with pytest.raises(DataError, match=rf"{TENCH}/a.mp4 is truncated or is no film"):
            list(read_clips(tmp_path, "tilt"))


def test_folders_without_films_and_of_no_class_are_told(tmp_path: Path) -> None:
    (tmp_path / "tilt" / TENCH).mkdir(parents=True)
    with pytest.raises(
        DataError, match=rf"tilt holds no films; wanted .*tilt/WNID/\*.mp4 \(in {tmp_path} are 'tilt'\)"
    ):
        read_clips(tmp_path, "tilt")
    with pytest.raises(DataError, match="scale holds no films"):
        read_clips(tmp_path, "scale")
    (tmp_path / "tilt" / "n99999999").mkdir()
    with pytest.raises(DataError, match="tilt/n99999999 is none of ImageNet's 1,000 classes"):
        read_clips(tmp_path, "tilt")


def test_without_pyav_what_to_install_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tilt" / TENCH).mkdir(parents=True)
    (tmp_path / "tilt" / TENCH / "a.mp4").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(
        UsageError, match=r"PyAV, which reads and writes films, is not installed .*pip install 'robench\[video\]'"
    ):
        read_clips(tmp_path, "tilt")
