"""Square (Andriushchenko et al., 2020): random search with square patches; it sees scores, never gradients."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from robench import (
    Classifier,
    Positive,
    PositiveShare,
    Radius,
    UsageError,
    attack,
    goal_margin,
    picked,
    rowwise,
)

HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)
"""Of 10,000 queries: when the squares' area is halved (section 5 of the paper); scaled to the queries that are given."""


@attack(
    paper="arXiv:1912.00049",
    norm="linf",
    goal="budget",
    knowledge="score",
    complete=True,
    monotone=True,
    presets={"art": {"queries": 100}, "quick": {"queries": 300}},
)
def square_linf(
    model: Classifier,
    inputs: Tensor,
    labels: Tensor,
    *,
    eps: Radius,
    targets: Tensor | None = None,
    queries: Positive = 5000,
    share: PositiveShare = 0.8,
    rescale: bool = True,
) -> Tensor:
    """Square attack in L∞: squares of ±eps, kept where they lower the margin.

    Args:
        inputs: images in [0, 1], (N, C, H, W).
        eps: radius of the ball, for pixels in [0, 1].
        targets: classes to be taken for, (N,); None to leave the label.
        queries: forward passes for an image at most.
        share: of the image that the first squares cover; it is halved as the queries go on.
        rescale: halve it at the same shares of the queries whatever their number, as the paper does; else at the same
            queries, as AutoAttack does.
    """
    channels, height, width = _image_shape(inputs, "square_linf")
    low, high = (inputs - eps).clamp_min(0), (inputs + eps).clamp_max(1)

    def signs(purpose: str, step: int, rows: Tensor, shape: tuple[int, ...]) -> Tensor:
        return model.draws.uniform(purpose, step, rows, shape).to(inputs) < 0.5

    def start(rows: Tensor) -> Tensor:
        return torch.where(signs("start", 0, rows, (channels, 1, width)), high[rows], low[rows])

    def propose(point: Tensor, rows: Tensor, step: int) -> Tensor:
        side = max(round((_share(share, step, queries if rescale else 10_000) * height * width) ** 0.5), 1)
        inside = _window(model, rows, step, side, height, width, "square").to(inputs.device)
        raised = signs("square/sign", step, rows, (channels, 1, 1))
        return torch.where(inside, torch.where(raised, high[rows], low[rows]), point)

    return _search(model, inputs, labels, targets, queries, start, propose)


@attack(
    paper="arXiv:1912.00049",
    norm="l2",
    goal="budget",
    knowledge="score",
    complete=True,
    monotone=True,
    presets={"quick": {"queries": 300}},
)
def square_l2(
    model: Classifier,
    inputs: Tensor,
    labels: Tensor,
    *,
    eps: Radius,
    targets: Tensor | None = None,
    queries: Positive = 5000,
    share: PositiveShare = 0.8,
    rescale: bool = True,
) -> Tensor:
    """Square attack in L2: the perturbation's length is moved from one square into another, more peaked one.

    The options are those of `square_linf`, with eps the radius of the L2 ball.
    """
    channels, height, width = _image_shape(inputs, "square_l2")

    def onto_ball(delta: Tensor, rows: Tensor) -> Tensor:
        length = delta.flatten(1).norm(dim=1).clamp_min(1e-12)
        return (inputs[rows] + eps * delta / rowwise(length, delta)).clamp(0, 1)

    def start(rows: Tensor) -> Tensor:
        side = max(min(height, width) // 5, 1)
        delta = torch.zeros_like(inputs[rows])
        tile = _hill(side).to(inputs)
        for down in range((height % side) // 2, height - side + 1, side):
            for right in range((width % side) // 2, width - side + 1, side):
                draw = model.draws.uniform(f"start/{down}", right, rows, (channels, 1, 1)).to(inputs)
                delta[:, :, down : down + side, right : right + side] += tile * torch.where(draw < 0.5, 1.0, -1.0)
        return onto_ball(delta, rows)

    def propose(point: Tensor, rows: Tensor, step: int) -> Tensor:
        side = max(round((_share(share, step, queries if rescale else 10_000) * height * width) ** 0.5), 3)
        side = min(side + 1 - side % 2, height - 1 + height % 2, width - 1 + width % 2)
        delta = point - inputs[rows]
        taker = _window(model, rows, step, side, height, width, "square").to(inputs.device)
        giver = _window(model, rows, step, side, height, width, "square/giver").to(inputs.device)
        union = (delta * (taker | giver)).square().sum((2, 3), keepdim=True)
        spare = (eps**2 - delta.square().sum((1, 2, 3), keepdim=True)).relu() / channels
        within = (delta * taker).square().sum((2, 3), keepdim=True).sqrt()
        sign = torch.where(model.draws.uniform("square/sign", step, rows, (channels, 1, 1)).to(inputs) < 0.5, 1.0, -1.0)
        turned = model.draws.uniform("square/turn", step, rows, (1, 1, 1)).to(inputs) < 0.5
        hill = _hill(side).to(inputs)
        placed = _placed(torch.where(turned, hill.T, hill), taker, side)
        fresh = (placed * sign + delta / (within + 1e-12)) * taker
        fresh = fresh / (fresh.square().sum((2, 3), keepdim=True).sqrt() + 1e-12) * (spare + union).sqrt()
        return onto_ball(torch.where(taker, fresh, torch.where(giver, torch.zeros_like(delta), delta)), rows)

    return _search(model, inputs, labels, targets, queries, start, propose)


def _image_shape(inputs: Tensor, name: str) -> tuple[int, int, int]:
    if inputs.ndim != 4:
        raise UsageError(
            f"{name} cuts squares out of images, (N, C, H, W), but was given inputs of shape {tuple(inputs.shape)}"
        )
    channels, height, width = inputs.shape[1:]
    return channels, height, width


def _search(
    model: Classifier,
    inputs: Tensor,
    labels: Tensor,
    targets: Tensor | None,
    queries: int,
    start: Callable[[Tensor], Tensor],
    propose: Callable[[Tensor, Tensor, int], Tensor],
) -> Tensor:
    """Random search: a proposal is kept where it raises the goal's margin. Images that are solved leave the batch."""
    result, rows = inputs.clone(), torch.arange(len(inputs), device=inputs.device)
    with torch.no_grad():
        point = start(rows)
        best = goal_margin(model(point, rows), labels, targets)
        for step in range(1, queries):
            solved = best > model.stop_margin(best, rows)
            if solved.any():
                result[rows[solved]] = point[solved]
                rows, point, best = rows[~solved], point[~solved], best[~solved]
            if not len(rows):
                break
            proposed = propose(point, rows, step)
            found = goal_margin(model(proposed, rows), labels[rows], picked(targets, rows))
            better = found > best
            point = torch.where(rowwise(better, point), proposed, point)
            best = torch.where(better, found, best)
        result[rows] = point
    return result


def _share(first: float, step: int, queries: int) -> float:
    """Share of the image that a square covers at a step."""
    passed = sum(step / queries * 10_000 > when for when in HALVINGS)
    return first / float(2**passed)


def _window(model: Classifier, rows: Tensor, step: int, side: int, height: int, width: int, purpose: str) -> Tensor:
    """A square of this side somewhere in each image: bool, (rows, 1, H, W)."""
    draw = model.draws.uniform(purpose, step, rows, (2,))
    down, right = ((draw[:, i] * (size - side + 1)).long()[:, None] for i, size in enumerate((height, width)))
    across, along = torch.arange(height), torch.arange(width)
    tall = (across >= down) & (across < down + side)
    broad = (along >= right) & (along < right + side)
    return tall[:, None, :, None] & broad[:, None, None, :]


def _placed(tile: Tensor, window: Tensor, side: int) -> Tensor:
    """A tile of `side` by `side` for each image, at the place of its window, zero around it, (rows, 1, H, W)."""
    tall, broad = window.any(3, keepdim=True), window.any(2, keepdim=True)
    down = (tall.cumsum(2) - 1).clamp(0, side - 1).squeeze(1).squeeze(2)
    right = (broad.cumsum(3) - 1).clamp(0, side - 1).squeeze(1).squeeze(1)
    spread = tile.expand(len(window), 1, side, side)[:, 0]
    image = torch.arange(len(window), device=window.device)[:, None, None]
    placed: Tensor = spread[image, down[:, :, None], right[:, None, :]][:, None] * window
    return placed


def _hill(side: int) -> Tensor:
    """η of the paper: two halves of opposite sign, each a stack of growing rectangles around its middle; unit length."""
    upper = side // 2
    hill = torch.zeros(side, side)
    hill[:upper] = _stack(upper, side)
    hill[upper:] = -_stack(side - upper, side)
    unit: Tensor = hill / hill.norm()
    return unit


def _stack(height: int, width: int) -> Tensor:
    """Rectangles that grow around the middle, the k-th of height 1 / k²: a sum over those that reach a pixel."""
    down, right = torch.arange(height) - height // 2, torch.arange(width) - width // 2
    distance = torch.maximum(down.abs()[:, None], right.abs())
    levels: Tensor = 1 / torch.arange(1, max(height, width) // 2 + 2).square()
    reaching: Tensor = levels.flip(0).cumsum(0).flip(0)
    stack: Tensor = reaching[distance]
    return stack
