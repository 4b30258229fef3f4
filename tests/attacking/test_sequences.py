"""Perturbation sequences against what is known of them in closed form, and against torchvision, OpenCV and SciPy."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest
import torch
import torchvision.transforms.functional as transforms
from PIL import Image
from scipy import ndimage
from torch import Tensor

from robench.attacking.corruptions.sequences import SEQUENCES
from robench.attacking.draws import Draws
from robench.benchmarks import NOISE_SEQUENCES, PERTURBATION_VALIDATION, PERTURBATIONS


def pictures(count: int, channels: int, height: int, width: int) -> tuple[Tensor, Draws]:
    """Smooth pictures of 256 grey levels, with some texture."""
    generator = torch.Generator().manual_seed(1)
    coarse = torch.rand(count, channels, 6, 6, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear", align_corners=True)
    fine = 0.1 * torch.rand(count, channels, height, width, generator=generator)
    return ((smooth * 0.9 + fine) * 255).round() / 255, Draws(0, [f"image {i}" for i in range(count)])


def even(level: float, count: int, side: int) -> tuple[Tensor, Draws]:
    return torch.full((count, 3, side, side), level), Draws(0, [f"image {i}" for i in range(count)])


def pillow(image: Tensor) -> Image.Image:
    return Image.fromarray((image * 255).round().byte().permute(1, 2, 0).numpy())


def levels(found: Tensor, wanted: Image.Image) -> float:
    """Mean absolute difference in grey levels."""
    return float((found.permute(1, 2, 0) * 255 - torch.from_numpy(np.array(wanted)).float()).abs().mean())


def length(name: str, side: int) -> int:
    if name == "translate":
        return 16 if side <= 64 else 41
    return 21 if name == "motion_blur" and side <= 64 else 31


def test_ten_sequences_make_the_flip_rate_and_four_are_for_validation() -> None:
    assert PERTURBATIONS == (
        "gaussian_noise",
        "shot_noise",
        "motion_blur",
        "zoom_blur",
        "snow",
        "brightness",
        "translate",
        "rotate",
        "tilt",
        "scale",
    )
    assert PERTURBATION_VALIDATION == ("speckle_noise", "gaussian_blur", "spatter", "shear")
    assert tuple(SEQUENCES) == PERTURBATIONS + PERTURBATION_VALIDATION
    assert NOISE_SEQUENCES == ("gaussian_noise", "shot_noise", "speckle_noise")


@pytest.mark.parametrize("name", SEQUENCES)
@pytest.mark.parametrize("size", [(8, 8), (9, 31), (224, 224)])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_sequence_has_its_frames_at_any_size(name: str, size: tuple[int, int], channels: int) -> None:
    inputs, draws = pictures(1, channels, *size)
    before = inputs.clone()
    frames = SEQUENCES[name](inputs, draws)
    assert frames.shape == (1, length(name, min(size)), channels, *size)
    assert frames.dtype == torch.float32
    assert bool(frames.isfinite().all())
    assert float(frames.min()) >= 0
    assert float(frames.max()) <= 1
    assert torch.equal(inputs, before)


@pytest.mark.parametrize("name", SEQUENCES)
@pytest.mark.parametrize("size", [(9, 31), (66, 71)])
def test_an_image_has_the_same_frames_in_any_batch(name: str, size: tuple[int, int]) -> None:
    inputs, draws = pictures(4, 3, *size)
    together = SEQUENCES[name](inputs, draws)
    backwards = SEQUENCES[name](inputs.flip(0), draws.of(torch.arange(3, -1, -1)))
    assert torch.equal(backwards.flip(0), together)
    for row in range(4):
        assert torch.equal(SEQUENCES[name](inputs[row : row + 1], draws.of(torch.tensor([row])))[0], together[row])


@pytest.mark.parametrize("name", ["gaussian_noise", "shot_noise", "speckle_noise", "snow", "spatter"])
def test_what_is_random_belongs_to_the_image(name: str) -> None:
    inputs, draws = pictures(1, 3, 32, 32)
    two = SEQUENCES[name](inputs.expand(2, -1, -1, -1), Draws(0, ["one", "other"]))
    assert not torch.equal(two[0], two[1])


@pytest.mark.parametrize("name", sorted({*SEQUENCES} - {*NOISE_SEQUENCES}))
@pytest.mark.parametrize("side", [32, 96])
def test_a_frame_is_nearer_to_the_next_than_to_those_after(name: str, side: int) -> None:
    inputs, draws = pictures(2, 3, side, side)
    frames = SEQUENCES[name](inputs, draws)
    near = float((frames[:, 1:] - frames[:, :-1]).abs().mean())
    far = float((frames[:, 8:] - frames[:, :-8]).abs().mean())
    assert 0 < near < far


@pytest.mark.parametrize("name", NOISE_SEQUENCES)
def test_noise_begins_with_the_image_and_is_drawn_anew_for_each_frame(name: str) -> None:
    inputs, draws = pictures(2, 3, 32, 32)
    frames = SEQUENCES[name](inputs, draws)
    assert torch.equal(frames[:, 0], inputs)
    noise = (frames[:, 1:] - inputs[:, None]).transpose(0, 1).flatten(1)
    alike = torch.corrcoef(noise) - torch.eye(30)
    assert float(alike.abs().max()) < 5 / (2 * 3 * 32 * 32) ** 0.5


@pytest.mark.parametrize(
    ("name", "side", "variance"),
    [
        ("gaussian_noise", 96, 0.03**2),
        ("gaussian_noise", 32, 0.02**2),
        ("shot_noise", 96, 0.4 / 300),
        ("shot_noise", 32, 0.4 / 700),
        ("speckle_noise", 96, (0.05 * 0.4) ** 2),
        ("speckle_noise", 32, (0.05 * 0.4) ** 2),
    ],
)
def test_noise_has_the_published_deviation(name: str, side: int, variance: float) -> None:
    grey, draws = even(0.4, 2, side)
    frames = SEQUENCES[name](grey, draws)[:, 1:]
    assert float(frames.mean()) == pytest.approx(0.4, abs=2e-3)
    assert float(frames.var()) == pytest.approx(variance, rel=0.03)


def test_shot_noise_counts_photons_and_leaves_black_black() -> None:
    ends, draws = even(0.0, 2, 96)
    ends[1] = 1
    dark, light = SEQUENCES["shot_noise"](ends, draws)
    assert float(dark.max()) == 0
    assert float((light == 1).float().mean()) > 0.5  # half of all counts are beyond the rate, and clipped
    assert float((light[1:] * 300 - (light[1:] * 300).round()).abs().max()) < 1e-3
    # What is kept of a normal distribution cut off at its mean: deviation / sqrt(2 pi) less than the mean.
    assert 1 - float(light[1:].mean()) == pytest.approx((1 / 300) ** 0.5 / (2 * torch.pi) ** 0.5, rel=0.05)


def test_translation_moves_by_one_pixel_a_frame() -> None:
    for side, still in ((32, 7), (224, 20)):
        inputs, draws = pictures(1, 3, side, side)
        frames = SEQUENCES["translate"](inputs, draws)[0]
        assert torch.equal(frames[still], inputs[0])
        for frame in range(len(frames) - 1):
            assert torch.equal(frames[frame + 1, :, :, 1:], frames[frame, :, :, :-1])


def test_small_images_are_translated_as_torchvision_does() -> None:
    inputs, draws = pictures(1, 3, 32, 32)
    for frame, found in enumerate(SEQUENCES["translate"](inputs, draws)[0]):
        assert levels(found, transforms.affine(pillow(inputs[0]), 0, [frame - 7, 0], 1, [0])) < 1e-3


def test_sixteen_pixels_beyond_a_large_image_are_mirrored_and_the_rest_is_black() -> None:
    inputs, draws = pictures(1, 3, 224, 224)
    image, frames = inputs[0], SEQUENCES["translate"](inputs, draws)[0]
    assert torch.equal(frames[40, :, :, 20:], image[:, :, :204])  # moved by 20
    assert torch.equal(frames[40, :, :, 4:20], image[:, :, 1:17].flip(2))
    assert float(frames[40, :, :, :4].abs().max()) == 0
    smallest = SEQUENCES["scale"](inputs, draws)[0, 0]
    shown = (smallest.sum(0) > 0).nonzero()
    # 256 pixels at 40 % are 102.4, in the middle of 224: from 60.8 to 163.2.
    assert shown.amin(0).tolist() == [61, 61]
    assert shown.amax(0).tolist() == [162, 162]


def test_rotation_and_shear_leave_the_middle_frame_alone() -> None:
    for side in (32, 96):
        inputs, draws = pictures(1, 3, side, side)
        for name, frame in (("rotate", 15), ("shear", 15), ("zoom_blur", 0), ("scale", 15 if side == 32 else 24)):
            assert torch.allclose(SEQUENCES[name](inputs, draws)[0, frame], inputs[0], atol=1e-6)
            assert not torch.allclose(SEQUENCES[name](inputs, draws)[0, frame + 1], inputs[0], atol=1e-3)


@pytest.mark.parametrize("frame", [0, 7, 16, 30])
def test_small_images_are_moved_as_torchvision_does(frame: int) -> None:
    inputs, draws = pictures(1, 3, 32, 32)
    bilinear = transforms.InterpolationMode.BILINEAR
    wanted = {
        "rotate": transforms.affine(pillow(inputs[0]), frame - 15, [0, 0], 1, [0], bilinear),
        "scale": transforms.affine(pillow(inputs[0]), 0, [0, 0], 0.7 + 0.02 * frame, [0], bilinear),
        "shear": transforms.affine(pillow(inputs[0]), 0, [0, 0], 1, [frame - 15, 0.0], bilinear),
    }
    for name, image in wanted.items():
        assert levels(SEQUENCES[name](inputs, draws)[0, frame], image) < 0.6  # which are rounded


@pytest.mark.parametrize("frame", [0, 4, 15, 30])
def test_small_images_are_tilted_as_opencv_does(frame: int) -> None:
    cv2 = pytest.importorskip("cv2")
    inputs, draws = pictures(1, 3, 32, 32)
    turn, far = np.deg2rad(0.75 * (frame - 15)), np.sqrt(2) * 32
    cosine, sine = np.cos(turn), np.sin(turn)
    flat = np.array([[1, 0, -16], [0, 1, -16], [0, 0, 1], [0, 0, 1]])
    about_x = np.array([[1, 0, 0, 0], [0, cosine, -sine, 0], [0, sine, cosine, 0], [0, 0, 0, 1]])
    about_y = np.array([[cosine, 0, -sine, 0], [0, 1, 0, 0], [sine, 0, cosine, 0], [0, 0, 0, 1]])
    away = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, far], [0, 0, 0, 1]])
    seen = np.array([[far, 0, 16, 0], [0, far, 16, 0], [0, 0, 1, 0]])
    image = inputs[0].permute(1, 2, 0).numpy()
    wanted = cv2.warpPerspective(image, seen @ away @ about_x @ about_y @ flat, (32, 32))
    found = SEQUENCES["tilt"](inputs, draws)[0, frame].permute(1, 2, 0).numpy()
    inside = (slice(4, 28), slice(4, 28))  # at the border OpenCV fades to black
    assert float(np.abs(found - wanted)[inside].mean()) * 255 < 0.5
    assert frame == 15 or float(np.abs(image - wanted)[inside].mean()) * 255 > 5


def test_a_tilt_of_a_large_image_is_of_a_degree_a_frame_seen_from_its_diagonal() -> None:
    side = 224
    # Brightness that is the place along x: the image itself says where its pixels come from.
    ramp = (torch.arange(side) / side).expand(1, 1, side, side)
    frames = SEQUENCES["tilt"](ramp, Draws(0, ["a"]))[0, :, 0] * side
    turn, far = np.deg2rad(10), np.hypot(256, 256)
    x, y = 40.0, -30.0  # a place of the photograph about its middle, half a pixel off: pixel (128, 128) of 256
    depth = np.cos(turn) * (np.sin(turn) * x + np.cos(turn)) + np.sin(turn) * y + far
    across = far * (np.cos(turn) * x - np.sin(turn)) / depth
    down = far * (np.cos(turn) * y - np.sin(turn) * (np.sin(turn) * x + np.cos(turn))) / depth
    row, column = down + 112, across + 112
    top, left = int(row), int(column)
    corner = frames[25, top : top + 2, left : left + 2].numpy()
    value = ndimage.map_coordinates(corner, [[row - top], [column - left]], order=1)[0]
    assert value == pytest.approx(x + 112, abs=0.02)


def test_scale_goes_from_40_to_115_percent() -> None:
    side = 224
    ramp = (torch.arange(side) / side).expand(1, 1, side, side)
    frames = SEQUENCES["scale"](ramp, Draws(0, ["a"]))[0, :, 0] * side
    for frame, factor in ((0, 0.4), (10, 0.65), (30, 1.15)):
        assert float(frames[frame, 112, 120] - frames[frame, 112, 110]) == pytest.approx(10 / factor, abs=1e-3)
        assert float(frames[frame, 112, 111] + frames[frame, 112, 112]) == pytest.approx(223, abs=1e-3)


def test_brightness_adds_to_the_value_of_hsv() -> None:
    for side, step in ((32, 0.015), (96, 0.02)):
        inputs, draws = pictures(1, 3, side, side)
        inputs[0, :, 0, 0] = 0
        frames = SEQUENCES["brightness"](inputs, draws)[0]
        for row, column in ((0, 0), (3, 7), (20, 31)):
            hue, saturation, value = colorsys.rgb_to_hsv(*inputs[0, :, row, column].tolist())
            for frame in (0, 10, 15, 30):
                moved = min(1.0, max(0.0, value + step * (frame - 15)))
                wanted = colorsys.hsv_to_rgb(hue, saturation, moved)
                assert frames[frame, :, row, column].tolist() == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize(("side", "sigma", "most", "last"), [(96, 3.0, 20, 30), (32, 1.8, 12, 20)])
def test_motion_blur_ends_as_a_half_bell_along_the_rows(side: int, sigma: float, most: int, last: int) -> None:
    point = torch.zeros(1, 3, side, side)
    point[:, :, side // 2, side // 2] = 1
    frames = SEQUENCES["motion_blur"](point, Draws(0, ["a"]))[0]
    bell = torch.exp(-torch.arange(most + 1.0).square() / (2 * sigma**2))
    wanted = torch.zeros(side)
    wanted[side // 2 - most : side // 2 + 1] = (bell / bell.sum()).flip(0)
    assert torch.allclose(frames[last, :, side // 2], wanted.expand(3, -1), atol=1e-6)
    assert float(frames[last].sum()) == pytest.approx(3, abs=1e-5)
    # The streak turns: from -120 (-180) degrees to 0.
    streak = (frames[0, 0] > 0.01).nonzero() - side // 2
    angle = torch.atan2(-streak[:, 0].float().mean(), -streak[:, 1].float().mean()).rad2deg()
    assert abs(float(angle)) == pytest.approx(120 if side == 96 else 180, abs=5)


def test_zoom_blur_is_the_mean_of_ever_larger_copies() -> None:
    for side in (32, 96):
        inputs, draws = pictures(1, 3, side, side)
        frames = SEQUENCES["zoom_blur"](inputs, draws)[0]
        for frame in (1, 8, 30):
            copy = (frame + 1) * frames[frame] - frame * frames[frame - 1]
            larger = transforms.affine(
                inputs[0], 0, [0, 0], 1 + 0.004 * frame, [0], transforms.InterpolationMode.BILINEAR
            )
            assert float((copy - larger).abs().mean()) < 2e-3
        assert torch.equal(frames[0], inputs[0])


@pytest.mark.parametrize(
    ("side", "first", "step", "truncate"), [(96, 0.25, 0.035, 6.0), (32, 0.3, 0.015, 7.0), (9, 0.3, 0.015, 7.0)]
)
def test_gaussian_blur_is_scipys(side: int, first: float, step: float, truncate: float) -> None:
    inputs, draws = pictures(1, 3, side, side)
    frames = SEQUENCES["gaussian_blur"](inputs, draws)[0]
    for frame in (0, 13, 30):
        deviation = (0, first + step * frame, first + step * frame)
        wanted = ndimage.gaussian_filter(inputs[0].numpy(), deviation, mode="nearest", truncate=truncate)
        assert float(np.abs(frames[frame].numpy() - wanted).max()) < 1e-5


def test_snow_is_added_with_itself_upside_down_and_only_its_streaks_turn() -> None:
    for side in (32, 96):
        black, draws = even(0.0, 12, side)
        frames = SEQUENCES["snow"](black, draws)
        assert float(frames.min()) == pytest.approx(0.075, abs=1e-6)  # 15 % of half white
        assert torch.allclose(frames, frames.flip(3, 4), atol=1e-6)
        assert torch.equal(frames[:, :, 0], frames[:, :, 2])
        fallen = frames.mean((0, 2, 3, 4)) - 0.075
        assert float(fallen.min()) > 0.005
        assert float(fallen.max()) < 1.5 * float(fallen.min())
        white = SEQUENCES["snow"](1 - black, draws)
        assert float(white.min()) == 1


def test_drops_are_turquoise_and_run_down() -> None:
    for side in (32, 224):
        black, draws = even(0.0, 6, side)
        frames = SEQUENCES["spatter"](black, draws)
        assert frames.amax((0, 1, 3, 4)).tolist() == pytest.approx(
            [0.6 * 175 / 255, 0.6 * 238 / 255, 0.6 * 238 / 255], rel=1e-5
        )
        assert torch.allclose(frames[:, :, 0] * 238, frames[:, :, 1] * 175, atol=1e-4)
        # Between frames the water is moved by the mean of its weights; find by how much it looks moved.
        films = frames[:, :, 1]
        moves = [float((films[:, 10:20, shift:] * films[:, 9:19, : side - shift]).mean()) for shift in range(4)]
        assert max(moves[1:]) > moves[0]


def test_grey_images_get_grey_snow_and_water() -> None:
    grey = torch.full((1, 1, 32, 32), 0.4)
    draws = Draws(0, ["a"])
    alike = grey.expand(-1, 3, -1, -1)
    assert torch.allclose(SEQUENCES["snow"](grey, draws), SEQUENCES["snow"](alike, draws)[:, :, :1], atol=1e-6)
    coloured = SEQUENCES["spatter"](alike, draws) - 0.4
    luma = coloured[:, :, 0] * 0.299 + coloured[:, :, 1] * 0.587 + coloured[:, :, 2] * 0.114
    shown = SEQUENCES["spatter"](grey, draws)[:, :, 0] - 0.4
    below = coloured.amax(2) < 0.59  # where nothing is clipped
    assert torch.allclose(shown[below], luma[below], atol=1e-5)
