"""Blur corruptions.

Sums over neighbours are taken image by image: the same calls, on arrays of the same shape, whatever the batch is, so that
the last bits are the same too; and an image stays in the processor's cache, a batch does not.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from robench.attacking.corruptions.motion import motion
from robench.attacking.corruptions.resampling import bell
from robench.attacking.corruptions.severities import severe
from robench.attacking.draws import Draws

_BLOCK = 32
"""Rows or columns of a Gaussian blur that one matrix product computes."""


def defocus_blur(inputs: Tensor, severity: int, draws: Draws) -> Tensor:
    """Blur by a disc whose edge is smoothed, as of a lens out of focus (Hendrycks & Dietterich, 2019).

    Borders are mirrored without repeating the outermost pixel.

    Args:
        inputs: images in [0, 1], (N, C, H, W).
    """
    radius, alias = severe(
        inputs,
        severity,
        ((3.0, 0.1), (4.0, 0.5), (6.0, 0.5), (8.0, 0.5), (10.0, 0.5)),
        ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1.0, 0.2), (1.5, 0.1)),
    )
    kernel = disc(radius, alias)
    reach = kernel.shape[0] // 2
    height, width = inputs.shape[-2:]
    # The frame is filled up to multiples of 16, which Fourier transforms like.
    sides = [-(-(side + 2 * reach) // 16) * 16 for side in (height, width)]
    spectrum = torch.fft.rfft2(kernel.to(inputs), s=sides)

    def blurred(image: Tensor) -> Tensor:
        padded = F.pad(image, (reach, reach, reach, reach), mode="reflect")
        whole: Tensor = torch.fft.irfft2(torch.fft.rfft2(padded, s=sides) * spectrum, s=sides)
        return whole[:, 2 * reach : 2 * reach + height, 2 * reach : 2 * reach + width]

    return _image_by_image(inputs, blurred).clamp_(0, 1)


def disc(radius: float, alias: float) -> Tensor:
    """The kernel: a disc smoothed by a Gaussian of 3 x 3 pixels (5 x 5 beyond radius 8).

    It sums to 1, but for radii from 8 on: there the published kernel is as large as the disc and is mirrored at its edge.
    """
    reach, window = (8, 3) if radius <= 8 else (int(radius), 5)
    places = torch.arange(-reach, reach + 1, dtype=torch.float64)
    full = (places[:, None].square() + places.square() <= radius**2).double()
    full = full / full.sum()
    weights = bell(alias, window // 2)
    padded = F.pad(full[None, None], (window // 2,) * 4, mode="reflect")
    blurred = F.conv2d(padded, (weights[:, None] * weights)[None, None])[0, 0]
    empty = int((blurred.amax(0) < 1e-8).sum()) // 2  # the same on every side; small images have no room for it
    return blurred[empty : len(blurred) - empty, empty : len(blurred) - empty]


def glass_blur(inputs: Tensor, severity: int, draws: Draws) -> Tensor:
    """Pixels replaced by random neighbours between two Gaussian blurs, as behind frosted glass (Hendrycks & Dietterich, 2019).

    The published code means to swap pixels, from the last one backwards. But it assigns views of one array to each
    other, so that each pixel becomes a copy of its neighbour, and the neighbour stays; it may be a copy itself already.
    That is what ImageNet-C contains and what is done here, for grey images too. The offsets of all severities come from
    the same draws.

    Args:
        inputs: images in [0, 1], (N, C, H, W).
    """
    deviation, reach, passes = severe(
        inputs,
        severity,
        ((0.7, 1, 2), (0.9, 2, 1), (1.0, 2, 3), (1.1, 3, 2), (1.5, 4, 2)),
        ((0.05, 1, 1), (0.25, 1, 1), (0.4, 1, 1), (0.25, 1, 2), (0.4, 1, 2)),
    )
    height, width = inputs.shape[-2:]
    # The published code stores 8 bits in between and cuts the rest off; whole levels must survive rounding errors.
    levels = smoothed(inputs, deviation).mul_(255).add_(1e-3).floor_().div_(255)
    shape = (height, width)
    uniform = [draws.bulk_uniform("glass_blur", step, shape).to(inputs.device) for step in range(passes)]
    copies = []
    for image, *numbers in zip(levels.flatten(2), *uniform, strict=True):
        sources = copied_from(numbers[0], reach)
        for more in numbers[1:]:
            sources = sources.index_select(0, copied_from(more, reach))
        copies.append(image.index_select(1, sources))
    return smoothed(torch.stack(copies).view_as(inputs), deviation).clamp_(0, 1)


def copied_from(uniform: Tensor, reach: int) -> Tensor:
    """Where every pixel's value comes from when each, from the last one backwards, is replaced by a random neighbour.

    Offsets are whole numbers from -reach to reach - 1 in both directions. The first reach + 1 and the last reach - 1 rows
    and columns stay.

    Args:
        uniform: numbers in [0, 1), (H, W): a pixel's number decides both of its offsets.

    Returns:
        Flat indices of pixels, int32, (H * W).
    """
    height, width = uniform.shape
    span = torch.arange(-reach, reach, dtype=torch.int32, device=uniform.device)
    offsets = (span[:, None] * width + span).flatten()
    moved = uniform.new_zeros((height, width), dtype=torch.int32)
    inside = (slice(reach + 1, height - reach + 1), slice(reach + 1, width - reach + 1))
    chosen = (uniform[inside] * len(offsets)).int()
    moved[inside] = offsets.index_select(0, chosen.flatten()).view_as(chosen)
    moved = moved.flatten()
    # A later neighbour has been replaced before, so its own source is the one to copy, and so on: such a chain ends at
    # the first pixel that has no later neighbour. Each round doubles the length of the chains that are followed.
    ends = torch.arange(height * width, dtype=torch.int32, device=uniform.device).add_(moved.clamp_min(0))
    while not torch.equal(further := ends.index_select(0, ends), ends):
        ends = further
    return ends + moved.index_select(0, ends)


def motion_blur(inputs: Tensor, severity: int, draws: Draws) -> Tensor:
    """Blur along a line at a random angle, by a one-sided Gaussian (Hendrycks & Dietterich, 2019).

    Angles are uniform on -45 to 45 degrees from the horizontal, the same at all severities. The published code has
    ImageMagick do it, whose 8 bits are met without it: sums are rounded, not cut off, and borders are repeated also where
    the line is longer than the image.

    Args:
        inputs: images in [0, 1], (N, C, H, W).

    Returns:
        Multiples of 1/255.
    """
    radius, deviation = severe(
        inputs,
        severity,
        ((10, 3.0), (15, 5.0), (15, 8.0), (15, 12.0), (20, 15.0)),
        ((6, 1.0), (6, 1.5), (6, 2.0), (8, 2.0), (9, 2.5)),
    )
    angles = draws.uniform("motion_blur", 0, None, ()) * 90 - 45
    channels = inputs.shape[1]
    blurred = motion(inputs.flatten(0, 1), radius, deviation, angles.repeat_interleave(channels)).view_as(inputs)
    return blurred.mul_(255).round_().div_(255).clamp_(0, 1)


def zoom_blur(inputs: Tensor, severity: int, draws: Draws) -> Tensor:
    """Mean of an image and of its centre enlarged by growing factors, from 1 on (Hendrycks & Dietterich, 2019).

    The published code only takes square images; here height and width are cut alike.

    Args:
        inputs: images in [0, 1], (N, C, H, W).
    """
    last, step = severe(
        inputs,
        severity,
        ((1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03)),
        ((1.06, 0.01), (1.11, 0.01), (1.16, 0.01), (1.21, 0.01), (1.26, 0.01)),
    )
    factors = np.arange(1, last, step).tolist()  # whether it stops before `last` depends on its rounding

    def blurred(image: Tensor) -> Tensor:
        total = image.clone()
        for factor in factors:
            total += _enlarged(image, factor)
        return total / (len(factors) + 1)

    return _image_by_image(inputs, blurred).clamp_(0, 1)


def _enlarged(image: Tensor, factor: float) -> Tensor:
    """The centre of an image (C, H, W) enlarged to its size, linear between pixels, corners kept."""
    height, width = image.shape[-2:]
    rows, columns = (math.ceil(side / factor) for side in (height, width))
    top, left = (height - rows) // 2, (width - columns) // 2
    centre = image[None, :, top : top + rows, left : left + columns].contiguous()
    size = [round(rows * factor), round(columns * factor)]
    larger = F.interpolate(centre, size=size, mode="bilinear", align_corners=True)[0]
    # It may be larger than the image by a pixel or two, half of which are cut off at the top and left.
    top, left = (larger.shape[-2] - height) // 2, (larger.shape[-1] - width) // 2
    return larger[:, top : top + height, left : left + width]


def gaussian_blur(inputs: Tensor, severity: int, draws: Draws) -> Tensor:
    """Blur by a Gaussian (Hendrycks & Dietterich, 2019, of their four for validation).

    Args:
        inputs: images in [0, 1], (N, C, H, W).
    """
    deviation = severe(inputs, severity, (1.0, 2.0, 3.0, 4.0, 6.0), (0.4, 0.6, 0.7, 0.8, 1.0))
    return smoothed(inputs, deviation).clamp_(0, 1)


def smoothed(inputs: Tensor, deviation: float) -> Tensor:
    """Images (N, C, H, W) blurred by a Gaussian cut off at four deviations (in pixels), borders repeated."""
    reach = int(4 * deviation + 0.5)
    if reach == 0:
        return inputs.clone()
    # Products with banded matrices, a block of rows or columns each: several times as fast as convolutions.
    window = F.pad(bell(deviation, reach).to(inputs), (0, _BLOCK))
    band = window.repeat(_BLOCK)[:-_BLOCK].view(_BLOCK, -1)
    height, width = inputs.shape[-2:]
    tops = [(top, min(_BLOCK, height - top)) for top in range(0, height, _BLOCK)]
    lefts = [(left, min(_BLOCK, width - left)) for left in range(0, width, _BLOCK)]

    def blurred(image: Tensor) -> Tensor:
        tall = F.pad(image, (0, 0, reach, reach), mode="replicate")
        image = torch.cat([band[:n, : n + 2 * reach] @ tall[:, top : top + n + 2 * reach] for top, n in tops], 1)
        wide = F.pad(image, (reach, reach, 0, 0), mode="replicate")
        return torch.cat([wide[..., left : left + n + 2 * reach] @ band[:n, : n + 2 * reach].T for left, n in lefts], 2)

    return _image_by_image(inputs, blurred)


def _image_by_image(inputs: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
    """A function of images (C, H, W) applied to every one of a batch."""
    return torch.stack([function(image) for image in inputs])
