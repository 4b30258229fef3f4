"""When memory runs out: recognised on every device, answered with smaller batches."""

from __future__ import annotations

import torch


def ran_out(error: BaseException) -> bool:
    """Whether an error says that there is no memory left, of a GPU or of the machine."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    )
