"""Reports: what is in the store as text, Markdown, CSV, LaTeX, JSON, and one self-contained HTML file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from robench.api import Result
from robench.comparisons import by_dataset
from robench.errors import RobenchError, UsageError
from robench.figures import curves, efforts, triple
from robench.files import atomic_path
from robench.harness import Measured
from robench.places import Places
from robench.plan import load_data
from robench.store import Store

PICTURED = 4


def stored(places: Places, dataset: Sequence[str] = ()) -> tuple[Result, list[str]]:
    """What is in the store, the newest unit of each spec, and notes about those that are stale.

    Args:
        dataset: only these data sets, as they were named when they were run; all for none.

    Raises:
        UsageError: there is nothing.
    """
    store = Store(places.store)
    newest, stale = store.newest()
    chosen = [
        unit
        for unit in sorted(newest, key=lambda u: u.facts["created"])
        if not dataset or unit.spec["dataset"] in dataset
    ]
    if not chosen:
        has = sorted({unit.spec["dataset"] for unit in newest})
        there = f"it has {', '.join(has)}" if has else "it is empty; start with `robench run --help`"
        raise UsageError(
            f"the store {places.store} has no records{' of ' + ', '.join(dataset) if dataset else ''}; {there}"
        )
    notes = [
        f"{unit.folder.name} ({unit.spec['defense']} under {unit.spec['attack']}) is replaced by a newer unit"
        for unit in stale
    ]
    read = [Measured(unit, unit.read(notes.append, pixels=True)) for unit in chosen]
    return Result([one for one in read if len(one.records)], store.models()), notes


def render(result: Result, form: str, places: Places, notes: Sequence[str] = (), *, color: bool = False) -> str:
    """A result in one of the formats."""
    if form == "html":
        return _html(result, places, notes)
    if form == "json":
        return json.dumps(
            {"cells": result.summary(), "models": list(result.models.values()), "notes": list(notes)}, indent=1
        )
    tables = result.tables()
    if form == "text":
        return "\n\n".join([*(table.text(color=color) for table in tables), *(f"note: {note}" for note in notes)])
    return (
        "\n\n".join(
            table.markdown() if form == "markdown" else table.csv() if form == "csv" else table.latex()
            for table in tables
        )
        + "\n"
    )


def write_report(result: Result, path: Path, form: str, places: Places, notes: Sequence[str] = ()) -> Path:
    """Write a result to a file, whole or not at all."""
    text = render(result, form, places, notes)
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


def reports_folder() -> Path:
    """Where the templates are: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).parent
    return package / "reports" if (package / "reports").is_dir() else package.parent / "reports"


def _html(result: Result, places: Places, notes: Sequence[str]) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    from robench import __version__

    environment = Environment(
        loader=FileSystemLoader(reports_folder()),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {
        "percent": lambda x: "–" if x is None else f"{100 * x:.1f}",
        "number": lambda x: "∞" if x is None else f"{x:.4g}",
    }
    sections = []
    for group in by_dataset(result.measured):
        part = Result(list(group), result.models)
        drawn = (draw(group, norm) for norm in ("linf", "l2", "l1") for draw in (curves, efforts))
        sections.append(
            {
                "tables": part.tables(),
                "figures": [svg for svg in drawn if svg],
                "pictures": _pictures(group, places),
                "cells": part.summary(),
                "dataset": group[0].unit.spec["dataset"],
            }
        )
    return environment.get_template("report.html.j2").render(
        sections=sections, notes=notes, models=list(result.models.values()), version=__version__, made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )  # fmt: skip


def _pictures(group: Sequence[Measured], places: Places) -> list[dict[str, Any]]:
    """The first kept images under each attack, all defenses; empty where the data set is not at hand."""
    try:
        split = load_data(group[0].unit.spec["dataset"], places).splits.test
    except RobenchError:
        return []
    place = {i: p for p, i in enumerate(split.image_ids().tolist())}
    shown = []
    for one in group:
        if "adversarial" not in one.records:
            continue
        kept = one.records[one.records["adversarial"].notna() & one.records["success"].astype(bool)].head(PICTURED)
        triples = [
            triple(record, split.inputs([place[record["image"]]])[0].numpy())
            for _, record in kept.iterrows()
            if record["image"] in place
        ]
        if triples:
            shown.append({"defense": one.unit.spec["defense"], "attack": one.unit.spec["attack"], "images": triples})
    return shown
