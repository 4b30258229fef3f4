"""The margin of Carlini & Wagner within an L∞ ball: what ART up to 1.8.1 has under the name of their L∞ attack."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from robench import Above0, Classifier, Positive, Radius, attack, goal_margin, picked, rowwise, weight_scale

INSIDE = 0.999999
"""Images begin this far inside the bounds of their pixels, at which tanh has no slope."""


@attack(norm="linf", goal="minimal", paper="arXiv:1807.01069")
def cw_linf_ball(
    model: Classifier,
    inputs: Tensor,
    labels: Tensor,
    *,
    radius: Radius = 0.3,
    targets: Tensor | None = None,
    steps: Positive = 10,
    lr: Above0 = 0.01,
    halvings: Positive = 5,
    doublings: Positive = 5,
) -> Tensor:
    """The first image within an L∞ ball that fools the model, by descent on the logit margin; nothing makes it small.

    It is another attack than `cw_linf`, which is Carlini & Wagner's: there is no constant c and no norm in the loss. ART had it
    as CarliniLInfMethod until 1.8.1 (October 2021), the latest when the KSA paper was made, and rewrote it in 1.9.0. The
    defaults are ART's, and weak. A pixel moves along tanh between the ends of the ball and of [0, 1]; the step along the
    margin's slope is halved until the margin falls, or doubled as long as it falls further.

    Args:
        inputs: images in [0, 1], (N, C, H, W).
        radius: of the ball, for pixels in [0, 1].
        targets: classes to be taken for, (N,); None to leave the label.
        steps: along a slope, of which each takes a line search.
        lr: the first step's length in the variable of tanh, as a multiple of the slope, for logits whose spread is 10; where
            theirs is another, in inverse proportion to it. An image's next step begins with what its last one ended with.
        halvings, doublings: tries of a line search at most.

    Returns:
        The first adversarial images that were found; the input itself where there was none.
    """
    low, high = (inputs - radius).clamp(0, 1), (inputs + radius).clamp(0, 1)
    width = (high - low).clamp_min(1e-12)
    point = torch.atanh(INSIDE * (2 * (inputs - low) / width - 1))

    def pixels(point: Tensor, rows: Tensor) -> Tensor:
        return low[rows] + width[rows] * (1 + torch.tanh(point)) / 2

    def behind(point: Tensor, rows: Tensor) -> Tensor:
        """What the margin lacks, in logits, (n,); 0 where the goal is reached."""
        found = goal_margin(model(pixels(point, rows), rows), labels[rows], picked(targets, rows))
        return (model.stop_margin(inputs[rows], rows) - found).relu()

    adversarial = inputs.clone()
    rows, rate = torch.arange(len(inputs), device=inputs.device), lr * weight_scale(model.spread(inputs))
    for _ in range(steps):
        probe = point.requires_grad_()
        loss = behind(probe, rows)
        slope = -model.gradient(probe, loss)
        with torch.no_grad():
            point, lacking, rate = _line_search(behind, point.detach(), slope, rows, loss, rate, halvings, doublings)
            done = lacking <= 0
            adversarial[rows[done]] = pixels(point[done], rows[done])
            rows, point, rate = rows[~done], point[~done], rate[~done]
        if not len(rows):
            break
    return adversarial


def _line_search(
    behind: Callable[[Tensor, Tensor], Tensor],
    point: Tensor,
    slope: Tensor,
    rows: Tensor,
    loss: Tensor,
    rate: Tensor,
    halvings: int,
    doublings: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """(the best points on the way, their loss, the rates that the next step begins with): where the first try lowers the loss
    the rate is doubled as long as that lowers it further, elsewhere it is halved until it does."""
    best, taken, tries = loss.clone(), torch.zeros_like(rate), torch.zeros_like(rate)
    last = loss.clone()

    def attempt(part: Tensor) -> None:
        last[part] = behind(point[part] + rowwise(rate[part], slope) * slope[part], rows[part])
        better = part & (last < best)
        taken[better], best[better] = rate[better], last[better]

    for _ in range(halvings):
        part = last >= loss
        if not part.any():
            break
        rate = torch.where(part & (tries > 0), rate / 2, rate)
        attempt(part)
        tries += part
    for doubled in range(doublings):
        part = (tries == 1) & (last <= best) & (taken > 0) & (best > 0)
        if not part.any():
            break
        rate = torch.where(part, 2 * rate, rate)
        attempt(part)
        # what did not help, and the last one of all, is taken back
        back = part & ((last > best) | torch.full_like(part, doubled + 1 == doublings))
        rate = torch.where(back, rate / 2, rate)
    return point + rowwise(taken, slope) * slope, best, rate
