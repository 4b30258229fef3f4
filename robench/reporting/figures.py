"""Figures as SVG text: accuracy over eps, images fooled over passes, accuracy over masks; clean and adversarial pictures."""

from __future__ import annotations

import base64
import io
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from robench.entries.calls import written_float
from robench.records.schema import adversarial_pixels, clean_pixels
from robench.records.unit import Measured
from robench.reporting import escaping
from robench.reporting.columns import NORM_NAMES
from robench.reporting.evidence import on_board
from robench.reporting.groups import Group
from robench.reporting.masks import over_masks
from robench.reporting.metrics import clean_accuracy, curve, success_after

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_LINES = 40
"""Of a figure; of more rows the most robust are drawn."""
LINES = ["-", "--", ":", "-.", (0, (6, 1)), (0, (4, 1, 1, 1, 1, 1)), (0, (1, 3)), (0, (8, 3))]


def curves(group: Group, norm: str) -> str | None:
    """Robust accuracy over eps for every defense and attack of a norm, as SVG; None where there is nothing to draw."""
    own = [one for one in group.units if one.unit.facts.norm == norm and on_board(one)]
    budgets = sorted({eps for eps in (one.unit.facts.eps for one in own) if eps is not None})
    reach = budgets[-1] if budgets else _reach(own, norm)
    if not own or not reach:
        return None
    series: dict[tuple[str, str], list[Measured]] = {}
    for one in own:
        series.setdefault((_name(group, one), group.threat(one).label), []).append(one)
    lines, fine = [], np.linspace(0, reach, 81)
    for (defense, attack), units in series.items():
        minimal = all(one.unit.facts.eps is None for one in units)
        grid = fine if minimal else np.array([0.0, *sorted(one.unit.facts.eps or 0.0 for one in units)])
        values = curve([(one.unit.facts.eps, one.arrays) for one in units], norm, [float(x) for x in grid])
        if not minimal:
            values[0] = clean_accuracy(units[0].arrays).value
        lines.append(Line(defense, attack, grid, 100 * values, None if minimal else "o"))
    label = f"ε ({NORM_NAMES[norm]}, pixels in [0, 1])"
    lines, said = _fewer(lines, lambda line: float(np.nanmean(line.y)))
    return _drawn(lines, title=said, xlabel=label, ylabel="robust accuracy (%)", xlim=(0, reach))


def efforts(group: Group, norm: str) -> str | None:
    """Share of images fooled after so many passes, at the radius that most attacks of a norm were run at; SVG or None.

    Forward and backward passes count alike. An attack that leaves an image once it is fooled rises early; one that makes all
    its steps rises at their end.
    """
    own = [one for one in group.units if one.unit.facts.norm == norm and on_board(one)]
    budgets = [one.unit.facts.eps for one in own if one.unit.facts.eps is not None]
    eps = max(budgets, key=lambda e: (budgets.count(e), e)) if budgets else None
    lines = []
    for one in own:
        if one.unit.facts.eps not in (None, eps) or not (one.arrays.numbers("forwards") > 0).any():
            continue
        passes, share = success_after(one.arrays, norm, eps)
        lines.append(Line(_name(group, one), group.threat(one).label, passes, 100 * share, None))
    if len({line.attack for line in lines}) < 2:
        return None
    lines, said = _fewer(lines, lambda line: -float(line.y[-1]))
    within = f" within {NORM_NAMES[norm]} {written_float(eps)}" if eps is not None else ""
    reach = max(line.x[-1] for line in lines)
    return _drawn(
        lines,
        title=said,
        xlabel="passes for an image (forward and backward)",
        ylabel=f"images fooled{within} (%)",
        xscale="log",
        xlim=(1, 1.3 * reach),
        drawstyle="steps-post",
    )


def spreads(group: Group) -> str | None:
    """Boxes of the accuracy over masks, of every defense under every patch threat that has several; SVG or None.

    A box ends at the quartiles, its line is the median, its whiskers reach the least and the largest (the RSPC study's box plot).
    """
    found = over_masks(group)
    if not found:
        return None
    return boxes([(f"{attack} · {defense}", defense, values) for defense, attack, values in found])


def boxes(kept: Sequence[tuple[str, str, NDArray[np.float64]]]) -> str:
    """Boxes of accuracies, one above the other, as SVG; a box ends at the quartiles, its whiskers reach the least and the largest.

    Args:
        kept: (label, what its colour stands for, accuracies).
    """
    colours = list(dict.fromkeys(colour for _, colour, _ in kept))

    def draw(axes: Axes) -> None:
        for place, (label, colour, values) in enumerate(reversed(kept)):
            drawn = axes.boxplot(
                [100 * values],
                positions=[place],
                widths=0.6,
                whis=(0, 100),
                orientation="horizontal",
                tick_labels=[escaping.figure(label)],
            )
            for part in (line for lines in drawn.values() for line in lines):
                part.set_color(f"C{colours.index(colour)}")
        axes.set(xlabel="accuracy under each mask (%)")

    return as_svg(0.3 * len(kept) + 0.8, draw)


def _name(group: Group, one: Measured) -> str:
    """A row in a legend, with its n where lines of the figure differ in it."""
    own = len(one.arrays.names)
    return group.label(one) + (f" · n = {own:,}" if group.counts != {own} else "")


@dataclass(frozen=True)
class Line:
    """A line of a figure: its colour is its defense's, its dashes its attack's."""

    defense: str
    attack: str
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    marker: str | None


def _fewer(lines: list[Line], merit: Callable[[Line], float]) -> tuple[list[Line], str]:
    """The lines of the most robust rows, as many as a figure shows, and what is said of it.

    Args:
        merit: of a line; a row's is that of its worst.
    """
    if len(lines) <= MOST_LINES:
        return lines, ""
    rows: dict[str, list[Line]] = {}
    for line in lines:
        rows.setdefault(line.defense, []).append(line)
    best = sorted(rows, key=lambda row: -min(map(merit, rows[row])))
    shown = max(1, sum(sum(len(rows[row]) for row in best[: end + 1]) <= MOST_LINES for end in range(len(best))))
    kept = [line for row in best[:shown] for line in rows[row]][:MOST_LINES]
    return kept, f"{len(kept)} of {len(lines):,} lines, of the most robust rows"


def _drawn(lines: Sequence[Line], *, drawstyle: str = "default", **axis: Any) -> str:
    """A figure of lines as SVG text."""
    defenses, attacks = (list(dict.fromkeys(getattr(line, key) for line in lines)) for key in ("defense", "attack"))

    def draw(axes: Axes) -> None:
        for line in lines:
            axes.plot(
                line.x,
                line.y,
                linestyle=LINES[attacks.index(line.attack) % len(LINES)],
                color=f"C{defenses.index(line.defense)}",
                marker=line.marker,
                markersize=3,
                linewidth=1.4,
                label=escaping.figure(f"{line.defense}, {line.attack}"),
                drawstyle=drawstyle,
            )
        axes.set(ylim=(0, None), **axis)
        axes.figure.legend(frameon=False, fontsize=8, loc="outside right upper")

    return as_svg(max(3.6, 0.19 * len(lines) + 0.4), draw)


def as_svg(height: float, draw: Callable[[Axes], None]) -> str:
    """What is drawn on a pair of axes, as SVG text.

    Args:
        height: in inches.
    """
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(
        {
            "svg.fonttype": "none",
            "svg.hashsalt": "robench",
            "font.size": 9,
            "axes.spines.top": False,
            "axes.spines.right": False,
        }
    ):
        figure = Figure(figsize=(9.5, height), layout="constrained")
        axes = figure.subplots()
        draw(axes)
        axes.grid(alpha=0.25, linewidth=0.6)
        out = io.StringIO()
        with warnings.catch_warnings():
            # The text is drawn by whoever shows the page, with fonts of its own.
            warnings.filterwarnings("ignore", message="Glyph .* missing from font")
            figure.savefig(out, format="svg", metadata={"Date": None})
    text = out.getvalue()
    return text[text.index("<svg") :]


def _reach(own: Sequence[Measured], norm: str) -> float:
    """Where the curves of minimal attacks end: the size that breaks 95 % of what was broken."""
    sizes = np.concatenate([np.empty(0), *(one.arrays.numbers(norm)[one.arrays.flags("success")] for one in own)])
    return float(np.nanquantile(sizes, 0.95)) if np.isfinite(sizes).any() else 0.0


def png(pixels: NDArray[np.float32], scale: int) -> bytes:
    """An image (C, H, W) in [0, 1] as PNG, enlarged without smoothing."""
    from PIL import Image

    grey = np.clip(np.round(pixels * 255), 0, 255).astype(np.uint8)
    array = grey[0] if grey.shape[0] == 1 else grey.transpose(1, 2, 0)
    out = io.BytesIO()
    Image.fromarray(np.kron(array, np.ones((scale, scale) + (1,) * (array.ndim - 2), dtype=np.uint8))).save(out, "PNG")
    return out.getvalue()


def picture(pixels: NDArray[np.float32], scale: int) -> str:
    """The same as a data address."""
    return "data:image/png;base64," + base64.b64encode(png(pixels, scale)).decode()


@dataclass(frozen=True)
class Triple:
    """Clean, adversarial and difference pictures of one record, as PNG data addresses, with what they show."""

    clean: str
    adversarial: str
    difference: str
    label: str
    prediction: str
    l2: float
    linf: float


def triple(record: pd.Series, shape: tuple[int, int, int], names: Sequence[str]) -> Triple:
    """The pictures of a record whose images were kept.

    Args:
        names: of the classes; where there are none, their numbers stand for them.
    """
    adversarial, clean = adversarial_pixels(record, shape), clean_pixels(record, shape)
    scale = max(1, 96 // clean.shape[1])
    change = adversarial - clean
    widest = float(np.abs(change).max())
    label, prediction = (int(record[column]) for column in ("label", "prediction"))
    return Triple(
        picture(clean, scale),
        picture(adversarial, scale),
        picture(0.5 + 0.5 * change / widest if widest else np.full_like(clean, 0.5), scale),
        names[label] if label < len(names) else str(label),
        names[prediction] if prediction < len(names) else str(prediction),
        float(record["l2"]),
        float(record["linf"]),
    )
