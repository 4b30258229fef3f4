"""Corruptions and patch threats against what is known of them in closed form."""

from __future__ import annotations

import colorsys

import pytest
import torch
from conftest import small_run

from robench.attacking.corruptions import CORRUPTIONS
from robench.attacking.corruptions.blur import disc
from robench.attacking.draws import Draws
from robench.attacking.patches import patch_mask, realised_share


def images(count: int = 6, channels: int = 3, side: int = 32) -> tuple[torch.Tensor, Draws]:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(count, channels, side, side, generator=generator), Draws(0, [f"image {i}" for i in range(count)])


@pytest.mark.parametrize("name", CORRUPTIONS)
@pytest.mark.parametrize("side", [8, 32, 224])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_corruption_stays_in_the_box_and_grows_with_its_severity(name: str, side: int, channels: int) -> None:
    inputs, draws = images(2, channels, side)
    changes = []
    for severity in range(1, 6):
        corrupted = CORRUPTIONS[name](inputs, severity, draws)
        assert corrupted.shape == inputs.shape
        assert float(corrupted.min()) >= 0
        assert float(corrupted.max()) <= 1
        changes.append(float((corrupted - inputs).square().mean()))
    assert changes == sorted(changes)
    assert torch.equal(CORRUPTIONS[name](inputs, 3, draws), CORRUPTIONS[name](inputs, 3, draws))


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
