"""Verdicts as one table of the reports' model: the worst first, what passes in a line."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from robench.gate.verdicts import Verdict
from robench.reporting.tables import Cell, Column, Table

_HEADS = ("Before → after", "Points [95 %]", "Lost / won", "p", "n shows", "Verdict")
_UNITS = "In points of 100; of a mean distance in % of what it was."
_TEST = "McNemar's exact test on the images of both runs (of distances and corruption errors Student's t of the paired differences)"
_COUNTS = "Lost: right before, wrong now; in brackets, of images that are known to flip by themselves."
_SHOWS = "n shows: the smallest change that so many images show in 80 of 100 cases."
_COVER = "Intervals cover test images, not training seeds."


def verdict_table(verdicts: Sequence[Verdict], title: str = "Regression check") -> Table:
    """All that does not pass, the worst first, with what must be read with it; below it, how many pass."""
    shown = [verdict for verdict in verdicts if verdict.kind != "pass"]
    names = labels(verdicts)
    rows = [(names[verdict], [*_cells(verdict), Cell(_shows(verdict)), Cell(verdict.kind)]) for verdict in shown]
    caption = [
        f"{_UNITS} p: one-sided, {_TEST}, after Holm's correction over all that is tested.",
        f"{_COUNTS} {_SHOWS} {_COVER}",
    ]
    return Table(
        title,
        [Column("", head, None) for head in _HEADS],
        rows,
        [summary(verdicts), *_notes(shown, names), *(caption if rows else [])],
        head="Cell",
    )


def difference_table(verdicts: Sequence[Verdict], title: str) -> Table:
    """The same comparison without a verdict: what a reviewer wants to see of two stores or baselines."""
    names = labels(verdicts)
    rows = [(names[verdict], _cells(verdict)) for verdict in verdicts]
    caption = [*_notes(verdicts, names), f"{_UNITS} p: two-sided, {_TEST}.", f"{_COUNTS} {_COVER}"]
    return Table(title, [Column("", head, None) for head in _HEADS[:4]], rows, caption, head="Cell")


def labels(verdicts: Sequence[Verdict]) -> dict[Verdict, str]:
    """What each row is called: the data set only where there are several, the gate likewise."""
    sets = {cell.identity.dataset for one in verdicts for cell in (*one.subject.before, *one.subject.after)}
    shared = f" on {next(iter(sets))}" if len(sets) == 1 else ""
    gates = {one.gate.id for one in verdicts}

    def label(one: Verdict) -> str:
        text = one.subject.text.replace(shared, "", 1) if shared else one.subject.text
        return f"{one.gate.id}: {text}" if len(gates) > 1 or one.pooled else text

    return {one: label(one) for one in verdicts}


def summary(verdicts: Sequence[Verdict]) -> str:
    """How many of which verdict, in a line."""
    counts = Counter(verdict.kind for verdict in verdicts)
    passing = counts.pop("pass", 0)
    said = [f"{count} {kind}" for kind, count in counts.items()]
    new = sum("not in the baseline" in verdict.notes for verdict in verdicts)
    more = f" ({new} not in the baseline)" if new else ""
    return f"{', '.join([*said, f'{passing} pass'])}{more}."


def _notes(verdicts: Sequence[Verdict], names: dict[Verdict, str]) -> list[str]:
    return [f"{names[verdict]}: {'; '.join(verdict.notes)}." for verdict in verdicts if verdict.notes]


def _cells(verdict: Verdict) -> list[Cell]:
    """What changed, without what is said of it."""
    return [Cell(text) for text in (values(verdict), points(verdict), flips(verdict), p_value(verdict.p))]


def values(verdict: Verdict) -> str:
    """The number before and now."""
    change = verdict.change
    if math.isnan(change.after):
        return "–"
    before = "–" if math.isnan(change.before) else _number(change.before, verdict)
    return f"{before} → {_number(change.after, verdict)}"


def _number(value: float, verdict: Verdict) -> str:
    return f"{value:.4g}" if verdict.gate.metric == "mean_distance" else f"{value:.1f}"


def points(verdict: Verdict) -> str:
    """How much it changed, with its interval."""
    change = verdict.change
    if math.isnan(change.points):
        return "–"
    ends = change.interval
    of = " %" if verdict.gate.metric == "mean_distance" else ""
    within = "" if ends is None else f" [{_signed(ends.low)}, {_signed(ends.high)}]"
    return f"{_signed(change.points)}{of}{within}"


def _signed(value: float) -> str:
    text = f"{value:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text.replace("-", "−")


def flips(verdict: Verdict) -> str:
    """How many images were lost and won; in brackets those that flip by themselves."""
    if verdict.lost < 0:
        return "–"
    if verdict.unsteady is None or not any(verdict.unsteady):
        return f"{verdict.lost} / {verdict.won}"
    lost, won = verdict.unsteady
    return f"{verdict.lost} ({lost}) / {verdict.won} ({won})"


def p_value(p: float) -> str:
    if math.isnan(p):
        return "–"
    return "< 0.0001" if p < 1e-4 else f"{p:.2g}"


def _shows(verdict: Verdict) -> str:
    if math.isnan(verdict.smallest):
        return "–"
    return "none" if math.isinf(verdict.smallest) else f"{verdict.smallest:.1f}"
