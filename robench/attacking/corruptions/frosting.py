"""Frost on window panes, drawn by rule: crystals with barbs, grown at random, over clouds of rime.

No photograph is in it. The published corruption uses five (two of them the same); each of these textures has about the mean
colour, the contrast and the radial spectrum of one of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from robench.attacking.draws import Draws

Field = NDArray[np.float32]
PROCEDURAL = True
"""Frost is not the published photographs': accuracies under it do not compare exactly with published ones."""
HEIGHT, WIDTH = 512, 768
"""Pixels of a texture; it goes on periodically."""
OCTAVES = np.arange(-9, 0)
"""Powers of two: frequencies in cycles a pixel at which a texture's amplitude is given."""


@dataclass(frozen=True)
class Pane:
    """How a texture is drawn.

    Attributes:
        crystals: how many.
        length: of a crystal, least and most, in pixels.
        slender: length over width of a crystal.
        spacing: of its barbs, on average, in pixels.
        rime: deviation of the clouds, where that of the crystals is about 1.
        creased: whether clouds are folded into creases.
        colour: mean red, green and blue, in [0, 1].
        tint: what one unit of the texture adds to each.
        drift: what one unit of slow clouds, of another draw, adds to each.
        amplitude: common logarithm of the amplitude at `OCTAVES`; white noise of deviation 1 has 0 everywhere.
    """

    crystals: int
    length: tuple[float, float]
    slender: float
    spacing: float
    rime: float
    creased: bool
    colour: tuple[float, float, float]
    tint: tuple[float, float, float]
    drift: tuple[float, float, float]
    amplitude: tuple[float, ...]


_FOIL = (0.65, 0.52, 0.15, -0.30, -0.72, -1.05, -1.18, -1.30, -1.70)
_WHITE = (0.70, 0.52, 0.03, -0.26, -0.45, -0.63, -0.96, -1.22, -1.65)
_GREY = (0.70, 0.50, 0.00, -0.26, -0.40, -0.55, -0.74, -0.97, -1.40)
_DARK = (0.80, 0.60, 0.28, 0.13, -0.10, -0.42, -0.69, -0.97, -1.22)
_EVEN = (1.0, 1.0, 1.0)
_STILL = (0.0, 0.0, 0.0)
PANES = (
    Pane(500, (20, 60), 5, 4, 1.0, True, (0.31, 0.58, 0.65), (1.2, 1.0, 0.8), (0.07, -0.01, -0.03), _FOIL),
    Pane(900, (50, 140), 9, 7, 0.5, False, (0.78, 0.80, 0.84), _EVEN, _STILL, _WHITE),
    Pane(1500, (30, 90), 7, 6, 0.5, False, (0.79, 0.81, 0.84), _EVEN, _STILL, _WHITE),
    Pane(2200, (8, 40), 3, 3, 0.6, False, (0.54, 0.60, 0.65), _EVEN, _STILL, _GREY),
    Pane(1200, (30, 80), 3, 4, 0.3, False, (0.44, 0.48, 0.53), (1.03, 1.0, 0.97), _STILL, _DARK),
)
TEXTURES = len(PANES)


@lru_cache(maxsize=TEXTURES)
def texture(which: int) -> Tensor:
    """One of `TEXTURES`, always the same, uint8, (3, 512, 768), made when it is first asked for."""
    pane, draws = PANES[which], Draws(0, [f"frost {which}"])
    rime = _clouds(draws, 0, 1.2)
    if pane.creased:
        rime = -np.abs(rime) - np.float32(0.5) * np.abs(_clouds(draws, 1, 0.9))
    relief = _crystals(pane, draws) + pane.rime * rime
    shape = _with_spectrum(relief, np.array(pane.amplitude))
    slow = _clouds(draws, 2, 2.0)
    over = [
        mean + tint * shape + drift * slow for mean, tint, drift in zip(pane.colour, pane.tint, pane.drift, strict=True)
    ]
    return torch.from_numpy(np.rint(np.stack(over).clip(0, 1) * 255).astype(np.uint8))


def _crystals(pane: Pane, draws: Draws) -> Field:
    """Crystals laid over one another: a spine, barbs at 60 degrees from it, one side in the light."""
    field = np.zeros((HEIGHT, WIDTH), dtype=np.float32)
    dealt = draws.uniform("frost", 0, None, (pane.crystals, 7)).numpy()[0]
    for x, y, turn, size, shade, phase, spread in dealt:
        least, most = pane.length
        length = least * (most / least) ** size
        width, angle = length / pane.slender, 2 * np.pi * turn
        reach = int(length / 2) + 2
        offsets = np.arange(-reach, reach + 1, dtype=np.float32)
        cosine, sine = np.float32(np.cos(angle)), np.float32(np.sin(angle))
        along = offsets * cosine + offsets[:, None] * sine + np.float32(length / 2)
        across = offsets[:, None] * cosine - offsets * sine
        away, share = np.abs(across), (along / np.float32(length)).clip(0, 1)
        # A leaf: widest a third of the way, pointed at its end.
        edge = np.float32(width * 1.3) * np.sqrt(share) * (1 - share)
        cover = (edge - away).clip(0, 1)
        wave = np.float32(2 * np.pi / (pane.spacing * (0.7 + 0.6 * spread)))
        barbs = 0.5 + 0.5 * np.cos((along - away * np.float32(0.577)) * wave + 6 * phase)
        light = np.float32(np.cos(angle - 0.8)) * np.sign(across)
        spine = np.exp(-np.square(away))
        value = np.float32(1.2 * shade - 0.6) + barbs * (1 - 0.5 * share) + 0.4 * light + spine - 0.5
        places = np.ix_(
            (int(y * HEIGHT) + offsets.astype(int)) % HEIGHT, (int(x * WIDTH) + offsets.astype(int)) % WIDTH
        )
        below = field[places]
        field[places] = below + cover * (value - below)
    return field


def _clouds(draws: Draws, step: int, slope: float) -> Field:
    """Periodic noise whose amplitude falls with frequency to that power, of mean 0 and deviation 1."""
    waves = np.fft.rfft2(draws.bulk_normal("frost/clouds", step, (HEIGHT, WIDTH)).numpy()[0])
    waves *= np.maximum(_frequencies(), 1 / WIDTH) ** -slope
    waves[0, 0] = 0
    field = np.fft.irfft2(waves, (HEIGHT, WIDTH))
    scaled: Field = (field / field.std()).astype(np.float32)
    return scaled


def _with_spectrum(field: Field, amplitude: NDArray[np.float64]) -> Field:
    """The field with the phases it has and, around each octave, so much amplitude; of mean 0."""
    waves = np.fft.rfft2(field - field.mean()) / np.sqrt(field.size)
    octave = np.log2(np.maximum(_frequencies(), 2.0 ** OCTAVES[0])).clip(OCTAVES[0], OCTAVES[-1])
    nearest = (np.rint(octave) - OCTAVES[0]).astype(int)
    power = np.bincount(nearest.ravel(), np.square(np.abs(waves)).ravel()) / np.bincount(nearest.ravel())
    gain = np.interp(octave, OCTAVES, amplitude * np.log(10) - np.log(power) / 2)
    shaped: Field = np.fft.irfft2(waves * np.exp(gain) * np.sqrt(field.size), (HEIGHT, WIDTH)).astype(np.float32)
    return shaped


def _frequencies() -> NDArray[np.float64]:
    """In cycles a pixel, of the waves of a real field."""
    frequencies: NDArray[np.float64] = np.hypot(np.fft.fftfreq(HEIGHT)[:, None], np.fft.rfftfreq(WIDTH))
    return frequencies
