"""Figures as SVG text: curves of robust accuracy over eps, and clean / adversarial / difference pictures."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from robench.comparisons import NORM_NAMES, attack_label, on_board
from robench.harness import Measured
from robench.metrics import curve
from robench.records import kept_pixels

LINES = ["-", "--", ":", "-."]


def curves(group: Sequence[Measured], norm: str) -> str | None:
    """Robust accuracy over eps for every defense and attack of a norm, as SVG; None where there is nothing to draw."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot as plt

    own = [one for one in group if one.unit.facts["norm"] == norm and on_board(one)]
    budgets = sorted({one.unit.facts["eps"] for one in own if one.unit.facts["eps"] is not None})
    reach = budgets[-1] if budgets else _reach(own, norm)
    if not own or not reach:
        return None
    series: dict[tuple[str, str], list[Measured]] = {}
    for one in own:
        series.setdefault((one.unit.spec["defense"], attack_label(one.unit.spec["attack"])), []).append(one)
    defenses, attacks = (list(dict.fromkeys(key[i] for key in series)) for i in (0, 1))
    fine = np.linspace(0, reach, 81)
    with plt.rc_context(
        {
            "svg.fonttype": "none",
            "svg.hashsalt": "robench",
            "font.size": 9,
            "axes.spines.top": False,
            "axes.spines.right": False,
        }
    ):
        figure, axes = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
        for (defense, attack), units in series.items():
            minimal = all(one.unit.facts["eps"] is None for one in units)
            grid = fine if minimal else np.array([0.0, *sorted(one.unit.facts["eps"] for one in units)])
            values = curve([(one.unit.facts["eps"], one.records) for one in units], norm, [float(x) for x in grid])
            if not minimal:
                values[0] = float(units[0].records.drop_duplicates("image")["correct"].mean())
            axes.plot(
                grid, 100 * values, LINES[attacks.index(attack) % len(LINES)], color=f"C{defenses.index(defense)}",
                marker=None if minimal else "o", markersize=3, linewidth=1.4, label=f"{defense}, {attack}",
            )  # fmt: skip
        axes.set(
            xlabel=f"ε ({NORM_NAMES[norm]}, pixels in [0, 1])",
            ylabel="robust accuracy (%)",
            xlim=(0, reach),
            ylim=(0, None),
        )
        axes.grid(alpha=0.25, linewidth=0.6)
        axes.legend(frameon=False, fontsize=8)
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None})
        plt.close(figure)
    text = out.getvalue()
    return text[text.index("<svg") :]


def _reach(own: Sequence[Measured], norm: str) -> float:
    """Where the curves of minimal attacks end: the size that breaks 95 % of what was broken."""
    sizes = (
        pd.concat([one.records.loc[one.records["success"].astype(bool), norm].astype(float) for one in own])
        if own
        else pd.Series(dtype=float)
    )
    return float(sizes.quantile(0.95)) if len(sizes) else 0.0


def picture(pixels: NDArray[np.float32], scale: int) -> str:
    """An image (C, H, W) in [0, 1] as a PNG data address, enlarged without smoothing."""
    from PIL import Image

    grey = np.clip(np.round(pixels * 255), 0, 255).astype(np.uint8)
    array = grey[0] if grey.shape[0] == 1 else grey.transpose(1, 2, 0)
    out = io.BytesIO()
    Image.fromarray(np.kron(array, np.ones((scale, scale) + (1,) * (array.ndim - 2), dtype=np.uint8))).save(out, "PNG")
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()


def triple(record: pd.Series, clean: NDArray[np.float32]) -> dict[str, object]:
    """Clean, adversarial and difference pictures of one record, with what they show in words."""
    adversarial = kept_pixels(record, clean.shape)
    scale = max(1, 96 // clean.shape[1])
    change = adversarial - clean
    widest = float(np.abs(change).max())
    return {
        "clean": picture(clean, scale),
        "adversarial": picture(adversarial, scale),
        "difference": picture(0.5 + 0.5 * change / widest if widest else np.full_like(clean, 0.5), scale),
        "label": int(record["label"]), "prediction": int(record["prediction"]),
        "target": None if pd.isna(record["target"]) else int(record["target"]),
        "success": bool(record["success"]), "l2": float(record["l2"]), "linf": float(record["linf"]),
    }  # fmt: skip
