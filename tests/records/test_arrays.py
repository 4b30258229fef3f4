"""Records as arrays are what the table says, whatever it is a table of."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from measured import records

from robench.records.arrays import Arrays
from robench.records.schema import to_arrow

FRAME = records(
    [True, False, True, False], image=["b", "a", "b", "c"], target=[1, None, 2, None], margin=[0.5, None, -1.0, 2.0]
)


@pytest.fixture(params=["table", "frame", "parts"])
def cell(request: pytest.FixtureRequest) -> Arrays:
    table = to_arrow(FRAME)
    if request.param == "parts":
        return Arrays(pa.concat_tables([table[:1], table[1:]]))
    return Arrays(table if request.param == "table" else FRAME)


def test_columns_are_converted_and_what_is_not_known_is_told(cell: Arrays) -> None:
    assert len(cell) == 4
    assert cell.flags("success").tolist() == [True, False, True, False]
    assert cell.classes("target").tolist() == [1, -1, 2, -1]
    assert np.isnan(cell.numbers("margin")).tolist() == [False, True, False, False]
    assert cell.numbers("margin")[[0, 2, 3]].tolist() == [0.5, -1.0, 2.0]


def test_images_have_the_rows_that_are_theirs(cell: Arrays) -> None:
    assert cell.names.tolist() == ["a", "b", "c"]
    assert (cell.of.tolist(), cell.first.tolist()) == ([1, 0, 1, 2], [1, 0, 3])
    assert cell.any_row(cell.flags("success")).tolist() == [False, True, False]
    assert cell.sums(np.array([1.0, 2.0, 3.0, 4.0])).tolist() == [2.0, 4.0, 4.0]


def test_some_of_the_rows_are_a_cell_of_their_own(cell: Arrays) -> None:
    some = cell.where(np.array([False, True, False, True]))
    assert (len(some), some.names.tolist(), some.flags("success").tolist()) == (2, ["a", "c"], [False, False])
    assert cell.where(np.ones(4, dtype=bool)) is cell
    assert not cell.same_rows(some) and some.same_rows(Arrays(FRAME.iloc[[1, 3]]))
    assert not some.same_rows(Arrays(FRAME.iloc[[3, 1]])), "in another order"


def test_a_flag_that_is_not_known_is_no() -> None:
    table = to_arrow(FRAME).set_column(
        FRAME.columns.get_loc("success"), "success", pa.array([True, None, None, False], pa.bool_())
    )
    assert Arrays(table).flags("success").tolist() == [True, False, False, False]


def test_what_cells_share_cannot_be_changed(cell: Arrays) -> None:
    with pytest.raises(ValueError, match="read-only"):
        cell.names[0] = "x"
