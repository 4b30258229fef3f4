"""Registries of defenses, attacks and data sets: a file in a folder is an entry; so is a user's own file.

An entry is a function under a decorator. Its name is the function's name, its options are the keyword-only
arguments, its card is what the decorator was given. Nothing is registered when a decorator runs: it leaves a mark
on the function, and a registry finds the marks in the files that it loads.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Generic, TypeVar

from robench.entries.calls import Call, Json, Name, file_of, parse, shortened
from robench.entries.cards import AttackCard, Card, DatasetCard, DefenseCard
from robench.entries.entry import AttackEntry, Entry
from robench.entries.modules import built_in_folder, load_all, marked, run_file
from robench.entries.paths import contents_digest
from robench.entries.writable import file_to_read
from robench.errors import UsageError, did_you_mean
from robench.hashing import digest
from robench.places import home

E = TypeVar("E", bound=Entry)


class Registry(Generic[E]):
    """All entries of one kind; loaded when the first one is asked for.

    Attributes:
        broken: why files and installed entries could not be loaded, by their names; the others are there all the same.
    """

    def __init__(self, kind: str, card: type[Card], entry: type[E]) -> None:
        self.kind = kind
        self._card = card
        self._entry_type = entry
        self._entries: dict[str, E] | None = None
        self.broken: dict[str, str] = {}

    def holds(self, card: Card) -> bool:
        """Whether an entry with this card is of this kind."""
        return isinstance(card, self._card)

    @property
    def folder(self) -> Path:
        """The folder of built-in entries: inside the installed package, or beside it in a checkout."""
        return built_in_folder(f"{self.kind}s")

    @property
    def entries(self) -> dict[str, E]:
        if self._entries is None:
            self._entries, self.broken = load_all(
                self.folder, f"robench.{self.kind}s", self._card, self._entry, f"two {self.kind}s"
            )
        return self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self.entries))

    def __contains__(self, name: str) -> bool:
        return name in self.entries

    def __getitem__(self, name: str) -> E:
        """The entry of this name, or in this file: `ksa`, `./mine.py`, `./mine.py::my_defense`.

        Raises:
            UsageError: there is none; the nearest is suggested.
        """
        if file := file_of(name):
            return self._from_file(*file)
        if name not in self.entries or name in self.broken:
            raise UsageError(self.unknown(name))
        return self.entries[name]

    def unknown(self, name: str) -> str:
        """What is said of a name that no entry has."""
        left_out = f" ({', '.join(sorted(self.broken))} could not be loaded)" if self.broken else ""
        guess = f"no {self.kind} is named {shortened(name)}{did_you_mean(name, self.entries)}{left_out}"
        return self.special(name) or guess

    def special(self, name: str) -> str:
        """What is known of a name that no entry has: its entry is broken, or its data are read by another."""
        if name in self.broken:
            return f"the {self.kind} {name!r} cannot be used: {self.broken[name]}"
        word = name.lower().replace("_", "")
        for entry in self.entries.values():
            if word.startswith(getattr(entry.card, "reads", ()) or "\0"):
                return f"no {self.kind} is named {name!r}; its images are read with {entry.name}(path=…)"
        return ""

    def find(self, what: Name) -> tuple[E, Call]:
        """The entry that a call text, a call or a decorated function means, and the call with all options resolved."""
        entry, call = self.call(what)
        return entry, Call(call.name, entry.resolve(call.options))

    def call(self, what: Name) -> tuple[E, Call]:
        """The entry that is meant, and the call as it was given."""
        if callable(what):
            entry = self._entry(what, getattr(what, "__module__", "?"))
            return entry, Call(entry.name)
        if not isinstance(what, str | Call):
            raise UsageError(f"{what!r} names no {self.kind}; give the text of a call, or a decorated function")
        call = parse(what) if isinstance(what, str) else what
        return self[call.name], call

    def nested(self, kind: str | None, call: Call) -> tuple[Entry, Call]:
        """The entry of a call in an option of this kind; None: of one of this registry's entries."""
        registry: Registry[Any] = REGISTRIES[kind] if kind else self
        return registry.call(call)

    def identity(self, call: Call, entry: Entry | None = None) -> dict[str, Json]:
        """All that a resolved call depends on: its options and its source, those of nested entries included.

        Of a nested call that is also which options were given: the entry around it may fill in the others.
        """
        entry = entry or self[call.name]
        kinds = {option.name: option.kind for option in entry.options.values()}
        options = {name: self._plain(value, kinds.get(name)) for name, value in call.options.items()}
        code, held = entry.behind()
        identity = {"name": entry.name, "options": options, "card": entry.card.judged(), "source": {**code}}
        return identity | ({"held": held} if held else {})

    def _plain(self, value: Any, kind: str | None) -> Json:
        """An option's value with the entries in it spelled out by what they depend on."""
        if isinstance(value, list):
            return [self._plain(item, kind) for item in value]
        if kind == "file" and isinstance(value, str):
            return {"path": value, "contents": contents_digest(home(value, "a file"))}
        if not isinstance(value, Call):
            plain: Json = value
            return plain
        registry = REGISTRIES[kind] if kind else self
        entry, call = registry.call(value)
        identity = registry.identity(Call(call.name, entry.resolve(call.options, partial=True)), entry)
        return {**identity, "given": [*sorted(call.options)]}

    def _from_file(self, file: str, wanted: str) -> E:
        path = file_to_read(file, self.kind)
        module = run_file(path, f"robench_file_{path.stem}_{digest(str(path), 8)}")
        found = {function.__name__: self._entry(function, file) for function in marked(module, self._card)}
        if not found:
            raise UsageError(f"{file!r} has no {self.kind} in it; put @robench.{self.kind}(...) above a function there")
        if not wanted and len(found) > 1:
            raise UsageError(
                f"{file!r} has several {self.kind}s ({', '.join(sorted(found))}); choose one: {file}::{min(found)}"
            )
        if wanted and wanted not in found:
            raise UsageError(f"{file!r} has no {self.kind} named {wanted!r}{did_you_mean(wanted, found)}")
        return found[wanted] if wanted else next(iter(found.values()))

    def _entry(self, function: Any, origin: str) -> E:
        card = getattr(function, "robench_card", None)
        if not isinstance(card, self._card):
            name = getattr(function, "__name__", repr(function))
            raise UsageError(
                f"{name!r} from {origin} is not a {self.kind}; put @robench.{self.kind}(...) above the function"
            )
        return self._entry_type(function.__name__, function, card, origin, self.nested)


DEFENSES = Registry("defense", DefenseCard, Entry)
ATTACKS = Registry("attack", AttackCard, AttackEntry)
DATASETS = Registry("dataset", DatasetCard, Entry)
REGISTRIES: dict[str, Registry[Any]] = {"defenses": DEFENSES, "attacks": ATTACKS, "datasets": DATASETS}
