"""Judges all gates of a check together, with one correction over all that is tested.

A regression is below the floor, or a drop that is larger than the margin and significant. That there is none is said only
where so many images could have shown one. Holm's correction is over all tests of a check that have the same severity.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import replace
from datetime import date

import numpy as np

from robench.errors import MissingError
from robench.gate.baseline import Acceptance
from robench.gate.policy import Gate, default_gates, parts_of
from robench.gate.sources import Side
from robench.gate.subjects import subjects
from robench.gate.trials import Trial, below, decided, looked_at, pooled, trials_of, untested
from robench.gate.verdicts import ORDER, Kind, Verdict
from robench.reporting.statistics import holm


def judged(
    gates: Sequence[Gate],
    before: Side | None,
    after: Side,
    today: date | None = None,
    again: Callable[[Verdict], tuple[Set[str], str]] | None = None,
) -> list[Verdict]:
    """The verdicts of all gates, the worst first.

    Args:
        before: the baseline; None: only floors are looked at.
        today: by which acceptances expire.
        again: attacks the lost images of a regression with other seeds: (ids of those that held each time, a note).

    Raises:
        UsageError: a gate selects nothing, or asks for a metric that its cells do not have.
        MissingError: a gate compares, and there is no baseline; or an acceptance has expired.
    """
    if before is None and (lone := [gate for gate in gates if gate.compares]):
        raise MissingError(
            f"the gate {lone[0].id!r} compares with a baseline; give it with --baseline FILE, or write one with "
            "`robench baseline write --out baseline.json`"
        )
    if before is not None and not before.cells:
        raise MissingError(f"{before.name} holds no cells, so that nothing can be compared; write it anew")
    accepted = _standing(gates, before, today or date.today())
    found = _decided(gates, before, after)
    if again:
        found = _without_luck(found, gates, before, after, again)
    found = [_excused(verdict, accepted.get(verdict.gate.id), before, after) for verdict in found]
    single = {(verdict.gate.id, verdict.kind) for verdict in found if not verdict.pooled}
    shown = [one for one in found if not one.pooled or (one.kind != "pass" and (one.gate.id, one.kind) not in single)]
    told = [one for one in shown if not one.gate.at_any_distance or one.kind in ("regressed", "warn", "improved")]
    return sorted(map(_by_severity, told), key=_order)


def _order(verdict: Verdict) -> tuple[int, float]:
    return ORDER.index(verdict.kind), math.inf if math.isnan(verdict.worse) else -verdict.worse


def _decided(
    gates: Sequence[Gate], before: Side | None, after: Side, held: Mapping[tuple[str, str], Set[str]] | None = None
) -> list[Verdict]:
    settled, trials = list[Verdict](), list[Trial]()
    for gate in parts_of(gates):
        own = list[Trial]()
        for subject in subjects(gate, before, after):
            verdict = looked_at(gate, subject, (held or {}).get((gate.id, subject.text), frozenset()))
            if subject.problem or not subject.before or not gate.compares or not len(verdict.change.images):
                settled.append(untested(verdict))
            else:
                own += trials_of(verdict)
        trials += own + pooled(gate, own)
    corrected = list[Trial]()
    for severity in ("error", "warn"):
        family = [trial for trial in trials if trial.verdict.gate.severity == severity]
        adjusted = holm(np.array([trial.p for trial in family]))
        corrected += [
            replace(trial, adjusted=float(p), family=len(family)) for trial, p in zip(family, adjusted, strict=True)
        ]
    better = holm(np.array([trial.better for trial in corrected]))
    return [*settled, *_one_each([decided(trial, float(p)) for trial, p in zip(corrected, better, strict=True)])]


def _one_each(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Of a number that was tested for a drop and for a rise, the worse verdict."""
    found: dict[tuple[str, str], Verdict] = {}
    for verdict in verdicts:
        key = verdict.gate.id, verdict.subject.text
        if key not in found or ORDER.index(verdict.kind) < ORDER.index(found[key].kind):
            found[key] = verdict
    return [*found.values()]


def _standing(gates: Sequence[Gate], before: Side | None, today: date) -> dict[str, Acceptance]:
    """Acceptances by the ids of their gates; one that has expired is a message."""
    found: dict[str, Acceptance] = {}
    for one in before.accepted if before else ():
        if before is None or one.gate not in (gate.id for gate in gates):
            continue
        if one.expires < today:
            raise MissingError(
                f"the acceptance of the gate {one.gate!r} ({one.reason}) expired on {one.expires}; mend what regressed and take it "
                f"out of {before.name}, or accept it again with "
                f"`robench baseline accept --gate {one.gate!r} --reason … --expires …`"
            )
        found[one.gate] = one
    return found


def _excused(verdict: Verdict, one: Acceptance | None, before: Side | None, after: Side) -> Verdict:
    """A regression that is accepted is a warning, as far as it went then: it is judged against what was accepted.

    Only what was accepted is excused: a number one of whose cells was not is as red as ever.
    """
    if verdict.kind != "regressed" or one is None or before is None:
        return verdict
    then = {cell.name: cell for cell in one.cells}
    cells = verdict.subject.after or verdict.subject.current
    if not all(cell.name in then for cell in cells):
        return verdict
    margin = verdict.gate.max_drop if verdict.gate.compares else 1.0
    bare = replace(verdict.gate, floor=None, ceiling=None, max_drop=margin, default=True)
    own = [cell for cell in after.cells if cell.name in then]
    again = _decided([bare], Side(before.name, one.cells), Side(after.name, own))
    same = [each for each in again if verdict.pooled or each.subject.text == verdict.subject.text]
    if any(each.kind in ("regressed", "missing", "incomparable") for each in same):
        return verdict.saying("regressed", f"further than what was accepted until {one.expires}")
    return verdict.saying("warn", f"accepted until {one.expires}: {one.reason}")


def _by_severity(verdict: Verdict) -> Verdict:
    """A regression of a gate that only warns is a warning."""
    return verdict.saying("warn") if verdict.kind == "regressed" and verdict.gate.severity == "warn" else verdict


def _without_luck(
    found: Sequence[Verdict],
    gates: Sequence[Gate],
    before: Side | None,
    after: Side,
    again: Callable[[Verdict], tuple[Set[str], str]],
) -> list[Verdict]:
    """The verdicts, once lost images that held against the attack with other seeds are no longer counted as lost.

    All is tested anew on the reduced counts. What was red and no longer is becomes inconclusive, never passed: with its own
    seed the attack did fool the model. What is below its floor stays so.
    """
    held: dict[tuple[str, str], Set[str]] = {}
    notes: dict[tuple[str, str], str] = {}
    for verdict in found:
        lucky = verdict.kind == "regressed" and not verdict.pooled and not verdict.weaker and verdict.lost > 0
        if lucky and verdict.gate.metric == "robust_accuracy" and verdict.subject.before and not below(verdict):
            key = verdict.gate.id, verdict.subject.text
            held[key], notes[key] = again(verdict)
    if not any(held.values()):
        return [one.saying(one.kind, notes.get((one.gate.id, one.subject.text), "")) for one in found]
    anew = {(one.gate.id, one.subject.text, one.pooled): one for one in _decided(gates, before, after, held)}
    settled = list[Verdict]()
    for verdict in found:
        key = verdict.gate.id, verdict.subject.text
        concerned = key in held or (verdict.pooled and any(held.values()))
        if verdict.kind != "regressed" or not concerned:
            settled.append(verdict)
            continue
        now = anew.get((*key, verdict.pooled))
        kind: Kind = "regressed" if now is not None and now.kind == "regressed" else "inconclusive"
        settled.append(verdict.saying(kind, notes.get(key, "without the images that held against other seeds")))
    return settled


def differences(before: Side, after: Side) -> list[Verdict]:
    """How two stores or baselines differ, the largest losses first; nothing is judged, and p is of both sides."""
    found = list[Verdict]()
    for gate in parts_of(default_gates()):
        for subject in subjects(gate, before, after):
            verdict = looked_at(gate, subject)
            if subject.problem:
                verdict = verdict.saying("pass", f"{subject.problem.kind}: {subject.problem.part}")
            elif not subject.before:
                verdict = verdict.saying("pass", f"only in {after.name}")
            elif len(verdict.change.images):
                p = min(1.0, 2 * min(p for trial in trials_of(verdict) for p in (trial.p, trial.better)))
                verdict = replace(verdict, p=p)
            found.append(verdict)
    return sorted(found, key=_order)
