"""Where training batches come from: uint8 pixels on the training's device, cropped and mirrored there."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from robench.data.splits import Split
from robench.training.recipe import Schedule


class Pool:
    """The pixels of a split for batches on a device: all of them are held there if they fit, else they are moved batch by batch.

    Args:
        room: bytes of the device that they may take.
    """

    def __init__(self, split: Split, device: torch.device, room: int) -> None:
        self.split, self.device = split, device
        fits = 0 < len(split) * int(np.prod(split.shape)) <= room
        self._held = torch.from_numpy(split.pixels(slice(None))).to(device) if fits else None

    def pixels(self, places: NDArray[np.int64]) -> Tensor:
        """The images at these places of the split, uint8, (n, C, H, W), on the device."""
        if self._held is None:
            return torch.from_numpy(self.split.pixels(places)).to(self.device)
        return self._held[torch.from_numpy(places).to(self.device)]


def room_on(device: torch.device) -> int:
    """Bytes that a training set may take: a quarter of a GPU's free memory; none on a CPU, where it is in memory anyway."""
    return torch.cuda.mem_get_info(device)[0] // 4 if device.type == "cuda" else 0


def augment(pixels: Tensor, schedule: Schedule, draws: torch.Generator) -> Tensor:
    """Random crops of the zero-padded images and random mirrorings, as the schedule says; uint8 in and out.

    Args:
        draws: of the CPU, so that every device deals the same.
    """
    count, _, height, width = pixels.shape
    device = pixels.device
    if schedule.crop:
        pad = schedule.crop
        padded = nn.functional.pad(pixels, (pad, pad, pad, pad))
        down, right = torch.randint(0, 2 * pad + 1, (2, count, 1), generator=draws).to(device)
        rows, columns = down + torch.arange(height, device=device), right + torch.arange(width, device=device)
        image = torch.arange(count, device=device)[:, None, None]
        pixels = padded[image, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
    if schedule.flip:
        mirrored = (torch.rand(count, generator=draws) < 0.5).to(device)
        pixels = torch.where(mirrored[:, None, None, None], pixels.flip(-1), pixels)
    return pixels.contiguous()
