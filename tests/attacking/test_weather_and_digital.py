"""Weather and digital corruptions against what is known of them in closed form, and against the published code."""

from __future__ import annotations

import colorsys
import warnings
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from photographs import photographs
from PIL import Image
from torch import Tensor

from robench.attacking.corruptions import digital, weather
from robench.attacking.corruptions.fractals import plasma
from robench.attacking.corruptions.frosting import TEXTURES, texture
from robench.attacking.corruptions.motion import motion
from robench.attacking.corruptions.splashes import distances, edges, splash
from robench.attacking.draws import Draws

WEATHER = {name: getattr(weather, name) for name in ("snow", "frost", "fog", "brightness", "spatter")}
DIGITAL = {
    name: getattr(digital, name)
    for name in ("contrast", "elastic_transform", "pixelate", "jpeg_compression", "saturate")
}
CORRUPTIONS = WEATHER | DIGITAL


def noise(count: int, *shape: int) -> tuple[Tensor, Draws]:
    """8-bit images of noise; the second is black and the third white."""
    inputs = torch.randint(0, 256, (count, *shape), generator=torch.Generator().manual_seed(0)).float() / 255
    inputs[1:2], inputs[2:3] = 0, 1
    return inputs, Draws(0, [f"image {i}" for i in range(count)])


def even(value: float, count: int = 1, *shape: int) -> tuple[Tensor, Draws]:
    return torch.full((count, *(shape or (3, 224, 224))), value), Draws(0, [f"image {i}" for i in range(count)])


def oracle() -> ModuleType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module: ModuleType = pytest.importorskip("imagecorruptions.corruptions")
    return module


@lru_cache
def photographed_frost() -> list[np.ndarray]:
    """The five textures of ImageNet-C, which the oracle brings (it adds a sixth, and enlarges them), (H, W, 3)."""
    folder = Path(str(oracle().__file__)).parent / "frost"
    files = ["frost1.png", "frost2.png", "frost3.png", "frost4.jpg", "frost5.jpg"]
    return [np.asarray(Image.open(folder / file).convert("RGB")).astype(float) for file in files]


def published_frost(picture: Image.Image, severity: int) -> np.ndarray:
    """As ImageNet-C was made: a piece of one of the five, as large as it is."""
    kept, added = ((1, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75))[severity - 1]
    over = photographed_frost()[np.random.randint(5)]
    top, left = np.random.randint(0, over.shape[0] - 224), np.random.randint(0, over.shape[1] - 224)
    return (kept * np.asarray(picture) + added * over[top : top + 224, left : left + 224]).clip(0, 255)


def stored(images: Tensor) -> np.ndarray:
    """As they are stored: cut off to 8 bits, (N, H, W, C)."""
    return (images * 255 + 1e-3).byte().permute(0, 2, 3, 1).numpy()


def octaves(fields: np.ndarray) -> np.ndarray:
    """Common logarithm of the amplitude in each octave of frequency, mean over square fields."""
    side = fields.shape[-1]
    window = np.hanning(side)[:, None] * np.hanning(side)
    centred = fields - fields.mean((-2, -1), keepdims=True)
    power = np.square(np.abs(np.fft.fft2(centred * window))).mean(0) / np.square(window).sum()
    octave = np.log2(np.maximum(np.hypot(np.fft.fftfreq(side)[:, None], np.fft.fftfreq(side)), 1 / side)).round()
    return np.array([np.log10(power[octave == place].mean()) / 2 for place in range(-6, 0)])


@pytest.mark.parametrize("name", CORRUPTIONS)
@pytest.mark.parametrize("shape", [(3, 8, 8), (3, 9, 31), (1, 9, 31), (1, 70, 80), (3, 300, 260)])
def test_images_keep_their_shape_and_stay_in_the_box(name: str, shape: tuple[int, ...]) -> None:
    inputs, draws = noise(3, *shape)
    before = inputs.clone()
    for severity in (1, 3, 5):
        corrupted = CORRUPTIONS[name](inputs, severity, draws)
        assert corrupted.shape == inputs.shape
        assert corrupted.dtype == torch.float32
        assert 0 <= float(corrupted.min()) <= float(corrupted.max()) <= 1
    assert torch.equal(inputs, before)


@pytest.mark.parametrize("name", CORRUPTIONS)
@pytest.mark.parametrize("shape", [(3, 9, 31), (1, 65, 70), (3, 100, 90)])
def test_what_an_image_becomes_does_not_depend_on_its_batch(name: str, shape: tuple[int, ...]) -> None:
    inputs, draws = noise(4, *shape)
    for severity in (2, 5):
        together = CORRUPTIONS[name](inputs, severity, draws)
        turned = CORRUPTIONS[name](inputs.flip(0), severity, draws.of(torch.tensor([3, 2, 1, 0])))
        assert torch.equal(turned.flip(0), together)
        for row in range(4):
            alone = CORRUPTIONS[name](inputs[row : row + 1], severity, draws.of(torch.tensor([row])))
            assert torch.equal(alone[0], together[row])


@pytest.mark.parametrize("name", ["snow", "frost", "fog", "spatter", "elastic_transform"])
def test_random_corruptions_differ_from_image_to_image_and_from_seed_to_seed(name: str) -> None:
    inputs, draws = noise(4, 3, 100, 90)
    inputs[:] = inputs[0]
    first = CORRUPTIONS[name](inputs, 3, draws)
    assert not torch.equal(first[0], first[3])
    assert not torch.equal(first, CORRUPTIONS[name](inputs, 3, Draws(1, [f"image {i}" for i in range(4)])))


@pytest.mark.parametrize(
    ("name", "severities"),
    [
        ("frost", (1, 2, 3, 5)),
        ("fog", (1, 2, 3, 5)),
        ("brightness", (1, 2, 3, 4, 5)),
        ("spatter", (1, 2, 3)),
        ("spatter", (4, 5)),
        ("contrast", (1, 2, 3, 4, 5)),
        ("elastic_transform", (3, 4, 5)),
        ("pixelate", (1, 4, 5)),
        ("jpeg_compression", (1, 2, 3, 4, 5)),
        ("saturate", (1, 2)),
        ("saturate", (3, 4, 5)),
    ],
)
def test_change_grows_with_severity_where_the_published_tables_do(name: str, severities: tuple[int, ...]) -> None:
    # Dark, and not all smooth: all of these change it the more the higher they go.
    ramp = torch.linspace(0, 0.4, 100)[:, None] * torch.linspace(0.2, 1, 100)
    grain, draws = noise(24, 3, 100, 100)
    inputs = (torch.stack([ramp, ramp.T, ramp.flip(0) * 0.7]) + grain[:1] * 0.1).mul(255).round().div(255)
    inputs = inputs.repeat(24, 1, 1, 1)
    changes = [float((CORRUPTIONS[name](inputs, level, draws) - inputs).square().mean()) for level in severities]
    assert changes == sorted(changes)
    assert changes[0] < changes[-1]


def test_snow_on_black_is_the_same_upside_down_and_grey_where_none_falls() -> None:
    inputs, draws = even(0.0, 2)
    snowy = weather.snow(inputs, 1, draws)
    assert torch.allclose(snowy, snowy.flip(2, 3), atol=1e-6)
    assert torch.equal(snowy[:, 0], snowy[:, 2])
    assert float(snowy.min()) == pytest.approx(0.2 * 0.5)  # a fifth of the paler image, which is half white
    assert float((snowy[:, 0] > 0.1001).float().mean()) == pytest.approx(0.4, abs=0.25)
    # Flakes fall: they are longer down than across, whatever their angle.
    down, across = (float((snowy - snowy.roll(3, axis)).square().mean()) for axis in (2, 3))
    assert down < 0.8 * across
    small, draws = even(0.0, 2, 3, 32, 32)
    assert float(weather.snow(small, 1, draws).min()) == pytest.approx(0.05 * 0.5)


def test_motion_smears_one_way_with_the_weights_of_half_a_gaussian() -> None:
    layers = torch.zeros(2, 15, 15)
    layers[:, 4, 7] = 1
    bell = np.exp(-np.square(np.arange(7)) / 8)
    smeared = motion(layers, 3, 2.0, torch.tensor([-90.0, 180.0])).numpy()
    assert smeared[0, 4:11, 7] == pytest.approx(bell / bell.sum(), abs=1e-6)  # comes from above, so goes down
    assert smeared[1, 4, 7:14] == pytest.approx(bell / bell.sum(), abs=1e-6)
    assert smeared.sum((1, 2)) == pytest.approx(1, abs=1e-5)
    slanted = motion(layers[:1], 3, 2.0, torch.tensor([-135.0]))[0].numpy()
    assert slanted[4, 7] == pytest.approx(1 / bell.sum(), abs=1e-6)
    assert slanted[8, 11] == pytest.approx(
        bell[6] / bell.sum() + bell[5] / bell.sum(), abs=1e-6
    )  # 3.5 and 4.2 both give 4
    assert torch.allclose(motion(torch.ones(1, 8, 8), 14, 12.0, torch.tensor([-100.0])), torch.ones(1, 8, 8), atol=1e-5)


def test_plasma_takes_the_mean_of_its_neighbours_and_a_number() -> None:
    numbers = np.array([[0.9, 1.0, 0.5, 0.5]], dtype=np.float32)
    # Corner 0; the middle 0 + 1; between two corners and twice the middle (0 + 0 + 1 + 1) / 4 + 0.
    assert plasma(numbers, 2.0)[0].tolist() == [[0, 0.5], [0.5, 1]]
    _, draws = noise(3, 1, 8, 8)
    clouds = plasma(draws.bulk_uniform("fog", 0, (64 * 64,)).numpy(), 2.0)
    assert clouds.shape == (3, 64, 64)
    assert clouds.min((1, 2)).tolist() == [0, 0, 0]
    assert clouds.max((1, 2)).tolist() == [1, 1, 1]


def test_plasma_is_the_published_one_for_the_same_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    published = oracle()
    numbers = Draws(0, ["image"]).bulk_uniform("fog", 0, (256 * 256,)).numpy()
    rest = [part for step in range(8) for part in numbers[0, 4**step : 4 ** (step + 1)].reshape(3, 2**step, 2**step)]
    parts = iter(rest)

    def dealt(low: float, high: float, shape: tuple[int, ...]) -> np.ndarray:
        return low + (high - low) * next(parts).astype(float).reshape(shape)

    monkeypatch.setattr(published.np.random, "uniform", dealt)
    assert plasma(numbers, 1.7)[0] == pytest.approx(published.plasma_fractal(256, 1.7), abs=1e-5)


@pytest.mark.parametrize(("side", "amount"), [(256, 2.0), (32, 0.5), (64, 0.5), (512, 2.0)])
def test_fog_on_an_even_image_runs_from_a_known_value_to_the_image_s(side: int, amount: float) -> None:
    # The whole fractal is seen at these sizes, so that its 0 and its 1 are.
    inputs, draws = even(0.6, 2, 3, side, side)
    foggy = weather.fog(inputs, 2, draws)
    assert foggy.amax((1, 2, 3)).tolist() == pytest.approx([0.6, 0.6], abs=1e-5)
    assert foggy.amin((1, 2, 3)).tolist() == pytest.approx([0.6 * 0.6 / (0.6 + amount)] * 2, abs=1e-5)


def test_fog_has_the_mean_and_the_spectrum_of_the_published_one() -> None:
    published = oracle()
    np.random.seed(0)
    inputs, draws = even(1.0, 60)
    ours = weather.fog(inputs, 4, draws)[:, 0].numpy()
    clouds = np.stack([published.plasma_fractal(256, 1.5)[:224, :224] for _ in range(60)])
    theirs = (1 + 2.5 * clouds) / 3.5
    assert ours.mean() == pytest.approx(theirs.mean(), abs=0.03)
    assert ours.std((1, 2)).mean() == pytest.approx(theirs.std((1, 2)).mean(), rel=0.1)
    assert np.abs(octaves(ours) - octaves(theirs)).max() < 0.06


def test_brightness_raises_the_value_and_keeps_the_hue_also_of_black() -> None:
    colours = [(0.2, 0.4, 0.6), (0.6, 0.2, 0.2), (0.9, 0.8, 0.1), (0.0, 0.0, 0.0), (0.3, 0.3, 0.3), (0.0, 0.0, 1.0)]
    inputs = torch.tensor(colours).T.reshape(1, 3, 1, 6).expand(1, 3, 100, 6).repeat(1, 1, 1, 12)
    raised = weather.brightness(inputs, 2, Draws(0, ["image"]))
    for column, colour in enumerate(colours):
        hue, saturation, value = colorsys.rgb_to_hsv(*colour)
        wanted = colorsys.hsv_to_rgb(hue, saturation, min(1, value + 0.2))
        assert raised[0, :, 0, column].tolist() == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize(
    ("severity", "scale", "more"), [(1, 0.3, 0), (2, 0.1, 0), (3, 2, 0), (4, 5, 0.1), (5, 20, 0.2)]
)
def test_saturate_scales_the_saturation_of_hsv(severity: int, scale: float, more: float) -> None:
    colours = [(0.5, 0.4, 0.45), (0.6, 0.2, 0.2), (0.1, 0.8, 0.7), (0.0, 0.0, 0.0), (0.3, 0.3, 0.3), (0.49, 0.5, 0.5)]
    inputs = torch.tensor(colours).T.reshape(1, 3, 1, 6).expand(1, 3, 100, 6).repeat(1, 1, 1, 12)
    changed = digital.saturate(inputs, severity, Draws(0, ["image"]))
    for column, colour in enumerate(colours):
        hue, saturation, value = colorsys.rgb_to_hsv(*colour)
        wanted = colorsys.hsv_to_rgb(hue, min(1, saturation * scale + more), value)
        assert changed[0, :, 0, column].tolist() == pytest.approx(wanted, abs=1e-5)
    grey, draws = noise(2, 1, 70, 70)
    assert torch.equal(digital.saturate(grey, severity, draws), grey)


def test_contrast_draws_every_channel_towards_its_own_mean() -> None:
    inputs = torch.zeros(1, 3, 100, 100)
    inputs[:, 0, :50], inputs[:, 1] = 1, 0.2
    flat = digital.contrast(inputs, 3, Draws(0, ["image"]))
    assert flat[0, 0, 0, 0].item() == pytest.approx(0.5 + 0.2 * 0.5, abs=1e-6)
    assert flat[0, 0, 99, 0].item() == pytest.approx(0.5 - 0.2 * 0.5, abs=1e-6)
    assert flat[0, 1].unique().tolist() == pytest.approx([0.2], abs=1e-6)


def test_pixelate_gives_blocks_of_the_mean_of_their_pixels() -> None:
    inputs, draws = noise(1, 3, 100, 100)
    blocks = digital.pixelate(inputs, 2, draws)
    mean = inputs.reshape(1, 3, 50, 2, 50, 2).mean((3, 5))
    assert torch.equal(blocks, blocks[:, :, ::2, ::2].repeat_interleave(2, 2).repeat_interleave(2, 3))
    # Pillow rounds twice, once an axis.
    assert float((blocks[:, :, ::2, ::2] - mean).abs().max()) <= 1.001 / 255


@pytest.mark.parametrize(("shape", "share"), [((3, 9, 31), 0.85), ((1, 32, 32), 0.85), ((3, 224, 224), 0.4)])
def test_pixelate_is_pillow_s_box_filter_both_ways(shape: tuple[int, ...], share: float) -> None:
    inputs, draws = noise(1, *shape)
    height, width = shape[1:]
    picture = Image.fromarray(stored(inputs)[0].squeeze())
    small = picture.resize((int(width * share), int(height * share)), Image.Resampling.BOX)
    wanted = np.asarray(small.resize((width, height), Image.Resampling.BOX)).reshape(height, width, shape[0])
    assert np.array_equal(stored(digital.pixelate(inputs, 3, draws))[0], wanted)


@pytest.mark.parametrize(
    ("shape", "quality"), [((3, 9, 31), 65), ((1, 32, 32), 65), ((3, 224, 224), 18), ((1, 90, 70), 18)]
)
def test_jpeg_is_pillow_s_of_the_published_quality(shape: tuple[int, ...], quality: int) -> None:
    inputs, draws = noise(1, *shape)
    written = BytesIO()
    Image.fromarray(stored(inputs)[0].squeeze()).save(written, "JPEG", quality=quality)
    wanted = np.asarray(Image.open(written)).reshape(*shape[1:], shape[0])
    assert np.array_equal(stored(digital.jpeg_compression(inputs, 2, draws))[0], wanted)
    # Pixels are rounded, so that the last bits of an image decide nothing.
    less = (inputs - 1e-5).clamp_min(0)
    assert np.array_equal(stored(digital.jpeg_compression(less, 2, draws))[0], wanted)


@pytest.mark.parametrize("side", [8, 32, 224])
def test_elastic_transform_leaves_an_even_image_alone(side: int) -> None:
    inputs, draws = even(0.3, 2, 3, side, side)
    for severity in range(1, 6):
        assert torch.allclose(digital.elastic_transform(inputs, severity, draws), inputs, atol=1e-6)


@pytest.mark.parametrize(
    ("side", "severity", "amount", "sigma", "shift"),
    [(224, 1, 488, 170.8, 24.4), (224, 2, 488, 19.52, 48.8), (224, 5, 29.28, 2.44, 4.88), (32, 3, 2.56, 1.92, 1.92)],
)
def test_elastic_transform_is_the_published_one_for_the_same_numbers(
    side: int, severity: int, amount: float, sigma: float, shift: float
) -> None:
    cv2 = pytest.importorskip("cv2")
    from scipy.ndimage import gaussian_filter, map_coordinates

    inputs, draws = noise(1, 3, side, side)
    picture = inputs[0].permute(1, 2, 0).numpy()
    moved = (2 * draws.uniform("elastic_transform/affine", 0, None, (3, 2))[0].numpy() - 1) * shift
    fields = draws.bulk_uniform("elastic_transform/field", 0, (2, side, side))[0].numpy().astype(float) * 2 - 1
    half, reach = side // 2, side // 3
    points = np.float32([[half + reach, half + reach], [half + reach, half - reach], [half - reach, half - reach]])
    matrix = cv2.getAffineTransform(points, (points + moved).astype(np.float32))
    warped = cv2.warpAffine(np.ascontiguousarray(picture), matrix, (side, side), borderMode=cv2.BORDER_REFLECT_101)
    down, right = (gaussian_filter(field, sigma, mode="reflect", truncate=3) * amount for field in fields[::-1])
    rows, columns = np.mgrid[:side, :side].astype(float)
    wanted = np.stack(
        [map_coordinates(warped[..., c], (rows + down, columns + right), order=1, mode="reflect") for c in range(3)]
    )
    found = digital.elastic_transform(inputs, severity, draws)[0].numpy()
    assert np.abs(found - wanted).mean() < 1 / 255


def test_distances_and_edges_are_those_of_their_definitions() -> None:
    marked = np.zeros((40, 60), dtype=bool)
    marked[10, 20] = True
    found = distances(marked)
    assert found[10, 20:23].tolist() == [0, 1, 2]
    assert found[11, 21] == pytest.approx(1.4, abs=1e-4)
    assert found[12, 21] == pytest.approx(2.1969, abs=1e-4)
    assert found[9, 17] == pytest.approx(1 + 2.1969, abs=1e-4)
    assert found[39, 59] == 20
    square = np.zeros((12, 12), dtype=np.uint8)
    square[4:8, 4:8] = 200
    lines = edges(square)
    assert lines[6, 2:10].astype(int).tolist() == [0, 1, 0, 0, 0, 1, 0, 0]  # of two equal gradients the first
    assert not edges(square // 8).any()


@pytest.mark.parametrize(
    ("mean", "deviation", "sigma", "threshold"),
    [(0.65, 0.3, 4, 0.69), (0.65, 0.3, 2, 0.68), (0.62, 0.1, 0.7, 0.7), (0.65, 0.3, 1, 0.69)],
)
def test_a_splash_is_what_the_published_steps_give(
    mean: float, deviation: float, sigma: float, threshold: float
) -> None:
    cv2 = pytest.importorskip("cv2")
    from scipy.ndimage import gaussian_filter

    generator = np.random.default_rng(0)
    for shape in ((224, 224), (97, 40)):
        field = gaussian_filter(generator.normal(mean, deviation, shape), sigma, mode="nearest")
        liquid = (np.where(field < threshold, 0, field) * 255).astype(np.uint8)
        outline = cv2.Canny(liquid, 50, 150)
        assert np.array_equal(edges(liquid), outline > 0)
        depth = np.minimum(cv2.distanceTransform(255 - outline, cv2.DIST_L2, 5), 20)
        assert distances(edges(liquid)) == pytest.approx(depth, abs=1e-3)
        level = cv2.equalizeHist(cv2.blur(depth, (3, 3)).astype(np.uint8))
        lit = cv2.filter2D(level, cv2.CV_8U, np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]]))
        bright = liquid * cv2.blur(lit, (3, 3)).astype(np.float32)
        assert splash(liquid) == pytest.approx(bright / bright.max(), abs=1e-6)
    assert not splash(np.zeros((9, 9), dtype=np.uint8)).any()


def test_water_adds_turquoise_and_mud_covers_with_brown() -> None:
    black, draws = even(0.0, 3)
    wet = weather.spatter(black, 2, draws)
    assert torch.allclose(wet[:, 1], wet[:, 2])
    assert torch.allclose(wet[:, 0], wet[:, 1] * 175 / 238, atol=1e-6)
    assert wet.amax((2, 3))[:, 1].tolist() == pytest.approx([0.6 * 238 / 255] * 3, abs=1e-5)  # the brightest drop
    white, draws = even(1.0, 3)
    muddy = weather.spatter(white, 5, draws)
    assert muddy.amin((2, 3))[0].tolist() == pytest.approx([63 / 255, 42 / 255, 20 / 255], abs=0.03)
    touched = muddy[:, 0] < 1
    assert muddy[:, 0][touched].max() <= 1 - 0.8 * (1 - 63 / 255) + 1e-5  # at least four fifths covered, or not at all
    assert 0.1 < float(touched.float().mean()) < 0.5


def test_a_severity_of_a_small_image_is_that_of_cifar() -> None:
    inputs, draws = even(0.2, 4, 3, 32, 32)
    assert weather.brightness(inputs, 1, draws)[0, 0, 0, 0].item() == pytest.approx(0.25, abs=1e-6)
    black, white = torch.zeros_like(inputs), torch.ones_like(inputs)
    assert float(weather.frost(black, 1, draws).max()) < 0.201  # large ones: 0.4
    assert weather.fog(white, 1, draws).amin((1, 2, 3)).tolist() == pytest.approx([1 / 1.2] * 4, abs=1e-5)
    assert weather.spatter(black, 1, draws).amax((1, 2, 3)).tolist() == pytest.approx([0.5 * 238 / 255] * 4, abs=1e-5)
    colour = torch.tensor([0.5, 0.4, 0.4]).reshape(1, 3, 1, 1).expand(4, 3, 32, 32)
    assert digital.saturate(colour, 3, draws)[0, 1, 0, 0].item() == pytest.approx(0.5 - 0.1 * 1.5, abs=1e-6)
    checks = (torch.arange(32)[:, None] + torch.arange(32)) % 2
    assert digital.contrast(checks.float().expand(4, 3, 32, 32), 1, draws).amax().item() == pytest.approx(
        0.875, abs=1e-6
    )


def test_textures_are_made_once_and_go_on_periodically() -> None:
    assert texture(4) is texture(4)
    for which in range(TEXTURES):
        field = texture(which).float().mean(0)
        seam = (field[0] - field[-1]).abs().mean()
        assert float(seam) < 1.25 * float((field[1:] - field[:-1]).abs().mean())
    inputs, draws = even(0.0, 1, 3, 600, 900)
    over = weather.frost(inputs, 3, draws) / 0.7
    assert torch.allclose(over[:, :, 512:], over[:, :, :88], atol=1e-5)
    grey = weather.frost(inputs[:, :1], 3, draws) / 0.7
    assert torch.allclose(grey[:, 0], (over * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1), atol=1e-3)


@pytest.mark.parametrize("which", range(TEXTURES))
def test_frost_has_about_the_colour_and_spectrum_of_the_published_photographs(which: int) -> None:
    published = photographed_frost()[which] / 255
    drawn = texture(which).permute(1, 2, 0).numpy() / 255
    assert drawn.mean((0, 1)) == pytest.approx(published.mean((0, 1)), abs=0.02)
    assert drawn.std((0, 1)) == pytest.approx(published.std((0, 1)), rel=0.25)

    def crops(picture: np.ndarray) -> np.ndarray:
        grey = picture.mean(2)
        tops, lefts = range(0, len(grey) - 223, 45), range(0, grey.shape[1] - 223, 45)
        return np.stack([grey[top : top + 224, left : left + 224] for top in tops for left in lefts])

    assert np.abs(octaves(crops(drawn)) - octaves(crops(published))).max() < 0.15
    # Not a copy of it: no more alike than chance.
    rows, columns = (min(sizes) for sizes in zip(drawn.shape[:2], published.shape[:2], strict=True))
    pair = np.stack([picture[:rows, :columns].mean(2).ravel() for picture in (drawn, published)])
    assert abs(np.corrcoef(pair)[0, 1]) < 0.35


@pytest.mark.parametrize("severity", [2, 5])
@pytest.mark.parametrize("name", ["brightness", "contrast", "pixelate", "jpeg_compression", "saturate"])
def test_photographs_become_what_the_published_code_makes_of_them(name: str, severity: int) -> None:
    published = oracle()
    pictures = photographs(8)
    found = stored(CORRUPTIONS[name](pictures.float() / 255, severity, Draws(0, [str(i) for i in range(8)])))
    for picture, ours in zip(pictures.permute(0, 2, 3, 1).numpy(), found, strict=True):
        theirs = np.uint8(getattr(published, name)(Image.fromarray(picture), severity))
        assert np.abs(ours.astype(float) - theirs).mean() < 0.25


@pytest.mark.parametrize("severity", [2, 5])
@pytest.mark.parametrize(
    ("name", "times", "decibels", "levels"),
    [("snow", 4, 0.5, 2), ("fog", 12, 0.5, 4), ("spatter", 12, 0.5, 1), ("frost", 8, 1, 10)],
)
def test_photographs_are_changed_as_much_as_the_published_code_changes_them(
    name: str, times: int, decibels: float, levels: float, severity: int
) -> None:
    # Frost lies over 8 photographs in one of five textures: its bounds are wide.
    published = oracle()
    np.random.seed(0)
    pictures = photographs(8).repeat(times, 1, 1, 1)
    draws = Draws(0, [str(i) for i in range(len(pictures))])
    before = pictures.permute(0, 2, 3, 1).numpy()
    ours = stored(CORRUPTIONS[name](pictures.float() / 255, severity, draws)).astype(float) - before
    one = published_frost if name == "frost" else getattr(published, name)
    theirs = np.stack([np.uint8(one(Image.fromarray(picture), severity)) for picture in before]).astype(float) - before

    def noise_ratio(change: np.ndarray) -> float:
        return float(10 * np.log10(255**2 / np.square(change).mean((1, 2, 3))).mean())

    assert noise_ratio(ours) == pytest.approx(noise_ratio(theirs), abs=decibels)
    assert ours.mean((0, 1, 2)) == pytest.approx(theirs.mean((0, 1, 2)), abs=levels)
    assert ours.std((0, 1, 2)) == pytest.approx(theirs.std((0, 1, 2)), rel=0.15 if name == "frost" else 0.06)
