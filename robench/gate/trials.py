"""Trials: the tests that verdicts rest on, one for each direction of each number, and one for all numbers of a gate together."""

from __future__ import annotations

import math
from collections.abc import Sequence, Set
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from robench.gate.changes import Change, change_of, recounted, value_now
from robench.gate.paired import POWER, flipped_p, images_needed, lost_p, rounded_up, smallest_drop
from robench.gate.policy import ERRORS, FLIPPING, Gate
from robench.gate.subjects import Subject
from robench.gate.verdicts import Verdict
from robench.reporting.statistics import Interval, Z

NEAR = 1e-9
"""What rounding may do to a number of points."""
MOST_FLIPS = 0.4
"""Share of the images that flips each way, at the most, as the power is computed: with half of them nothing would be left."""


@dataclass(frozen=True)
class Trial:
    """One direction of one number.

    Attributes:
        rise: it looks for a rise of robust accuracy, not for a drop.
        p: one-sided, before any correction.
        better: that of the other direction.
        adjusted: p after the correction.
        family: how many trials share the correction.
    """

    verdict: Verdict
    rise: bool
    p: float
    better: float
    adjusted: float = math.nan
    family: int = 1

    @property
    def points(self) -> float:
        return -self.verdict.worse if self.rise else self.verdict.worse

    @property
    def margin(self) -> float:
        gate = self.verdict.gate
        return float((gate.max_rise if self.rise else gate.max_drop) or 0.0)


def looked_at(gate: Gate, subject: Subject, held: Set[str] = frozenset()) -> Verdict:
    """What is known of a number before any test.

    Args:
        held: images that are not counted as lost, since they held against the attack with other seeds.
    """
    if subject.problem:
        return Verdict(gate, subject, Change(math.nan, math.nan))
    change = change_of(gate, subject)
    if held and change.was is not None and change.now is not None:
        change = recounted(change, change.now | (change.was & np.isin(change.images, [*held])))
    bounded = gate.floor is not None or gate.ceiling is not None
    verdict = Verdict(gate, subject, change, current=value_now(gate, subject) if bounded else math.nan)
    if subject.before:
        changed = subject.changed()
        verdict = replace(verdict, notes=(f"changed: {', '.join(changed)}",) if changed else ())
    if change.was is None or change.now is None:
        return verdict
    lost, won = change.was & ~change.now, change.now & ~change.was
    known = [cell for cell in subject.before if cell.unsteady is not None]
    shaky = np.zeros(len(change.images), dtype=bool)
    for cell in known:
        assert cell.unsteady is not None
        shaky |= cell.unsteady[cell.at(change.images)]
    flipping = (int((lost & shaky).sum()), int((won & shaky).sum())) if known else None
    return replace(verdict, lost=int(lost.sum()), won=int(won.sum()), unsteady=flipping)


def untested(verdict: Verdict) -> Verdict:
    """Of what cannot be compared: the problem; of what is new or has no margin: its floor."""
    if problem := verdict.subject.problem:
        return verdict.saying("missing" if problem.kind == "missing" else "incomparable", problem.part)
    if short := below(verdict):
        return verdict.saying("regressed", short)
    if verdict.gate.compares and not verdict.subject.before:
        return verdict.saying("pass", "not in the baseline")
    if not len(verdict.change.images):
        few = "fewer than ten images were" if verdict.gate.metric == "mean_distance" else "no image was"
        return verdict.saying("inconclusive", f"{few} broken before and now")
    return verdict


def below(verdict: Verdict) -> str:
    """What a floor or a ceiling says of the number as it is now, on all its images; empty: it is kept."""
    gate, now = verdict.gate, verdict.current
    after = verdict.change.after
    of = "" if math.isnan(after) or abs(now - after) < NEAR else f" ({now:.4g} now, on all images and attacks)"
    if gate.floor is not None and now < gate.floor - NEAR:
        return f"below its floor of {gate.floor:g}{of}"
    if gate.ceiling is not None and now > gate.ceiling + NEAR:
        return f"above its ceiling of {gate.ceiling:g}{of}"
    return ""


def trials_of(verdict: Verdict) -> list[Trial]:
    """A number's tests: for a drop, for a rise, or for both."""
    gate, change = verdict.gate, verdict.change
    if gate.metric in FLIPPING:
        worse, better = lost_p(verdict.lost, verdict.won), lost_p(verdict.won, verdict.lost)
    else:
        worse, better = (_t_p(sign * verdict.worse, change) for sign in (1, -1))
    found = [Trial(verdict, False, worse, better)] if gate.max_drop is not None else []
    return found + ([Trial(verdict, True, better, worse)] if gate.max_rise is not None else [])


def _t_p(worse: float, change: Change) -> float:
    """One-sided: Student's t of the change over its standard error; of a change that is the same for all images the sign test."""
    from scipy.stats import t

    images = len(change.images)
    if not change.error > NEAR * abs(worse):
        return 0.5**images if worse > 0 else 1.0
    return float(t.sf(worse / change.error, images - 1))


def pooled(gate: Gate, own: Sequence[Trial]) -> list[Trial]:
    """One test of all numbers of a gate together, in each of its directions: it sees a small drop everywhere."""
    if gate.metric not in FLIPPING:
        return []
    found = list[Trial]()
    for rise in (False, True):
        parts = [trial.verdict for trial in own if trial.rise == rise]
        if len(parts) < 2:
            continue
        net: dict[str, pd.Series] = {}  # of each data set, for each image in how many cells it was lost, less won
        for verdict in parts:
            change, data = verdict.change, verdict.subject.before[0].identity.data
            assert change.was is not None and change.now is not None
            lost = pd.Series(change.was.astype(np.int64) - change.now.astype(np.int64), change.images)
            net[data] = lost if data not in net else net[data].add(lost, fill_value=0)
        losses = np.concatenate([own.to_numpy(dtype=np.int64) for own in net.values()])
        total = sum(len(verdict.change.images) for verdict in parts)
        middle, reach = (-100 * value / total for value in (losses.sum(), Z * losses.std() * math.sqrt(len(losses))))
        before, after = (float(np.mean([getattr(one.change, side) for one in parts])) for side in ("before", "after"))
        cells = [[cell for one in parts for cell in getattr(one.subject, side)] for side in ("before", "after")]
        subject = Subject(f"all {len(parts)} of them together", cells[0], cells[1])
        images = np.concatenate([own.index.to_numpy(dtype=np.str_) for own in net.values()])
        change = Change(before, after, middle, Interval(middle + reach, middle - reach), images=images)
        counts = {name: sum(getattr(one, name) for one in parts) for name in ("lost", "won")}
        verdict = Verdict(gate, subject, change, pooled=True, **counts)
        p, other = flipped_p(losses), flipped_p(-losses)
        found.append(Trial(verdict, rise, other if rise else p, p if rise else other))
    return found


def decided(trial: Trial, improving: float) -> Verdict:
    """The verdict of one test, after the correction."""
    verdict, gate = trial.verdict, trial.verdict.gate
    smallest, flips = _smallest(trial)
    verdict = replace(verdict, p=trial.adjusted, raw_p=trial.p, smallest=smallest)
    short = "" if verdict.pooled else below(verdict)
    if trial.points > trial.margin and trial.adjusted <= gate.alpha:
        what = "the attack got weaker: the same weights hold more" if trial.rise else ""
        return replace(verdict.saying("regressed", short, what), weaker=trial.rise)
    if short:
        return verdict.saying("regressed", short)
    if trial.points < 0 and improving <= gate.alpha:
        if trial.rise:
            return verdict.saying(
                "improved", "the attack got stronger; `robench baseline diff` proposes the new baseline"
            )
        room = f"head-room of {abs(verdict.worse):.1f} points until `robench baseline diff` is taken over"
        return verdict.saying("improved", room if gate.metric != "mean_distance" else room.replace("points", "%"))
    interval = verdict.change.interval
    reach = math.inf if interval is None else _worst_end(interval, rise=trial.rise, error=gate.metric in ERRORS)
    if not verdict.pooled and smallest > trial.margin and reach > trial.margin:
        needed = _needed(trial, smallest, flips)
        return replace(verdict.saying("inconclusive", f"n = {needed:,} would settle it"), needed=needed)
    return verdict


def _worst_end(interval: Interval, *, rise: bool, error: bool) -> float:
    """How much worse (or, of a rise, better) it may be, as far as its interval goes."""
    return interval.high if rise or error else -interval.low


def _smallest(trial: Trial) -> tuple[float, float]:
    """The smallest change in points that is shown, and the share that flips by itself each way."""
    verdict, level = trial.verdict, trial.verdict.gate.alpha / trial.family
    images = len(verdict.change.images)
    if verdict.pooled:
        return math.nan, 0.0
    if verdict.gate.metric in FLIPPING:
        known = max((cell.flips for cell in verdict.subject.before), default=0.0)
        seen = (verdict.lost if trial.rise else verdict.won) / images
        flips = min(MOST_FLIPS, max(known, seen))
        return 100 * smallest_drop(images, flips, level), flips
    from scipy.stats import t

    freedom = images - 1
    return float(t.isf(level, freedom) + t.isf(1 - POWER, freedom)) * verdict.change.error, 0.0


def _needed(trial: Trial, smallest: float, flips: float) -> int:
    if trial.verdict.gate.metric in FLIPPING:
        return images_needed(trial.margin / 100, flips, trial.verdict.gate.alpha / trial.family)
    return rounded_up(len(trial.verdict.change.images) * (smallest / trial.margin) ** 2)
