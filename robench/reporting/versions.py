"""Which of several units are shown, where they differ in nothing but their code, and what of an identity is code."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from robench.entries.calls import Json, files_of
from robench.hashing import digest
from robench.records.manifest import without_weights
from robench.records.unit import Measured, Unit

CODE = {"source", "card"}
"""Keys of an entry's identity that tell of code, not of what was asked for."""
AROUND = {"engine", "initial"}
"""Keys beside it that do so too, or that tell of weights."""


def newest(measured: Sequence[Measured]) -> tuple[list[Measured], list[Measured]]:
    """(what is shown, what is older): of what differs in nothing but its code the newest counts.

    An attack's older code counts where a model was not attacked with the newer one: it has a column of its own.
    """
    late_first = sorted(measured, key=lambda one: -one.unit.facts.created)
    models = _current(
        late_first,
        lambda unit: unit.identity.model,
        lambda unit: [without_weights(unit.identity.defense), [*files_of(unit.spec.defense)]],
        lambda unit: unit.identity.weights,
    )
    attacked: dict[str, list[Measured]] = {}
    for one in late_first:
        attacked.setdefault(digest([one.unit.identity.model, one.unit.identity.seed]), []).append(one)
    threats = {
        (one.unit.identity.model, threat)
        for own in attacked.values()
        for threat in _current(
            own,
            lambda unit: unit.identity.threat,
            lambda unit: [unit.identity.attack, unit.identity.precision, [*files_of(unit.spec.attack)]],
            lambda _: "",
        )
        for one in own[:1]
    }
    shown: list[Measured] = []
    older: list[Measured] = []
    for one in measured:
        identity = one.unit.identity
        fresh = identity.model in models and (identity.model, identity.threat) in threats
        (shown if fresh else older).append(one)
    return shown, older


def _current(
    late_first: Sequence[Measured],
    key: Callable[[Unit], str],
    made_from: Callable[[Unit], Json],
    otherwise: Callable[[Unit], str],
) -> set[str]:
    """Keys of those that no newer one replaces, which is the same but for its code."""
    chosen: dict[str, Unit] = {}
    distinct: dict[str, Unit] = {}
    for one in late_first:
        distinct.setdefault(key(one.unit), one.unit)
    for unit in distinct.values():
        replaced = any(
            without_code(made_from(unit)) == without_code(made_from(other))
            and (made_from(unit) != made_from(other) or otherwise(unit) == otherwise(other))
            and (unit.identity.data, unit.identity.subset) == (other.identity.data, other.identity.subset)
            for other in chosen.values()
        )
        if not replaced:
            chosen[key(unit)] = unit
    return set(chosen)


def without_code(value: Json) -> Json:
    """An identity without what tells of code. An option of whatever name stays."""
    if isinstance(value, list):
        return [without_code(item) for item in value]
    if not isinstance(value, dict):
        return value
    options = value.get("options")
    if isinstance(options, dict) and "source" in value:
        plain: Json = {name: without_code(option) for name, option in options.items()}
        return {name: inner for name, inner in value.items() if name not in CODE} | {"options": plain}
    return {name: without_code(inner) for name, inner in value.items() if name not in AROUND}


def code_of(value: Json) -> list[Json]:
    """What of an identity tells of code: the sources and the cards of its entries."""
    if isinstance(value, list):
        return [found for item in value for found in code_of(item)]
    if not isinstance(value, dict):
        return []
    if isinstance(value.get("options"), dict) and "source" in value:
        return [*(value[name] for name in sorted(CODE & set(value))), *code_of(value["options"])]
    return [found for inner in value.values() for found in code_of(inner)]
