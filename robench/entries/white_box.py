"""Attacks that another entry, or a training, runs by itself."""

from __future__ import annotations

from robench.entries.calls import Call
from robench.entries.entry import AttackEntry
from robench.entries.registry import ATTACKS
from robench.errors import UsageError


def white_box_attack(call: Call, user: str) -> AttackEntry:
    """The attack that a training, or another attack, runs by itself.

    Raises:
        UsageError: it is unknown, follows no gradients, or needs more than a model; `user` says who wants to run it.

    Example:
        >>> white_box_attack(Call("mim"), "my training").name
        'mim'
    """
    entry = ATTACKS[call.name]
    if entry.card.knowledge != "white-box" or entry.sources:
        raise UsageError(
            f"{user} runs a white-box attack on a single model; {entry.name} is not one (`robench list attacks`)"
        )
    return entry
