"""Text as each output needs it. What is shown may come from a file or a person: a path, a class name, an option.

HTML is escaped by the template engine, CSV quoted by its writer.
"""

from __future__ import annotations

import re

_LATEX = str.maketrans(
    {
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
        '"': r"\textquotedbl{}",
        "↑": r"$\uparrow$",
        "↓": r"$\downarrow$",
        "∞": r"$\infty$",
        "–": "--",
        "ε": r"$\varepsilon$",
        "κ": r"$\kappa$",
        "≤": r"$\leq$",
        "±": r"$\pm$",
        "·": r"$\cdot$",
    }
)
_MARKDOWN = str.maketrans({"\\": "\\\\", "|": "\\|", "*": "\\*", "`": "\\`", "<": "&lt;", ">": "&gt;"})
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def one_line(text: str) -> str:
    """Text without line ends, control characters and changes of direction: they are written as escapes."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def latex(text: str) -> str:
    """For LaTeX: nothing in it is a command."""
    return one_line(text).translate(_LATEX)


def markdown(text: str) -> str:
    """For a cell of a Markdown table: no new cell, no HTML, no emphasis, no link."""
    return one_line(text).translate(_MARKDOWN).replace("](", "]\\(")


def figure(text: str) -> str:
    """For matplotlib: no mathematics."""
    return one_line(text).replace("\\", "\\\\").replace("$", r"\$") if "$" in text else one_line(text)
