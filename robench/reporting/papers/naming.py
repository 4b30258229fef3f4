"""That the calls of a report's file name something, seen without running any file; and where in the file a call stands."""

from __future__ import annotations

from collections.abc import Iterator

from robench.entries.calls import Call, file_of
from robench.entries.modules import built_in_folder, names_of
from robench.errors import UsageError, did_you_mean
from robench.reporting.papers.report import Report
from robench.reporting.papers.source import Source

KINDS = {"defenses": "defense", "attacks": "attack", "datasets": "data set"}


def refuse_unknown(report: Report) -> None:
    """That every call of a report is of an entry that there is, as far as that is known before entries are loaded.

    `robench report` loads none: a wrong option is told by `robench reproduce` alone.

    Raises:
        UsageError: one is of none; the message has its place in the file.
    """
    known = {kind: names_of(built_in_folder(kind), f"robench.{kind}") for kind in KINDS}
    if any(names is None for names in known.values()):
        return
    every = set().union(*(names or set() for names in known.values()))
    for _, ask in report.asks():
        for kind, call in (("defenses", ask.defense), ("attacks", ask.attack), ("datasets", ask.dataset)):
            if call is None:
                continue
            for place, one in enumerate(_calls(call)):
                names = (known[kind] or set()) if place == 0 else every
                if not file_of(one.name) and one.name not in names:
                    said = f"no {KINDS[kind] if place == 0 else 'entry'} is named {one.name!r}{did_you_mean(one.name, sorted(names))}"
                    raise located(report, one, UsageError(said))


def _calls(call: Call) -> Iterator[Call]:
    """A call and those in its options."""
    yield call
    for value in call.options.values():
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, Call):
                yield from _calls(one)


def located(report: Report, call: Call, error: UsageError) -> UsageError:
    """An error about a call of a report, with where in its file the call stands, or which variable that was given holds it."""
    source = Source(report.path, report.path.read_text(encoding="utf-8"))
    where = source.place_of_call(str(call)) or source.place_of_call(call.name)
    if not where:
        where = next((f", --set {name}={value}" for name, value in report.given.items() if call.name in value), "")
    return UsageError(f"{report.path}{where}: {error}")
