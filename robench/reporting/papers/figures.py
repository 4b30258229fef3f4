"""The figures of reports, as SVG text: curves with bands, boxes over masks, the histogram of gaps, maps of attention."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from robench.records.cards import QueryMaps
from robench.reporting import escaping
from robench.reporting.figures import LINES, as_svg, boxes
from robench.reporting.masks import accuracies
from robench.reporting.papers.cells import Cells, Measured
from robench.reporting.papers.layout import measured_in
from robench.reporting.papers.metrics import METRICS, Metric
from robench.reporting.papers.report import Planned

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def figures_of(planned: Planned, cells: Cells) -> list[str]:
    """What is drawn of a table; nothing where there is nothing to draw."""
    found = measured_in(planned, cells)
    draw = {"curves": _curves, "boxes": _boxes, "histogram": _histogram, "maps": _maps}.get(planned.figure)
    svg = draw(planned, found) if draw else None
    return [svg] if svg else []


Of = dict[tuple[int, int], Measured]


def _curves(planned: Planned, found: Of) -> str | None:
    """A line a row over the columns' x, with a band: the interval."""
    asks = planned.asks
    defenses = [*dict.fromkeys(str(ask.defense) for ask in asks.values())]
    attacks = [*dict.fromkeys(ask.attack.name if ask.attack else "" for ask in asks.values())]
    lines = []
    for i, row in enumerate(planned.rows):
        places = [j for j, part in enumerate(planned.columns) if part.x is not None and _known(found.get((i, j)))]
        if places:
            ask = asks[i, places[0]]
            style = defenses.index(str(ask.defense)), attacks.index(ask.attack.name if ask.attack else "")
            lines.append((i, row.name, style, places))
    if not lines:
        return None
    first, *_, along = lines[0]
    metric = METRICS[asks[first, along[-1]].metric]  # the first may be of no perturbation at all
    scale = 100 if metric.percent else 1

    def draw(axes: Axes) -> None:
        for row, name, (color, dash), places in lines:
            own = [found[row, j] for j in places]
            x = [planned.columns[j].x or 0.0 for j in places]
            y: NDArray[np.float64] = scale * np.array([one.value for one in own])
            reach = [_ends(one) for one in own]
            low, high = (scale * np.array([ends[side] for ends in reach]) for side in (0, 1))
            axes.plot(
                x,
                y,
                color=f"C{color}",
                linestyle=LINES[dash % len(LINES)],
                marker="o",
                markersize=3,
                linewidth=1.4,
                label=escaping.figure(name),
                zorder=3 + row,
            )
            axes.fill_between(x, low, high, color=f"C{color}", alpha=0.15, linewidth=0)
        axes.set(xlabel="ε (pixels in [0, 1])", ylabel=_axis(metric), xlim=(0, None), ylim=(0, None))
        axes.set_title(escaping.figure(planned.title), fontsize=9, loc="left")
        axes.figure.legend(frameon=False, fontsize=8, loc="outside right upper")

    return as_svg(3.4, draw)


def _axis(metric: Metric) -> str:
    name = (
        f"{metric.name.lower()} accuracy"
        if metric in (METRICS["robust_accuracy"], METRICS["clean_accuracy"])
        else metric.name
    )
    return f"{name} (%)" if metric.percent else name


def _known(one: Measured | None) -> bool:
    return one is not None and not math.isnan(one.value)


def _ends(one: Measured) -> tuple[float, float]:
    return (one.interval.low, one.interval.high) if one.interval else (one.value, one.value)


def _boxes(planned: Planned, found: Of) -> str | None:
    """A box a row of the accuracies under each mask, over all trainings; whiskers reach the least and the largest."""
    kept: list[tuple[str, str, NDArray[np.float64]]] = []
    for i, row in enumerate(planned.rows):
        own = next((one for j in range(len(planned.columns)) if (one := found.get((i, j))) and one.found), None)
        values = [accuracies(each.records) for each in own.found] if own else []
        if values and all(len(each) for each in values):
            ask = next(ask for (place, _), ask in planned.asks.items() if place == i)
            kept.append((row.name, str(ask.defense), np.concatenate(values)))
    return boxes(kept) if kept else None


def _histogram(planned: Planned, found: Of) -> str | None:
    """The weighted histogram of the largest gap's position in layer 1, a line of bars a row."""
    kept = []
    for i, row in enumerate(planned.rows):
        cards = [each.card for j in range(len(planned.columns)) if (one := found.get((i, j))) for each in one.found]
        gaps = [card.study.gaps[0] for card in cards if card and card.study]
        if gaps:
            longest = max(map(len, gaps))  # models of different grids have rows of different lengths
            kept.append((row.name, np.mean([[*own, *[0.0] * (longest - len(own))] for own in gaps], axis=0)))
    if not kept:
        return None

    def draw(axes: Axes) -> None:
        width = 0.8 / len(kept)
        for place, (name, weights) in enumerate(kept):
            x = np.arange(1, len(weights) + 1) + (place - (len(kept) - 1) / 2) * width
            axes.bar(x, weights, width=width, color=f"C{place}", label=escaping.figure(name))
        longest = max(len(weights) for _, weights in kept)
        axes.set(
            xlabel="position of the largest gap between sorted weights", ylabel="weight", xticks=range(1, longest + 1)
        )
        axes.figure.legend(frameon=False, fontsize=8, loc="outside right upper")

    return as_svg(3.2, draw)


def _maps(planned: Planned, found: Of) -> str | None:
    """For each row an image before and after noise, where it is there, and what one patch attends to in the first, middle and last layer."""
    kept: list[tuple[str, QueryMaps]] = []
    for i, row in enumerate(planned.rows):
        cards = [each.card for j in range(len(planned.columns)) if (one := found.get((i, j))) for each in one.found]
        maps = next((card.study.maps for card in cards if card and card.study and card.study.maps), None)
        if maps is not None:
            kept.append((row.name, maps))
    if not kept:
        return None

    def draw(axes: Axes) -> None:
        axes.axis("off")
        width, height = 1 / 8.6, 1 / (2.3 * len(kept))
        for place, (name, maps) in enumerate(kept):
            layers = sorted({0, (len(maps.clean) - 1) // 2, len(maps.clean) - 1})
            pictures = maps.images or ["", ""]
            for line, (rows, image, said) in enumerate(
                [(maps.clean, pictures[0], "clean"), (maps.covered, pictures[1], "patches covered")]
            ):
                top = 1 - (2.3 * place + 0.3 + line + 1) * height
                axes.text(
                    0,
                    top + height / 2,
                    f"{escaping.figure(name)}\n{said}",
                    fontsize=7,
                    va="center",
                    transform=axes.transAxes,
                )
                if image:
                    _inset(axes, 2.4 * width, top, width, height, _picture(maps.shape, image), "")
                largest = max(max(maps.clean[layer] + maps.covered[layer]) for layer in layers)
                for column, layer in enumerate(layers):
                    title = f"layer {layer + 1}" if line == 0 else ""
                    box = _inset(
                        axes,
                        (3.6 + 1.2 * column) * width,
                        top,
                        width,
                        height,
                        np.reshape(rows[layer], maps.grid),
                        title,
                        largest,
                    )
                    down, across = divmod(maps.query, maps.grid[1])
                    box.plot(across, down, marker="s", markersize=4, color="tab:red", fillstyle="none")

    return as_svg(1.9 * len(kept), draw)


def _inset(
    axes: Axes,
    x: float,
    y: float,
    width: float,
    height: float,
    picture: NDArray[np.float64],
    title: str,
    largest: float | None = None,
) -> Axes:
    box = axes.inset_axes((x, y, width * 0.95, height * 0.95))
    box.imshow(picture, cmap="gray" if largest is None else "viridis", vmin=0, vmax=1 if largest is None else largest)
    box.set(xticks=[], yticks=[])
    box.set_title(title, fontsize=7, pad=2)
    made: Axes = box
    return made


def _picture(shape: Sequence[int], packed: str) -> NDArray[np.float64]:
    """An image (C, H, W) as matplotlib shows one."""
    pixels = np.frombuffer(base64.b64decode(packed), dtype=np.uint8).reshape(shape) / 255
    return np.asarray(pixels[0] if shape[0] == 1 else pixels.transpose(1, 2, 0), dtype=np.float64)
