"""Norms of perturbations, projections onto balls, and the differentiable pieces that attacks share."""

from __future__ import annotations

import torch
from torch import Tensor

from robench.attacking.balls import largest_inside


def lengths(delta: Tensor) -> dict[str, Tensor]:
    """L0, L1, L2 and L∞ of each perturbation, float64, (N,); for pixels in [0, 1].

    L0 counts the elements (pixel and channel) that change by more than half a grey level, |δ| > 1/510.

    Example:
        >>> {name: size.item() for name, size in lengths(torch.tensor([[3.0, -4.0]])).items()}
        {'l0': 2.0, 'l1': 7.0, 'l2': 5.0, 'linf': 4.0}
    """
    flat = delta.double().flatten(1).abs()
    return {
        "l0": (flat > 1 / 510).sum(1).double(),
        "l1": flat.sum(1),
        "l2": flat.square().sum(1).sqrt(),
        "linf": flat.amax(1),
    }


def inside(adversarial: Tensor, inputs: Tensor, norm: str, eps: float) -> Tensor:
    """Where adversarial inputs lie in the ball around the inputs, as the judge has it, bool, (N,).

    Example:
        >>> inside(torch.tensor([[0.5], [0.7]]), torch.tensor([[0.4], [0.4]]), "linf", 0.1)
        tensor([ True, False])
    """
    return lengths(adversarial.double() - inputs.double())[norm] <= largest_inside(norm, eps)


def rowwise(values: Tensor, like: Tensor) -> Tensor:
    """(N,) values shaped so that they broadcast over inputs (N, ...).

    Example:
        >>> rowwise(torch.tensor([1.0, 2.0]), torch.zeros(2, 3, 8, 8)).shape
        torch.Size([2, 1, 1, 1])
    """
    return values.reshape(-1, *[1] * (like.ndim - 1))


def one_a_row(like: Tensor, value: float) -> Tensor:
    """The same number for every row, (N,), of the inputs' type and on their device.

    Example:
        >>> one_a_row(torch.rand(3, 1, 8, 8), 2.0)
        tensor([2., 2., 2.])
    """
    return like.new_full((len(like),), value)


def l2(delta: Tensor) -> Tensor:
    """L2 norm of each row of (N, ...), differentiable away from 0.

    Example:
        >>> l2(torch.tensor([[3.0, 4.0]]))
        tensor([5.])
    """
    return delta.flatten(1).square().sum(1).sqrt()


def scale_to_l2(delta: Tensor, radius: float) -> Tensor:
    """Each perturbation shrunk to the L2 ball of this radius where it is outside."""
    length = l2(delta)
    return delta * rowwise((radius / length.clamp_min(radius)) if radius else torch.zeros_like(length), delta)


def scale_to_l1(delta: Tensor, radius: float) -> Tensor:
    """The nearest point, in L2, of the L1 ball of this radius to each perturbation (Duchi et al., 2008)."""
    size = delta.flatten(1).abs()
    ordered = size.sort(1, descending=True).values
    count = torch.arange(1, size.shape[1] + 1, device=delta.device, dtype=delta.dtype)
    excess = (ordered.cumsum(1) - radius) / count
    support = (ordered > excess).sum(1, keepdim=True).clamp_min(1)
    threshold = excess.gather(1, support - 1).relu()
    return delta.sign() * (size - threshold).relu().view_as(delta)


def into_ball(delta: Tensor, radius: float, norm: str) -> Tensor:
    """Each perturbation, or the nearest point of the ball of this radius where it lies outside.

    Example:
        >>> into_ball(torch.tensor([[3.0, 4.0]]), 1.0, "l2")
        tensor([[0.6000, 0.8000]])
    """
    if norm == "linf":
        return delta.clamp(-radius, radius)
    return (scale_to_l2 if norm == "l2" else scale_to_l1)(delta, radius)


def length(delta: Tensor, norm: str) -> Tensor:
    """L∞ or L2 norm of each row, (N,), in the precision of the perturbation: for an attack's own use, not the judge's.

    Example:
        >>> length(torch.tensor([[3.0, -4.0]]), "linf")
        tensor([4.])
    """
    return delta.flatten(1).abs().amax(1) if norm == "linf" else l2(delta)


def to_hyperplane(points: Tensor, normal: Tensor, distance: Tensor, norm: str) -> Tensor:
    """The smallest move, in L∞ or L2, that takes each image in [0, 1] across a hyperplane and stays in the box.

    Every pixel moves against the normal's sign, at the same speed in L∞ and in proportion to |normal| in L2, until it
    meets the box. The time at which the hyperplane is reached is found exactly among the sorted times of those meetings.

    Args:
        normal: (N, C, H, W).
        distance: normal · x + b at each point, (N,); the move makes it zero, or as small as the box allows.
        norm: "linf" or "l2".

    Returns:
        The moves, shaped like the points.

    Example:
        >>> to_hyperplane(torch.tensor([[0.5, 0.5]]), torch.tensor([[1.0, 0.0]]), torch.tensor([0.2]), "l2")
        tensor([[-0.2000, -0.0000]])
    """
    flat, slope = points.flatten(1), normal.flatten(1) * rowwise(distance.sign(), normal.flatten(1))
    size = slope.abs()
    room = torch.where(slope > 0, flat, 1 - flat)
    speed = torch.ones_like(size) if norm == "linf" else size
    meets, order = (room / speed.clamp_min(1e-30)).sort(1)
    rate = (size * speed).gather(1, order)  # by which the distance falls in a unit of time
    gone = (size * room).gather(1, order).cumsum(1)
    left = (rate.flip(1).cumsum(1)).flip(1) - rate
    reached = gone + left * meets  # how far the distance has fallen when each pixel meets the box
    needed = distance.abs()[:, None]
    place = (reached < needed).sum(1, keepdim=True)
    last = place.clamp_max(size.shape[1] - 1)
    before = (place - 1).clamp_min(0)
    fallen = torch.where(place > 0, reached.gather(1, before), 0.0)
    since = torch.where(place > 0, meets.gather(1, before), 0.0)
    pace = left.gather(1, last) + rate.gather(1, last)
    time = since + (needed - fallen) / pace.clamp_min(1e-30)
    moved = torch.minimum(speed * time, room)
    moved = torch.where(place == size.shape[1], room, moved)  # the hyperplane lies outside the box
    return -(slope.sign() * moved).view_as(points)
