"""Reports: what is in the store as text, Markdown, CSV, LaTeX, JSON, and one self-contained HTML file."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

from robench.console import one_line
from robench.errors import UsageError
from robench.files import atomic_path
from robench.records.cards import ModelCard
from robench.records.refusals import refusals
from robench.records.store import Store
from robench.records.unit import Measured, Unit
from robench.reporting import escaping
from robench.reporting.columns import NORM_NAMES
from robench.reporting.corrupted import of_corruptions
from robench.reporting.figures import Triple, curves, efforts, spreads, triple
from robench.reporting.groups import Group
from robench.reporting.result import Result, tables_of
from robench.reporting.sequences import of_sequences
from robench.reporting.summaries import cells_of
from robench.reporting.tables import Table
from robench.reporting.templates import BrokenTemplate, rendered
from robench.reporting.versions import newest
from robench.reporting.writing.markup import as_latex, as_markdown
from robench.reporting.writing.terminal import as_text
from robench.reporting.writing.tidy import as_csv, lines_of

log = logging.getLogger(__name__)
Given = TypeVar("Given")
Made = TypeVar("Made")
PICTURED, PICTURED_CELLS, CLASSES = 4, 60, 20


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
    refused = [one for one in refusals(root, notes.append) if not dataset or str(one.dataset) in dataset]
    if not chosen and not refused:
        has = sorted({str(unit.spec.dataset) for unit in units})
        there = f"it has {', '.join(has)}" if has else "it is empty; start with `robench run --help`"
        about = f" of {', '.join(dataset)}" if dataset else ""
        raise UsageError("; ".join([f"the store {root} has no records{about}; {there}", *notes]))
    read = [one for unit in chosen if (one := _attempt(partial(_read, notes), unit, notes, str(unit.folder)))]
    shown, older = newest([one for one in read if len(one.arrays)])
    if everything:
        shown, older = shown + older, []
    if older:
        notes.append(_not_shown(older))
    models = {one.unit.identity.model for one in shown}
    broken = {(one.model, str(one.attack), one.seed, one.precision) for one in refused if one.attack}
    shown = [
        one for one in shown if _asked(one) not in broken
    ]  # the rest of a unit that broke down would be a selection
    cards = {name: card for name, card in store.cards(notes.append).items() if name in models or not card.weights}
    return Result(shown, cards, refused), notes


def _read(notes: list[str], unit: Unit) -> Measured:
    return Measured(unit, unit.table(notes.append))


def _asked(one: Measured) -> tuple[str, str, int, str]:
    identity = one.unit.identity
    return identity.model, str(one.unit.spec.attack), identity.seed, identity.precision


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


def render(
    result: Result,
    form: str,
    notes: Sequence[str] = (),
    *,
    color: bool = False,
    width: int | None = None,
    signs: Mapping[str, str] | None = None,
) -> str:
    """A result in one of the formats: text, markdown, csv, latex, json, html.

    Args:
        color, width, signs: of a terminal; see `writing.terminal.as_text`.
    """
    if form == "html":
        return _html(result, notes)
    if form == "json":
        plain = {"cells": result.summary(), "tables": [_plain(table) for table in result.tables()]}
        rest = {"models": result.models(), "refused": result.failures(), "notes": list(notes)}
        return json.dumps(plain | rest, indent=1)
    tables = result.tables()
    if form == "text":
        told = [as_text(table, color=color, width=width, signs=signs) for table in tables]
        return "\n\n".join([*told, *(f"note: {one_line(note)}" for note in notes)])
    if form == "markdown":
        said = [escaping.markdown(f"Note: {note}") for note in notes]
        return "\n\n".join([*map(as_markdown, tables), *said]) + "\n"
    # The overview says again what other tables say, for people.
    return as_csv([table for table in tables if table.name != "overview"]) if form == "csv" else as_latex(tables)


def _plain(table: Table) -> dict[str, object]:
    """A table as JSON has it: the same cells as in CSV, and the caption."""
    return {"title": table.title, "cells": list(lines_of(table)), "caption": table.caption}


def write_report(result: Result, path: Path, form: str, notes: Sequence[str] = ()) -> Path:
    """Write a result to a file, whole or not at all."""
    text = render(result, form, notes)
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")
    return path


def _html(result: Result, notes: Sequence[str]) -> str:
    lost = list[str]()
    sections = [_section(group, result, lost) for group in result.groups()]
    trained = [card for card in result.cards.values() if card.weights]
    models = [model for card in trained if (model := _attempt(_model, card, lost, str(card.defense)))]
    made = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return rendered(
        "report.html.j2",
        overview=result.overview(),
        sections=[section for section in sections if section],
        models=models,
        notes=[*notes, *lost],
        version=version("robench"),
        made=made,
    )


def _section(group: Group, result: Result, lost: list[str]) -> str:
    """What the page says of a group. What of it cannot be made is one line in `lost`, and the rest stands."""
    figures = []
    for norm in ("linf", "l2", "l1", "l0"):
        for draw in (curves, efforts):
            figures.append(
                _attempt(partial(draw, group), norm, lost, f"a figure of {group.name} in {NORM_NAMES[norm]}")
            )
    figures.append(_attempt(spreads, group, lost, f"a figure of {group.name} over masks"))
    pictures = list[Pictures]()
    for one in group.units:
        if len(pictures) == PICTURED_CELLS:
            lost.append(
                f"pictures of {group.name} are of the first {PICTURED_CELLS} cells; `robench images` has those of each"
            )
            break
        what = f"pictures of {group.label(one)} under {group.attack_in_full(one)}"
        if found := _attempt(partial(_pictures, group), one, lost, what):
            pictures.append(found)
    # Corruptions and sequences have tables of their own; 75 lines for each defense would bury the others.
    cells = cells_of(group.where(lambda unit: not (of_corruptions(unit) or of_sequences(unit))))
    lost += [
        f"{cell['defense']} under {cell['attack']} has no numbers: {cell['error']}" for cell in cells if "error" in cell
    ]
    parts = {
        "tables": tables_of(group, result.cards, result.layout),
        "figures": [svg for svg in figures if svg],
        "pictures": pictures,
        "cells": [cell for cell in cells if "error" not in cell],
        "dataset": group.name,
        "classes": _classes(group),
    }
    page = _attempt(
        lambda section: rendered("section.html.j2", section=section), parts, lost, f"the section of {group.name}"
    )
    return page or ""


def _attempt(make: Callable[[Given], Made | None], of: Given, lost: list[str], what: str) -> Made | None:
    """What `make` makes; where it fails, one line says so, the log says why, and the rest of the page stands."""
    try:
        return make(of)
    except BrokenTemplate:
        raise  # there would be a page without its sections in the place of a good one
    except Exception as error:
        log.exception("%s", what)
        lost.append(f"{what} failed: {type(error).__name__}: {error}")
        return None


def _model(card: ModelCard) -> dict[str, str]:
    """A line of the table of models."""
    largest = [f"{100 * share:.0f}" for share in card.held_by_largest]
    return {
        "defense": str(card.defense),
        "dataset": str(card.dataset),
        "parameters": f"{card.parameters:,}",
        "macs": f"{card.macs / 1e6:,.1f}",
        "epochs": str(card.epochs),
        "seconds": f"{card.seconds:.0f}",
        "attention": ", ".join(largest) or "–",
        "cosines": ", ".join(f"{cosine:.2f}" for cosine in card.attention_cosines) or "–",
    }


def _classes(group: Group) -> str:
    """Which class is which; of many the first few."""
    names = group.units[0].unit.facts.class_names if group.units else []
    shown = [f"{label} {name}" for label, name in enumerate(names[:CLASSES]) if name != str(label)]
    more = f", and {len(names) - CLASSES:,} more" if len(names) > CLASSES else ""
    return f"Classes: {', '.join(shown)}{more}." if shown else ""


@dataclass(frozen=True)
class Pictures:
    """The first images that an attack broke."""

    defense: str
    attack: str
    images: list[Triple]


def _pictures(group: Group, one: Measured) -> Pictures | None:
    facts, records = one.unit.facts, one.pictured()
    if not len(records):
        return None
    broken = records[records["success"].astype(bool) & records["correct"].astype(bool)]
    triples = [triple(record, facts.shape, facts.class_names) for _, record in broken.head(PICTURED).iterrows()]
    return Pictures(group.label(one), group.attack_in_full(one), triples) if triples else None
