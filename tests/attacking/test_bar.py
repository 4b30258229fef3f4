"""Corruptions of ImageNet-C-bar and CIFAR-10-C-bar against their published definitions, worked out pixel by pixel."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import ndimage, stats
from torch import Tensor

from robench import benchmarks
from robench.attacking.corruptions import bar
from robench.attacking.corruptions.bar_noise import _gradient_noise, _spectral
from robench.attacking.draws import Draws

NAMES = sorted({*benchmarks.IMAGENET_C_BAR, *benchmarks.CIFAR10_C_BAR})
PLACES = ((0, 0), (3, 7), (10, 2), (11, 11), (6, 5))


def pictures(count: int, channels: int, height: int, width: int) -> tuple[Tensor, Draws]:
    """Smooth pictures of 256 grey levels, with some texture."""
    generator = torch.Generator().manual_seed(1)
    coarse = torch.rand(count, channels, 4, 4, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear", align_corners=True)
    fine = 0.1 * torch.rand(count, channels, height, width, generator=generator)
    return ((smooth * 0.9 + fine) * 255).round() / 255, Draws(0, [f"image {i}" for i in range(count)])


def even(level: float, count: int, height: int, width: int, channels: int = 3) -> tuple[Tensor, Draws]:
    return torch.full((count, channels, height, width), level), Draws(0, [f"image {i}" for i in range(count)])


def corrupted(name: str, inputs: Tensor, severity: int, draws: Draws) -> Tensor:
    found = getattr(bar, name)(inputs, severity, draws)
    assert isinstance(found, Tensor)
    return found


def between(image: np.ndarray, row: float, column: float) -> np.ndarray:
    """(C,) of an image (C, H, W), bilinear, black beyond the border."""
    padded = np.pad(image, ((0, 0), (1, 1), (1, 1)))
    places = np.array([[row + 1], [column + 1]])
    return np.array([ndimage.map_coordinates(each, places, order=1, mode="constant")[0] for each in padded])


def test_each_benchmark_has_ten_corruptions_and_five_of_them_are_in_both() -> None:
    assert len(set(benchmarks.IMAGENET_C_BAR)) == len(set(benchmarks.CIFAR10_C_BAR)) == 10
    assert set(benchmarks.IMAGENET_C_BAR) & set(benchmarks.CIFAR10_C_BAR) == {
        "blue_noise_sample",
        "brownish_noise",
        "checkerboard_cutout",
        "inverse_sparkles",
        "sparkles",
    }


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [(8, 8), (9, 31), (33, 15), (224, 224)])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_corruption_keeps_shape_and_range_at_any_size(name: str, size: tuple[int, int], channels: int) -> None:
    inputs, draws = pictures(1, channels, *size)
    before = inputs.clone()
    for severity in (5,) if size == (224, 224) else (1, 5):
        found = corrupted(name, inputs, severity, draws)
        assert found.shape == inputs.shape
        assert found.dtype == torch.float32
        assert bool(found.isfinite().all())
        assert float(found.min()) >= 0
        assert float(found.max()) <= 1
    assert torch.equal(inputs, before)
    if name != "pinch_and_twirl" or min(size) > 8:  # its discs of 2 pixels have nothing between middle and edge
        assert not torch.equal(found, inputs)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [(9, 31), (72, 70)])
def test_an_image_is_corrupted_alike_in_any_batch(name: str, size: tuple[int, int]) -> None:
    inputs, draws = pictures(5, 3, *size)
    together = corrupted(name, inputs, 4, draws)
    backwards = corrupted(name, inputs.flip(0), 4, draws.of(torch.arange(4, -1, -1)))
    assert torch.equal(backwards.flip(0), together)
    for row in range(5):
        alone = corrupted(name, inputs[row : row + 1], 4, draws.of(torch.tensor([row])))
        assert torch.equal(alone[0], together[row])
    if name != "circular_motion_blur":  # where nothing is random
        again = corrupted(name, inputs[:1].expand(5, -1, -1, -1), 4, draws)
        assert any(not torch.equal(again[0], other) for other in again[1:])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("side", [32, 96])
def test_the_change_grows_with_the_severity(name: str, side: int) -> None:
    inputs, draws = pictures(8, 3, side, side)
    changes = [float((corrupted(name, inputs, severity, draws) - inputs).square().mean()) for severity in range(1, 6)]
    assert changes == sorted(changes)
    assert changes[4] > 1.05 * changes[0]


def test_blue_noise_blackens_the_share_of_a_normal_tail_in_single_pixels() -> None:
    white, draws = even(1.0, 4, 128, 128)
    for severity, strength in ((1, 0.8), (5, 5.6)):
        black = corrupted("blue_noise_sample", white, severity, draws)[:, 0] == 0
        assert float(black.float().mean()) == pytest.approx(stats.norm.cdf(0.3 * strength - 2.5), rel=0.05)
    small, draws = even(1.0, 16, 32, 32)
    black = corrupted("blue_noise_sample", small, 5, draws)[:, 0] == 0
    assert float(black.float().mean()) == pytest.approx(stats.norm.cdf(0.3 * 4.2 - 2.5), rel=0.1)
    # Black pixels avoid each other: hardly any has a black neighbour to its right.
    assert float((black[:, :, 1:] & black[:, :, :-1]).float().mean()) < 0.5 * float(black.float().mean()) ** 2


@pytest.mark.parametrize(("slope", "wanted"), [(1, 2.0), (-2, -4.0)])
def test_noise_has_the_slope_of_its_colour(slope: int, wanted: float) -> None:
    like, draws = even(0.5, 8, 96, 96)
    noise = _spectral(like, draws, "test", slope)
    assert noise.std((2, 3), correction=0).flatten().tolist() == pytest.approx([1.0] * 24, abs=1e-4)
    power = torch.fft.fft2(noise.double()).abs().square().mean((0, 1))
    waves = torch.fft.fftfreq(96).double() * 96
    distance = (waves[:, None].square() + waves.square()).sqrt()
    means = [float(power[(distance > radius - 1) & (distance < radius + 1)].mean()) for radius in (6, 40)]
    assert math.log(means[1] / means[0]) / math.log(40 / 6) == pytest.approx(wanted, abs=0.15)


def test_noise_comes_back_mirrored_as_the_published_phases_make_it() -> None:
    like, draws = even(0.5, 8, 64, 64, 1)
    noise = _spectral(like, draws, "test", 1)[:, 0]
    mirrored = noise.flip(1, 2).roll((1, 1), (1, 2))
    places = torch.arange(64)
    paling = torch.cos(2 * torch.pi * (places[:, None] + places) / 64)
    assert float((noise * mirrored * paling).mean()) == pytest.approx(0.5, abs=0.05)


def test_brownish_noise_has_the_published_deviation_in_each_channel_of_its_own() -> None:
    for side, severity, levels in ((96, 1, 6.4), (96, 3, 19.2), (32, 2, 25.6)):
        grey, draws = even(0.5, 2, side, side)
        noise = corrupted("brownish_noise", grey, severity, draws) - grey
        assert float(noise.std((2, 3), correction=0).median()) == pytest.approx(levels / 255, rel=0.02)
        assert not torch.equal(noise[:, 0], noise[:, 1])


def test_a_single_frequency_is_one_plane_wave_of_the_published_height() -> None:
    grey, draws = even(0.5, 3, 96, 96)
    for severity, strength in ((1, 1.0), (5, 5.0)):
        wave = (corrupted("single_frequency_greyscale", grey, severity, draws) - grey).double()
        assert torch.equal(wave[:, 0], wave[:, 2])
        assert float(wave.abs().max()) == pytest.approx(19.6 * strength / 255, rel=0.01)
    # A plane wave is its neighbours' sum, but for a factor that is the same everywhere.
    for one in (corrupted("single_frequency_greyscale", grey, 1, draws) - grey)[:, 0].double():
        for field in (one, one.T):
            around = field[2:] + field[:-2]
            factor = float((around * field[1:-1]).sum() / field[1:-1].square().sum())
            assert abs(factor) <= 2
            assert torch.allclose(around, factor * field[1:-1], atol=1e-5)


def test_rings_are_as_defined() -> None:
    grey, draws = even(0.5, 2, 12, 12)
    wave = (corrupted("cocentric_sine_waves", grey, 2, draws) - grey)[1]
    drawn = 1 - draws.uniform("cocentric_sine_waves", 0, None, (5,))[1].numpy()
    top, left, frequency, amplitude, ring = drawn * [12, 12, 10, 1.2, 1.2]
    for row, column in PLACES:
        turn = math.atan2(column - left, row - top) * frequency
        distance = (math.hypot(column - left, row - top) + math.sin(turn) * amplitude) % ring / ring
        assert wave[:, row, column].tolist() == pytest.approx([(distance - 0.5) * 12.8 * 5 / 255] * 3, abs=1e-6)


def test_plasma_is_as_defined() -> None:
    black, draws = even(0.0, 3, 12, 12)
    found = corrupted("plasma_noise", black, 5, draws)
    drawn = draws.uniform("plasma_noise", 0, None, (4,)).numpy()
    for image, (time, folds, sharp, scale) in zip(found, drawn, strict=True):
        time, folds, sharp, scale = (
            6 * math.pi * time,
            4 + int(3 * folds),
            0.5 + sharp / 2,
            (0.075 + 0.125 * scale) * 12,
        )
        for row, column in PLACES:
            x, y = column / scale, row / scale
            faster, later, smaller = 1.0, 1.0, 1.0
            for _ in range(folds):
                one = math.cos(y * faster + time / later) / smaller
                other = math.sin(x * faster + time / later) / smaller
                x, y = x + one - 0.3 * other, y + other + 0.3 * one
                faster, later, smaller = faster * 1.93, later * 1.15, smaller * (2.25 - sharp)
            wanted = (math.sin(x - time), math.sin((x + y + math.sin(time)) / 2), math.sin(y + time))
            assert image[:, row, column].tolist() == pytest.approx([max(0, v) * 64 / 255 for v in wanted], abs=1e-5)


def test_perlin_noise_interpolates_the_slopes_at_the_corners_of_a_cell() -> None:
    gradients = torch.nn.functional.normalize(
        torch.randn(1, 2, 4, 4, generator=torch.Generator().manual_seed(0)).double()
    )
    rows, columns = torch.tensor([[[0.0], [1.25], [2.0]]]).double(), torch.tensor([[[0.0, 2.5, 1.0]]]).double()
    noise = _gradient_noise(gradients, rows, columns)[0]
    assert noise[::2, ::2].abs().max() == 0  # at the corners themselves
    corners = {
        (i, j): gradients[0, :, 1 + i, 2 + j] @ torch.tensor([0.25 - i, 0.5 - j]).double()
        for i in (0, 1)
        for j in (0, 1)
    }
    share = 0.25**2 * (3 - 2 * 0.25)
    wanted = sum(corners[i, j] * (share if i else 1 - share) / 2 for i in (0, 1) for j in (0, 1))
    assert float(noise[1, 1]) == pytest.approx(1.5 * float(wanted))


def test_perlin_clouds_are_light_grey_and_as_large_as_a_seventh_of_the_image() -> None:
    black, draws = even(0.0, 4, 112, 112)
    for severity, share in ((1, 0.23), (5, 0.44)):
        clouds = corrupted("perlin_noise", black, severity, draws)
        assert float(clouds.min()) >= share / 2 - 1e-6
        assert torch.equal(clouds[:, 0], clouds[:, 2])
        assert 0.6 * share < float(clouds.mean()) < 0.85 * share
        # The first octave vanishes at the corners of its cells, and so do all others there.
        assert clouds[:, :, ::16, ::16].flatten().tolist() == pytest.approx([share / 2] * 4 * 3 * 49, abs=1e-6)


def test_a_board_has_half_of_its_fields_at_stake_and_a_share_of_them_grey() -> None:
    white, draws = even(1.0, 32, 96, 96)
    grey = [corrupted("checkerboard_cutout", white, severity, draws)[:, 0] for severity in range(1, 6)]
    assert grey[4].unique().tolist() == pytest.approx([128 / 255, 1])
    for found, share in zip(grey, (0.2, 0.3, 0.4, 0.5, 0.6), strict=True):
        assert float((found < 1).float().mean()) == pytest.approx(share / 2, rel=0.2)
    for image, (turn, field) in zip(grey[4], draws.uniform("checkerboard_cutout", 0, None, (2,)).tolist(), strict=True):
        turn, field = 2 * math.pi * turn, (0.1 + 0.15 * field) * 96
        rows, columns = np.indices((96, 96))
        down = np.floor((np.cos(turn) * rows + np.sin(turn) * columns) / field)
        across = np.floor((np.cos(turn) * columns - np.sin(turn) * rows) / field)
        covered = image.numpy() < 1
        assert not covered[(down + across) % 2 == 1].any()
        for number in {*zip(down[covered], across[covered], strict=True)}:
            assert covered[(down == number[0]) & (across == number[1])].all()


def test_a_field_stays_grey_at_the_next_severity() -> None:
    white, draws = even(1.0, 8, 32, 32)
    grey = [corrupted("checkerboard_cutout", white, severity, draws) < 1 for severity in range(1, 6)]
    for lower, higher in zip(grey, grey[1:], strict=False):
        assert bool((higher | ~lower).all())
        assert int(higher.sum()) > int(lower.sum())


@pytest.mark.parametrize("severity", [1, 5])
def test_lines_are_those_of_scikit_image(severity: int) -> None:
    draw = pytest.importorskip("skimage.draw")
    inputs, draws = pictures(6, 3, 32, 32)
    found = corrupted("lines", inputs, severity, draws)
    count = {1: 1, 5: 8}[severity]
    angles = draws.uniform("lines", 0, None, (2,)).numpy()
    each = draws.uniform("lines", 1, None, (count, 3)).numpy()
    wanted = inputs.numpy().copy()
    for image, (turn, spread), strokes in zip(wanted, angles, each, strict=True):
        for down, across, part in strokes:
            angle = 2 * math.pi * (turn + (0.1 + 0.9 * spread) * (part - 0.5))
            sine, cosine = math.sin(angle) * 32, math.cos(angle) * 32
            ends = (down * 32 - cosine, across * 32 - sine, down * 32 + cosine, across * 32 + sine)
            row, column, cover = draw.line_aa(*(int(end) for end in ends))
            inside = (row >= 0) & (column >= 0) & (row < 32) & (column < 32)
            row, column, cover = row[inside], column[inside], cover[inside]
            image[:, row, column] = (1 - cover) * image[:, row, column] + cover * 128 / 255
    change = np.abs(inputs.numpy() - wanted)
    assert float(np.abs(found.numpy() - wanted).mean()) < 0.02 * float(change.mean())
    assert all((image > 0).any() for image in change)


def star(row: float, column: float, centre: list[float], count: int, lengths: np.ndarray, steepness: float) -> float:
    """Brightness of one pixel of a sparkle, by its definition."""
    turn = (math.atan2(column - centre[1], row - centre[0]) + math.pi) / (2 * math.pi) * count
    ray, part = int(turn), turn % 1
    length = lengths[ray % count] * (1 - part) + lengths[(ray + 1) % count] * part
    squared = (row - centre[0]) ** 2 + (column - centre[1]) ** 2 + 1e-4
    return min(1, (length**2 / squared) ** steepness * (1 - (part - 0.5) ** 2))


@pytest.mark.parametrize(("side", "strength"), [(96, 2.0), (32, 3.5)])
def test_sparkles_are_five_stars_as_defined(side: int, strength: float) -> None:
    inputs, draws = pictures(2, 3, side, side)
    found = corrupted("sparkles", inputs, 2, draws)
    drawn = draws.uniform("sparkles", 0, None, (5, 3)).numpy()
    rays = draws.normal("sparkles", 1, None, (5, 199)).numpy()
    radius = 0.01 * strength * side
    lengths = np.maximum(1, radius * (1 + 0.25 * rays))
    for image in range(2):
        centres = [(place[:2] * side).tolist() for place in drawn[image]]
        for row, column in (*PLACES, *((min(round(a), side - 1), min(round(b), side - 1)) for a, b in centres)):
            value = inputs[image, :, row, column].numpy()
            for centre, place, length in zip(centres, drawn[image], lengths[image], strict=True):
                value = value + star(row, column, centre, int(50 + 150 * place[2]), length, 1.0) * (1 - value)
            assert found[image, :, row, column].tolist() == pytest.approx(value.tolist(), abs=1e-5)


def test_the_middles_of_all_five_sparkles_are_white() -> None:
    black, draws = even(0.0, 3, 224, 224)
    found = corrupted("sparkles", black, 1, draws)
    centres = (draws.uniform("sparkles", 0, None, (5, 3))[..., :2] * 224).floor().long()
    for image, places in zip(found, centres.tolist(), strict=True):
        assert len(places) == 5
        assert all(float(image[0, row, column]) >= 0.75 for row, column in places)
        assert float((image[0] > 0.74).float().mean()) < 5 * math.pi * 4**2 / 224**2  # of radius 2.24, some rays longer


@pytest.mark.parametrize(("side", "strength"), [(96, 10.0), (32, 5.0)])
def test_an_inverse_sparkle_is_white_beyond_its_star(side: int, strength: float) -> None:
    inputs, draws = pictures(2, 3, side, side)
    found = corrupted("inverse_sparkles", inputs, 5, draws)
    drawn = draws.uniform("inverse_sparkles", 0, None, (3,)).numpy()
    rays = draws.normal("inverse_sparkles", 1, None, (199,)).numpy()
    for image in range(2):
        centre = ((0.25 + 0.5 * drawn[image, :2]) * side).tolist()
        lengths = 0.25 * side * (1 + 0.25 * rays[image])
        for row, column in (*PLACES, (round(centre[0]), round(centre[1])), (side - 1, 2)):
            kept = star(row, column, centre, int(50 + 150 * drawn[image, 2]), lengths, 0.13 * strength)
            wanted = 1 + kept * (inputs[image, :, row, column].numpy() - 1)
            assert found[image, :, row, column].tolist() == pytest.approx(wanted.tolist(), abs=1e-5)


def caustics(row: float, column: float, time: float, size: float) -> float:
    place = np.array([row / size, column / size]) % 1 * 6.28318530718 - 250
    at, total = place, 1.0
    for step in range(1, 6):
        t = time * (1 - 3.5 / step)
        at = place + [math.cos(t - at[0]) + math.sin(t + at[1]), math.sin(t - at[1]) + math.cos(t + at[0])]
        total += 1 / math.hypot(place[0] * 0.005 / math.sin(at[0] + t), place[1] * 0.005 / math.cos(at[1] + t))
    return min(1.0, abs(1.17 - (total / 5) ** 1.4) ** 8)


@pytest.mark.parametrize("severity", [1, 5])
def test_caustics_refract_by_snells_law(severity: int) -> None:
    side, strength = 16, {1: 2.35, 5: 9.15}[severity]
    inputs, draws = pictures(2, 3, side, side)
    found = corrupted("caustic_refraction", inputs, severity, draws)
    bent = 0
    for image, (time, size) in enumerate(draws.uniform("caustic_refraction", 0, None, (2,)).tolist()):
        time, size = 0.5 + 1.5 * time, (0.75 + 0.5 * size) * side
        light = np.array([[caustics(row, column, time, size) for column in range(side)] for row in range(side)])
        light = np.pad(ndimage.gaussian_filter(light, 1), 1)
        for row in range(side):
            for column in range(side):
                south, north = light[row + 1, column + 2], light[row + 1, column]
                east, west = light[row + 2, column + 1], light[row, column + 1]
                normal = np.array([east - west, south - north, 1.0])
                normal /= np.linalg.norm(normal)
                ray = np.array([0.0, 0.0, 1.0])
                if normal[2] < 1 - 1e-3:
                    bent += 1
                    out = math.asin(math.sin(math.acos(normal[2])) / 4)
                    beside = np.cross(ray, normal)
                    ray = math.cos(out) * normal + math.sin(out) * np.cross(normal, beside / np.linalg.norm(beside))
                moved = ray * 0.05 * strength * side
                wanted = between(inputs[image].numpy(), row + moved[0], column + moved[1])
                wanted = wanted + (north - south + east - west) * 0.2 * strength
                assert found[image, :, row, column].tolist() == pytest.approx(wanted.clip(0, 1).tolist(), abs=2e-4)
    assert bent > 50


def test_pinched_discs_are_as_defined_and_leave_the_corners_between_alone() -> None:
    inputs, draws = pictures(2, 3, 32, 32)
    found = corrupted("pinch_and_twirl", inputs, 3, draws)
    ways = draws.uniform("pinch_and_twirl", 0, None, (9,)).numpy()
    for image in range(2):
        for row, column in ((0, 0), (3, 7), (9, 9), (5, 5), (12, 21), (26, 26), (31, 31), (17, 3)):
            tile_row, tile_column = row // 10, column // 10
            down, across = row - (10 * tile_row + 5), column - (10 * tile_column + 5)
            distance = math.hypot(down, across) / 5
            if tile_row < 3 and tile_column < 3 and 0 < distance <= 1:
                turn = (
                    (-1 if ways[image, tile_row * 3 + tile_column] < 0.5 else 1)
                    * math.pi
                    / 20
                    * 6.5
                    * (1 - distance) ** 2
                )
                pinch = math.sin(math.pi / 2 * distance) ** -(0.04 * 6.5 + 0.1)
                place = (
                    row - down + pinch * (down * math.cos(turn) - across * math.sin(turn)),
                    column - across + pinch * (down * math.sin(turn) + across * math.cos(turn)),
                )
            else:
                place = (row, column)
            wanted = between(inputs[image].numpy(), *place)
            assert found[image, :, row, column].tolist() == pytest.approx(wanted.tolist(), abs=1e-5)
    assert torch.equal(found[:, :, 0, 0], inputs[:, :, 0, 0])
    assert torch.equal(found[:, :, 30:], inputs[:, :, 30:])


def test_ripples_push_along_each_axis() -> None:
    inputs, draws = pictures(2, 3, 32, 32)
    found = corrupted("ripple", inputs, 4, draws)
    drawn = draws.uniform("ripple", 0, None, (2, 2)).numpy()
    for image, (lengths, phases) in enumerate(drawn):
        for row, column in ((0, 0), (31, 31), (3, 17), (20, 9), (1, 30)):
            place = [
                at + 0.0025 * 7.5 * 32 * math.sin(2 * math.pi * (at / ((0.1 + 0.2 * length) * 32) + phase))
                for at, length, phase in zip((row, column), lengths, phases, strict=True)
            ]
            wanted = between(inputs[image].numpy(), *place)
            assert found[image, :, row, column].tolist() == pytest.approx(wanted.tolist(), abs=1e-5)


@pytest.mark.parametrize(("size", "severity"), [((32, 32), 1), ((32, 32), 5), ((20, 41), 3)])
def test_circular_motion_blur_averages_scipys_rotations(size: tuple[int, int], severity: int) -> None:
    inputs, draws = pictures(2, 3, *size)
    found = corrupted("circular_motion_blur", inputs, severity, draws)
    most = 1.5 * {1: 2.8, 3: 4.4, 5: 6.0}[severity]
    places = np.linspace(-1, 1, 21)
    copies = [ndimage.rotate(inputs.numpy(), most * place, axes=(3, 2), reshape=False) for place in places]
    wanted = np.average(copies, axis=0, weights=np.exp(-2 * places**2)).clip(0, 1)
    assert float(np.abs(found.numpy() - wanted).max()) < 1e-5


@pytest.mark.parametrize("severity", [1, 4])
def test_channels_are_magnified_as_scipy_does(severity: int) -> None:
    inputs, draws = pictures(6, 3, 32, 32)
    found = corrupted("transverse_chromatic_aberration", inputs, severity, draws).numpy()
    stretch = {1: 0.05, 4: 0.45}[severity]
    orders = set()
    for image in range(6):
        order = []
        for channel in range(3):
            errors = []
            for part in range(3):
                larger = ndimage.zoom(inputs[image, channel].numpy(), 1 + part * stretch / 2, prefilter=False)
                edge = (len(larger) - 32) // 2
                errors.append(np.abs(larger[edge : edge + 32, edge : edge + 32] - found[image, channel]).max())
            assert min(errors) < 1e-5
            order.append(int(np.argmin(errors)))
        assert sorted(order) == [0, 1, 2]
        orders.add(tuple(order))
    assert len(orders) > 1
