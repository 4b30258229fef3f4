"""Verdicts for who reads them: a terminal, a pull request, GitHub's summary and annotations, JUnit, JSON."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from robench.console import one_line
from robench.entries.calls import Json
from robench.gate.policy import ERRORS
from robench.gate.tables import labels, p_value, points, summary, values, verdict_table
from robench.gate.verdicts import Verdict
from robench.reporting import escaping
from robench.reporting.statistics import wilson
from robench.reporting.writing.markup import as_markdown
from robench.reporting.writing.terminal import as_text

MARKER = "<!-- robench check -->"
"""By which a comment is found again, to be updated."""
MOST_COMMENT, MOST_SUMMARY = 60_000, 1_000_000
"""Bytes; GitHub takes 65,536 characters of a comment, and 1 MiB of a step's summary."""
MOST_ANNOTATIONS, MOST_IMAGES = 10, 10
_LEVELS = {
    "regressed": "error",
    "incomparable": "error",
    "missing": "error",
    "inconclusive": "warning",
    "warn": "warning",
    "improved": "notice",
}


@dataclass(frozen=True)
class Checked:
    """All that a check found.

    Attributes:
        store, baseline: their names.
        policy: the file of the gates; None: there is none.
        pictures: files of images that are newly broken, by gate, number and image.
        notes: about what was left out.
    """

    verdicts: list[Verdict]
    status: int
    store: str
    baseline: str
    policy: Path | None = None
    pictures: Mapping[tuple[str, str, str], Path] = field(default_factory=dict)
    notes: Sequence[str] = ()

    @property
    def title(self) -> str:
        return (
            f"Regression check of {self.store} against {self.baseline}" if self.baseline else f"Check of {self.store}"
        )


def text(
    checked: Checked, *, color: bool = False, width: int | None = None, signs: Mapping[str, str] | None = None
) -> str:
    """For a terminal."""
    found = verdict_table(checked.verdicts, checked.title)
    below = [*(f"Newly broken, {line}" for line in _broken(checked)), *(f"Note: {note}" for note in checked.notes)]
    if not found.rows:
        return "\n".join(map(one_line, [found.title, *found.caption, *below]))
    whole = replace(found, caption=[*found.caption, *below])
    return as_text(whole, color=color, width=width, signs=signs)


def markdown(checked: Checked, most: int = MOST_COMMENT) -> str:
    """A comment for a pull request, with the mark by which it is found again; or a step's summary."""
    found = verdict_table(checked.verdicts, checked.title)
    short = "\n".join([f"**{escaping.markdown(found.title)}**", "", *map(escaping.markdown, found.caption)])
    table = as_markdown(found) if found.rows else short
    broken = _broken(checked)
    details = ["", "<details><summary>Newly broken images</summary>", ""] if broken else []
    details += [f"- {escaping.markdown(line)}" for line in broken]
    details += ["", "</details>"] if broken else []
    notes = ["", *(escaping.markdown(f"Note: {note}") for note in checked.notes)] if checked.notes else []
    return _cut(f"{MARKER}\n{_inert(chr(10).join([table, *details, *notes]))}\n", most)


def _inert(text: str) -> str:
    """Nobody is told and nothing is linked by a name in a comment: signs of no width stand where GitHub looks for these."""
    return re.sub(r"(https?)(?=://)|(www)(?=\.)|(@)", lambda found: f"{found[0]}&#8203;", text)


def _cut(whole: str, most: int) -> str:
    """Whole lines of a text, as many as there is room for."""
    if len(whole.encode()) <= most:
        return whole
    end = "\n\nThe rest is left out: there is no room for it here. `robench check --format json` says all.\n"
    kept, room = list[str](), most - len(end.encode())
    for line in whole.split("\n"):
        room -= len(line.encode()) + 1
        if room < 0:
            break
        kept.append(line)
    opened = any(line.startswith("<details>") for line in kept) and "</details>" not in kept
    return "\n".join([*kept, *(["", "</details>"] if opened else [])]) + end


def _broken(checked: Checked) -> list[str]:
    """Images that were right and are not, of the numbers that regressed."""
    lines = []
    for verdict in checked.verdicts:
        images = verdict.lost_images.tolist()
        if verdict.kind not in ("regressed", "warn") or verdict.weaker or not images:
            continue
        shown = []
        for image in sorted(images, key=lambda i: (_picture(checked, verdict, i) is None, i))[:MOST_IMAGES]:
            path = _picture(checked, verdict, image)
            shown.append(image if path is None else f"{image} ({path})")
        more = f" and {len(images) - len(shown):,} more" if len(images) > len(shown) else ""
        lines.append(f"{verdict.subject.text}: {', '.join(shown)}{more}")
    return lines


def _picture(checked: Checked, verdict: Verdict, image: str) -> Path | None:
    return checked.pictures.get((verdict.gate.id, verdict.subject.text, image))


def github(checked: Checked) -> str:
    """GitHub's workflow commands, the worst ten, at the lines of their gates."""
    lines = []
    for verdict in [one for one in checked.verdicts if one.kind in _LEVELS][:MOST_ANNOTATIONS]:
        level = "warning" if verdict.gate.severity == "warn" and verdict.kind != "improved" else _LEVELS[verdict.kind]
        at = (
            f"file={_property(str(checked.policy))},line={verdict.gate.line},"
            if checked.policy and verdict.gate.line
            else ""
        )
        lines.append(f"::{level} {at}title={_property(f'robench: {verdict.kind}')}::{_data(sentence(verdict))}")
    return "\n".join(lines)


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def sentence(verdict: Verdict) -> str:
    """A verdict in a line."""
    said = [f"{verdict.subject.text} ({verdict.gate.id})"]
    if not math.isnan(verdict.change.after):
        said.append(f"{verdict.gate.metric} {values(verdict)}")
    if not math.isnan(verdict.change.points):
        said.append(f"{points(verdict)} points, p = {p_value(verdict.p)}".replace("= <", "<").replace("% points", "%"))
    return one_line("; ".join([": ".join(said[:2]), *said[2:], *verdict.notes]))


def junit(checked: Checked, *, strict: bool = False) -> str:
    """JUnit's XML: a suite a gate, a case a number."""
    root = ElementTree.Element("testsuites", name="robench check")
    suites: dict[str, ElementTree.Element] = {}
    for verdict in checked.verdicts:
        name = one_line(verdict.gate.id)
        if name not in suites:
            suites[name] = ElementTree.SubElement(root, "testsuite", name=name)
        text = one_line(verdict.subject.text)
        case = ElementTree.SubElement(suites[name], "testcase", classname=f"robench.{name}", name=text)
        kind, said = verdict.kind, sentence(verdict)
        tag = {"regressed": "failure", "missing": "error", "incomparable": "error", "inconclusive": "skipped"}.get(kind)
        if verdict.gate.severity == "warn":
            tag = None
        elif kind == "inconclusive" and strict:
            tag = "failure"
        if tag:
            attributes = {"message": said} | ({} if tag == "skipped" else {"type": str(kind)})
            ElementTree.SubElement(case, tag, attributes)
        elif kind != "pass":
            ElementTree.SubElement(case, "system-out").text = f"{kind}: {said}"
    for suite in suites.values():
        counts = {tag: len(suite.findall(f"testcase/{tag}")) for tag in ("failure", "error", "skipped")}
        suite.set("tests", str(len(suite.findall("testcase"))))
        suite.set("failures", str(counts["failure"]))
        suite.set("errors", str(counts["error"]))
        suite.set("skipped", str(counts["skipped"]))
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def as_json(checked: Checked) -> str:
    """All of it for machines; `trend` is what github-action-benchmark reads as customBiggerIsBetter."""
    names = labels(checked.verdicts)
    trend = [
        {
            "name": f"{verdict.gate.metric}: {names[verdict]}",
            "unit": "distance" if verdict.gate.metric == "mean_distance" else "%",
            "value": verdict.change.after,
            "range": _range(verdict),
            "extra": f"{verdict.kind}; n = {len(verdict.change.images)}",
        }
        for verdict in checked.verdicts
        if not verdict.pooled and not math.isnan(verdict.change.after) and verdict.gate.metric not in ERRORS
    ]
    plain = {
        "schema": 1,
        "status": checked.status,
        "summary": summary(checked.verdicts),
        "store": checked.store,
        "baseline": checked.baseline or None,
        "verdicts": [_plain(verdict) for verdict in checked.verdicts],
        "trend": trend,
        "notes": list(checked.notes),
    }
    return json.dumps(plain, indent=1, allow_nan=False)


def _range(verdict: Verdict) -> str:
    """Half of the number's own 95 % interval, where it counts images."""
    now = verdict.change.now
    if now is None:
        return ""
    low, high = wilson(int(now.sum()), len(now))
    return f"± {50 * (high - low):.2g}"


def _plain(verdict: Verdict) -> dict[str, Json]:
    change = verdict.change
    cells = [] if verdict.pooled else [*verdict.subject.before, *verdict.subject.after]
    of: dict[str, Any] = cells[0].identity.plain() if cells else {}
    return {
        "verdict": verdict.kind,
        "gate": verdict.gate.id,
        "severity": verdict.gate.severity,
        "cell": verdict.subject.text,
        **{name: of.get(name) for name in ("defense", "attack", "dataset", "seed", "precision", "norm", "eps")},
        "metric": verdict.gate.metric,
        "before": _finite(change.before),
        "after": _finite(change.after),
        "points": _finite(change.points),
        "interval": None if change.interval is None else [_finite(end) for end in change.interval],
        "n": len(change.images),
        "lost": verdict.lost if verdict.lost >= 0 else None,
        "won": verdict.won if verdict.won >= 0 else None,
        "unsteady": None if verdict.unsteady is None else list(verdict.unsteady),
        "p": _finite(verdict.raw_p),
        "p_adjusted": _finite(verdict.p),
        "smallest": _finite(verdict.smallest),
        "n_needed": verdict.needed or None,
        "pooled": verdict.pooled,
        "weaker_attack": verdict.weaker,
        "lost_images": verdict.lost_images.tolist(),
        "notes": list(verdict.notes),
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
