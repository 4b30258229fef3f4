"""Corruptions and patch threats against what is known of them in closed form."""

from __future__ import annotations

import colorsys
from typing import get_args

import pytest
import torch
from conftest import small_run

from robench import UsageError, benchmarks
from robench.attacking.corruptions import CORRUPTIONS, SEQUENCES, corrupt, sequence
from robench.attacking.corruptions.blur import disc
from robench.attacking.draws import Draws
from robench.attacking.patches import patch_mask, realised_share


def images(count: int = 6, channels: int = 3, side: int = 32) -> tuple[torch.Tensor, Draws]:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(count, channels, side, side, generator=generator), Draws(0, [f"image {i}" for i in range(count)])


@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 9, 31), (3, 32, 32), (3, 100, 70)])
@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_corruption_keeps_the_shape_and_the_box_and_is_the_same_in_any_batch(
    name: str, shape: tuple[int, int, int]
) -> None:
    """Bit for bit: the order of a batch and what else is in it change nothing."""
    inputs = (torch.rand(3, *shape, generator=torch.Generator().manual_seed(0)) * 255).round() / 255
    draws = Draws(0, ["a", "b", "c"])
    for severity in (1, 5):
        corrupted = corrupt(inputs, name, severity, draws)
        assert corrupted.shape == inputs.shape
        assert float(corrupted.min()) >= 0
        assert float(corrupted.max()) <= 1
        assert torch.equal((corrupted * 255).round() / 255, corrupted), "8 bits a channel"
        order = torch.tensor([2, 0, 1])
        assert torch.equal(corrupt(inputs[order], name, severity, draws.of(order)), corrupted[order])
        alone = corrupt(inputs[1:2], name, severity, draws.of(torch.tensor([1])))
        assert torch.equal(alone[0], corrupted[1])


@pytest.mark.parametrize("name", ["gaussian_noise", "defocus_blur", "brightness", "contrast", "jpeg_compression"])
@pytest.mark.parametrize("side", [32, 224])
def test_a_corruption_grows_with_its_severity(name: str, side: int) -> None:
    inputs, draws = images(2, 3, side)
    changes = [float((corrupt(inputs, name, level, draws) - inputs).square().mean()) for level in range(1, 6)]
    assert changes == sorted(changes)
    assert changes[4] > 1.02 * changes[0]


@pytest.mark.parametrize("name", SEQUENCES)
def test_a_sequence_is_the_same_in_any_batch(name: str) -> None:
    inputs = (torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 255).round() / 255
    draws = Draws(0, ["a", "b", "c"])
    frames = sequence(inputs, name, draws)
    assert frames.shape == (3, {"translate": 16, "motion_blur": 21}.get(name, 31), 3, 32, 32)
    assert torch.equal((frames * 255).round() / 255, frames)
    order = torch.tensor([2, 0, 1])
    assert torch.equal(sequence(inputs[order], name, draws.of(order)), frames[order])


def test_names_and_functions_are_the_same_lists() -> None:
    assert set(CORRUPTIONS) == set(get_args(benchmarks.CorruptionName))
    assert tuple(CORRUPTIONS)[:15] == benchmarks.CORRUPTIONS
    assert tuple(CORRUPTIONS)[15:19] == benchmarks.CORRUPTION_VALIDATION
    assert tuple(SEQUENCES) == (*benchmarks.PERTURBATIONS, *benchmarks.PERTURBATION_VALIDATION)


@pytest.mark.parametrize(
    ("inputs", "name", "severity", "said"),
    [
        (torch.rand(1, 3, 8, 8), "fogg", 1, "did you mean 'fog'"),
        (torch.rand(1, 3, 8, 8), "fog", 0, "from 1 to 5"),
        (torch.rand(1, 3, 8, 8), "fog", 6, "from 1 to 5"),
        (torch.rand(1, 3, 7, 8), "fog", 1, r"at least 8 x 8 pixels.*\(1, 3, 7, 8\)"),
        (torch.rand(1, 4, 8, 8), "fog", 1, "grey or RGB"),
        (torch.rand(1, 12), "fog", 1, "takes images"),
    ],
)
def test_what_cannot_be_corrupted_is_told(inputs: torch.Tensor, name: str, severity: int, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        corrupt(inputs, name, severity, Draws(0, ["a"]))


def test_noise_has_the_published_deviation_and_belongs_to_its_image() -> None:
    grey = torch.full((4, 3, 32, 32), 0.5)
    _, draws = images(4)
    noise = CORRUPTIONS["gaussian_noise"](grey, 3, draws) - grey
    assert float(noise.std()) == pytest.approx(0.08, rel=0.03)
    alone = CORRUPTIONS["gaussian_noise"](grey[2:3], 3, draws.of(torch.tensor([2])))
    assert torch.equal(alone[0], (noise + grey)[2])


def test_brightness_raises_the_value_of_hsv() -> None:
    inputs, draws = images(1)
    raised = CORRUPTIONS["brightness"](inputs, 2, draws)
    for row, column in ((0, 0), (3, 7), (20, 31)):
        hue, saturation, value = colorsys.rgb_to_hsv(*inputs[0, :, row, column].tolist())
        wanted = colorsys.hsv_to_rgb(hue, saturation, min(1, value + 0.1))
        assert raised[0, :, row, column].tolist() == pytest.approx(wanted, abs=1e-5)


def test_contrast_and_blur_keep_the_mean() -> None:
    inputs, draws = images(2)
    level = inputs.mean((2, 3))
    assert torch.allclose(CORRUPTIONS["contrast"](inputs, 5, draws).mean((2, 3)), level, atol=1e-5)
    assert float(CORRUPTIONS["contrast"](inputs, 5, draws).std() / inputs.std()) == pytest.approx(0.15, rel=0.03)
    even = torch.full((1, 1, 32, 32), 0.3)
    assert torch.allclose(CORRUPTIONS["defocus_blur"](even, 5, draws), even, atol=1e-6)
    assert float(disc(6.0, 0.5).sum()) == pytest.approx(1, abs=1e-6)
    assert float(disc(10.0, 0.5).sum()) == pytest.approx(
        1.011, abs=1e-3
    )  # the published kernel is mirrored at its edge


def test_patch_threats_touch_the_same_patches_and_say_which_share() -> None:
    _, draws = images(6)
    mask = patch_mask(draws, (6, 3, 28, 28), None, 0.1)
    assert mask.sum((1, 2, 3)).tolist() == [20 * 4] * 6  # 196 patches of 2 pixels
    assert not torch.equal(mask[0], mask[1])
    assert torch.equal(patch_mask(draws.of(torch.tensor([3])), (1, 3, 28, 28), None, 0.1)[0], mask[3])
    assert realised_share((3, 28, 28), 7, 0.1) == 2 / 16
    result, _ = small_run(attack=["patch_pgd(steps=5)", "patch_noise", "patch_corruption"], n=40)
    changed = result.records[result.records["correct"]].groupby("attack")["l0"].max()
    assert (changed <= 6).all()  # 64 patches of a pixel
    assert "touches 9.38 % of the patches of each image (10 % were asked for)" in result.table()
    assert "Worst case" not in small_run(attack=["fgsm(eps=1.0)", "patch_pgd(steps=5)", "patch_noise"], n=40)[0].table()
    asr = {row["attack"]: row["asr"]["value"] for row in result.summary()}
    assert asr["patch_pgd(steps=5)"] >= asr["patch_noise"] >= 0
    sure = {row["attack"]: row["confidence"] for row in result.summary()}
    assert sure["patch_pgd(steps=5)"] < sure["patch_noise"] < 1
    assert result.table().count("True class") >= 3
