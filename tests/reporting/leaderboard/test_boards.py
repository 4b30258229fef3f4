"""Boards: what is required, what counts, who has a rank."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from measured import cell_of, many

from robench import Call, UsageError
from robench.records.unit import Measured
from robench.reporting.groups import grouped
from robench.reporting.leaderboard.boards import Board, boards
from robench.reporting.leaderboard.outcomes import Outcomes
from robench.reporting.leaderboard.ranking import stays_first
from robench.reporting.leaderboard.suites import attacks_of, suite, suites

SUITE = ("fgsm", "pgd_linf", "autoattack", "square_linf")
LABELS = {"label": [place % 3 for place in range(200)], "clean_prediction": [place % 3 for place in range(200)]}


def met(attack: str, share: float, defense: str = "vit", **changes: Any) -> Measured:
    """200 images in three classes, all right before, of which the first ones are broken at 0.1."""
    knowledge = "score" if attack.startswith("square") else "white-box"
    own = {"eps": 0.1, "knowledge": knowledge, **changes}
    columns = {"linf": own.pop("linf", 0.05), "correct": own.pop("correct", True)}
    made = {"weights": defense, **own}
    return cell_of(many(share), {**LABELS, **columns}, defense=defense, attack=f"{attack}(eps={own['eps']})", **made)


def suite_of(defense: str, *shares: float, **changes: Any) -> list[Measured]:
    return [met(attack, share, defense, **changes) for attack, share in zip(SUITE, shares, strict=True)]


def board(*units: Measured, knowledge: str = "white-box") -> Board:
    (found,) = [
        one
        for one in boards([Outcomes.of(one) for one in grouped(units)])
        if one.knowledge == knowledge and one.eps == 0.1
    ]
    return found


def shown(found: Board) -> dict[str, tuple[int | None, int, str]]:
    """Rank, images that are right in the worst case, reason, by label."""
    return {one.label: (one.rank, one.worst.count, one.reason) for one in found.standings}


def test_rows_are_in_the_order_of_their_worst_case_and_ranked_by_significance() -> None:
    found = board(
        *suite_of("vit", 0.5, 0.8, 0.9, 0.6),
        *suite_of("ksa", 0.1, 0.2, 0.3, 0.2),
        *suite_of("rspc", 0.1, 0.2, 0.31, 0.2),
    )
    assert shown(found) == {"ksa": (1, 140, ""), "rspc": (1, 138, ""), "vit": (3, 20, "")}
    assert [str(call) for call in found.required] == list(SUITE)
    assert found.neighbours == (1, 2)
    right = np.array([one.right for one in found.standings])
    assert found.stayed == stays_first(right, ~right)


def test_a_row_that_lacks_a_required_attack_stands_below_without_a_rank() -> None:
    found = board(*suite_of("vit", 0.5, 0.8, 0.9, 0.6), met("pgd_linf", 0.1, "ksa"))
    assert shown(found) == {"vit": (1, 20, ""), "ksa": (None, 180, "1 of 4 attacks")}
    assert [one.label for one in found.standings] == ["vit", "ksa"]


def test_weaker_options_and_a_smaller_radius_do_not_stand_for_a_required_attack() -> None:
    fewer = cell_of(many(0.1), LABELS, attack="fgsm(eps=0.1, steps=1)", eps=0.1, weights="vit")
    smaller = met("fgsm", 0.1, eps=0.05)
    found = board(*suite_of("vit", 0.5, 0.8, 0.9, 0.6)[1:], fewer, smaller)
    assert shown(found)["vit"] == (None, 20, "3 of 4 attacks")


def test_what_is_broken_within_a_smaller_radius_is_broken_within_a_larger_one() -> None:
    units = [*suite_of("vit", 0.1, 0.1, 0.1, 0.1), met("fgsm", 0.7, eps=0.05)]
    found = board(*units)
    assert shown(found)["vit"] == (1, 60, "")
    assert [one.attack for one in found.standings[0].faced][-1] == "fgsm(eps=0.05)"


def test_any_other_attack_lowers_the_worst_case_and_a_minimal_one_within_the_radius() -> None:
    sizes = [0.05 if place < 100 else 0.2 for place in range(200)]
    minimal = cell_of(
        [True] * 200, {**LABELS, "eps": None, "linf": sizes}, weights="vit", attack="cw_linf", goal="minimal", eps=None
    )
    found = board(*suite_of("vit", 0.1, 0.1, 0.2, 0.1), minimal)
    assert shown(found)["vit"] == (1, 100, "")
    faced = {one.attack: (one.rate.count, one.only) for one in found.standings[0].faced}
    assert faced["cw_linf"] == (100, 60)
    assert faced["autoattack"] == (160, 0)


def test_another_attack_of_fewer_images_leaves_n_as_it_is() -> None:
    few = met("mim", 0.7)
    few = replace(few, given=few.records.iloc[100:])  # of which 40 are broken
    (row,) = board(*suite_of("vit", 0.1, 0.1, 0.2, 0.1), few).standings
    assert (row.worst.count, row.worst.total) == (200 - 40 - 40, 200)
    assert {one.attack: (one.rate.count, one.rate.total) for one in row.faced}["mim"] == (60, 100)
    half = suite_of("vit", 0.1, 0.1, 0.2, 0.1)
    half[2] = replace(half[2], given=half[2].records.iloc[:50])
    (row,) = board(*half).standings
    assert (row.worst.count, row.worst.total, row.clean.total) == (10, 50, 50), (
        "a required one that is half finished counts"
    )


def test_an_image_that_a_row_was_not_tested_on_says_nothing_of_it() -> None:
    """Right on its 100 images, beside a row that is right on the same and wrong on 100 others."""
    few = [replace(one, given=one.records.iloc[:100]) for one in suite_of("vit", 0.0, 0.0, 0.0, 0.0)]
    lost = {"linf": 0.05}
    all_of_them = [
        replace(one, given=one.records.assign(success=late, fooled=late))
        for one in suite_of("ksa", 0.0, 0.0, 0.0, 0.0, **lost)
        for late in [[place >= 100 for place in range(200)]]
    ]
    assert shown(board(*few, *all_of_them)) == {"vit": (1, 100, ""), "ksa": (1, 100, "")}


def test_an_attack_at_a_larger_radius_is_on_another_board() -> None:
    found = board(*suite_of("vit", 0.1, 0.1, 0.1, 0.1), met("fgsm", 0.9, eps=0.2))
    assert shown(found)["vit"] == (1, 180, "")
    assert [one.attack for one in found.standings[0].faced] == list(SUITE)


def test_a_board_holds_what_needs_no_more_than_its_knowledge() -> None:
    units = suite_of("vit", 0.5, 0.8, 0.9, 0.6)
    score = board(*units, knowledge="score")
    assert [str(call) for call in score.required] == ["square_linf"]
    assert shown(score)["vit"] == (1, 80, "")
    assert {one.knowledge for one in boards([Outcomes.of(one) for one in grouped(units)])} == {"white-box", "score"}


def test_a_row_at_chance_has_no_rank_although_nothing_breaks_what_it_has() -> None:
    guessed = [place % 9 == 0 for place in range(200)]
    poor = [
        cell_of(
            [not own for own in guessed],
            {**LABELS, "correct": guessed, "fooled": [not own for own in guessed]},
            defense="odd",
            weights="odd",
            attack=f"{name}(eps=0.1)",
            eps=0.1,
        )
        for name in SUITE
    ]
    found = board(*suite_of("vit", 0.5, 0.8, 0.9, 0.6), *poor)
    rank, _, reason = shown(found)["odd"]
    assert rank is None
    assert "chance" in reason


def test_trainings_that_differ_in_their_seed_alone_say_their_spread() -> None:
    def trained(seed: int, share: float) -> list[Measured]:
        units = suite_of("vit", share, share, share, share, weights=f"w{seed}")
        for one in units:
            one.unit.identity.defense["defense"]["options"]["seed"] = seed  # type: ignore[index,call-overload]
        return units

    found = board(*trained(0, 0.4), *trained(1, 0.5), *suite_of("ksa", 0.1, 0.1, 0.1, 0.1))
    seeds = {one.label: one.seeds for one in found.standings}
    assert seeds["ksa"] == (1, None)
    count, spread = next(own for label, own in seeds.items() if label != "ksa")
    assert count == 2
    assert spread == pytest.approx(0.1 / 2**0.5)
    lacking = board(*trained(0, 0.4), *trained(1, 0.5)[:2])
    assert {one.seeds for one in lacking.standings} == {(1, None)}, "a row that met less is weaker than it looks"
    fewer = [replace(one, given=one.records.iloc[:-5]) for one in trained(1, 0.5)]
    assert {one.seeds for one in board(*trained(0, 0.4), *fewer).standings} == {(1, None)}, (
        "other images are no other seed"
    )


def test_bfloat16_passes_stand_for_no_required_attack() -> None:
    found = board(*suite_of("vit", 0.1, 0.1, 0.1, 0.1)[1:], met("fgsm", 0.3, precision="bfloat16"))
    assert shown(found)["vit"] == (None, 140, "3 of 4 attacks")


def test_a_suite_is_attacks_at_their_defaults() -> None:
    assert [str(call) for call in attacks_of("linf(eps=8/255)")] == [f"{name}(eps=8/255)" for name in SUITE]
    assert suite("linf").at(None) == [Call(name) for name in SUITE]
    assert set(suites()) == {"linf", "l2", "l1"}
    with pytest.raises(UsageError, match="no suite is named 'lnf'; did you mean 'linf'"):
        attacks_of("lnf")
    with pytest.raises(UsageError, match="a suite takes eps alone"):
        attacks_of("linf(steps=3)")
