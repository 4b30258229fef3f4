"""Runs what a paper's report asks for and the store has not."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from robench.console import Reporter
from robench.entries.calls import Call, Json, call_to_json
from robench.entries.registry import DATASETS, DEFENSES
from robench.errors import DataError, RobenchError, UsageError
from robench.hashing import digest
from robench.places import Places
from robench.records.cards import ModelCard
from robench.records.store import Store
from robench.reporting.papers.cells import key_of, says
from robench.reporting.papers.metrics import METRICS
from robench.reporting.papers.naming import located
from robench.reporting.papers.report import Report
from robench.running.conditions import conditions
from robench.running.harness import run_rows
from robench.running.plan import TrainingPlan, UnitPlan, plan_rows
from robench.running.refused import Refused
from robench.running.rows import Row, rows_of
from robench.running.settings import Settings
from robench.training.building import size_at

UNATTACKED = Call("clean")
"""What is run for numbers of a model alone."""
IMAGENET = (3, 224, 224)
"""At which the sizes of architectures are told, as papers have them."""


@dataclass(frozen=True)
class Work:
    """Rows that are run on the same number of test images."""

    settings: Settings
    rows: list[Row]


@dataclass(frozen=True)
class Job:
    """What a report needs.

    Attributes:
        architectures: defenses of which only the size is asked.
        left_out: data sets that could not be read, each with why; what is asked of them stays a dash.
    """

    works: list[Work]
    architectures: list[Call]
    left_out: list[str]


def job_of(report: Report, settings: Settings, places: Places) -> Job:
    """What a report asks for, checked; each defense with the attacks that it is asked under, and no others.

    Args:
        settings: those of a run; each table has its own `n`, where it says one.

    Raises:
        UsageError: a call of it cannot be run, or would not be found again; the message has its place in the file.
        DataError: none of its data sets can be read.
    """
    matrix: dict[int | None, dict[tuple[str, str], tuple[Call, Call, list[Call]]]] = {}
    architectures = dict[str, Call]()
    checked = set[str]()
    for table, ask in report.asks():
        if METRICS[ask.metric].of_architecture:
            _check_defense(report, ask.defense, checked)
            architectures[key_of(ask.defense)] = ask.defense
            continue
        _check(report, ask.dataset, ask.attack, checked)
        for seed in ask.seeds:
            defense = ask.trained(seed)
            _check_defense(report, defense, checked)
            cells = matrix.setdefault(table.n, {})
            _, _, attacks = cells.setdefault((key_of(defense), key_of(ask.dataset)), (defense, ask.dataset, []))
            if ask.attack is not None and ask.attack not in attacks:
                attacks.append(ask.attack)
    works, lost = list[Work](), dict[str, DataError]()
    for n, cells in matrix.items():
        own = replace(settings, n=n)
        together: dict[tuple[str, str], tuple[Call, list[Call], list[Call]]] = {}
        for defense, dataset, attacks in cells.values():
            met = attacks or [UNATTACKED]
            key = key_of(dataset), "; ".join(map(key_of, met))
            together.setdefault(key, (dataset, met, []))[2].append(defense)
        rows = list[Row]()
        for dataset, attacks, defenses in together.values():
            if str(dataset) in lost:
                continue
            try:
                rows += rows_of(defenses, attacks, [dataset], own, places)
            except DataError as error:
                lost[str(dataset)] = error
        works.append(Work(own, rows))
    if lost and not any(work.rows for work in works) and not architectures:
        raise next(iter(lost.values()))
    left_out = [f"{dataset} is left out: {error}" for dataset, error in lost.items()]
    return Job(works, [*architectures.values()], left_out)


def _check(report: Report, dataset: Call, attack: Call | None, checked: set[str]) -> None:
    """That a data set and an attack are there, are one condition, and are written as they are printed."""
    for call in (dataset, attack):
        if call is None or key_of(call) in checked:
            continue
        checked.add(key_of(call))
        try:
            if call is dataset:
                entry, resolved = DATASETS.call(call)
                shown: list[tuple[Call, Json]] = [(entry.shown(one), None) for one in entry.each(resolved)]
            else:
                shown = [
                    (one.shown, _options(one.identity())) for one in conditions(call, DATASETS.call(dataset)[0].card)
                ]
        except RobenchError as error:
            raise located(report, call, UsageError(str(error))) from error
        _same(report, call, shown)


def _check_defense(report: Report, call: Call, checked: set[str]) -> None:
    """That a defense is there, is one, and is written as it is printed."""
    if key_of(call) in checked:
        return
    checked.add(key_of(call))
    try:
        entry, resolved = DEFENSES.call(call)
        shown = [(entry.shown(one), _options(DEFENSES.identity(one, entry))) for one in entry.each(resolved)]
    except RobenchError as error:
        raise located(report, call, UsageError(str(error))) from error
    _same(report, call, shown)


def _options(identity: dict[str, Json]) -> Json:
    return identity["options"]


def _same(report: Report, call: Call, shown: Sequence[tuple[Call, Json]]) -> None:
    """A report is found again by what is printed: a call that would be printed as something else would never be.

    Args:
        shown: as it is printed, and all its options as an identity has them; of a data set nothing keeps these.
    """
    if len(shown) != 1:
        raise located(report, call, UsageError(f"{call} stands for {len(shown)} cells; a number of a report is of one"))
    ((printed, resolved),) = shown
    if not says(call, printed, resolved):
        raise located(
            report, call, UsageError(f"{call} is printed as {printed}; write it so, since it is found again by that")
        )


def reproduce(job: Job, places: Places, reporter: Reporter) -> list[Refused]:
    """Train and attack what is missing; what of it has no numbers and why."""
    for call in job.architectures:
        measure_architecture(call, Store(places.store))
    return [run_rows(one.rows, one.settings, places, reporter)[1] for one in job.works]


def measure_architecture(call: Call, store: Store) -> None:
    """Keep the size of a defense's model on ImageNet's images: a card without weights.

    Raises:
        UsageError: it cannot be built for them.
    """
    entry, resolved = DEFENSES.find(call)
    size = size_at(entry, resolved, IMAGENET, 1000)
    if size is None:
        raise UsageError(f"{call} cannot be built for images of 3 x 224 x 224 pixels and 1,000 classes")
    card = ModelCard(
        model=f"size-{digest(call_to_json(call))}",
        defense=call,
        dataset=Call("imagenet"),
        weights="",
        data="",
        images=0,
        seconds=0.0,
        epochs=0,
        parameters=size.parameters,
        macs=size.macs,
        attention=[],
        attention_cosines=[],
        feature_distances=[],
        approximate_slopes=False,
    )
    card.write(store.root / "models" / f"{card.model}.json")


def plans(job: Job, places: Places, patience: float) -> Iterator[tuple[list[TrainingPlan], list[UnitPlan]]]:
    """What would be done, and what it would take; see `plan_rows`."""
    until = time.monotonic() + patience
    for one in job.works:
        yield plan_rows(one.rows, one.settings, places, patience=until - time.monotonic())
