"""Records: one row for each image and condition. Every number in a table is computed from these."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from robench.judge import Verdict

SCHEMA = pa.schema(
    [
        ("image", pa.string()),  # id, from the pixels
        ("label", pa.int32()),
        ("clean_prediction", pa.int32()),
        ("correct", pa.bool_()),  # classified correctly before the attack; only these are attacked
        ("eps", pa.float64()),
        ("target", pa.int32()),
        ("corruption", pa.string()),
        ("severity", pa.int32()),
        ("frame", pa.int32()),
        ("draw", pa.int32()),
        ("prediction", pa.int32()),
        ("fooled", pa.bool_()),  # not classified as its label after the attack
        ("success", pa.bool_()),  # the attack's goal is reached
        ("prediction_uint8", pa.int32()),
        ("success_uint8", pa.bool_()),
        ("margin", pa.float64()),
        ("confidence", pa.float64()),  # of the label, after the attack
        ("l0", pa.float64()),
        ("l1", pa.float64()),
        ("l2", pa.float64()),
        ("linf", pa.float64()),
        ("forwards", pa.int64()),
        ("backwards", pa.int64()),
        ("seconds", pa.float64()),
        ("adversarial", pa.binary()),  # float32, (C, H, W); null where it was not kept
    ]
)
COLUMNS = [name for name in SCHEMA.names if name != "adversarial"]


def attacked_rows(
    ids: list[str],
    labels: Tensor,
    clean: Tensor,
    targets: Tensor | None,
    eps: float | None,
    verdict: Verdict,
    forwards: Tensor,
    backwards: Tensor,
    seconds: float,
    adversarial: Tensor,
    keep: set[str],
) -> pd.DataFrame:
    """Rows of attacked images.

    Args:
        clean: predictions before the attack.
        seconds: of the whole shard, shared evenly among its rows.
        keep: ids of the images whose adversarial pixels are kept.
    """
    pixels = adversarial.to("cpu", torch.float32).numpy()
    return _frame(
        len(ids),
        image=ids, label=labels, clean_prediction=clean, correct=True, eps=eps, target=targets,
        prediction=verdict.prediction, fooled=verdict.fooled, success=verdict.success,
        prediction_uint8=verdict.prediction_uint8, success_uint8=verdict.success_uint8,
        margin=verdict.margin, confidence=verdict.confidence, **verdict.norms,
        forwards=forwards, backwards=backwards, seconds=seconds / max(1, len(ids)),
        adversarial=[image.tobytes() if i in keep else None for i, image in zip(ids, pixels, strict=True)],
    )  # fmt: skip


def clean_error_rows(
    ids: list[str], labels: Tensor, logits: Tensor, targets: Tensor | None, eps: float | None
) -> pd.DataFrame:
    """Rows of images that were misclassified before the attack: fooled at distance 0, and not attacked."""
    clean = logits.argmax(1)
    return _frame(
        len(ids),
        image=ids, label=labels, clean_prediction=clean, correct=False, eps=eps, target=targets,
        prediction=clean, fooled=True, success=True if targets is None else clean == targets,
        prediction_uint8=clean, success_uint8=True if targets is None else clean == targets,
        margin=None, confidence=logits.double().softmax(1).gather(1, labels[:, None]).squeeze(1),
        l0=0.0, l1=0.0, l2=0.0, linf=0.0, forwards=0, backwards=0, seconds=0.0, adversarial=None,
    )  # fmt: skip


def _frame(count: int, **columns: object) -> pd.DataFrame:
    def column(name: str) -> object:
        value = columns.get(name)
        if isinstance(value, Tensor):
            return value.detach().cpu().numpy()
        return value if isinstance(value, list) else [value] * count

    table = pa.table({name: pa.array(column(name), SCHEMA.field(name).type) for name in SCHEMA.names})
    return to_frame(table)


def to_frame(table: pa.Table) -> pd.DataFrame:
    """An Arrow table of records as a DataFrame with nullable integer columns."""
    nullable = {pa.int32(): pd.Int32Dtype(), pa.string(): pd.StringDtype()}
    frame: pd.DataFrame = table.to_pandas(types_mapper=nullable.get)
    return frame


def to_arrow(frame: pd.DataFrame) -> pa.Table:
    """A DataFrame of records as an Arrow table of the fixed schema."""
    return pa.Table.from_pandas(frame[SCHEMA.names], SCHEMA, preserve_index=False)


def empty() -> pd.DataFrame:
    """No records."""
    return to_frame(SCHEMA.empty_table())


def kept_pixels(record: pd.Series, shape: tuple[int, int, int]) -> NDArray[np.float32]:
    """The adversarial image of a record that was kept, float32, (C, H, W)."""
    return np.frombuffer(record["adversarial"], dtype=np.float32).reshape(shape)
