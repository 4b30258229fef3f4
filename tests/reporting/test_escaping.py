"""What is shown may come from a file or a person: nothing in it acts on the output that it stands in."""

from __future__ import annotations

import csv
import io
import re

import pytest
from latex_commands import COMMANDS
from measured import facts, measured

from robench import Call, parse
from robench.console import one_line
from robench.records.manifest import Spec
from robench.records.unit import Measured, Unit
from robench.reporting.escaping import figure, latex, markdown
from robench.reporting.pages import render
from robench.reporting.result import Result

ODD = [
    "it's",
    'a "b"',
    "x$y^2~z",
    "C:\\new\\test",
    "{k}",
    "a|b",
    "a\nb",
    "<b>&amp;",
    "\x1b[31mred",
    "\u202eabc",
    "ü 字",
    "[a](http://b)",
    "__b__",
    "_b_ a_b_c *d*",
    "~~x~~ ~y~",
    "$a$ and $b$",
    "<!-- x",
    "&lt;b&gt; &copy; &#36;",
    "[x] first",
    "* first",
    "`code`",
    "a\\$b$\\",
    "a\\|b\\\\|",
]


def test_latex_has_no_command_of_the_text() -> None:
    assert latex(r"\input{x}") == r"\textbackslash{}input\{x\}"
    assert latex("x$y^2~z_1&2%3#4") == r"x\$y\textasciicircum{}2\textasciitilde{}z\_1\&2\%3\#4"
    assert latex("L∞ ≤ ε ± 1 – ↑") == r"L$\infty$ $\leq$ $\varepsilon$ $\pm$ 1 -- $\uparrow$"


def test_markdown_has_no_cell_no_html_and_no_link_of_the_text() -> None:
    assert markdown("a|b\n<script>*`") == "a\\|b\\n&lt;script&gt;\\*\\`".replace("\\n", "\\\\n")
    assert "](" not in markdown("[a](http://b)")


@pytest.mark.parametrize("text", ODD)
def test_markdown_shows_a_cell_as_it_is(text: str) -> None:
    """By CommonMark with GitHub's tables and strikethrough."""
    reader = pytest.importorskip("markdown_it").MarkdownIt("commonmark").enable(["table", "strikethrough"])
    cells = "| x | y |\n|---|---|\n" + f"| {markdown(text)} | 1 |"
    inline = [token for token in reader.parse(cells) if token.type == "inline"]
    assert len(inline) == 4
    assert {child.type for child in inline[2].children} <= {"text", "text_special"}
    assert "".join(child.content for child in inline[2].children) == one_line(text).strip()
    assert "$" not in markdown(text), "GitHub's mathematics"


def test_latex_takes_no_cell_for_an_option_of_the_row_before() -> None:
    assert [latex(text) for text in ("[x]/m.py", " [x]", "*/m.py", "a[x]", 'a"b')] == [
        "{[}x]/m.py",
        " {[}x]",
        "{*}/m.py",
        "a[x]",
        r"a\char34{}b",
    ]


@pytest.mark.parametrize("text", ["a_{$", "a\\b", "a\\$b", "$a$", "a\\\\$b$c$", "$", "x^2 \\frac{1}{2}", *ODD])
def test_a_figure_draws_the_text_as_it_is(text: str) -> None:
    from matplotlib.figure import Figure

    drawn = Figure().text(0, 0, figure(text))
    shown, mathematics = drawn._preprocess_math(drawn.get_text())  # type: ignore[attr-defined]
    assert (shown.removeprefix(" "), mathematics) == (one_line(text), False)


def test_a_legend_names_a_file_that_begins_with_an_underscore() -> None:
    from matplotlib.figure import Figure

    axes = Figure().subplots()
    axes.plot([0, 1], [0, 1], label=figure("_mine_.py"))
    assert [label.strip() for label in axes.get_legend_handles_labels()[1]] == ["_mine_.py"]


def test_a_line_stays_a_line_and_moves_no_cursor() -> None:
    assert one_line("a\nb\x1b[31m\u202e") == "a\\nb\\x1b[31m\\u202e"


def test_a_figure_has_no_mathematics_of_the_text() -> None:
    assert figure("a_{$") == r"a_{\$"
    assert figure("a\\b") == "a\\b"


def test_a_label_leaves_room_for_the_figure() -> None:
    assert len(figure("x" * 5000)) <= 100 and figure("x" * 100) == "x" * 100
    assert figure(f"vit({'x' * 500}), fgsm").startswith("vit(xx") and figure(f"vit({'x' * 500}), fgsm").endswith(
        "), fgsm"
    )


@pytest.mark.parametrize("tag", ODD)
def test_an_odd_name_is_shown_in_every_format_and_reads_back_as_the_same_call(tag: str) -> None:
    one = measured([True, False, True])
    call = Call("own", {"tag": tag})
    spec = Spec(call, Call("fgsm", {"eps": 0.1, "name": tag}), Call("folder", {"path": tag}), 0)
    unit = Unit(one.unit.folder, spec, one.unit.identity, facts(class_names=[tag], source=tag, variant=tag))
    result = Result([Measured(unit, one.records)])
    assert parse(str(call)) == call
    (row,) = [line for line in render(result, "markdown").splitlines() if line.startswith("| own(")]
    assert len(re.findall(r"(?<!\\)\|", row)) == 5
    assert "\x1b" not in render(result, "text")
    assert "\u202e" not in render(result, "text")
    line = next(csv.DictReader(io.StringIO(render(result, "csv"))))
    assert line["defense"] == str(call)
    tex = render(result, "latex")
    assert not re.search(r"(?<!\\)\$", re.sub(r"\$\\\w+\$", "", tex)), "mathematics"
    assert set(re.findall(r"\\([a-zA-Z]+)", tex)) <= COMMANDS
    page = render(result, "html")
    assert "<b>" not in page
    assert result.summary()[0]["defense"] == str(call)
