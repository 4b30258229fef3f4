"""What a run would cost, in words: the lines of `robench plan`, and the warning before a run on all images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from robench.console import Reporter, spell_seconds
from robench.errors import RobenchError
from robench.places import Places
from robench.running.plan import TrainingPlan, UnitPlan, plan_rows
from robench.running.rows import Row
from robench.running.settings import Settings

MANY = 1000
PATIENCE = 30.0
"""Seconds of measuring before a run, after which the attacks that are left are not measured."""


def plan_lines(trainings: Sequence[TrainingPlan], units: Sequence[UnitPlan]) -> Iterator[str]:
    """All that would be done, line by line, and the sum."""
    yield from map(_training_line, trainings)
    yield from map(_unit_line, units)
    yield f"in all {_in_all(trainings, units)}"


def announce(rows: Sequence[Row], settings: Settings, places: Places, reporter: Reporter) -> None:
    """Say what a run on all images costs, and how to take fewer, before anything is trained or attacked."""
    if not rows:
        return
    images = max(len(row.data.split) for row in rows)
    if images > MANY:  # then measuring may take half a minute
        reporter.say(f"measuring what a run on all {images:,} images costs here; --n takes fewer")
    try:
        trainings, units = plan_rows(rows, settings, places, patience=PATIENCE)
    except RobenchError:
        return  # the run meets the same, and says it
    largest = max((unit.missing for unit in units), default=0)
    if not trainings and not largest:
        return
    said = f"on all {images:,} images: {_in_all(trainings, units)}"
    fewer = next((n for n in (1000, 100, 10) if 3 * n <= largest), None)
    if fewer:
        said += f"; --n {fewer} attacks the pinned, class-balanced {fewer:,} instead"
        seconds = sum((unit.seconds or 0) * min(1.0, fewer / unit.missing) for unit in units if unit.missing)
        word = "at least" if any(unit.at_least for unit in units) else "about"
        said += f", in {word} {spell_seconds(seconds)}" if seconds else ""
    reporter.say(f"{said}. Stop it at any time: the same command goes on from there")


def _in_all(trainings: Sequence[TrainingPlan], units: Sequence[UnitPlan]) -> str:
    """About 25 min of training and 1.2 h of attacks."""
    attacks = [unit for unit in units if unit.missing]
    parts = [f"{spell_seconds(sum(t.seconds for t in trainings))} of training"] if trainings else []
    known = [unit.seconds for unit in attacks if unit.seconds is not None]
    if known:
        least = "at least " if any(unit.at_least for unit in attacks) else ""
        parts.append(f"{least}{spell_seconds(sum(known))} of attacks")
    unknown = len(attacks) - len(known)
    if unknown:
        parts.append(f"{unknown} attacks that were not measured")
    return f"about {' and '.join(parts)}" if parts else "nothing is left to do"


def _training_line(training: TrainingPlan) -> str:
    return (
        f"train {training.defense} on {training.dataset}: {training.epochs} epochs, {training.steps} steps, "
        f"about {spell_seconds(training.seconds)}"
    )


def _unit_line(unit: UnitPlan) -> str:
    about = f"{unit.defense} under {unit.attack} on {unit.dataset}: {unit.missing} of {unit.n} images to attack ({unit.why})"
    if not unit.missing:
        return about
    if unit.passes is None or unit.seconds is None:
        return f"{about}; its cost could not be measured"
    word = "at least" if unit.at_least else "about"
    return f"{about}; {word} {unit.passes:,.0f} passes, {spell_seconds(unit.seconds)}"
