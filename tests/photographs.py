"""Real photographs for tests, from robench's own data folder; without one the test is skipped."""

from functools import lru_cache

import numpy as np
import pytest
import torch
from torch import Tensor

from robench import Places
from robench.data.pictures import cropped


@lru_cache
def photographs(count: int, size: int = 224) -> Tensor:
    """So many photographs of ImageNet, of classes that are spread evenly, uint8, (count, 3, size, size)."""
    data = Places.of().data
    found = sorted((data / "imagenet" / "val").glob("*/*.JPEG")) if data else []
    if len(found) < count:
        pytest.skip("needs ImageNet photographs under ROBENCH_DATA/imagenet/val")
    chosen = [found[place] for place in np.linspace(0, len(found) - 1, count).round().astype(int)]
    return torch.from_numpy(np.stack([cropped(file, size) for file in chosen]).transpose(0, 3, 1, 2).copy())
