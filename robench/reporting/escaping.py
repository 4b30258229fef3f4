"""Text as each output needs it. What is shown may come from a file or a person: a path, a class name, an option.

HTML is escaped by the template engine, CSV quoted by its writer.
"""

from __future__ import annotations

import re

from robench.console import one_line
from robench.reporting.writing.raised import RAISED

GREEK = dict(
    zip(
        [
            "alpha",
            "beta",
            "gamma",
            "delta",
            "eta",
            "theta",
            "kappa",
            "lambda",
            "mu",
            "pi",
            "rho",
            "sigma",
            "tau",
            "phi",
        ],
        "αβγδηθκλμπρστφ",
        strict=True,
    )
)
_LATEX = str.maketrans(
    {
        **{sign: rf"\textsuperscript{{{letter}}}" for letter, sign in RAISED.items()},
        "\\": r"\textbackslash{}",
        "&": r"\&",
        "%": r"\%",
        "_": r"\_",
        "#": r"\#",
        "{": r"\{",
        "}": r"\}",
        "$": r"\$",
        "^": r"\textasciicircum{}",
        "~": r"\textasciitilde{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        '"': r"\char34{}",
        "↑": r"$\uparrow$",
        "↓": r"$\downarrow$",
        "∞": r"$\infty$",
        "–": "--",
        "≤": r"$\leq$",
        "≥": r"$\geq$",
        "≠": r"$\neq$",
        "≈": r"$\approx$",
        "±": r"$\pm$",
        "×": r"$\times$",
        "·": r"$\cdot$",
        "−": r"$-$",
        "→": r"$\to$",
        "←": r"$\leftarrow$",
        "²": r"\textsuperscript{2}",
        "³": r"\textsuperscript{3}",
        "µ": r"$\mu$",
        "ε": r"$\varepsilon$",
        "√": r"$\surd$",
        "∈": r"$\in$",
        "‖": r"$\|$",
        "Δ": r"$\Delta$",
        "Σ": r"$\Sigma$",
        **{sign: rf"$\{name}$" for name, sign in GREEK.items()},
    }
)
_MARKDOWN = re.compile(r"[\\|*`~]|(?<![^\W_])_|_(?![^\W_])|(?<=\])\(")
"""What is written after a backslash; an underscore only where emphasis could begin or end."""
_ENTITIES = str.maketrans({"<": "&lt;", ">": "&gt;", "$": "&#36;"})
"""A dollar too: GitHub looks for mathematics before it looks for backslashes."""
LONGEST_LABEL = 100
"""Characters of a label of a figure."""


def latex(text: str) -> str:
    """For LaTeX: nothing in it is a command, nor an option of the end of the row before."""
    escaped = one_line(text).translate(_LATEX)
    return re.sub(r"^(\s*)([\[*])", r"\1{\2}", escaped)


def markdown(text: str) -> str:
    """For a cell of a Markdown table: no new cell, no HTML, no emphasis, no link, no mathematics; it is shown as it is."""
    escaped = re.sub(r"&(?=#?\w+;)", "&amp;", _MARKDOWN.sub(r"\\\g<0>", one_line(text)))
    return escaped.translate(_ENTITIES)


def figure(text: str) -> str:
    """For a label of matplotlib: no mathematics, and not so long that nothing else is left of the figure.

    One that begins with an underscore would be left out of the legend.
    """
    line = one_line(text)
    line = line if len(line) <= LONGEST_LABEL else f"{line[: LONGEST_LABEL - 30]} … {line[-27:]}"
    shown = line.replace("$", r"\$")
    return f" {shown}" if shown.startswith("_") else shown
