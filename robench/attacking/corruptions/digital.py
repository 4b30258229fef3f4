"""Digital corruptions: contrast, elastic transform, pixelation, JPEG compression, saturation."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from io import BytesIO

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from torch import Tensor

from robench.attacking.corruptions.severities import severe
from robench.attacking.draws import Draws

Bytes = NDArray[np.uint8]


def contrast(inputs: Tensor, severity: int, draws: Draws) -> Tensor:
    """Every channel drawn towards its mean over the image (Hendrycks & Dietterich, 2019).

    Args:
        inputs: images in [0, 1], (N, C, H, W).
    """
    kept = severe(inputs, severity, (0.4, 0.3, 0.2, 0.1, 0.05), (0.75, 0.5, 0.4, 0.3, 0.15))
    # Row by row, and the rows in double precision: the order of the sums must not depend on the batch or the threads.
    sums = inputs.sum(3, keepdim=True).sum(2, keepdim=True, dtype=torch.float64)
    mean = (sums / (inputs.shape[2] * inputs.shape[3])).to(inputs.dtype)
    return torch.lerp(mean, inputs, kept).clamp_(0, 1)


def elastic_transform(inputs: Tensor, severity: int, draws: Draws) -> Tensor:
    """An image stretched at random: an affine map by three points, then a smooth field (Hendrycks & Dietterich, 2019).

    The published affine step rounds places to 1/32 pixel, this one does not. Points of images that are not square lie around
    the middle; there the published code swaps the axes.

    Args:
        inputs: images in [0, 1], (N, C, H, W).
    """
    amount, sigma, shift = severe(
        inputs,
        severity,
        ((488.0, 170.8, 24.4), (488.0, 19.52, 48.8), (12.2, 2.44, 4.88), (17.08, 2.44, 4.88), (29.28, 2.44, 4.88)),
        ((0.0, 0.0, 2.56), (1.6, 6.4, 2.24), (2.56, 1.92, 1.92), (3.2, 1.28, 1.6), (3.2, 0.96, 0.96)),
    )
    height, width = inputs.shape[2:]
    moved = (2 * draws.uniform("elastic_transform/affine", 0, None, (3, 2)) - 1) * shift
    source = _inverse_affine(height, width, moved).to(inputs)[..., None, None]
    rows = torch.arange(height, dtype=inputs.dtype, device=inputs.device)[:, None]
    columns = torch.arange(width, dtype=inputs.dtype, device=inputs.device)
    x, y = (source[:, axis, 0] * columns + (source[:, axis, 1] * rows + source[:, axis, 2]) for axis in (0, 1))
    stretched = _sampled(inputs, x, y, repeat_border=False)
    if not amount:
        return stretched.clamp_(0, 1)
    fields = draws.bulk_uniform("elastic_transform/field", 0, (2, height, width)).mul_(2).sub_(1)
    down, across = _smoothing(height, sigma), _smoothing(width, sigma).T.contiguous()
    # A product an image: the batch must not decide in which order it is summed.
    for image in fields:
        for field in image:
            field.copy_(down @ field.clone() @ across)
    offsets = fields.mul_(amount).to(inputs)
    return _sampled(stretched, columns + offsets[:, 0], rows + offsets[:, 1], repeat_border=True).clamp_(0, 1)


def _inverse_affine(height: int, width: int, moved: Tensor) -> Tensor:
    """Where each place (x, y, 1) comes from when three points around the middle are moved by so many pixels, (N, 2, 3)."""
    middle, reach = torch.tensor([width // 2, height // 2]), min(height, width) // 3
    points = middle + reach * torch.tensor([[1, 1], [1, -1], [-1, -1]])
    ends = points + moved
    corner = torch.cat([ends, torch.ones_like(ends[..., :1])], 2)
    # One at a time: solvers may take another way for a batch.
    solved = [torch.linalg.solve(one, points.double()).T for one in corner]
    return torch.stack(solved)


def _sampled(images: Tensor, x: Tensor, y: Tensor, repeat_border: bool) -> Tensor:
    """Images at places (pixels, (N, H, W)) by linear interpolation, mirrored outside.

    Args:
        repeat_border: mirror so that the outermost pixel comes twice, else once.
    """
    height, width = images.shape[2:]
    extra, least = (0, 1) if repeat_border else (1, 0)
    grid = images.new_empty((*x.shape, 2))
    for axis, (places, size) in enumerate(((x, width), (y, height))):
        span = size - extra
        torch.add(places, (least - span) / 2, out=grid[..., axis]).mul_(2 / span)
    return F.grid_sample(images, grid, padding_mode="reflection", align_corners=not repeat_border)


@lru_cache(maxsize=16)
def _smoothing(size: int, sigma: float) -> Tensor:
    """A Gaussian up to three deviations with mirrored borders, as a matrix on an axis: fast however wide it is."""
    return torch.from_numpy(
        ndimage.gaussian_filter1d(np.eye(size), sigma, axis=0, mode="reflect", truncate=3).astype(np.float32)
    )


def pixelate(inputs: Tensor, severity: int, draws: Draws) -> Tensor:
    """Made smaller and larger again by Pillow's box filter (Hendrycks & Dietterich, 2019).

    Args:
        inputs: images in [0, 1], (N, C, H, W).
    """
    share = severe(inputs, severity, (0.6, 0.5, 0.4, 0.3, 0.25), (0.95, 0.9, 0.85, 0.75, 0.65))
    height, width = inputs.shape[2:]
    smaller = (int(width * share), int(height * share))

    # A box filter that enlarges picks the pixel under the middle.
    columns, rows = (
        ((np.arange(size) + 0.5) * (count / size)).astype(int)
        for count, size in zip(smaller, (width, height), strict=True)
    )

    def change(picture: Image.Image) -> Bytes:
        small = np.asarray(picture.resize(smaller, Image.Resampling.BOX))
        return small.take(columns, 1).take(rows, 0)

    return _on_pictures(inputs, change)


def jpeg_compression(inputs: Tensor, severity: int, draws: Draws) -> Tensor:
    """Written as a JPEG by Pillow and read again (Hendrycks & Dietterich, 2019).

    Args:
        inputs: images in [0, 1], (N, C, H, W); grey ones become grey JPEGs.
    """
    quality = severe(inputs, severity, (25, 18, 15, 10, 7), (80, 65, 58, 50, 40))

    def change(picture: Image.Image) -> Bytes:
        written = BytesIO()
        picture.save(written, "JPEG", quality=quality)
        return np.array(Image.open(written))

    return _on_pictures(inputs, change)


def _on_pictures(inputs: Tensor, change: Callable[[Image.Image], Bytes]) -> Tensor:
    """Images changed as 8-bit pictures, one by one, by what keeps their size (and gives (H, W) or (H, W, 3))."""
    images = inputs.cpu().numpy()
    changed = torch.empty(images.shape)
    # One pair of buffers for all: new memory for each image would cost as much as the arithmetic.
    levels, pixels = np.empty(images.shape[1:], dtype=np.float32), np.empty(images.shape[1:], dtype=np.uint8)
    for image, result in zip(images, changed, strict=True):
        np.multiply(image, np.float32(255), out=levels)
        np.add(levels, np.float32(0.5), out=pixels, casting="unsafe")
        bands = [Image.fromarray(band) for band in pixels]
        found = torch.from_numpy(change(bands[0] if len(bands) == 1 else Image.merge("RGB", bands)))
        result.copy_(found.view(*found.shape[:2], -1).movedim(-1, 0))
    return changed.to(inputs.device).div_(255).to(inputs.dtype)


def saturate(inputs: Tensor, severity: int, draws: Draws) -> Tensor:
    """Saturation (of HSV) scaled and raised, hue and value kept (Hendrycks & Dietterich, 2019).

    Severities 1 and 2 take colour away, the others add it; colourless pixels have the hue of red, as published.

    Args:
        inputs: images in [0, 1], (N, C, H, W); grey ones stay as they are.
    """
    scale, more = severe(
        inputs,
        severity,
        ((0.3, 0.0), (0.1, 0.0), (2.0, 0.0), (5.0, 0.1), (20.0, 0.2)),
        ((0.3, 0.0), (0.1, 0.0), (1.5, 0.0), (2.0, 0.1), (2.5, 0.2)),
    )
    if inputs.shape[1] == 1:
        return inputs.clone()
    value = inputs.amax(1, keepdim=True)
    spread = value - inputs.amin(1, keepdim=True)
    coloured = spread > 0
    # Saturation is the spread over the value, so that the wanted spread is this; channels keep their share of it.
    wanted = (spread * scale + value * more).minimum(value)
    if not more:
        return (value - (value - inputs) * (wanted / spread.where(coloured, spread.new_ones(())))).clamp_(0, 1)
    below_red = inputs.new_tensor([0.0, 1.0, 1.0]).reshape(1, 3, 1, 1)
    share = ((value - inputs) / spread).where(coloured, below_red)
    return (value - share * wanted).clamp_(0, 1)
