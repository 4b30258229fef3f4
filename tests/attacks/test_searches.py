"""What attacks without gradients ask, query by query: Square's squares and colours, the blocks of RayS and its bisection."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from scripted import Scripted, attacked, grey
from torch import Tensor

from robench import ATTACKS

SIDE = 20


def box(changed: Tensor) -> tuple[int, int, int, int]:
    """Top, left, height and width of what is marked, (H, W)."""
    rows, columns = changed.any(1).nonzero().flatten(), changed.any(0).nonzero().flatten()
    return int(rows[0]), int(columns[0]), int(rows[-1] - rows[0]) + 1, int(columns[-1] - columns[0]) + 1


def squares(queries: int, **options: object) -> tuple[Tensor, list[Tensor]]:
    """The start of Square in L∞ and its proposals, all of them in vain, for 24 channels of 20 x 20 pixels around mid-grey."""
    model = Scripted([-1])
    inputs = torch.full((1, 24, SIDE, SIDE), 0.5, dtype=torch.float64)
    attacked("square_linf", model, inputs, eps=0.1, queries=queries, **options)
    start, *proposed = (seen[0] for seen in model.seen)
    return start, proposed


HALVED = [18, 13, 9, 6, 4, 3, 2, 2, 1, 1]
"""Sides of squares of 0.8, 0.4, 0.2, … of 20 x 20 pixels, rounded."""


@pytest.mark.parametrize(
    ("options", "queries", "sides"),
    [
        # Of 1,000 queries the share is halved after 1, 5, 20, 50, 100, 200, 400, 600 and 800.
        (
            {},
            1000,
            dict(zip([3, 4, 10, 19, 30, 70, 150, 300, 700, 900], [13, 13, 9, 9, 6, 4, 3, 2, 1, 1], strict=True)),
        ),
        # Unscaled after 10, 50 and 200.
        ({"rescale": False}, 250, {1: 18, 9: 18, 12: 13, 48: 13, 52: 9, 198: 9, 202: 6, 249: 6}),
        ({"rescale": False, "share": 0.2}, 60, {1: 9, 9: 9, 12: 6, 48: 6, 52: 4}),
    ],
)
def test_squares_become_smaller_when_the_paper_says(
    options: dict[str, object], queries: int, sides: dict[int, int]
) -> None:
    start, proposed = squares(queries, **options)
    assert len(proposed) == queries - 1
    for step, side in sides.items():
        _, _, height, width = box((proposed[step - 1] != start).any(0))
        assert (height, width) == (side, side), step


def test_a_square_lies_anywhere_and_has_a_colour_in_each_channel() -> None:
    start, proposed = squares(200, rescale=False)
    places, raised = set(), []
    for step, proposal in enumerate(proposed[51:], 52):
        top, left, height, width = box((proposal != start).any(0))
        places |= {("top", top), ("left", left)}
        inside = proposal[:, top : top + height, left : left + width].flatten(1)
        assert torch.equal(inside.amin(1), inside.amax(1)), step
        raised.append(inside[:, 0])
    assert places == {(edge, offset) for edge in ("top", "left") for offset in range(12)}, "a side of 9 in 20"
    found = torch.stack(raised)
    assert {*found.flatten().tolist()} == {0.4, 0.6}
    assert float((found > 0.5).double().mean()) == pytest.approx(0.5, abs=0.03)
    assert float((found > 0.5).double().mean(1).std()) == pytest.approx((0.25 / 24) ** 0.5, rel=0.2), "each by itself"


def test_square_begins_with_stripes_from_top_to_bottom() -> None:
    start, _ = squares(2)
    assert (start == start[:, :1]).all()
    assert float((start[:, 0] > 0.5).double().mean()) == pytest.approx(0.5, abs=0.07)
    assert {*start.flatten().tolist()} == {0.4, 0.6}


def test_what_square_proposes_next_is_another_square_of_the_best_so_far() -> None:
    margins = [-3, -3, -2, -2.5, -2, -1, -1, 1]
    model = Scripted(margins)
    found, _ = attacked("square_linf", model, torch.full((1, 24, SIDE, SIDE), 0.5).double(), eps=0.1, queries=100)
    best = [0, 0, 2, 2, 2, 5, 5]
    for step, kept in enumerate(best, 1):
        _, _, height, width = box((model.seen[step] != model.seen[kept])[0].any(0))
        assert height == width < SIDE, step
    assert len(model.seen) == len(margins), "it ends with a success"
    assert torch.equal(found, model.seen[-1])


def test_the_hill_of_square_in_l2_is_that_of_the_paper() -> None:
    """Of 3 x 3: 1 in the middle of each half, 1/4 around it too; the lower half, of two rows, is below zero."""
    hill: Callable[[int], Tensor] = ATTACKS["square_l2"].function.__globals__["_hill"]
    wanted = torch.tensor([[0.25, 1.25, 0.25], [-0.25, -0.25, -0.25], [-0.25, -1.25, -0.25]])
    assert torch.allclose(hill(3), wanted / wanted.norm(), atol=1e-6)
    assert hill(5)[0, 0].item() / hill(5)[1, 2].item() == pytest.approx((1 / 9) / (1 + 1 / 4 + 1 / 9), rel=1e-5)


@pytest.mark.parametrize(("step", "side"), [(1, 19), (9, 19), (12, 13), (48, 13), (52, 9), (98, 9)])
def test_square_in_l2_moves_the_length_of_one_square_into_another(step: int, side: int) -> None:
    """What was in the giver and the taker is in the taker, the giver is empty, the rest as it was. Sides are odd."""
    model, inputs = Scripted([-1]), torch.full((1, 1, SIDE, SIDE), 0.5).double()
    attacked("square_l2", model, inputs, eps=0.5, queries=step + 1, rescale=False)
    start, moved = model.seen[0] - inputs, model.seen[step] - inputs
    assert start.norm().item() == pytest.approx(0.5, rel=1e-6)
    assert moved.norm().item() == pytest.approx(0.5, rel=1e-6)
    assert (start.abs() > 1e-6).all()
    changed, emptied = (moved - start).abs() > 1e-6, moved.abs() < 1e-9
    assert int(changed.sum()) - int(emptied.sum()) == side**2
    taker = (changed & ~emptied)[0, 0]
    *_, height, width = box(taker)
    assert max(height, width) <= side
    assert moved[0, 0][taker].norm().item() == pytest.approx(start[changed].norm().item(), rel=1e-5)


def turned(size: int, queries: int) -> list[list[int]]:
    """Which pixels RayS turns in each query, as long as none of them succeeds."""
    model = Scripted([-1])
    attacked("rays", model, grey(1, size), queries=queries)
    return [(seen.flatten() == 0).nonzero().flatten().tolist() for seen in model.seen]


def test_rays_turns_the_whole_then_halves_then_quarters_and_begins_again_after_single_pixels() -> None:
    each = [[i] for i in range(8)]
    wanted = [[*range(8)], [0, 1, 2, 3], [4, 5, 6, 7], [0, 1], [2, 3], [4, 5], [6, 7], *each, [*range(8)], [0, 1, 2, 3]]
    assert turned(8, len(wanted)) == wanted
    ragged = [[*range(6)], [0, 1, 2], [3, 4, 5], [0, 1], [2, 3], [4, 5], *([i] for i in range(6)), [*range(6)]]
    assert turned(6, len(ragged)) == ragged


def test_rays_bisects_where_a_turned_ray_succeeds_and_turns_on_at_that_distance() -> None:
    """All of it at 1 succeeds; 0.5 does, 0.25 does not, 0.375 does, which is within 0.2. Then its first half at 0.375."""
    model = Scripted([1, 1, -1, 1, -1, -1, 1, -1, 1, -1])
    found, _ = attacked("rays", model, grey(1, 4), queries=9, tolerance=0.2)
    asked = [seen.flatten().tolist() for seen in model.seen]
    assert asked[:4] == [[0.0] * 4, [0.0] * 4, [0.25] * 4, [0.125] * 4]
    assert asked[4:6] == [[0.875, 0.875, 0.125, 0.125], [0.125, 0.125, 0.875, 0.875]]
    assert asked[6] == [0.875, 0.125, 0.125, 0.125], "a quarter succeeds, and is bisected from 0 to 0.375"
    half = (
        0.375 / 2
    )  # fails, and is within 0.2 of 0.375: the quarter stays turned at 0.375, and the next one is asked about
    assert asked[7:] == [[0.5 + half, *[0.5 - half] * 3], [0.875, 0.875, 0.125, 0.125]]
    assert torch.equal(found, model.seen[8])
    again, _ = attacked("rays", Scripted([1, 1, -1]), grey(1, 4), queries=3, tolerance=0.2)
    assert again.flatten().tolist() == [0.0] * 4, "the last that succeeded, and not the last that was asked"
