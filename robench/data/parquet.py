"""Images with labels in Parquet files, as Hugging Face publishes them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from robench.data.decoding import Half, LabelledImage
from robench.data.pictures import picture_pixels
from robench.errors import DataError

LABELS = ("label", "fine_label", "labels")


def parquet_half(files: Sequence[Path], classes: int) -> Half:
    """The images of one half of a data set, in the order of the files.

    Raises:
        DataError: naming the file (and the row) that is damaged, has no image, or no label of 0 to `classes` - 1.
    """
    import pyarrow.parquet as pq

    def opened(file: Path) -> Any:
        try:
            return pq.ParquetFile(file)
        except Exception as error:
            raise DataError(f"the Parquet file {file} is truncated or damaged ({error}); fetch it again") from error

    def rows() -> Iterator[LabelledImage]:
        for file in files:
            done = 0
            for batch in _batches(opened(file), file):
                for row in batch:
                    where = f"row {done} of {file}"
                    yield picture_pixels(_image(row, where), f"the image in {where}"), _label(row, where, classes)
                    done += 1

    return Half(list(files), sum(opened(file).metadata.num_rows for file in files), rows, ["parquet", classes])


def parquet_names(file: Path) -> list[str]:
    """The names of the classes that a Parquet file itself gives, in their order; empty where it gives none."""
    import pyarrow.parquet as pq

    try:
        said = json.loads((pq.ParquetFile(file).schema_arrow.metadata or {})[b"huggingface"])
        features = said["info"]["features"]
        named = next(features[key]["names"] for key in LABELS if "names" in features.get(key, {}))
        return [str(name) for name in named]
    except Exception:  # a damaged file is told of where it is read
        return []


def _batches(opened: Any, file: Path) -> Iterator[list[dict[str, Any]]]:
    try:
        for batch in opened.iter_batches(1024):
            yield batch.to_pylist()
    except DataError:
        raise
    except Exception as error:
        raise DataError(f"the Parquet file {file} is truncated or damaged ({error}); fetch it again") from error


def _image(row: dict[str, Any], where: str) -> bytes:
    found = next((value for value in row.values() if isinstance(value, dict) and "bytes" in value), None)
    if found is None or not isinstance(found["bytes"], bytes):
        raise DataError(
            f"{where} holds no image; wanted a column of images (struct of bytes and path), found {', '.join(map(str, row))}"
        )
    return found["bytes"]


def _label(row: dict[str, Any], where: str, classes: int) -> int:
    column = next((key for key in LABELS if key in row), None)
    if column is None:
        raise DataError(
            f"{where} has no label; wanted a column {' or '.join(LABELS)}, found {', '.join(map(str, row))}"
        )
    label = row[column]
    if not isinstance(label, int) or isinstance(label, bool) or not 0 <= label < classes:
        raise DataError(f"{where} has the label {label!r}; wanted a whole number from 0 to {classes - 1}")
    return label
