"""Which units stand in one table, what its rows and columns are, and what tells those with the same text apart.

A row is an identity, not a text: the defense as it was resolved, its weights, the data. One text may stand for two
models, after a second training, a changed file, another copy of the data: both have rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property

from robench.entries.calls import Call, Json, written
from robench.hashing import digest
from robench.records.refusals import Refusal
from robench.records.unit import Measured, Unit
from robench.reporting.short_names import short_name
from robench.reporting.tables import About, Cell, Column, Table
from robench.reporting.versions import without_code


@dataclass(frozen=True)
class Threat:
    """A column of a group: an attack at one condition.

    Attributes:
        key: `Identity.threat`.
        attack: the call without its eps, as text.
        suffix: what tells it from others of the same text: their code; else empty.
        precision: what tells it from the same attack in float32; else empty.
        first: one of its units, whose facts are those of all.
    """

    key: str
    attack: str
    suffix: str
    precision: str
    first: Measured

    @property
    def label(self) -> str:
        return self.attack + self.suffix + self.precision

    @property
    def short(self) -> str:
        """What a column is headed with, as papers write it."""
        return short_name(self.first.unit.spec.attack.name)

    @property
    def note(self) -> str:
        """What that stands for, where it is more than the attack at its defaults."""
        return "" if self.label == self.first.unit.spec.attack.name else self.label

    @property
    def eps(self) -> float | None:
        return self.first.unit.facts.eps


@dataclass(frozen=True)
class Group:
    """Units that may stand in one table: the same test images to choose from, and the same seed of the attacks.

    Attributes:
        name: of the data set, with what tells this copy apart where two share the name.
        defenses: labels of the rows by the names of the models, in the order of the units.
        threats: columns, those of one attack side by side, by their eps.
        refused: rows and cells that could not be measured.
    """

    name: str
    units: list[Measured]
    defenses: dict[str, str]
    threats: list[Threat]
    refused: list[Refusal] = field(default_factory=list)

    @cached_property
    def _cells(self) -> dict[tuple[str, str], Measured]:
        return {(one.unit.row, one.unit.identity.threat): one for one in reversed(self.units)}

    @cached_property
    def _rows(self) -> dict[str, list[Measured]]:
        found: dict[str, list[Measured]] = {}
        for one in self.units:
            found.setdefault(one.unit.row, []).append(one)
        return found

    def find(self, model: str, threat: Threat) -> Measured | None:
        """The unit of a row and a column; None where it was not measured."""
        return self._cells.get((model, threat.key))

    def of(self, model: str) -> list[Measured]:
        """The units of a row."""
        return self._rows.get(model, [])

    def label(self, one: Measured) -> str:
        """The label of a unit's row."""
        return self.defenses[one.unit.row]

    def about(self, model: str) -> About:
        """What the numbers of a row are of."""
        identity = self._rows[model][0].unit.identity
        row = self.defenses[model]
        return About(self.name, row, seed=identity.seed, weights=identity.weights, data=identity.data)

    def abouts(self) -> list[About]:
        """The same of all rows."""
        return [self.about(model) for model in self.defenses]

    def table(
        self,
        title: str,
        name: str,
        columns: list[Column],
        filled: Sequence[Sequence[Cell]],
        caption: list[str],
        without: Mapping[str, str],
    ) -> Table:
        """A table of the group's rows, from the cells of each column.

        Args:
            without: by label, why a row has no rank.
        """
        labels = list(self.defenses.values())
        rows = [(label, [cells[place] for cells in filled]) for place, label in enumerate(labels)]
        return Table(title, columns, rows, caption, [without.get(x, "") for x in labels], of=self.abouts(), name=name)

    def where(self, chosen: Callable[[Unit], bool]) -> Group:
        """The part of the group whose units are chosen; rows and columns without any are left out."""
        units = [one for one in self.units if chosen(one.unit)]
        models = {one.unit.row for one in units}
        threats = {one.unit.identity.threat for one in units}
        return Group(
            self.name,
            units,
            {model: label for model, label in self.defenses.items() if model in models},
            [threat for threat in self.threats if threat.key in threats],
            self.refused,
        )

    @cached_property
    def counts(self) -> set[int]:
        """How many images units hold."""
        return {len(one.arrays.names) for one in self.units}

    @cached_property
    def _threats(self) -> dict[str, Threat]:
        return {threat.key: threat for threat in self.threats}

    def threat(self, one: Measured) -> Threat:
        """The column of a unit."""
        return self._threats[one.unit.identity.threat]

    def attack(self, one: Measured) -> str:
        """A unit's attack as a person writes it, its eps included, told apart from another of the same text."""
        return f"{one.unit.spec.attack}{self.threat(one).suffix}"

    def attack_in_full(self, one: Measured) -> str:
        """The same with the precision of its passes, where that is not float32."""
        return self.attack(one) + self.threat(one).precision


def grouped(measured: Sequence[Measured], refused: Sequence[Refusal] = ()) -> list[Group]:
    """The groups of several units, in the order in which they come; what was refused stands with its data set's units."""
    found: dict[str, list[Measured]] = {}
    for one in measured:
        identity = one.unit.identity
        of = one.unit.facts.family or [str(one.unit.spec.dataset), identity.data]
        key = digest([of, identity.subset, identity.seed])
        found.setdefault(key, []).append(one)
    names = _told_apart(
        list(found.values()), lambda group: group[0].unit.facts.family or str(group[0].unit.spec.dataset), _copy
    )
    groups = [_group(name, units) for name, units in zip(names, found.values(), strict=True)]
    for refusal in refused:
        homes = [group for group in groups if _at_home(refusal, group)]
        if not homes:
            homes = [Group(str(refusal.dataset), [], {}, [])]
            groups += homes
        for group in homes:
            group.refused.append(refusal)
    return groups


def _at_home(refusal: Refusal, group: Group) -> bool:
    """Whether it belongs to a group: the same data, and for a cell the same seed of the attacks."""
    if not group.units:
        return str(refusal.dataset) == group.name
    unit = group.units[0].unit
    same = str(unit.spec.dataset) == str(refusal.dataset) and unit.identity.data == refusal.data
    return same and (refusal.attack is None or refusal.seed == unit.identity.seed)


def _group(name: str, units: list[Measured]) -> Group:
    rows: dict[str, list[Measured]] = {}
    columns: dict[str, Measured] = {}
    for one in units:
        rows.setdefault(one.unit.row, []).append(one)
        columns.setdefault(one.unit.identity.threat, one)
    labels = _told_apart(list(rows.values()), lambda row: str(row[0].unit.spec.defense), _training)
    attacks = [_without_eps(one.unit.spec.attack) for one in columns.values()]
    versions: dict[str, set[str]] = {}
    for attack, one in zip(attacks, columns.values(), strict=True):
        versions.setdefault(str(attack), set()).add(_version(one))
    suffixes = [
        f" · code {_version(one)[:6]}, {_day([one])}" if len(versions[str(attack)]) > 1 else ""
        for attack, one in zip(attacks, columns.values(), strict=True)
    ]
    threats = [
        Threat(key, str(attack), suffix, _precision(one), one)
        for (key, one), attack, suffix in zip(columns.items(), attacks, suffixes, strict=True)
    ]
    order = {label: place for place, label in enumerate(dict.fromkeys(threat.label for threat in threats))}
    threats.sort(key=lambda threat: (order[threat.label], threat.eps or 0))
    return Group(name, units, dict(zip(rows, labels, strict=True)), threats)


def _without_eps(attack: Call) -> Call:
    return Call(attack.name, {name: value for name, value in attack.options.items() if name != "eps"})


def _told_apart(
    items: list[list[Measured]],
    text: Callable[[list[Measured]], str],
    differences: Callable[[list[list[Measured]], list[Measured]], str],
) -> list[str]:
    """The texts of several things, each with what tells it from the others of the same text."""
    texts = [text(item) for item in items]
    labels = []
    for item, own in zip(items, texts, strict=True):
        rivals = [other for other, their in zip(items, texts, strict=True) if their == own]
        labels.append(own if len(rivals) == 1 else f"{own} · {differences(rivals, item)}")
    return labels


def _training(rivals: list[list[Measured]], own: list[Measured]) -> str:
    """Options that differ although the text is the same, such as a default that has changed; weights, or answers; the day."""
    options = [dict(_leaves(without_code(row[0].unit.identity.defense))) for row in rivals]
    differing = [name for name in options[0] if len({digest(each.get(name)) for each in options}) > 1]
    values = dict(_leaves(without_code(own[0].unit.identity.defense)))
    said = [f"{name}={_brief(values.get(name))}" for name in differing]
    mine = own[0].unit.identity
    same = len({row[0].unit.identity.weights for row in rivals}) == 1
    return ", ".join([*said, f"answers {mine.logits[:6]}" if same else f"weights {mine.weights[:6]}", _day(own)])


def _precision(one: Measured) -> str:
    """What a column says of passes that are not the judge's float32."""
    precision = one.unit.identity.precision
    return "" if precision == "float32" else f" · {precision}"


def _version(one: Measured) -> str:
    """Names an attack at whatever radius: what it was resolved to and its code, without its eps."""
    attack = one.unit.identity.attack
    options = attack.get("options") if isinstance(attack, dict) else None
    if isinstance(attack, dict) and isinstance(options, dict):
        attack = {**attack, "options": {name: value for name, value in options.items() if name != "eps"}}
    return digest([attack, one.unit.identity.engine])


def _copy(rivals: list[list[Measured]], own: list[Measured]) -> str:
    """What tells two copies of a data set apart, or two seeds of the attacks."""
    if len({row[0].unit.identity.data for row in rivals}) == 1:
        return f"attack seed {own[0].unit.identity.seed}"
    variant = own[0].unit.facts.variant or f"fingerprint {own[0].unit.identity.data[:6]}"
    seeds = len({row[0].unit.identity.seed for row in rivals}) > 1
    return f"{variant}, attack seed {own[0].unit.identity.seed}" if seeds else variant


def _leaves(value: Json, name: str = "") -> Iterator[tuple[str, Json]]:
    """The options of an identity by their names, those of nested entries too."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, name if key in ("defense", "options") else f"{name}.{key}" if name else key)
    else:
        yield name, value


def _brief(value: Json) -> str:
    return written(value)[:24]


def _day(units: list[Measured]) -> str:
    last = datetime.fromtimestamp(max(one.unit.facts.created for one in units), UTC)
    return f"{last.day} {last:%b}"
