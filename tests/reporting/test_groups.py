"""A row is an identity, not a text."""

from __future__ import annotations

from dataclasses import replace

import pytest
from measured import measured, unit

from robench import Call, parse
from robench.records.unit import Measured
from robench.reporting.groups import grouped
from robench.reporting.result import Result
from robench.reporting.versions import newest

HIT, MISS = [True, True, True, False], [False, False, False, True]
DAY = 86_400.0
NOVEMBER_24 = 1_764_000_000.0


def rows_of(result: Result) -> dict[str, str]:
    """Labels of the first table with the success rate that they show."""
    (table, *_) = result.tables()
    return {label: cells[2].text for label, cells in table.rows}


def test_two_trainings_of_one_text_have_a_row_each_told_apart_by_weights_and_day() -> None:
    first = measured(HIT, weights="a1b2c3d4", created=NOVEMBER_24)
    second = measured(MISS, weights="e5f6a7b8", created=NOVEMBER_24 + DAY)
    shown, older = newest([first, second])
    assert older == []
    assert rows_of(Result(shown)) == {
        "vit · weights a1b2c3, 24 Nov": "75.0",
        "vit · weights e5f6a7, 25 Nov": "25.0",
    }


def test_where_only_code_changed_the_newest_is_shown_and_the_older_counted() -> None:
    before = measured(HIT, weights="a1", code="old", created=NOVEMBER_24)
    after = measured(MISS, weights="b2", code="new", created=NOVEMBER_24 + DAY)
    for order in ([before, after], [after, before]):
        shown, older = newest(order)
        assert (shown, older) == ([after], [before])
    assert rows_of(Result([after])) == {"vit": "25.0"}


def test_code_of_a_helper_that_changes_answers_but_neither_file_nor_weights_is_code_too() -> None:
    before = measured(HIT, logits="l0", created=NOVEMBER_24)
    after = measured(MISS, logits="l1", created=NOVEMBER_24 + DAY)
    assert newest([before, after]) == ([after], [before])


def own(call: Call, code: str, day: int) -> Measured:
    """Of a file whose function is called `own`: the call names the file, the identity the function and the code."""
    one = measured(HIT, weights=code, code=code, created=NOVEMBER_24 + day * DAY)
    object.__setattr__(one.unit.identity, "defense", {**one.unit.identity.defense, "name": "own"})  # type: ignore[dict-item]
    object.__setattr__(one.unit, "spec", replace(one.unit.spec, defense=call))
    return one


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (Call("small.py"), Call("large.py")),
        (Call("./small.py::own"), Call("./large.py::own")),
        (Call("a/mine.py"), Call("b/mine.py")),
        (Call("madry", {"model": Call("a.py")}), Call("madry", {"model": Call("b.py")})),
        (Call("own", {"models": [Call("vit"), Call("a.py")]}), Call("own", {"models": [Call("vit"), Call("b.py")]})),
    ],
)
def test_two_files_whose_functions_share_a_name_are_two_entries(first: Call, second: Call) -> None:
    rows = [own(first, "c0", 0), own(second, "c1", 1)]
    assert newest(rows) == (rows, [])
    assert set(rows_of(Result(rows))) == {str(first), str(second)}


def test_a_file_that_was_changed_is_a_version_however_its_path_is_written() -> None:
    first, again, other = (
        own(Call("./mine.py"), "c0", 0),
        own(Call("mine.py::own"), "c1", 1),
        own(Call("b.py"), "c2", 2),
    )
    assert newest([first, again, other]) == ([again, other], [first])


def test_attacks_of_two_files_have_a_column_each_and_a_changed_one_its_newest() -> None:
    def column(file: str, code: str, day: int) -> Measured:
        one = measured(HIT, attack="mine", attack_code=code, created=NOVEMBER_24 + day * DAY)
        object.__setattr__(one.unit, "spec", replace(one.unit.spec, attack=parse(file)))
        return one

    first, changed, second = column("a.py", "old", 0), column("a.py", "new", 1), column("b.py", "other", 2)
    assert newest([first, changed, second]) == ([changed, second], [first])
    (group,) = grouped([changed, second])
    assert [threat.label for threat in group.threats] == ["a.py", "b.py"]


def test_an_engine_that_changed_is_code_that_changed() -> None:
    before, after = measured(HIT, engine=1, created=NOVEMBER_24), measured(MISS, engine=2, created=NOVEMBER_24 + DAY)
    object.__setattr__(before.unit.identity, "defense", {**before.unit.identity.defense, "engine": 0})  # type: ignore[dict-item]
    assert newest([before, after]) == ([after], [before])


def test_a_default_that_changed_is_another_defense_told_by_the_option() -> None:
    first, second = measured(HIT, mu=1.0, weights="a1b2c3"), measured(MISS, mu=2.0, weights="d4e5f6")
    shown, older = newest([first, second])
    assert older == []
    assert set(rows_of(Result(shown))) == {
        "vit · mu=1, weights a1b2c3, 24 Nov",
        "vit · mu=2, weights d4e5f6, 24 Nov",
    }


def test_units_of_one_model_share_a_row_whatever_their_number() -> None:
    result = Result([measured(HIT), measured(MISS, attack="pgd_linf(eps=0.1)")])
    (table, *_) = result.tables()
    assert [label for label, _ in table.rows] == ["vit"]
    assert [column.group for column in table.columns[2::2]] == ["fgsm", "pgd_linf"]


def test_two_copies_of_a_data_set_have_tables_of_their_own_named_by_their_variants() -> None:
    published = measured(HIT, dataset="cifar10", data="d1")
    copy = measured(MISS, dataset="cifar10", data="d2", variant="JPEG-75 copy")
    assert [group.name for group in grouped([published, copy])] == [
        "cifar10 · fingerprint d1",
        "cifar10 · JPEG-75 copy",
    ]


def test_two_seeds_of_the_attacks_have_tables_of_their_own() -> None:
    assert [group.name for group in grouped([measured(HIT), measured(MISS, seed=1)])] == [
        "digits · attack seed 0",
        "digits · attack seed 1",
    ]


def test_an_attack_whose_code_changed_leaves_a_row_without_a_cell_and_says_so() -> None:
    """A table never puts two versions of an attack into one column."""
    before = measured(HIT, attack="mine", attack_code="old", created=NOVEMBER_24)
    other = measured(HIT, defense="ksa", weights="k", attack="mine", attack_code="old", created=NOVEMBER_24)
    after = measured(MISS, attack="mine", attack_code="new", created=NOVEMBER_24 + DAY)
    assert newest([before, other, after]) == ([other, after], [before]), "ksa was not attacked with the new code"
    both = Result([before, other, after])
    (table, *_) = both.tables()
    attacks = [column.group for column in table.columns if column.name.startswith("ASR")]
    assert [name.partition(" · code ")[0] for name in attacks] == ["mine", "mine"]
    assert len(set(attacks)) == 2


def test_radii_of_one_attack_stand_side_by_side() -> None:
    units = [measured(HIT, attack=f"fgsm(eps={eps})", eps=eps) for eps in (0.2, 0.1)]
    (group,) = grouped([*units[:1], measured(HIT, attack="cw_l2", eps=None, norm="l2", goal="minimal"), *units[1:]])
    assert [(threat.label, threat.eps) for threat in group.threats] == [("fgsm", 0.1), ("fgsm", 0.2), ("cw_l2", None)]


def test_the_names_of_a_model_and_of_a_threat_hold_what_they_should() -> None:
    base = unit().identity
    for change in ({"weights": "x"}, {"logits": "x"}, {"data": "x"}, {"code": "x"}, {"mu": 3.0}, {"subset": [1]}):
        assert unit(**change).identity.model != base.model, change
    for change in ({"attack_code": "x"}, {"precision": "bfloat16"}, {"engine": 2}):
        assert unit(**change).identity.model == base.model, change
        assert unit(**change).identity.threat != base.threat, change


def test_two_radii_of_two_versions_of_an_attack_are_not_under_one_header() -> None:
    units = [
        measured(HIT, attack=f"mine(eps={eps})", eps=eps, attack_code=code)
        for eps, code in ((0.1, "new"), (0.2, "old"))
    ]
    for one in units:
        object.__setattr__(one.unit.identity, "attack", {**one.unit.identity.attack, "name": "mine"})  # type: ignore[dict-item]
    (group,) = grouped(units)
    assert len({threat.label for threat in group.threats}) == 2
    assert all(" · code " in threat.label for threat in group.threats)


def test_only_trainings_that_differ_in_their_seed_alone_are_averaged() -> None:
    def row(seed: int, **changes: object) -> Measured:
        one = measured(HIT, weights=f"w{seed}{changes}", **changes)
        made_from = one.unit.identity.defense
        entry = {**made_from["defense"], "options": {**made_from["defense"]["options"], "seed": seed}}  # type: ignore[call-overload,index,dict-item]
        object.__setattr__(one.unit.identity, "defense", {**made_from, "defense": entry})  # type: ignore[dict-item]
        return one

    def titles(*rows: Measured) -> list[str]:
        return [table.title for table in Result(list(rows)).tables()]

    averaged = "Robustness on digits, over training seeds"
    assert averaged in titles(row(0), row(1))
    assert averaged not in titles(row(0), row(0, mu=2.0)), "a default that changed"
    assert averaged not in titles(row(0), row(1, code="other")), "code that changed"


def test_an_option_of_whatever_name_is_no_code() -> None:
    """`transfer(source=…)` has one that is called as the code is."""
    for name in ("source", "card", "engine", "initial"):
        first, second = (measured(HIT, attack=f"transfer({name}='{value}')") for value in ("vit", "ksa"))
        assert newest([first, second]) == ([first, second], []), name


def test_weights_that_a_file_of_the_same_code_starts_from_are_weights_not_code() -> None:
    def row(weights: str, code: str) -> Measured:
        one = measured(HIT, weights=weights, code=code, created=NOVEMBER_24 + DAY * len(weights))
        object.__setattr__(one.unit.identity, "defense", {**one.unit.identity.defense, "initial": weights})  # type: ignore[dict-item]
        return one

    first, second, changed = row("a", "c0"), row("bb", "c0"), row("ccc", "c1")
    assert newest([first, second]) == ([first, second], [])
    assert newest([first, changed]) == ([changed], [first])
