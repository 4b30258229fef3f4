"""Tables: one model of cells, from which the terminal, Markdown, CSV, LaTeX and HTML are written."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from robench.reporting import escaping
from robench.reporting.statistics import Interval

CSV_COLUMNS = ["defense", "group", "metric", "value", "low", "high", "best", "n", "note"]


@dataclass(frozen=True)
class Column:
    """A column: which group it stands in, its name, whether more is better for the defender (None: neither is), how its numbers
    are printed."""

    group: str
    name: str
    higher_is_better: bool | None
    digits: int = 1
    percent: bool = False

    @property
    def header(self) -> str:
        return self.name if self.higher_is_better is None else f"{self.name} {'↑' if self.higher_is_better else '↓'}"

    def shown(self, number: float, sign: str = "") -> str:
        """A number of this column, without what it is of; sign: "+" to have one before it in any case."""
        return f"{number * (100 if self.percent else 1):{sign}.{self.digits}f}"

    def cell(
        self, value: float, interval: Interval | None = None, spread: float | None = None, *, at_most: bool = False
    ) -> Cell:
        """The cell of a value (NaN: there is none), printed with its spread where it has one.

        Args:
            at_most: more attacks could only lower it.
        """
        if math.isnan(value):
            return Cell("–")
        shown = [self.shown(number) for number in (value, spread or 0.0)]
        text = shown[0] if spread is None else " ± ".join(shown)
        merit = math.nan if self.higher_is_better is None else value if self.higher_is_better else -value
        return Cell(
            f"{'≤ ' if at_most else ''}{text}", value, interval, merit=math.nan if at_most else merit, at_most=at_most
        )


@dataclass(frozen=True)
class Cell:
    """A number as it is printed.

    Attributes:
        best: it is the column's best, or not significantly different from it.
        merit: what the column's marks are decided by, more is better for the defender; NaN: it has no rank.
        at_most: more attacks could only lower it.
        n: images that it is of; 0 where that does not apply.
        images: names the set of these images.
        note: what must be read with it.
    """

    text: str
    value: float = math.nan
    interval: Interval | None = None
    best: bool = False
    merit: float = math.nan
    at_most: bool = False
    n: int = 0
    images: str = ""
    note: str = ""

    def saying(self, note: str) -> Cell:
        """The same with something in brackets behind its number."""
        return replace(self, text=f"{self.text} ({note})", note="; ".join(filter(None, [self.note, note])))


class Failure(NamedTuple):
    """A row, or of a row one attack, that has no numbers.

    Attributes:
        attack: empty where the whole row is refused.
    """

    label: str
    attack: str
    reason: str

    @property
    def text(self) -> str:
        return f"broken under {self.attack}: {self.reason}" if self.attack else f"refused: {self.reason}"


@dataclass(frozen=True)
class Table:
    """A table with its caption; every renderer reads only this.

    Attributes:
        remarks: for each row what must be read with all of it, such as its n where rows differ; none at all: [].
        failures: rows below the others, without numbers.
        head: what the rows are.
    """

    title: str
    columns: list[Column]
    rows: list[tuple[str, list[Cell]]]
    caption: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    head: str = "Defense"

    def said(self) -> list[tuple[str, list[Cell]]]:
        """The rows, their labels with what must be read with them."""
        remarks = self.remarks or [""] * len(self.rows)
        return [
            (" · ".join(filter(None, [label, remark])), cells)
            for (label, cells), remark in zip(self.rows, remarks, strict=True)
        ]

    def groups(self) -> list[tuple[str, int]]:
        """Adjacent columns of the same group: (name, how many)."""
        found: list[tuple[str, int]] = []
        for column in self.columns:
            if found and found[-1][0] == column.group:
                found[-1] = (column.group, found[-1][1] + 1)
            else:
                found.append((column.group, 1))
        return found

    def text(self, *, color: bool = False) -> str:
        """For a terminal; the best of a column is marked with an asterisk, or bold with color."""

        def shown(cell: Cell) -> str:
            if not cell.best:
                return cell.text + ("" if color else " ")
            return f"\x1b[1m{cell.text}\x1b[0m" if color else f"{cell.text}*"

        names = [escaping.one_line(label) for label, _ in self.said()]
        lost = [(escaping.one_line(one.label), escaping.one_line(one.text)) for one in self.failures]
        first = max([len(name) for name in [*names, *(label for label, _ in lost)]] + [len(self.head)])
        widths = [
            max([len(c.header)] + [len(cells[i].text) + (not color) for _, cells in self.rows])
            for i, c in enumerate(self.columns)
        ]
        top, place = " " * first, 0
        for group, span in self.groups():
            name = escaping.one_line(group)
            width = sum(widths[place : place + span]) + 2 * (span - 1)
            if len(name) > width:
                widths[place + span - 1] += len(name) - width
                width = len(name)
            top += "  " + name.center(width)
            place += span
        head = self.head.ljust(first) + "".join(
            "  " + c.header.rjust(w) for c, w in zip(self.columns, widths, strict=True)
        )
        lines = [escaping.one_line(self.title), top.rstrip(), head, "─" * len(head)]
        for label, (_, cells) in zip(names, self.rows, strict=True):
            padded = [" " * (w - len(c.text) - (not color)) + shown(c) for c, w in zip(cells, widths, strict=True)]
            lines.append(label.ljust(first) + "".join("  " + p for p in padded))
        lines += [f"{label.ljust(first)}  {why}" for label, why in lost]
        return "\n".join([*lines, "", *map(escaping.one_line, self.caption)])

    def markdown(self) -> str:
        """GitHub's Markdown; the best of a column in bold."""
        heads = [escaping.markdown(f"{c.group} {c.header}".strip()) for c in self.columns]
        lines = [
            f"**{escaping.markdown(self.title)}**",
            "",
            f"| {self.head} | " + " | ".join(heads) + " |",
            "|:---|" + "---:|" * len(heads),
        ]
        for label, cells in self.said():
            shown = [escaping.markdown(cell.text) for cell in cells]
            name, marked = (
                escaping.markdown(label),
                [f"**{t}**" if c.best else t for c, t in zip(cells, shown, strict=True)],
            )
            lines.append(f"| {name} | " + " | ".join(marked) + " |")
        for one in self.failures:
            empty = " |" * max(0, len(heads) - 1)
            lines.append(f"| {escaping.markdown(one.label)} | {escaping.markdown(one.text)} |{empty}")
        return "\n".join([*lines, "", *(f"{escaping.markdown(line)}  " for line in self.caption)])

    def plain(self) -> Iterator[dict[str, str | float | int | None]]:
        """Every cell, and every row and cell that has no number, as plain values; shares as fractions."""
        for (label, cells), remark in zip(self.rows, self.remarks or [""] * len(self.rows), strict=True):
            for column, cell in zip(self.columns, cells, strict=True):
                ends = cell.interval or (math.nan, math.nan)
                value, low, high = (x if math.isfinite(x) else None for x in (cell.value, *ends))
                yield {
                    "defense": label,
                    "group": column.group,
                    "metric": column.name,
                    "value": value,
                    "low": low,
                    "high": high,
                    "best": int(cell.best),
                    "n": cell.n or None,
                    "note": "; ".join(filter(None, ["at most" if cell.at_most else "", cell.note, remark])),
                }
        empty = dict.fromkeys(("value", "low", "high", "best", "n"))
        for one in self.failures:
            state = "broken" if one.attack else "refused"
            yield {"defense": one.label, "group": one.attack, "metric": state, **empty, "note": one.reason}

    def csv(self) -> str:
        """Numbers in full, with the ends of their intervals where there are any, n, and what must be read with them."""
        out = io.StringIO()
        writer = csv.DictWriter(out, CSV_COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.plain())
        return out.getvalue()

    def latex(self) -> str:
        """booktabs; the best of a column in bold."""
        spans, rules, place = [], [], 2
        for name, span in self.groups():
            spans.append(rf"\multicolumn{{{span}}}{{c}}{{{escaping.latex(name)}}}")
            rules.append(rf"\cmidrule(lr){{{place}-{place + span - 1}}}" if name else "")
            place += span
        lines = [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{escaping.latex(self.title)}. {escaping.latex(' '.join(self.caption))}}}",
            rf"\begin{{tabular}}{{l{'r' * len(self.columns)}}}",
            r"\toprule",
            " & ".join(["", *spans]) + r" \\",
            "".join(rules),
            " & ".join([self.head, *(escaping.latex(c.header) for c in self.columns)]) + r" \\",
            r"\midrule",
        ]
        for label, cells in self.said():
            lines.append(
                " & ".join(
                    [
                        escaping.latex(label),
                        *(rf"\textbf{{{escaping.latex(c.text)}}}" if c.best else escaping.latex(c.text) for c in cells),
                    ]
                )
                + r" \\"
            )
        for one in self.failures:
            wide = rf"\multicolumn{{{max(1, len(self.columns))}}}{{p{{.6\linewidth}}}}{{{escaping.latex(one.text)}}}"
            lines.append(rf"{escaping.latex(one.label)} & {wide} \\")
        return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}"])
