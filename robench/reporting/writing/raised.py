"""Raised letters, which the notes of a table are named by where there is no markup for them."""

from __future__ import annotations

RAISED = dict(zip("abcdefghijklmnoprstuvwxyz", "ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻ", strict=True))


def raised(letters: str) -> str:
    """The same letters, raised."""
    return "".join(RAISED[letter] for letter in letters)
