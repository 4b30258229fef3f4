"""Ranks: McNemar's exact test, Holm's correction, neighbours, half splits."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from statsmodels.stats.contingency_tables import mcnemar as reference
from statsmodels.stats.multitest import multipletests

from robench.reporting.leaderboard import ranking
from robench.reporting.leaderboard.ranking import ranks, separable
from robench.reporting.statistics import holm, mcnemar


def right(images: int, of: int = 100, start: int = 0) -> pd.Series:
    """Right on so many images of 100, one after another."""
    return pd.Series(
        [start <= place < start + images for place in range(of)], index=[f"i{place}" for place in range(of)]
    )


def flags(rows: list[pd.Series]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Right, and wrong, by row and image of any of them."""
    table = pd.concat([row.astype(float) for row in rows], axis=1).T.to_numpy()
    return table == 1, table == 0


def better(rows: list[pd.Series]) -> NDArray[np.bool_]:
    return ranking.better(*flags(rows))


def stays_first(rows: list[pd.Series]) -> int:
    return ranking.stays_first(*flags(rows))


@pytest.mark.parametrize(("only_first", "only_second"), [(8, 1), (5, 0), (6, 0), (3, 3), (0, 0), (40, 60)])
def test_mcnemar_is_exact(only_first: int, only_second: int) -> None:
    found = mcnemar(np.array([only_first]), np.array([only_second]))[0]
    table = [[10, only_first], [only_second, 10]]
    assert found == pytest.approx(1.0 if only_first + only_second == 0 else reference(table, exact=True).pvalue)


def test_six_images_that_only_one_is_right_on_are_the_fewest_that_differ() -> None:
    assert mcnemar(np.array([5, 6]), np.array([0, 0])).tolist() == pytest.approx([2 / 32, 2 / 64])


def test_holm_is_that_of_a_second_library() -> None:
    p = np.random.default_rng(0).uniform(size=40) ** 3
    assert holm(p) == pytest.approx(multipletests(p, method="holm")[1])


def test_a_row_is_ranked_by_how_many_are_significantly_better() -> None:
    rows = [right(90), right(88), right(60), right(10)]
    above = better(rows)
    assert ranks(above) == [1, 1, 3, 4]
    assert separable(above) == 2
    assert above[0].tolist() == [False, False, True, True]
    assert not above[2, 0]


def test_more_pairs_ask_for_more() -> None:
    """7 images of difference: p = 2/128 = .016, below 5 % for one pair and not for six."""
    assert ranks(better([right(57), right(50)])) == [1, 2]
    assert ranks(better([right(57), right(50), right(53), right(54)])) == [1, 1, 1, 1]


def test_rows_are_compared_on_the_images_that_both_have() -> None:
    """The second is wrong on many images that the first was never tested on: these say nothing."""
    first = right(50).iloc[:50]
    second = right(50)
    assert ranks(better([first, second])) == [1, 1]
    assert ranks(better([first, right(30)])) == [1, 2]
    assert ranks(better([first, right(0).rename(lambda name: f"other {name}")])) == [1, 1]


def test_the_first_of_clear_rows_stays_first_and_of_close_ones_does_not() -> None:
    assert stays_first([right(90), right(20)]) == 50
    close = stays_first([right(50), right(49, start=50)])
    assert 15 <= close <= 40
    assert stays_first([right(50), right(50)]) == 50, "ties stay"
    assert stays_first([right(20), right(90)]) == 0
