"""Noise of ImageNet-C-bar and CIFAR-10-C-bar (Mintun, Kirillov & Xie, 2021): noise with a shape.

Lengths are shares of the shorter side, so the definitions hold at any size; images that are not square are new here. Steps
that a library may do differently in another batch (Fourier transforms, sums, powers, two-argument arcus tangent) are done
image by image or in parts that are alike everywhere.
"""

from __future__ import annotations

import math

import numpy as np
import scipy.fft
import torch
from torch import Tensor

from robench.attacking.corruptions.resampling import angle, grid
from robench.attacking.corruptions.severities import severe
from robench.attacking.draws import Draws


def blue_noise_sample(inputs: Tensor, severity: int, draws: Draws) -> Tensor:
    """Pixels blackened where blue noise is below a threshold (Mintun et al., 2021).

    The same noise serves all severities: what is black at one stays black at the next.

    Args:
        inputs: images in [0, 1], (N, C, H, W).
    """
    strength = severe(inputs, severity, (0.8, 1.6, 2.4, 4.0, 5.6), (0.7, 1.4, 2.1, 3.5, 4.2))
    noise = _spectral(inputs[:, :1], draws, "blue_noise_sample", 1)
    return inputs * (noise > 0.3 * strength - 2.5)


def brownish_noise(inputs: Tensor, severity: int, draws: Draws) -> Tensor:
    """Noise whose amplitude falls with the square of the frequency, added to each channel (Mintun et al., 2021).

    The same draw serves all severities, times their deviation.

    Args:
        inputs: images in [0, 1], (N, C, H, W).
    """
    strength = severe(inputs, severity, (1.0, 2.0, 3.0, 4.0, 5.0), (2.5, 4.0, 5.5, 6.5, 7.0))
    noise = _spectral(inputs, draws, "brownish_noise", -2)
    return (inputs + noise * (6.4 * strength / 255)).clamp(0, 1)


def _spectral(like: Tensor, draws: Draws, purpose: str, slope: int) -> Tensor:
    """Noise of deviation 1 with a given spectrum and random phases, (N, C, H, W).

    As published, frequencies (k, l) and (-k - 1, -l - 1) have the same phase, and the real part of the transform is taken;
    so a fluctuation comes back, paler, mirrored at a point. The mean is not taken away: brown noise also shifts the level.

    Args:
        like: images of the shape wanted.
        draws: random numbers.
        purpose: name for these.
        slope: amplitudes are |f|, or 1 / (|f|^2 + 1) for -2; |f| in waves per shorter side.
    """
    count, channels, height, width = like.shape
    side = min(height, width)
    down = np.fft.fftfreq(height)[:, None] * side
    across = np.fft.fftfreq(width) * side
    squared = down**2 + across**2
    amplitude = (np.sqrt(squared) if slope == 1 else 1 / (squared + 1)).astype(np.float32)
    half = height * width // 2
    phases = draws.bulk_uniform(purpose, 0, (channels, half)) * (2 * math.pi)
    turns = torch.complex(phases.cos(), phases.sin()).numpy()
    noise = np.empty((count, channels, height, width), dtype=np.float32)
    for row in range(count):
        for channel in range(channels):
            turn = turns[row, channel]
            middle = np.ones(height * width % 2, dtype=turn.dtype)
            wave = np.concatenate([turn, middle, turn[::-1]]).reshape(height, width)
            field = scipy.fft.ifft2(wave * amplitude).real
            noise[row, channel] = field / field.std()
    return torch.from_numpy(noise).to(like)


def single_frequency_greyscale(inputs: Tensor, severity: int, draws: Draws) -> Tensor:
    """One plane sine wave, the same in all channels, added (Mintun et al., 2021).

    Published for ImageNet; small images take the same severities. The same wave serves all of them.

    Args:
        inputs: images in [0, 1], (N, C, H, W).
    """
    strength = (1.0, 1.5, 2.0, 4.5, 5.0)[severity - 1]
    drawn = draws.uniform("single_frequency_greyscale", 0, None, (4,)).to(inputs.device)[:, :, None, None]
    faster = (2 * drawn[:, 0] - 1) * math.pi
    slower = (2 * drawn[:, 1] - 1) * faster.abs()
    swapped = drawn[:, 2] < 0.5
    rows, columns = grid(inputs)
    across, down = faster.where(swapped, slower), slower.where(swapped, faster)
    wave = (columns * across + rows * down + 2 * math.pi * drawn[:, 3]).sin()
    return (inputs + (wave * (19.6 * strength / 255))[:, None].to(inputs)).clamp(0, 1)


def cocentric_sine_waves(inputs: Tensor, severity: int, draws: Draws) -> Tensor:
    """Rings around a point, wavy with the angle and falling off within each, added to all channels (Mintun et al., 2021).

    Published for ImageNet; small images take the same severities. The same rings serve all of them.

    Args:
        inputs: images in [0, 1], (N, C, H, W).
    """
    strength = (3.0, 5.0, 8.0, 9.0, 10.0)[severity - 1]
    height, width = inputs.shape[-2:]
    drawn = 1 - draws.uniform("cocentric_sine_waves", 0, None, (5,)).to(inputs.device)[:, :, None, None]
    rows, columns = grid(inputs)
    down, across = rows - drawn[:, 0] * height, columns - drawn[:, 1] * width
    frequency, (amplitude, ring) = 10 * drawn[:, 2], (drawn[:, 3:].unbind(1))
    side = min(height, width) / 10
    distance = (down * down + across * across).sqrt()
    wavy = distance + (angle(across, down) * frequency).sin() * amplitude * side
    wave = wavy.remainder(ring * side) / (ring * side) - 0.5
    return (inputs + (wave * (12.8 * strength / 255))[:, None].to(inputs)).clamp(0, 1)


def plasma_noise(inputs: Tensor, severity: int, draws: Draws) -> Tensor:
    """Coloured folds of sines of sines, mixed in (Mintun et al., 2021).

    Published for ImageNet; small images take the same severities. The same folds serve all of them. A grey image gets
    those of the red channel.

    Args:
        inputs: images in [0, 1], (N, C, H, W).
    """
    share = 6.4 * (4.75, 7.0, 8.5, 9.25, 10.0)[severity - 1] / 255
    drawn = draws.uniform("plasma_noise", 0, None, (4,)).to(inputs.device)[:, :, None, None]
    time = 6 * math.pi * drawn[:, 0]
    folds = (drawn[:, 1] * 3).floor() + 4
    sharpness = 0.5 + 0.5 * drawn[:, 2]
    scale = (0.075 + 0.125 * drawn[:, 3]) * min(inputs.shape[-2:])
    rows, columns = grid(inputs)
    y, x = (rows / scale).expand(-1, -1, columns.shape[2]), (columns / scale).expand(-1, rows.shape[1], -1)
    smaller = torch.ones_like(sharpness)
    for fold in range(6):
        first = (y * 1.93**fold + time / 1.15**fold).cos() / smaller
        second = (x * 1.93**fold + time / 1.15**fold).sin() / smaller
        on = fold < folds
        x = torch.where(on, x + (first - 0.3 * second), x)
        y = torch.where(on, y + (second + 0.3 * first), y)
        smaller = smaller * (2.25 - sharpness)
    colours = torch.stack([(x - time).sin(), ((x + y + time.sin()) / 2).sin(), (y + time).sin()], 1)
    return (inputs * (1 - share) + colours[:, : inputs.shape[1]].to(inputs) * share).clamp(0, 1)


def perlin_noise(inputs: Tensor, severity: int, draws: Draws) -> Tensor:
    """Grey clouds, five octaves of absolute gradient noise, mixed in (Mintun et al., 2021, after Perlin, 1985).

    Published for ImageNet; small images take the same severities. The same clouds serve all of them. Gradients are drawn
    for every point of the lattice, where the published code shuffles a table of 256. As there, all octaves share them.

    Args:
        inputs: images in [0, 1], (N, C, H, W).
    """
    share = (4.6, 5.2, 5.8, 7.6, 8.8)[severity - 1] / 20
    height, width = inputs.shape[-2:]
    cell = min(height, width) / 7
    points = (int((height - 1) / cell * 16) + 2, int((width - 1) / cell * 16) + 2)
    # A direction from the middle of a square to a point in it, as published: diagonals are a little likelier.
    gradients = 2 * draws.bulk_uniform("perlin_noise", 0, (2, *points)).double().to(inputs.device) - 1
    length = (gradients[:, 0] * gradients[:, 0] + gradients[:, 1] * gradients[:, 1]).sqrt().clamp_min(1e-12)
    gradients = gradients / length[:, None]
    rows, columns = (axis / cell for axis in grid(inputs))
    clouds = torch.zeros(len(inputs), height, width, dtype=torch.float64, device=inputs.device)
    for octave in (1, 2, 4, 8, 16):
        clouds += _gradient_noise(gradients, rows * octave, columns * octave).abs_() / octave
    clouds = (clouds / 2 + 0.5).clamp(0, 1)[:, None].to(inputs)
    return inputs * (1 - share) + clouds * share


def _gradient_noise(gradients: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Perlin's noise at places in cells, (N, H, W), with gradients (N, 2, rows, columns) at the lattice's points."""
    top, left = rows.floor(), columns.floor()
    down, right = rows - top, columns - left

    def slope(lower: int, further: int) -> Tensor:
        chosen = gradients.index_select(2, top.flatten().long() + lower)
        chosen = chosen.index_select(3, left.flatten().long() + further)
        return chosen[:, 0] * (down - lower) + chosen[:, 1] * (right - further)

    easing = down * down * (3 - 2 * down)
    near = slope(0, 0) + easing * (slope(1, 0) - slope(0, 0))
    far = slope(0, 1) + easing * (slope(1, 1) - slope(0, 1))
    return 1.5 * (near + right * right * (3 - 2 * right) * (far - near))
