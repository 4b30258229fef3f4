"""Tables: one model of cells, from which the terminal, Markdown, CSV, LaTeX and HTML are written."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import dataclass, field

from robench.reporting import escaping
from robench.reporting.statistics import Interval


@dataclass(frozen=True)
class Column:
    """A column: which group it stands in, its name, whether more is better for the defender, how its numbers are printed."""

    group: str
    name: str
    higher_is_better: bool
    digits: int = 1
    percent: bool = False

    @property
    def header(self) -> str:
        return f"{self.name} {'↑' if self.higher_is_better else '↓'}"

    def cell(self, value: float, interval: Interval | None = None, spread: float | None = None) -> Cell:
        """The cell of a value (NaN: there is none), printed with its spread where it has one."""
        if math.isnan(value):
            return Cell("–")
        shown = [f"{number * (100 if self.percent else 1):.{self.digits}f}" for number in (value, spread or 0.0)]
        return Cell(shown[0] if spread is None else " ± ".join(shown), value, interval)


@dataclass(frozen=True)
class Cell:
    """A number as it is printed. `best`: it is the column's best, or not significantly different from it."""

    text: str
    value: float = math.nan
    interval: Interval | None = None
    best: bool = False


@dataclass(frozen=True)
class Table:
    """A table with its caption; every renderer reads only this."""

    title: str
    columns: list[Column]
    rows: list[tuple[str, list[Cell]]]
    caption: list[str] = field(default_factory=list)

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

        names = [escaping.one_line(label) for label, _ in self.rows]
        first = max([len(name) for name in names] + [7])
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
        head = "Defense".ljust(first) + "".join(
            "  " + c.header.rjust(w) for c, w in zip(self.columns, widths, strict=True)
        )
        lines = [escaping.one_line(self.title), top.rstrip(), head, "─" * len(head)]
        for label, (_, cells) in zip(names, self.rows, strict=True):
            padded = [" " * (w - len(c.text) - (not color)) + shown(c) for c, w in zip(cells, widths, strict=True)]
            lines.append(label.ljust(first) + "".join("  " + p for p in padded))
        return "\n".join([*lines, "", *map(escaping.one_line, self.caption)])

    def markdown(self) -> str:
        """GitHub's Markdown; the best of a column in bold."""
        heads = [escaping.markdown(f"{c.group} {c.header}".strip()) for c in self.columns]
        lines = [
            f"**{escaping.markdown(self.title)}**",
            "",
            "| Defense | " + " | ".join(heads) + " |",
            "|:---|" + "---:|" * len(heads),
        ]
        for label, cells in self.rows:
            name = escaping.markdown(label)
            lines.append(f"| {name} | " + " | ".join(f"**{c.text}**" if c.best else c.text for c in cells) + " |")
        return "\n".join([*lines, "", *(f"{escaping.markdown(line)}  " for line in self.caption)])

    def csv(self) -> str:
        """Numbers in full, with the ends of their intervals where there are any."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["defense", "group", "metric", "value", "low", "high", "best"])
        for label, cells in self.rows:
            for column, cell in zip(self.columns, cells, strict=True):
                ends = cell.interval or ("", "")
                writer.writerow(
                    [
                        label,
                        column.group,
                        column.name,
                        "" if math.isnan(cell.value) else repr(cell.value),
                        *ends,
                        int(cell.best),
                    ]
                )
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
            " & ".join(["Defense", *(escaping.latex(c.header) for c in self.columns)]) + r" \\",
            r"\midrule",
        ]
        for label, cells in self.rows:
            lines.append(
                " & ".join(
                    [
                        escaping.latex(label),
                        *(rf"\textbf{{{escaping.latex(c.text)}}}" if c.best else escaping.latex(c.text) for c in cells),
                    ]
                )
                + r" \\"
            )
        return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}"])
