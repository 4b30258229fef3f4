"""What `robench list` and `robench show` say of entries."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from robench.entries.calls import file_of, parse, written
from robench.entries.entry import Entry
from robench.entries.registry import DEFENSES, REGISTRIES
from robench.errors import UsageError, did_you_mean


def entries_named(text: str) -> list[tuple[str, Entry]]:
    """The entries of a name, or of a call, with their kinds.

    Raises:
        UsageError: there is none; the nearest is suggested. Or an option cannot be what the call says.
    """
    call = parse(text)
    found = _of_name(call.name)
    for _, entry in found if call.options else []:
        entry.each(call, partial=True)
    return found


def _of_name(name: str) -> list[tuple[str, Entry]]:
    if file_of(name):
        return [_from_file(name)]
    found = [(kind, registry[name]) for kind, registry in REGISTRIES.items() if name in registry]
    for registry in REGISTRIES.values():
        if not found and registry.special(name):
            raise UsageError(registry.unknown(name))
    if not found:
        known = [e for registry in REGISTRIES.values() for e in registry]
        raise UsageError(f"no defense, attack or data set is named {name!r}{did_you_mean(name, known)}")
    return found


def _from_file(name: str) -> tuple[str, Entry]:
    problems = []
    for kind, registry in REGISTRIES.items():
        try:
            return kind, registry[name]
        except UsageError as error:
            problems.append(str(error))
    raise UsageError(problems[0])


def listing(found: dict[str, list[dict[str, Any]]]) -> Iterator[str]:
    """Lines: each kind, its entries with their summaries, and those that could not be loaded with why."""
    for name, entries in found.items():
        yield f"{name}:"
        width = max((len(e["name"]) for e in entries), default=0)
        for e in entries:
            about = ", ".join(str(e[key]) for key in ("knowledge", "goal", "norm", "paper") if e.get(key))
            yield f"  {e['name']:<{width}}  {e['summary']}" + (f" [{about}]" if about else "")
        for broken, why in sorted(REGISTRIES[name].broken.items()):
            yield f"  {broken} could not be loaded: {why}"


def card(kind: str, entry: Entry) -> Iterator[str]:
    """Lines: an entry's facts, options and documentation."""
    yield f"{entry.name}: {kind.removesuffix('s')} ({entry.origin})"
    for fact, value in _facts(entry).items():
        if value in ("", {}, (), False):
            continue
        if fact == "presets":
            for name, options in value.items():
                yield f"  preset '{name}': {options}"
        else:
            yield f"  {fact}: {_plain_words(value)}"
    yield "\n  options:" if entry.options else "\n  no options"
    for option in entry.options.values():
        by_harness = "'random', 'all', 'least_likely' or 'next', which the harness resolves; None for untargeted"
        given = by_harness if option.name == "targets" else option.type
        yield f"    {option.name}{'' if option.required else ' = ' + written(option.default)}  ({given})"
    yield ""
    yield from (f"  {line}" if line else "" for line in (inspect.getdoc(entry.function) or "").splitlines())


def sizes(text: str) -> list[dict[str, Any]]:
    """What a defense's model has of parameters and multiply-accumulates, on small and on large images.

    Empty for entries that are no defenses, and for those that cannot be built without more (a teacher, a file, a name).
    """
    from robench.training.building import size_at

    entry, call = DEFENSES.call(text)
    if entry.sources or any(option.required and name not in call.options for name, option in entry.options.items()):
        return []
    (call, *_), found = entry.each(call), []
    for shape, classes in (((3, 32, 32), 10), ((3, 224, 224), 1000)):
        if size := size_at(entry, call, shape, classes):  # else it does not take images of this size
            found.append({"shape": list(shape), "classes": classes, "parameters": size.parameters, "macs": size.macs})
    return found


def size_line(size: dict[str, Any]) -> str:
    """A line of `sizes` for a person."""
    pixels = " x ".join(map(str, size["shape"]))
    return (
        f"  at {pixels} and {size['classes']:,} classes: {size['parameters'] / 1e6:.4g} M parameters, "
        f"{size['macs'] / 1e9:.3g} G multiply-accumulates an image"
    )


def _plain_words(value: Any) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{name} {_plain_words(inner)}" for name, inner in value.items())
    return value if isinstance(value, str) else written(value)


def _facts(entry: Entry) -> dict[str, Any]:
    """An entry's card as plain values; the options of its presets as a person writes them."""
    known = {fact.name: getattr(entry.card, fact.name) for fact in fields(entry.card)}
    facts = {name: value for name, value in known.items() if value is not None and not callable(value)}
    if "presets" in facts:
        facts["presets"] = {
            name: ", ".join(f"{option}={written(value)}" for option, value in options.items())
            for name, options in facts["presets"].items()
        }
    return facts


def entry_facts(entry: Entry) -> dict[str, Any]:
    """An entry's name, summary, origin and card, as plain values."""
    return {"name": entry.name, "summary": entry.summary, "origin": entry.origin, **_facts(entry)}


def option_facts(entry: Entry) -> list[dict[str, Any]]:
    """An entry's options, as plain values."""
    return [
        {"name": o.name, "type": o.type, "required": o.required, "default": None if o.required else written(o.default)}
        for o in entry.options.values()
    ]
