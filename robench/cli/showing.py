"""`robench list`, `show` and `doctor`: what there is."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated

import typer

from robench.cli.app import app, clean_exit, example
from robench.cli.completion import entries
from robench.cli.options import DataOption, JsonOption, StoreOption
from robench.places import Places


class EntryKind(StrEnum):
    defenses = "defenses"
    attacks = "attacks"
    datasets = "datasets"


@app.command("list", epilog=example("robench list attacks"))
def list_entries(
    kind: Annotated[EntryKind | None, typer.Argument(help="Only these.")] = None, as_json: JsonOption = False
) -> None:
    """List the defenses, attacks and data sets."""
    with clean_exit():
        from robench.entries.registry import REGISTRIES
        from robench.listing import entry_facts, listing

        chosen = {name: registry for name, registry in REGISTRIES.items() if kind is None or name == kind.value}
        found = {name: [entry_facts(registry[e]) for e in registry] for name, registry in chosen.items()}
        if as_json:
            broken = {name: registry.broken for name, registry in chosen.items() if registry.broken}
            print(json.dumps({**found, "broken": broken} if broken else found, indent=1))
            return
        print("\n".join(listing(found)))


@app.command(epilog=example("robench show ksa", 'robench show "vit(depth=12)"'))
def show(
    entry: Annotated[
        str,
        typer.Argument(
            help='A defense, an attack or a data set; a call of a defense for its size: "vit(depth=12)".',
            autocompletion=entries("defense", "attack", "dataset"),
        ),
    ],
    as_json: JsonOption = False,
) -> None:
    """Show an entry: its card, its options with types and defaults, its documentation."""
    with clean_exit():
        from robench.listing import card, entries_named, entry_facts, option_facts, size_line, sizes

        found = entries_named(entry)
        large = sizes(entry) if any(kind == "defenses" for kind, _ in found) else []
        if as_json:
            facts = [{"kind": kind, **entry_facts(e), "options": option_facts(e)} for kind, e in found]
            print(
                json.dumps([one | ({"sizes": large} if one["kind"] == "defenses" else {}) for one in facts], indent=1)
            )
        else:
            print("\n\n".join("\n".join(card(kind, e)) for kind, e in found))
            print("\n".join(["", *map(size_line, large)]) if large else "", end="\n" if large else "")


@app.command(epilog=example("robench doctor"))
def doctor(data: DataOption = None, store: StoreOption = "results", as_json: JsonOption = False) -> None:
    """Look at versions, torch and torchvision, GPU, data and disk; exit status 2 if something is wrong."""
    with clean_exit():
        from robench.doctor import findings

        found = list(findings(Places.of(data, store)))
        if as_json:
            print(json.dumps([f._asdict() for f in found], indent=1))
        else:
            width = max(len(f.about) for f in found)
            for f in found:
                print(f"{f.state:<8} {f.about:<{width}}  {f.text}")
        if any(f.state == "problem" for f in found):
            raise typer.Exit(2)
