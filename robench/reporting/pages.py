"""Reports: what is in the store as text, Markdown, CSV, LaTeX, JSON, and one self-contained HTML file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from robench.entries.modules import built_in_folder
from robench.errors import UsageError
from robench.files import atomic_path
from robench.records.store import Measured, Store
from robench.reporting import escaping
from robench.reporting.figures import Triple, curves, efforts, triple
from robench.reporting.groups import Group, newest
from robench.reporting.result import Result, cells_of, tables_of

PICTURED, CLASSES = 4, 20


def stored(root: Path, dataset: Sequence[str] = (), *, everything: bool = False) -> tuple[Result, list[str]]:
    """What is in the store, and notes about what is not shown.

    Args:
        dataset: only these data sets, as they were named when they were run; all for none.
        everything: also what was measured with code that has changed since.

    Raises:
        UsageError: there is nothing.
        StoreError: the store is of another version.
    """
    store, notes = Store(root), list[str]()
    units = sorted(store.units(notes.append), key=lambda unit: unit.facts.created)
    chosen = [unit for unit in units if not dataset or str(unit.spec.dataset) in dataset]
    if not chosen:
        has = sorted({str(unit.spec.dataset) for unit in units})
        there = f"it has {', '.join(has)}" if has else "it is empty; start with `robench run --help`"
        about = f" of {', '.join(dataset)}" if dataset else ""
        raise UsageError("; ".join([f"the store {root} has no records{about}; {there}", *notes]))
    read = [Measured(unit, unit.read(notes.append, pixels=True)) for unit in chosen]
    shown, older = newest([one for one in read if len(one.records)])
    if everything:
        shown, older = shown + older, []
    if older:
        notes.append(_not_shown(older))
    models = {one.unit.identity.model for one in shown}
    return Result(shown, {name: card for name, card in store.cards(notes.append).items() if name in models}), notes


def _not_shown(older: list[Measured]) -> str:
    count = {
        "model": len({one.unit.identity.model for one in older}),
        "cell": len(older),
    }
    words = " of ".join(f"{number} older {what}{'s' if number > 1 else ''}" for what, number in reversed(count.items()))
    return (
        f"{words}, measured with code that has changed since, {'is' if len(older) == 1 else 'are'} not shown: "
        "`robench report --all` shows them, `robench store ls` lists them, `robench store gc` removes them"
    )


def render(result: Result, form: str, notes: Sequence[str] = (), *, color: bool = False) -> str:
    """A result in one of the formats: text, markdown, csv, latex, json, html."""
    if form == "html":
        return _html(result, notes)
    if form == "json":
        return json.dumps({"cells": result.summary(), "models": result.models(), "notes": list(notes)}, indent=1)
    tables = result.tables()
    if form == "text":
        return "\n\n".join([*(table.text(color=color) for table in tables), *(f"note: {note}" for note in notes)])
    said = [escaping.markdown(f"Note: {note}") for note in notes]
    parts = {"markdown": [*(table.markdown() for table in tables), *said], "csv": [table.csv() for table in tables]}
    return "\n\n".join(parts.get(form) or [table.latex() for table in tables]) + "\n"


def write_report(result: Result, path: Path, form: str, notes: Sequence[str] = ()) -> Path:
    """Write a result to a file, whole or not at all."""
    text = render(result, form, notes)
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


def _html(result: Result, notes: Sequence[str]) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(built_in_folder("reports")),
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
    for group in result.groups():
        drawn = (draw(group, norm) for norm in ("linf", "l2", "l1") for draw in (curves, efforts))
        sections.append(
            {
                "tables": tables_of(group, result.cards),
                "figures": [svg for svg in drawn if svg],
                "pictures": _pictures(group),
                "cells": cells_of(group),
                "dataset": group.name,
                "classes": _classes(group),
            }
        )
    made = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    template = environment.get_template("report.html.j2")
    models = result.models()
    return template.render(sections=sections, notes=notes, models=models, version=version("robench"), made=made)


def _classes(group: Group) -> str:
    """Which class is which; of many the first few."""
    names = group.units[0].unit.facts.class_names
    shown = [f"{label} {name}" for label, name in enumerate(names[:CLASSES]) if name != str(label)]
    more = f", and {len(names) - CLASSES:,} more" if len(names) > CLASSES else ""
    return f"Classes: {', '.join(shown)}{more}." if shown else ""


@dataclass(frozen=True)
class Pictures:
    """The first images that an attack broke."""

    defense: str
    attack: str
    images: list[Triple]


def _pictures(group: Group) -> list[Pictures]:
    shown = []
    for one in group.units:
        if "adversarial" not in one.records:
            continue
        facts = one.unit.facts
        broken = one.records[one.records["adversarial"].notna() & one.records["success"].astype(bool)].head(PICTURED)
        triples = [triple(record, facts.shape, facts.class_names) for _, record in broken.iterrows()]
        if triples:
            shown.append(Pictures(group.label(one), group.attack(one), triples))
    return shown
