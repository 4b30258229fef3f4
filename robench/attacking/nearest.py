"""What a minimal attack keeps: of each image the nearest that reached the goal."""

from __future__ import annotations

import torch
from torch import Tensor


class Nearest:
    """The nearest images found so far; those with the margin that is wanted go before those that only reach the goal.

    Args:
        inputs: the images, (N, ...), which stand where nothing is found.

    Attributes:
        images: (N, ...).
        sizes: of what was found, (N,); infinite where nothing was.

    Example:
        >>> nearest, row = Nearest(torch.zeros(1, 2)), torch.tensor([0])
        >>> for image, size, sure in ((0.3, 0.3, False), (0.5, 0.5, True), (0.4, 0.4, False)):
        ...     nearest.offer(row, torch.full((1, 2), image), torch.tensor([size]), torch.tensor([True]), torch.tensor([sure]))
        >>> nearest.images
        tensor([[0.5000, 0.5000]])
    """

    def __init__(self, inputs: Tensor) -> None:
        self.images = inputs.clone()
        self.sizes = torch.full((len(inputs),), torch.inf, device=inputs.device, dtype=inputs.dtype)
        self._sure = torch.zeros(len(inputs), device=inputs.device, dtype=torch.bool)

    def offer(self, rows: Tensor, images: Tensor, sizes: Tensor, reached: Tensor, sure: Tensor | None = None) -> None:
        """Keep what is better than what there is.

        Args:
            rows: which of the images these are candidates for, (n,).
            sizes: what is to be small, (n,).
            reached: whether the goal is, bool, (n,).
            sure: whether it is with the margin that is wanted, bool, (n,); None: wherever it is reached.
        """
        sure = reached if sure is None else sure
        sizes, had = sizes.to(self.sizes), self._sure[rows]
        better = reached & ((sure & ~had) | ((sure == had) & (sizes < self.sizes[rows])))
        self.images[rows[better]], self.sizes[rows[better]] = images[better], sizes[better]
        self._sure[rows] |= reached & sure
