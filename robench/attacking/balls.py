"""When a perturbation counts as inside a ball: one rule for the judge, the tables and every attack. Needs no torch."""

from __future__ import annotations

TOLERANCE_LINF = 1e-6
"""In pixels: rounding alone adds up to 6e-8 to a float32 image, which is much of a small radius and nothing of 1/255."""
TOLERANCE_RELATIVE = 1e-5


def largest_inside(norm: str, eps: float) -> float:
    """The largest size of a perturbation that counts as inside the ball of radius eps, for sizes in float64.

    Example:
        >>> largest_inside("l2", 1.0), largest_inside("linf", 0.5)
        (1.00001, 0.500001)
    """
    return eps + TOLERANCE_LINF if norm == "linf" else eps * (1 + TOLERANCE_RELATIVE) + 1e-12
