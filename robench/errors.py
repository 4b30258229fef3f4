"""The errors that robench raises for its user.

RobenchError            one clear message: what was given, what was wanted, what to try
├── UsageError          a name, an option or a combination that cannot be run        exit status 2
│   └── MissingError    what a comparison needs is not there, or is of something else exit status 3
├── DataError           a data set that is missing, truncated or changed             exit status 2
├── ModelError          a model that raises, returns NaN or the wrong shape          exit status 2
├── StoreError          records or weights that cannot be written or read            exit status 5
└── AttackError         an attack broke its own contract (shape, box, radius)        exit status 5
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

MOST_SUGGESTED, MOST_LISTED = 8, 60
"""Names in a message."""


class RobenchError(Exception):
    """Base of all errors that the command line prints without a traceback."""

    exit_status = 2


class UsageError(RobenchError):
    """What was asked for cannot be run as it was written."""


class MissingError(UsageError):
    """What a comparison needs is not there, or is of something else."""

    exit_status = 3


class DataError(RobenchError):
    """A data set is missing, truncated, or not what it was when it was decoded."""


class ModelError(RobenchError):
    """A model does not do what a classifier does: images in [0, 1] in, finite logits (N, classes) out."""


class StoreError(RobenchError):
    """Records or weights could not be written or read."""

    exit_status = 5


class AttackError(RobenchError):
    """An attack returned something outside its own threat model; its result is not recorded."""

    exit_status = 5


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown name: those that begin with it, the nearest known one, or all of them.

    Example:
        >>> did_you_mean('kas', ['ksa', 'vit'])
        "; did you mean 'ksa'?"
        >>> did_you_mean('pgd', ['pgd_l2', 'pgd_linf', 'vit'])
        "; did you mean 'pgd_l2' or 'pgd_linf'?"
    """
    names = sorted(known)
    small = {one.lower(): one for one in names}
    family = [one for key, one in small.items() if len(name) > 1 and key.startswith(name.lower())]
    close = [small[key] for key in get_close_matches(name.lower(), small, n=1, cutoff=0.5)]
    meant = family if 0 < len(family) <= MOST_SUGGESTED else close or family[:MOST_SUGGESTED]
    if meant:
        *first, last = map(repr, meant)
        return f"; did you mean {', '.join(first)}{' or ' if first else ''}{last}?"
    return f"; known: {', '.join(names[:MOST_LISTED])}{', …' if len(names) > MOST_LISTED else ''}" if names else ""


def ran_out(error: BaseException) -> bool:
    """Whether an error, of any library, says that there is no memory left, of a GPU or of the machine."""
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or (isinstance(error, RuntimeError) and "can't allocate memory" in str(error))
    )
