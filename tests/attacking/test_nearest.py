"""What a minimal attack keeps, offer by offer."""

from __future__ import annotations

import torch

from robench import Nearest


def kept(*offers: tuple[float, bool, bool]) -> float:
    """The size that is kept of offers: (size, whether the goal is reached, whether with the margin that is wanted)."""
    nearest, row = Nearest(torch.zeros(1, 1)), torch.tensor([0])
    for size, reached, sure in offers:
        image = torch.full((1, 1), size)
        nearest.offer(row, image, image[0], torch.tensor([reached]), torch.tensor([sure]))
        assert nearest.images.item() == (nearest.sizes.item() if nearest.sizes.isfinite().all() else 0)
    return nearest.sizes.item()


def test_the_nearest_that_reached_the_goal_is_kept() -> None:
    assert kept((0.5, False, False)) == float("inf")
    assert kept((0.5, True, True), (0.25, True, True), (0.375, True, True)) == 0.25


def test_one_with_the_margin_that_is_wanted_goes_before_a_nearer_one_without() -> None:
    assert kept((0.25, True, False), (0.5, True, True), (0.125, True, False)) == 0.5
    assert kept((0.25, True, False), (0.125, True, False)) == 0.125


def test_a_margin_without_the_goal_counts_for_nothing() -> None:
    """An image whose margin is fine and that is out of the ball, say."""
    assert kept((0.25, False, True), (0.5, True, False)) == 0.5
