"""Tables as GitHub's Markdown and as LaTeX."""

from __future__ import annotations

import re
from collections.abc import Sequence

from robench.reporting import escaping
from robench.reporting.tables import Cell, Table
from robench.reporting.writing.raised import raised

BEFORE = r"""% \input this file where its tables should stand; it needs \usepackage{booktabs,graphicx} in the preamble.
% It also compiles alone.
\ifcsname c@section\endcsname\else
  \documentclass{article}\usepackage{booktabs,graphicx}\begin{document}\def\robenchalone{}%
\fi
"""
AFTER = r"""
\ifdefined\robenchalone\end{document}\fi
"""


def as_markdown(table: Table) -> str:
    """GitHub's Markdown; the best of a column in bold."""
    groups = [
        f"{escaping.markdown(head.name)}{raised(head.letter)}" for head in table.heads() for _ in range(head.span)
    ]
    heads = [
        f"{group} {escaping.markdown(column.header)}".strip()
        for group, column in zip(groups, table.columns, strict=True)
    ]
    lines = [
        f"**{escaping.markdown(table.title)}**",
        "",
        f"| {escaping.markdown(table.head)} | " + " | ".join(heads) + " |",
        "|:---|" + "---:|" * len(heads),
    ]

    def shown(cell: Cell, quiet: bool) -> str:
        text = escaping.markdown(cell.text)
        return f"**{text}**" if cell.best else f"*{text}*" if quiet else text

    for place, (label, cells) in enumerate(table.said()):
        quiet = place in table.quiet
        head = f"*{escaping.markdown(label.strip())}*" if quiet else escaping.markdown(label)
        lines.append(f"| {head} | " + " | ".join(shown(cell, quiet) for cell in cells) + " |")
    for label, texts in table.foot():
        lines.append(f"| *{label}* | " + " | ".join(texts) + " |")
    for one in table.failures:
        empty = " |" * max(0, len(heads) - 1)
        lines.append(f"| {escaping.markdown(one.label)} | {escaping.markdown(one.text)} |{empty}")
    notes = [f"{raised(letter)} {escaping.markdown(note)}  " for note, letter in table.letters.items()]
    return "\n".join([*lines, "", *notes, *(f"{escaping.markdown(line)}  " for line in table.caption)])


def as_latex(tables: Sequence[Table]) -> str:
    """Tables with booktabs, the best of a column in bold, no wider than the text; a file that also compiles alone."""
    slugs = [_slug(table.title) for table in tables]
    labels = [slug if slugs.count(slug) == 1 else f"{slug}-{place}" for place, slug in enumerate(slugs, 1)]
    return BEFORE + "\n\n".join(map(_table, tables, labels)) + AFTER


def _table(table: Table, label: str) -> str:
    spans, rules, place = [], [], 2
    for head in table.heads():
        mark = rf"\textsuperscript{{{head.letter}}}" if head.letter else ""
        spans.append(rf"\multicolumn{{{head.span}}}{{c}}{{{escaping.latex(head.name)}{mark}}}")
        rules.append(rf"\cmidrule(lr){{{place}-{place + head.span - 1}}}" if head.name else "")
        place += head.span
    first, *rest = table.caption or [""]
    notes = [rf"\textsuperscript{{{letter}}} {escaping.latex(note)}" for note, letter in table.letters.items()]
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escaping.latex(table.title)}. {escaping.latex(first)}}}",
        rf"\label{{tab:{label}}}",
        r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        rf"\begin{{tabular}}{{l{'r' * len(table.columns)}}}",
        r"\toprule",
        *([" & ".join(["", *spans]) + r" \\", "".join(rules)] if any(head.name for head in table.heads()) else []),
        " & ".join([escaping.latex(table.head), *(escaping.latex(column.header) for column in table.columns)]) + r" \\",
        r"\midrule",
    ]

    def shown(text: str, best: bool, quiet: bool) -> str:
        escaped = escaping.latex(text)
        return rf"\textbf{{{escaped}}}" if best else rf"\textit{{{escaped}}}" if quiet else escaped

    for place, (name, cells) in enumerate(table.said()):
        quiet = place in table.quiet
        told = [shown(cell.text, cell.best, quiet) for cell in cells]
        lines.append(" & ".join([r"\quad " * name.startswith(" ") + shown(name.strip(), False, quiet), *told]) + r" \\")
    for one in table.failures:
        wide = rf"\multicolumn{{{max(1, len(table.columns))}}}{{p{{.6\linewidth}}}}{{{escaping.latex(one.text)}}}"
        lines.append(rf"{escaping.latex(one.label)} & {wide} \\")
    if foot := table.foot():
        lines.append(r"\midrule")
    lines += [" & ".join(map(escaping.latex, [name, *texts])) + r" \\" for name, texts in foot]
    lines += [r"\bottomrule", r"\end{tabular}}"]
    below = [*notes, *(escaping.latex(line) for line in rest)]
    if below:
        lines += [r"\par\smallskip", r"\parbox{\linewidth}{\footnotesize\raggedright", "\\par\n".join(below) + "}"]
    return "\n".join([*lines, r"\end{table}"])


def _slug(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
