"""The records of a cell as arrays: a report looks at thousands of cells, and at each of them many times."""

from __future__ import annotations

from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

Flags = NDArray[np.bool_]
Numbers = NDArray[np.float64]
Whole = NDArray[np.int64]


class Arrays:
    """Records by column, each column converted once; of images that have several rows, by image.

    Args:
        source: records of one cell, which do not change any more.

    Example:
        >>> cell = Arrays(pd.DataFrame({"image": ["b", "a", "b"], "fooled": [False, True, True]}))
        >>> cell.names.tolist(), cell.of.tolist(), cell.any_row(cell.flags("fooled")).tolist()
        (['a', 'b'], [1, 0, 1], [True, True])
    """

    def __init__(self, source: pa.Table | pd.DataFrame) -> None:
        self._source = source
        self._known: dict[str, NDArray[Any]] = {}

    def __len__(self) -> int:
        return len(self._source)

    def where(self, rows: Flags) -> Arrays:
        """Those rows alone."""
        if rows.all():
            return self
        return Arrays(self._source.filter(pa.array(rows)) if isinstance(self._source, pa.Table) else self._source[rows])

    def flags(self, name: str) -> Flags:
        """A column of yes and no; what is not known is no."""
        if name not in self._known:
            column = self._source[name]
            known = column.fill_null(False) if isinstance(column, pa.ChunkedArray) and column.null_count else column
            self._known[name] = np.asarray(known.to_numpy(), dtype=np.bool_)
        return self._known[name]

    def numbers(self, name: str) -> Numbers:
        """A column of numbers; NaN where they are not known."""
        if name not in self._known:
            column = self._source[name]
            if isinstance(column, pd.Series):
                self._known[name] = column.to_numpy(dtype=np.float64, na_value=np.nan)
            else:
                self._known[name] = column.to_numpy().astype(np.float64, copy=False)
        return self._known[name]

    def classes(self, name: str) -> Whole:
        """A column of whole numbers from 0; -1 where they are not known."""
        values = self.numbers(name)
        return np.where(np.isnan(values), -1, values).astype(np.int64)

    @cached_property
    def _images(self) -> tuple[NDArray[np.str_], Whole, Whole]:
        column = self._source["image"]
        return _placed(tuple(column.to_pylist() if isinstance(column, pa.ChunkedArray) else column.tolist()))

    @property
    def names(self) -> NDArray[np.str_]:
        """Ids of the images, each once, sorted."""
        return self._images[0]

    @property
    def first(self) -> Whole:
        """The first row of each image, in their order."""
        return self._images[1]

    @property
    def of(self) -> Whole:
        """The place of each row's image among `names`."""
        return self._images[2]

    def any_row(self, rows: Flags) -> Flags:
        """For each image whether any of its rows is one of these."""
        found = np.zeros(len(self.names), dtype=np.bool_)
        found[self.of[rows]] = True
        return found

    def sums(self, values: Numbers) -> Numbers:
        """For each image the sum over its rows."""
        found: Numbers = np.bincount(self.of, values, len(self.names)).astype(np.float64)
        return found

    def same_rows(self, other: Arrays) -> bool:
        """Whether both have the same images in the same order."""
        return len(self) == len(other) and bool((self.of == other.of).all()) and np.array_equal(self.names, other.names)


@lru_cache(maxsize=32)
def _placed(images: tuple[str, ...]) -> tuple[NDArray[np.str_], Whole, Whole]:
    """Names, first rows and places of a column of images; most cells of a store are of the same ones, and share them."""
    names, first, of = np.unique(np.array(images, dtype=np.str_), return_index=True, return_inverse=True)
    for array in (names, first, of):
        array.setflags(write=False)
    return names, first, of
