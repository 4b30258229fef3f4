"""Noise and blur corruptions against what is known of them in closed form, and against the published code."""

from __future__ import annotations

import math
import warnings
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from photographs import photographs
from scipy import ndimage, stats
from torch import Tensor

from robench.attacking.corruptions import blur, noise
from robench.attacking.draws import Draws

NOISE = ["gaussian_noise", "shot_noise", "impulse_noise", "speckle_noise"]
BLUR = ["defocus_blur", "glass_blur", "motion_blur", "zoom_blur", "gaussian_blur"]
CORRUPTIONS = {name: getattr(noise if name in NOISE else blur, name) for name in NOISE + BLUR}
SEVERITIES = range(1, 6)


def pictures(count: int, *shape: int) -> tuple[Tensor, Draws]:
    """8-bit images of noise."""
    inputs = torch.randint(0, 256, (count, *shape), generator=torch.Generator().manual_seed(0)).float() / 255
    return inputs, Draws(0, [f"image {i}" for i in range(count)])


def even(level: int, *shape: int) -> tuple[Tensor, Draws]:
    return torch.full((1, *(shape or (3, 224, 224))), level / 255), Draws(0, ["even"])


def dot(side: int) -> tuple[Tensor, Draws]:
    """A white pixel at the centre of a black image."""
    inputs = torch.zeros(1, 1, side, side)
    inputs[..., side // 2, side // 2] = 1
    return inputs, Draws(0, ["dot"])


def stored(images: Tensor) -> Tensor:
    """Grey levels as the published code stores them, cut off."""
    return (images * 255 + 1e-3).floor()


def oracle() -> ModuleType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module: ModuleType = pytest.importorskip("imagecorruptions.corruptions")
    return module


@pytest.mark.parametrize("name", CORRUPTIONS)
@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 9, 31), (3, 70, 65), (1, 224, 224)])
def test_images_keep_their_shape_and_box(name: str, shape: tuple[int, ...]) -> None:
    inputs, draws = pictures(2, *shape)
    writes = inputs._version
    for severity in SEVERITIES:
        corrupted = CORRUPTIONS[name](inputs, severity, draws)
        assert corrupted.shape == inputs.shape
        assert corrupted.dtype == torch.float32
        assert 0 <= float(corrupted.min()) <= float(corrupted.max()) <= 1
        assert not torch.equal(corrupted[0], corrupted[1])
    assert inputs._version == writes  # nothing has been written into them, not even the same


@pytest.mark.parametrize("name", CORRUPTIONS)
@pytest.mark.parametrize("shape", [(3, 33, 31), (1, 65, 71), (3, 224, 224)])
def test_an_image_does_not_depend_on_its_batch(name: str, shape: tuple[int, ...]) -> None:
    inputs, draws = pictures(4, *shape)
    for severity in (2, 5):
        together = CORRUPTIONS[name](inputs, severity, draws)
        backwards = torch.tensor([3, 2, 1, 0])
        assert torch.equal(CORRUPTIONS[name](inputs[backwards], severity, draws.of(backwards)), together[backwards])
        for row in range(4):
            alone = CORRUPTIONS[name](inputs[row : row + 1], severity, draws.of(torch.tensor([row])))
            assert torch.equal(alone[0], together[row])


@pytest.mark.parametrize("name", CORRUPTIONS)
@pytest.mark.parametrize("side", [32, 96])
def test_changes_grow_with_the_severity(name: str, side: int) -> None:
    inputs = F.avg_pool2d(pictures(4, 3, side + 14, side + 14)[0], 15, 1)  # neighbours alike, as in photographs
    draws = pictures(4)[1]
    changes = [float((CORRUPTIONS[name](inputs, s, draws) - inputs).square().mean()) for s in SEVERITIES]
    if name == "glass_blur":  # its published parameters do not grow together
        changes = [changes[0], changes[-1]]
    # Severities 3 and 4 of the motion blur of small images differ in what is next to nothing.
    assert changes == sorted(changes)
    assert len(set(changes)) == len(changes) or (name == "motion_blur" and changes[0] < changes[-1])


@pytest.mark.parametrize(
    ("side", "deviations"), [(224, [0.08, 0.12, 0.18, 0.26, 0.38]), (32, [0.04, 0.06, 0.08, 0.09, 0.10])]
)
def test_gaussian_noise_has_the_published_deviation_at_every_value(side: int, deviations: list[float]) -> None:
    inputs = torch.full((2000 // side, 3, side, side), 128 / 255)
    draws = Draws(0, [f"image {i}" for i in range(len(inputs))])
    for severity, deviation in enumerate(deviations, 1):
        corrupted = noise.gaussian_noise(inputs, severity, draws)
        within = stats.norm.cdf(0.1 / deviation) - stats.norm.cdf(-0.1 / deviation)
        assert float(((corrupted - inputs).abs() < 0.1).float().mean()) == pytest.approx(within, abs=0.005)
        assert float((corrupted - inputs).mean()) == pytest.approx(0, abs=0.005 * deviation / 0.08)
    first, second = corrupted[:, 0].flatten(), corrupted[:, 1].flatten()
    assert abs(float(torch.corrcoef(torch.stack([first, second]))[0, 1])) < 0.02


@pytest.mark.parametrize(
    ("side", "deviations"), [(224, [0.15, 0.2, 0.35, 0.45, 0.6]), (32, [0.06, 0.1, 0.12, 0.16, 0.2])]
)
def test_speckle_noise_is_in_proportion_to_the_value(side: int, deviations: list[float]) -> None:
    inputs = torch.zeros(2000 // side, 3, side, side)
    inputs[:, 1], inputs[:, 2] = 51 / 255, 102 / 255  # black, 0.2, 0.4
    draws = Draws(0, [f"image {i}" for i in range(len(inputs))])
    for severity, deviation in enumerate(deviations, 1):
        black, dark, grey = noise.speckle_noise(inputs, severity, draws).unbind(1)
        assert float(black.abs().max()) == 0
        for value, channel in ((0.2, dark), (0.4, grey)):
            within = 2 * stats.norm.cdf(0.5) - 1  # within half a deviation
            inside = (channel - value).abs() < 0.5 * deviation * value
            assert float(inside.float().mean()) == pytest.approx(within, abs=0.01)


@pytest.mark.parametrize(("side", "rates"), [(72, [60, 25, 12, 5, 3]), (32, [500, 250, 100, 75, 50])])
def test_shot_noise_is_the_inverse_of_the_poisson_distribution(side: int, rates: list[int]) -> None:
    inputs, draws = pictures(8, 3, side, side)
    uniform = draws.bulk_uniform("shot_noise", 0, inputs.shape[1:]).double().numpy()
    for severity, rate in enumerate(rates, 1):
        counts = noise.shot_noise(inputs, severity, draws) * rate
        assert float((counts - counts.round()).abs().max()) < 1e-4
        wanted = stats.poisson.ppf(uniform, inputs.double().numpy() * rate).clip(0, rate)
        # Numbers within their own step of the distribution's value go either way.
        assert float((counts.round().numpy() != wanted).mean()) < 1e-4


def test_shot_noise_has_the_mean_and_the_variance_of_the_photons_counted() -> None:
    grey, draws = even(102)
    counts = noise.shot_noise(grey, 1, draws) * 60  # of mean 24, so hardly any is beyond 60
    assert float(counts.mean()) == pytest.approx(24, abs=0.06)
    assert float(counts.var()) == pytest.approx(24, rel=0.02)
    third = noise.shot_noise(grey, 5, draws) * 3  # of mean 1.2: 1 is certain to be white, 3 and more are cut off
    for count, share in ((0, math.exp(-1.2)), (1, 1.2 * math.exp(-1.2)), (3, 1 - 2.92 * math.exp(-1.2))):
        assert float((third.round() == count).float().mean()) == pytest.approx(share, abs=0.005)
    assert float(noise.shot_noise(even(0)[0], 5, draws).max()) == 0


@pytest.mark.parametrize(
    ("side", "shares"), [(224, [0.03, 0.06, 0.09, 0.17, 0.27]), (32, [0.01, 0.02, 0.03, 0.05, 0.07])]
)
def test_impulse_noise_makes_the_published_share_black_or_white(side: int, shares: list[float]) -> None:
    inputs = torch.full((2000 // side, 3, side, side), 128 / 255)
    draws = Draws(0, [f"image {i}" for i in range(len(inputs))])
    black = white = torch.zeros_like(inputs, dtype=torch.bool)
    for severity, share in enumerate(shares, 1):
        corrupted = noise.impulse_noise(inputs, severity, draws)
        assert bool((black <= (corrupted == 0)).all() and (white <= (corrupted == 1)).all())  # what was hit stays so
        black, white = corrupted == 0, corrupted == 1
        assert torch.equal(corrupted[~black & ~white], inputs[~black & ~white])
        assert float(black.float().mean()) == pytest.approx(share / 2, abs=0.002)
        assert float(white.float().mean()) == pytest.approx(share / 2, abs=0.002)
    assert not torch.equal(black[:, 0], black[:, 1])  # each channel by itself


@pytest.mark.parametrize("name", BLUR)
@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 9, 31), (3, 224, 224)])
def test_blurs_keep_an_even_image(name: str, shape: tuple[int, ...]) -> None:
    for level in (0, 1, 77, 200, 255):
        inputs, draws = even(level, *shape)
        for severity in SEVERITIES:
            if name == "defocus_blur" and shape[1] == 224 and severity >= 4:
                continue  # the published kernels sum to more than 1
            assert torch.equal(stored(CORRUPTIONS[name](inputs, severity, draws)), inputs * 255), severity


@pytest.mark.parametrize("name", ["defocus_blur", "motion_blur", "gaussian_blur"])
def test_blurs_keep_the_light_of_what_is_not_at_the_border(name: str) -> None:
    inputs = torch.zeros(1, 3, 128, 128)
    inputs[..., 60:68, 60:68] = pictures(1, 3, 8, 8)[0]
    for severity in (1, 2, 3):
        blurred = CORRUPTIONS[name](inputs, severity, Draws(0, ["light"]))
        # Motion blur is rounded to grey levels, of which hundreds of pixels are next to none.
        assert float(blurred.sum()) == pytest.approx(float(inputs.sum()), rel=0.02 if name == "motion_blur" else 1e-4)


def test_defocus_blur_is_the_mean_over_a_disc() -> None:
    inputs, draws = dot(81)
    blurred = blur.defocus_blur(inputs, 1, draws)[0, 0]
    lit = (blurred > 1e-3).nonzero() - 40
    assert len(lit) == 29  # whole numbers of squares that sum to at most 3 squared
    assert float(lit.square().sum(1).max()) == 9
    assert torch.allclose(blurred[blurred > 1e-3], torch.tensor(1 / 29), atol=1e-5)


def test_defocus_blur_is_a_convolution_with_mirrored_borders() -> None:
    inputs, draws = pictures(2, 3, 66, 91)
    for severity, radius in ((1, 3.0), (3, 6.0), (5, 10.0)):
        kernel = blur.disc(radius, 0.1 if severity == 1 else 0.5).float()
        reach = len(kernel) // 2
        padded = F.pad(inputs, (reach,) * 4, mode="reflect")
        wanted = F.conv2d(padded, kernel.expand(3, 1, -1, -1), groups=3).clamp(0, 1)
        assert torch.allclose(blur.defocus_blur(inputs, severity, draws), wanted, atol=2e-6)


@pytest.mark.parametrize(("side", "deviations"), [(101, [1, 2, 3, 4, 6]), (33, [0.4, 0.6, 0.7, 0.8, 1])])
def test_gaussian_blur_has_the_published_deviation_cut_off_at_four(side: int, deviations: list[float]) -> None:
    inputs, draws = dot(side)
    for severity, deviation in enumerate(deviations, 1):
        row = blur.gaussian_blur(inputs, severity, draws)[0, 0, side // 2]
        ratio = float(row[side // 2 + 1] / row[side // 2])
        assert ratio == pytest.approx(math.exp(-1 / (2 * deviation**2)), rel=1e-4)
        assert int((row > 0).sum()) == 2 * int(4 * deviation + 0.5) + 1


@pytest.mark.parametrize("name", ["a", "b", "c"])
def test_motion_blur_smears_a_pixel_along_a_half_line(name: str) -> None:
    inputs, _ = dot(101)
    draws = Draws(0, [name])
    angle = math.radians(float(draws.uniform("motion_blur", 0, None, ())[0]) * 90 - 45)
    for severity, (radius, deviation) in enumerate([(10, 3), (15, 5), (15, 8), (15, 12), (20, 15)], 1):
        blurred = blur.motion_blur(inputs, severity, draws)[0, 0]
        rows, columns = (blurred > 0).nonzero().T - 50
        # A pixel takes from those at the end of the angle, so light goes the other way; rows grow downwards.
        along = -(columns * math.cos(angle) + rows * math.sin(angle))
        across = columns * math.sin(angle) - rows * math.cos(angle)
        assert float(across.abs().max()) <= math.sqrt(0.5) + 1e-6
        assert float(along.min()) > -0.75
        assert float(along.max()) < 2 * radius + 0.75
        bell = [math.exp(-(step**2) / (2 * deviation**2)) for step in range(2 * radius + 1)]
        assert float(blurred[50, 50]) == pytest.approx(1 / sum(bell), abs=0.5 / 255 + 1e-6)
        assert torch.equal(blurred * 255, (blurred * 255).round())


def test_angles_of_motion_blur_are_uniform() -> None:
    inputs = dot(81)[0].expand(400, -1, -1, -1)
    blurred = blur.motion_blur(inputs, 5, Draws(0, [str(i) for i in range(400)]))[:, 0]
    places = torch.arange(81.0) - 40
    down, left = (blurred.sum(2) @ places, -(blurred.sum(1) @ places))
    angles = torch.rad2deg(torch.atan2(-down, left)).numpy()
    assert stats.kstest(angles, stats.uniform(-45, 90).cdf).pvalue > 0.01


def test_zoom_blur_of_a_ramp_is_the_mean_of_steeper_ramps() -> None:
    inputs = (torch.arange(32.0) / 255).expand(1, 3, 32, 32)
    for severity, count in enumerate([7, 12, 16, 21, 26], 1):
        ramps = [np.arange(32.0)]
        for step in range(count):
            factor = 1 + step * (1.01 - 1)  # as NumPy's arange counts: the 25th is a little over 1.25
            kept = math.ceil(32 / factor)
            size = round(kept * factor)
            ramp = (32 - kept) // 2 + np.arange(size) * (kept - 1) / (size - 1)
            ramps.append(ramp[(size - 32) // 2 :][:32])
        blurred = blur.zoom_blur(inputs, severity, Draws(0, ["ramp"]))[0] * 255
        assert np.allclose(blurred.numpy(), np.mean(ramps, axis=0), atol=1e-3)


@pytest.mark.parametrize("reach", [1, 2, 3, 4])
@pytest.mark.parametrize("shape", [(8, 8), (9, 31), (40, 33)])
def test_glass_blur_copies_as_numpy_does_when_views_are_swapped(reach: int, shape: tuple[int, int]) -> None:
    height, width = shape
    uniform = Draws(0, ["glass"]).bulk_uniform("offsets", 0, shape)[0]
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3))
    before = torch.from_numpy(pixels.copy()).flatten(0, 1)
    for row in range(height - reach, reach, -1):
        for column in range(width - reach, reach, -1):
            down, right = divmod(int(uniform[row, column] * (2 * reach) ** 2), 2 * reach)
            there = (row + down - reach, column + right - reach)
            pixels[row, column], pixels[there] = pixels[there], pixels[row, column]
    assert torch.equal(before[blur.copied_from(uniform, reach)].view(*shape, 3), torch.from_numpy(pixels))


def test_offsets_of_glass_blur_are_uniform_and_never_the_farthest_down_or_right() -> None:
    numbers = Draws(0, [str(i) for i in range(4000)]).bulk_uniform("offsets", 0, (8, 8))
    # The first pixel to be replaced copies from pixels that still are as they were.
    sources = torch.stack([blur.copied_from(one, 2)[6 * 8 + 6] for one in numbers])
    offsets = torch.stack([sources // 8 - 6, sources % 8 - 6], 1)
    counts = torch.zeros(4, 4)
    for down, right in offsets.tolist():
        counts[down + 2, right + 2] += 1  # an offset of 2 would be out of the table
    assert stats.chisquare(counts.flatten().numpy()).pvalue > 0.01


def test_glass_blur_of_the_least_severity_for_small_images_only_moves_pixels() -> None:
    inputs, draws = pictures(1, 3, 32, 32)
    corrupted = blur.glass_blur(inputs, 1, draws)
    sources = blur.copied_from(draws.bulk_uniform("glass_blur", 0, (32, 32))[0], 1)
    assert torch.equal(corrupted.flatten(2), inputs.flatten(2)[..., sources])
    farthest = torch.stack([sources // 32, sources % 32]) - torch.stack(
        [torch.arange(1024) // 32, torch.arange(1024) % 32]
    )
    assert int(farthest.min()) == -1
    assert torch.equal(corrupted[..., :2, :], inputs[..., :2, :])


PUBLISHED: dict[int, dict[str, list[Any]]] = {
    72: {
        "defocus_blur": [(3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5)],
        "glass_blur": [(0.7, 1, 2), (0.9, 2, 1), (1, 2, 3), (1.1, 3, 2), (1.5, 4, 2)],
        "motion_blur": [(10, 3), (15, 5), (15, 8), (15, 12), (20, 15)],
        "zoom_blur": [(1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03)],
        "gaussian_blur": [1, 2, 3, 4, 6],
    },
    32: {
        "defocus_blur": [(0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1)],
        "glass_blur": [(0.05, 1, 1), (0.25, 1, 1), (0.4, 1, 1), (0.25, 1, 2), (0.4, 1, 2)],
        "motion_blur": [(6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5)],
        "zoom_blur": [(1.06, 0.01), (1.11, 0.01), (1.16, 0.01), (1.21, 0.01), (1.26, 0.01)],
        "gaussian_blur": [0.4, 0.6, 0.7, 0.8, 1],
    },
}
"""Parameters of severities 1 to 5, for images of so many pixels a side."""


@pytest.mark.parametrize("side", PUBLISHED)
@pytest.mark.parametrize("name", ["defocus_blur", "motion_blur", "zoom_blur", "gaussian_blur"])
def test_blurs_are_those_of_the_published_code_with_its_tables(name: str, side: int) -> None:
    published = oracle()
    filter2d = pytest.importorskip("cv2").filter2D
    inputs, draws = pictures(2, 3, side, side)
    angles = (draws.uniform("motion_blur", 0, None, ()) * 90 - 45).tolist()
    for severity, parameters in enumerate(PUBLISHED[side][name], 1):
        ours = CORRUPTIONS[name](inputs, severity, draws) * 255
        for row, picture in enumerate((inputs * 255).permute(0, 2, 3, 1).double().numpy()):
            if name == "defocus_blur":
                wanted = filter2d(picture, -1, published.disk(*parameters))
            elif name == "motion_blur":
                wanted = published._motion_blur(picture, *parameters, angles[row]).round()
            elif name == "zoom_blur":
                factors = np.arange(1, *parameters)
                zoomed = [published.clipped_zoom(picture, factor)[:side, :side] for factor in factors]
                wanted = (picture + sum(zoomed)) / (len(factors) + 1)
            else:
                wanted = ndimage.gaussian_filter(picture, (parameters, parameters, 0), mode="nearest")
            difference = np.abs(ours[row].permute(1, 2, 0).numpy() - wanted)
            assert float(difference.max()) < (1.01 if name == "motion_blur" else 0.01)
            assert float(difference.mean()) < 0.005


@pytest.mark.parametrize("side", PUBLISHED)
def test_glass_blur_moves_pixels_between_two_gaussian_blurs(side: int) -> None:
    inputs, draws = pictures(2, 3, side, side)
    for severity, (deviation, reach, passes) in enumerate(PUBLISHED[side]["glass_blur"], 1):
        blurring = (0, 0, deviation, deviation)
        moved = torch.from_numpy(ndimage.gaussian_filter(inputs.double().numpy() * 255, blurring, mode="nearest"))
        moved = (moved + 1e-3).floor().flatten(2)
        for step in range(passes):
            for row, numbers in enumerate(draws.bulk_uniform("glass_blur", step, (side, side))):
                moved[row] = moved[row][:, blur.copied_from(numbers, reach)]
        wanted = ndimage.gaussian_filter(moved.view(2, 3, side, side).numpy(), blurring, mode="nearest")
        difference = np.abs(blur.glass_blur(inputs, severity, draws).numpy() * 255 - wanted)
        assert float(difference.mean()) < 0.005


@pytest.mark.parametrize("severity", [2, 5])
@pytest.mark.parametrize("name", CORRUPTIONS)
def test_photographs_are_corrupted_as_by_the_published_code(name: str, severity: int) -> None:
    published = oracle()
    levels = photographs(8)
    clean, draws = levels.float(), Draws(0, [f"photograph {i}" for i in range(8)])
    ours = stored(CORRUPTIONS[name](clean / 255, severity, draws))
    np.random.seed(0)
    theirs: list[np.ndarray] = []
    for picture in levels.permute(0, 2, 3, 1).numpy():
        if name == "motion_blur":
            radius, deviation = ((15, 5), (20, 15))[severity == 5]
            angle = float(draws.uniform("motion_blur", 0, None, ())[len(theirs)]) * 90 - 45
            theirs.append(published._motion_blur(picture, radius, deviation, angle))
        else:
            # These two draw from generators of their own, which are not seeded otherwise.
            seed = {"seed": len(theirs)} if name in {"impulse_noise", "glass_blur"} else {}
            theirs.append(getattr(published, name)(picture, severity, **seed).astype(np.uint8))
    wanted = torch.from_numpy(np.stack(theirs)).permute(0, 3, 1, 2).float()
    if name in {"defocus_blur", "zoom_blur", "gaussian_blur"}:
        assert float((ours - wanted).abs().mean()) < 0.05
        assert float((ours - wanted).abs().max()) <= 1
    elif name == "motion_blur":  # ImageMagick rounds
        assert float((ours - wanted.round()).abs().mean()) < 1e-3
    else:
        for channel in range(3):
            change, expected = ours[:, channel] - clean[:, channel], wanted[:, channel] - clean[:, channel]
            assert float(change.mean()) == pytest.approx(float(expected.mean()), abs=0.6)
            assert float(change.std()) == pytest.approx(float(expected.std()), rel=0.02)
        ratios = [10 * torch.log10(255**2 / (it - clean).square().mean((1, 2, 3))).mean() for it in (ours, wanted)]
        assert float(ratios[0]) == pytest.approx(float(ratios[1]), abs=0.1)
