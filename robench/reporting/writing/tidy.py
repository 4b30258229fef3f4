"""All tables as one, a line a number, as pandas and others read it in one call."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

from robench.console import one_line
from robench.reporting.tables import About, Cell, Column, Table

Line = dict[str, str | float | int | None]
COLUMNS = [
    *("table", "dataset", "defense", "attack", "norm", "eps", "seed", "n"),
    *("metric", "count", "total", "value", "low", "high", "weights", "data", "note"),
]
"""`note`: what must be read with a number, such as that it is an upper bound, or why there is none."""


def as_csv(tables: Sequence[Table]) -> str:
    """Numbers in full, shares as fractions, with the ends of their intervals where there are any."""
    return comma_separated(COLUMNS, (line for table in tables for line in lines_of(table)))


def comma_separated(columns: Sequence[str], lines: Iterable[Mapping[str, object]]) -> str:
    """Lines as CSV, what is of no column left out; texts without control characters, since a terminal may show it."""
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    for line in lines:
        writer.writerow({name: one_line(value) if isinstance(value, str) else value for name, value in line.items()})
    return out.getvalue()


def lines_of(table: Table) -> Iterator[Line]:
    """Every cell, and every row and cell that has no number, as plain values."""
    of = table.of or [About(defense=label) for label, _ in table.rows]
    name = table.name or table.title
    for (_, cells), remark, row in zip(table.rows, table.remarks or [""] * len(table.rows), of, strict=True):
        for column, cell in zip(table.columns, cells, strict=True):
            yield {"table": name, **_of(column, row.over(column.of)), **_numbers(cell, remark)}
    nothing: Line = dict.fromkeys(COLUMNS)
    for one in table.failures:
        where = of[0] if of else About()
        state = "broken" if one.attack else "refused"
        told: Line = {"table": name, "dataset": one.dataset, "defense": one.label, "attack": one.attack}
        yield nothing | told | {"seed": where.seed, "metric": state, "best": False, "note": one.reason}


def _of(column: Column, about: About) -> Line:
    return {
        "dataset": about.dataset,
        "defense": about.defense,
        "attack": about.attack,
        "norm": about.norm,
        "eps": about.eps,
        "seed": about.seed,
        "metric": about.metric or " ".join(filter(None, [column.group, column.name])),
        "weights": about.weights,
        "data": about.data,
    }


def _numbers(cell: Cell, remark: str) -> Line:
    low, high = cell.interval or (math.nan, math.nan)
    count, total = cell.counted or (None, None)
    return {
        "n": cell.n or None,
        "count": count,
        "total": total,
        "value": _finite(cell.value),
        "low": _finite(low),
        "high": _finite(high),
        "best": cell.best,
        "note": "; ".join(filter(None, ["at most" if cell.at_most else "", cell.note, remark])),
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
