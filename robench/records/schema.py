"""Records: one row for each image and condition. Every number in a table is computed from these."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from robench.records.arrays import Arrays

NORMS = ("l0", "l1", "l2", "linf")
GOALS = ("budget", "minimal", "natural")
"""What a threat is: within a radius, the smallest that succeeds, or no attack at all."""


class Field(NamedTuple):
    """A column of the records: its name, its type in Parquet, its unit, and what it means."""

    name: str
    type: pa.DataType
    unit: str
    meaning: str


FIELDS = (
    Field("image", pa.string(), "", "id of the image, from its decoded pixels"),
    Field("label", pa.int32(), "class", "of the image"),
    Field("clean_prediction", pa.int32(), "class", "before the attack"),
    Field("correct", pa.bool_(), "", "classified correctly before the attack; only these are attacked"),
    Field("eps", pa.float64(), "pixels in [0, 1]", "radius that the attack was given; null for a minimal attack"),
    Field("target", pa.int32(), "class", "that the attack aimed at; null for an untargeted one"),
    Field("corruption", pa.string(), "", "name of the corruption; null where there is none"),
    Field("severity", pa.int32(), "1 to 5", "of the corruption"),
    Field("frame", pa.int32(), "", "of a sequence, from 0"),
    Field("draw", pa.int32(), "", "which of several draws of the same condition, such as masks of patches"),
    Field("prediction", pa.int32(), "class", "of the judge's forward pass after the attack"),
    Field("fooled", pa.bool_(), "", "not classified as its label after the attack"),
    Field("success", pa.bool_(), "", "the attack's goal is reached: fooled, or classified as the target"),
    Field(
        "top5",
        pa.list_(pa.int32()),
        "classes",
        "the most likely first, where a frame of a sequence is ranked; else null",
    ),
    Field("prediction_uint8", pa.int32(), "class", "after rounding to 8 bits a channel"),
    Field("success_uint8", pa.bool_(), "", "success after rounding to 8 bits a channel"),
    Field(
        "margin", pa.float64(), "logits", "of the attack's goal, above 0 where it is reached; null where not attacked"
    ),
    Field("confidence", pa.float64(), "probability", "of the label, after the attack"),
    Field("certainty", pa.float64(), "probability", "of the prediction, after the attack"),
    Field("l0", pa.float64(), "elements", "that change by more than half a grey level, 1/510"),
    Field("l1", pa.float64(), "pixels in [0, 1]", "norm of the perturbation"),
    Field("l2", pa.float64(), "pixels in [0, 1]", "norm of the perturbation"),
    Field("linf", pa.float64(), "pixels in [0, 1]", "norm of the perturbation"),
    Field("forwards", pa.int64(), "passes", "forward passes of the attack for this row"),
    Field("backwards", pa.int64(), "passes", "backward passes of the attack for this row"),
    Field("seconds", pa.float64(), "CPU seconds", "of the shard, shared evenly among its rows"),
    Field("adversarial", pa.binary(), "pixels in [0, 1]", "float32, (C, H, W); null where it was not kept"),
    Field("clean", pa.binary(), "8 bits a channel", "uint8, (C, H, W), where the adversarial image was kept"),
)
PIXELS = ("adversarial", "clean")
"""Columns that hold images, read only where they are shown."""
SCHEMA = pa.schema([(field.name, field.type) for field in FIELDS])
WITHOUT_PIXELS = [field.name for field in FIELDS if field.name not in PIXELS]
KEY = ["image", "eps", "target", "corruption", "severity", "frame", "draw"]
"""What tells the rows of a unit apart."""


def frame_of(count: int, columns: dict[str, object]) -> pd.DataFrame:
    """Records from lists, arrays, or one value for all rows; columns that are not given are null.

    Args:
        count: of rows.
    """

    def column(name: str) -> object:
        value = columns.get(name)
        return value if isinstance(value, list | np.ndarray) else [value] * count

    table = pa.table({name: pa.array(column(name), SCHEMA.field(name).type) for name in SCHEMA.names})
    return to_frame(table)


def to_frame(table: pa.Table) -> pd.DataFrame:
    """An Arrow table of records as a DataFrame with nullable integer columns."""
    nullable = {pa.int32(): pd.Int32Dtype(), pa.string(): pd.StringDtype()}
    frame: pd.DataFrame = table.replace_schema_metadata(None).to_pandas(types_mapper=nullable.get)
    return frame


def to_arrow(frame: pd.DataFrame, names: Sequence[str] = SCHEMA.names) -> pa.Table:
    """A DataFrame of records as an Arrow table of the fixed schema.

    Raises:
        ValueError: it lacks a column, or one holds something else.
    """
    if lacking := [name for name in names if name not in frame]:
        raise ValueError(f"there is no column {lacking[0]!r}")
    fields = pa.schema([SCHEMA.field(name) for name in names])
    try:
        return pa.Table.from_pandas(frame[[*names]], fields, preserve_index=False)
    except (pa.ArrowException, TypeError, NotImplementedError) as error:
        raise ValueError(str(error.args[-1] if error.args else error)) from error


def adversarial_pixels(record: pd.Series, shape: tuple[int, int, int]) -> NDArray[np.float32]:
    """The adversarial image of a record that was kept, float32 in [0, 1], (C, H, W)."""
    return np.frombuffer(record["adversarial"], dtype=np.float32).reshape(shape)


def clean_pixels(record: pd.Series, shape: tuple[int, int, int]) -> NDArray[np.float32]:
    """The image of a record before the attack, float32 in [0, 1], (C, H, W)."""
    return (np.frombuffer(record["clean"], dtype=np.uint8).reshape(shape) / 255).astype(np.float32)


def check(records: pa.Table, *, natural: bool) -> None:
    """That records can be counted: a digest says that they are as they were written, not that they are records.

    Args:
        records: of the fixed schema.
        natural: of a threat that is no attack, whose sizes may be unknown.

    Raises:
        ValueError: they cannot.
    """
    for name in ("correct", "success", "fooled"):
        if records[name].null_count:
            raise ValueError(f"{name} is not true or false in every row")
    cell = Arrays(records)
    for name in ("label", "clean_prediction", "prediction"):
        if (cell.classes(name) < 0).any():
            raise ValueError(f"{name} is no class in every row")
    for name in NORMS:
        sizes = cell.numbers(name)
        if (sizes < 0).any() or (not natural and np.isnan(sizes).any()):
            raise ValueError("a size of a perturbation is missing or below 0")
    for name in ("confidence", "certainty"):
        values = cell.numbers(name)
        if ((values < 0) | (values > 1)).any():
            raise ValueError(f"a {name} is no probability")
    if records["image"].null_count:
        raise ValueError("an image has no id")
    if not distinct(records):
        raise ValueError("an image is there twice under one condition")


def distinct(records: pa.Table) -> bool:
    """Whether no two rows are of one image under one condition."""
    if len(records["image"].unique()) == len(records):
        return True
    return len(records.group_by(KEY).aggregate([])) == len(records)
