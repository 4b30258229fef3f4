"""What a table in LaTeX may hold."""

from __future__ import annotations

COMMANDS = {
    *("begin", "end", "centering", "caption", "toprule", "midrule", "bottomrule", "cmidrule", "multicolumn", "textbf"),
    *(
        "ifcsname",
        "c",
        "endcsname",
        "else",
        "fi",
        "ifdefined",
        "def",
        "robenchalone",
        "documentclass",
        "usepackage",
        "input",
    ),
    *("label", "resizebox", "ifdim", "width", "linewidth", "par", "smallskip", "parbox", "footnotesize", "raggedright"),
    *("textsuperscript",),
    *("textbackslash", "textasciicircum", "textasciitilde", "textless", "textgreater", "textbar", "char"),
    *("uparrow", "downarrow", "infty", "leq", "pm", "varepsilon", "cdot"),
}
"""Those of the table and of the file itself, and those that stand for a character."""
