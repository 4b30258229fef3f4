"""Corrupted images written for other tools: in the published layouts, the same pixels as a run meets, going on where it ended."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import robench
from robench import Places, UsageError, corrupt, sequence
from robench.attacking.draws import Draws
from robench.benchmarks import SEVERITIES
from robench.cli import app
from robench.console import Silent
from robench.data.finding import MADE
from robench.data.loading import load_data
from robench.data.sequences import read_clips
from robench.running.corrupting import Corruptor, check_names

MINE = """
import numpy as np
import torch
from torch import nn
import robench


@robench.dataset()
def small(places, *, side: int = 32, count: int = 12, grey: bool = False):
    \"\"\"Random pictures.\"\"\"
    shape = (count, 1 if grey else 3, side, side)
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    split = robench.Split.of("test", pixels, np.arange(count) % 10)
    nothing = split.select(np.array([], dtype=np.int64), "train")
    return robench.Splits(nothing, nothing, split, 10 if side == 32 else 1000)


class Sums(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.classes = classes

    def forward(self, x):
        x = x if x.shape[-1] == 32 else nn.functional.adaptive_avg_pool2d(x, 8)
        weights = torch.randn(self.classes, x[0].numel(), generator=torch.Generator().manual_seed(0))
        return x.flatten(1) @ (weights - weights.mean(1, keepdim=True)).T


@robench.defense()
def sums(task):
    \"\"\"A linear map.\"\"\"
    return robench.Recipe(Sums(task.classes), robench.Schedule(steps=0))
"""


@pytest.fixture
def mine(tmp_path: Path) -> str:
    (tmp_path / "mine.py").write_text(MINE)
    return str(tmp_path / "mine.py")


def corruptor(call: str, out: Path, seed: int = 0, n: int | None = None) -> Corruptor:
    return Corruptor(load_data(call, Places.of(), n), out, seed, 2, Silent())


def test_what_is_written_is_read_back_to_the_predictions_of_a_run(mine: str, tmp_path: Path) -> None:
    """Pixel for pixel what `corruptions` makes in memory, and so every label that a model gives."""
    data = tmp_path / "data"
    assert corruptor(f"{mine}::small", data / "CIFAR-10-C").write(["fog", "shot_noise"], SEVERITIES) == [
        "fog",
        "shot_noise",
    ]
    both = "names=['fog', 'shot_noise'], severities=[1, 2, 3, 4, 5]"
    made = robench.run(f"{mine}::sums", f"corruptions({both})", f"{mine}::small", store=tmp_path / "a")
    read = robench.run(f"{mine}::sums", "clean", f"cifar10_c({both})", data=data, store=tmp_path / "b")
    keys = ["corruption", "severity", "label"]
    first, second = (
        result.records.groupby(keys, sort=True)["prediction"].apply(lambda found: sorted(found))
        for result in (made, read)
    )
    assert first.index.equals(second.index)
    assert first.tolist() == second.tolist()
    assert len(set(made.records["prediction"])) > 1
    split = load_data(f"{mine}::small", Places.of()).split
    fog = np.load(data / "CIFAR-10-C" / "fog.npy").reshape(5, 12, 32, 32, 3)
    wanted = corrupt(split.inputs(slice(None)), "fog", 4, Draws(0, split.image_ids().tolist()))
    assert np.array_equal(fog[3].transpose(0, 3, 1, 2), (wanted * 255).round().numpy().astype(np.uint8))


def test_it_goes_on_where_it_ended_and_never_into_another_set(mine: str, tmp_path: Path) -> None:
    out = tmp_path / "CIFAR-10-C"
    assert corruptor(f"{mine}::small", out).write(["contrast"], SEVERITIES) == ["contrast"]
    stamp = (out / "contrast.npy").stat().st_mtime_ns
    assert corruptor(f"{mine}::small", out).write(["contrast", "brightness"], SEVERITIES) == ["brightness"]
    assert (out / "contrast.npy").stat().st_mtime_ns == stamp
    with pytest.raises(UsageError, match="seed would be others now"):
        corruptor(f"{mine}::small", out, seed=1).write(["fog"], SEVERITIES)
    with pytest.raises(UsageError, match="dataset, fingerprint, n would be others now"):
        corruptor(f"{mine}::small(count=6)", out).write(["fog"], SEVERITIES)
    held = json.loads((out / MADE).read_text())
    assert held["done"] == ["contrast", "brightness"]
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "photo.png").write_bytes(b"")
    with pytest.raises(UsageError, match="holds 'photo.png' and says not what was made there"):
        corruptor(f"{mine}::small", tmp_path / "full").write(["fog"], SEVERITIES)


def test_a_set_that_a_killed_run_left_half_written_is_made_again(mine: str, tmp_path: Path) -> None:
    out = tmp_path / "C"
    corruptor(f"{mine}::small", out).write(["contrast"], SEVERITIES)
    (out / "fog.npy").write_bytes(b"half")
    assert corruptor(f"{mine}::small", out).write(["contrast", "fog"], SEVERITIES) == ["fog"]
    assert np.load(out / "fog.npy").shape == (60, 32, 32, 3)


@pytest.mark.parametrize("damage", ["gone", "cut"])
def test_what_is_gone_or_cut_is_made_again(mine: str, tmp_path: Path, damage: str) -> None:
    arrays, folders = tmp_path / "C", tmp_path / "I"
    large = f"{mine}::small(side=224, count=3)"
    corruptor(f"{mine}::small", arrays).write(["contrast", "fog"], SEVERITIES)
    corruptor(large, folders).write(["contrast"], [2, 5])
    whole, picture = (arrays / "fog.npy").read_bytes(), next((folders / "contrast" / "5").rglob("*.JPEG"))
    if damage == "cut":
        (arrays / "fog.npy").write_bytes(whole[:1000])
    else:
        (arrays / "fog.npy").unlink()
    picture.unlink()
    assert corruptor(f"{mine}::small", arrays).write(["contrast", "fog"], SEVERITIES) == ["fog"]
    assert (arrays / "fog.npy").read_bytes() == whole
    assert corruptor(large, folders).write(["contrast"], [2, 5]) == ["contrast/5"]
    assert picture.exists()


def test_what_robench_wrote_is_never_a_figure_of_the_benchmark(mine: str, tmp_path: Path) -> None:
    """The photographs lie as ImageNet-C's do, and what tells them apart is the file beside them."""
    data, call = tmp_path / "data", f"{mine}::small(side=224, count=2)"
    corruptor(call, data / "ImageNet-C").write(["frost", "contrast"], [1])
    wanted = "imagenet_c(names=['frost', 'contrast'], severities=[1])"

    def measured(store: str) -> robench.Result:
        return robench.run(f"{mine}::sums", "clean", wanted, data=data, store=tmp_path / store, cache=tmp_path / "c")

    found = measured("s")
    assert {one.unit.facts.normaliser for one in found.measured} == {""}
    first = next(table for table in found.tables() if table.title.startswith("Common corruptions"))
    assert "ImageNet-C as robench wrote it, textures made by rule, JPEG of quality 85" in first.caption[0]
    assert first.caption[0].endswith("and 1 more).") and first.caption[1].startswith(
        "Top-1 error in %. They are not the published files"
    )
    (data / "ImageNet-C" / MADE).unlink()
    assert {one.unit.facts.normaliser for one in measured("t").measured} == {"alexnet_imagenet_c"}


def test_large_images_are_jpegs_in_class_folders(mine: str, tmp_path: Path) -> None:
    out = tmp_path / "data" / "ImageNet-C"
    call = f"{mine}::small(side=224, count=3)"
    assert corruptor(call, out).write(["contrast"], [2, 5]) == ["contrast/2", "contrast/5"]
    assert len(list((out / "contrast" / "5").glob("n0144*/*.JPEG"))) == 2, "the tench and the goldfish"
    read = load_data(
        "imagenet_c(names='contrast', severities=5)", Places(tmp_path / "data", tmp_path / "c", tmp_path / "s")
    )
    split = load_data(call, Places.of()).split
    wanted = corrupt(split.inputs(slice(None)), "contrast", 5, Draws(0, split.image_ids().tolist()))
    order = np.argsort(split.targets().numpy())
    apart = read.splits.test.inputs(slice(None)) - wanted[order]
    assert float(apart.abs().mean()) < 6 / 255, "JPEG's loss alone"
    assert read.splits.test.targets().tolist() == [0, 1, 2]


def test_sequences_are_read_back_frame_by_frame(mine: str, tmp_path: Path) -> None:
    data = tmp_path / "data"
    assert corruptor(f"{mine}::small", data / "CIFAR-10-P").write_sequences(["tilt"]) == ["tilt"]
    split = load_data(f"{mine}::small", Places.of()).split
    wanted = sequence(split.inputs(slice(None)), "tilt", Draws(0, split.image_ids().tolist()))
    frames = np.load(data / "CIFAR-10-P" / "tilt.npy")
    assert frames.shape == (12, 31, 32, 32, 3)
    assert torch.equal(torch.from_numpy(frames).permute(0, 1, 4, 2, 3), (wanted * 255).round().to(torch.uint8))
    made = robench.run(f"{mine}::sums", "perturbations(names='tilt')", f"{mine}::small", store=tmp_path / "a")
    read = robench.run(f"{mine}::sums", "clean", "cifar10_p(names='tilt')", data=data, store=tmp_path / "b")

    def clips(result: robench.Result) -> list[list[int]]:
        return sorted(own.sort_values("frame")["prediction"].tolist() for _, own in result.records.groupby("image"))

    assert clips(made) == clips(read)
    assert len(clips(made)[0]) == 31
    figures = [[t for t in r.tables() if t.title.startswith("Flip")][0].rows[0][1][0].value for r in (made, read)]
    assert figures[0] == pytest.approx(figures[1])


def test_sequences_that_begin_alike_are_several_data_sets(mine: str, tmp_path: Path) -> None:
    """Noise is added to later frames alone, so that the first ones are the clean images of all of them."""
    data, names = tmp_path / "data", ["gaussian_noise", "shot_noise", "zoom_blur"]
    corruptor(f"{mine}::small", data / "CIFAR-10-P").write_sequences(names)
    first = [np.load(data / "CIFAR-10-P" / f"{name}.npy")[:, 0] for name in names]
    assert np.array_equal(first[0], first[1])
    result = robench.run(f"{mine}::sums", "clean", f"cifar10_p(names={names})", data=data, store=tmp_path / "s")
    assert [one.unit.facts.corruption for one in result.measured] == names
    (table,) = [table for table in result.tables() if table.title.startswith("Flip")]
    assert [label for label, _ in table.rows] == names
    (summary,) = [table for table in result.tables() if table.title.startswith("Sequences")]
    assert "CIFAR-10-P/gaussian_noise.npy as robench wrote it and 2 more" in summary.caption[0]
    assert "mean of 3 perturbations" in summary.caption[1]
    assert {cell["clean_accuracy"]["total"] for cell in result.summary()} == {0}, "there are no labels"  # type: ignore[index, call-overload]
    assert "Clean" not in [column.name for table in result.overview() for column in table.columns]


def test_large_sequences_are_films_that_read_back_exactly(mine: str, tmp_path: Path) -> None:
    data, call = tmp_path / "data", f"{mine}::small(side=224, count=2)"
    assert corruptor(call, data / "ImageNet-P").write_sequences(["tilt"]) == ["tilt"]
    assert corruptor(call, data / "ImageNet-P").write_sequences(["tilt"]) == []
    split = load_data(call, Places.of()).split
    wanted = sequence(split.inputs(slice(None)), "tilt", Draws(0, split.image_ids().tolist()))
    clips = sorted(read_clips(data / "ImageNet-P", "tilt"), key=lambda clip: clip.label)
    assert [clip.label for clip in clips] == [0, 1]
    for place, label in enumerate(split.targets().tolist()):
        frames = (wanted[place] * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
        assert np.array_equal(clips[label].frames, frames)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--names", "fogg"], "no published corruption is named 'fogg'; did you mean 'fog'"),
        (["--names", "sparkles"], "no published corruption is named 'sparkles'"),
        (["--sequences", "--names", "tillt"], "no published perturbation is named 'tillt'; did you mean 'tilt'"),
        (["--sequences", "--severities", "2"], "sequences have none"),
        (["--severities", "2"], "all five severities of a corruption in one file"),
    ],
)
def test_what_cannot_be_written_is_one_message(mine: str, tmp_path: Path, options: list[str], said: str) -> None:
    call = ["corrupt", "--dataset", f"{mine}::small", "--out", str(tmp_path / "out"), "--quiet", *options]
    found = CliRunner().invoke(app, call)
    assert found.exit_code == 2
    assert said in " ".join(found.output.split())


def test_images_of_another_shape_have_no_layout(mine: str, tmp_path: Path) -> None:
    for call, shape in (("small(side=28)", r"\(3, 28, 28\)"), ("small(grey=True)", r"\(1, 32, 32\)")):
        with pytest.raises(UsageError, match=shape):
            corruptor(f"{mine}::{call}", tmp_path / "out").write(["fog"], SEVERITIES)
    with pytest.raises(UsageError, match="colour"):
        corruptor(f"{mine}::small(grey=True)", tmp_path / "out").write_sequences(["tilt"])
    check_names(["fog", "saturate"], sequences=False)
    check_names(["tilt", "shear"], sequences=True)


def test_the_command_says_what_it_wrote(mine: str, tmp_path: Path) -> None:
    call = [
        "corrupt",
        "--dataset",
        f"{mine}::small",
        "--n",
        "4",
        "--names",
        "fog",
        "--out",
        str(tmp_path / "out"),
        "--quiet",
    ]
    first, second = CliRunner().invoke(app, call), CliRunner().invoke(app, call)
    assert "4 images" in first.output and "wrote fog" in first.output
    assert "all of it was there already" in second.output
    assert np.load(tmp_path / "out" / "fog.npy").shape == (20, 32, 32, 3)
