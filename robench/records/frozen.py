"""What frozen boards name: units that nothing here removes."""

from __future__ import annotations

import re
from pathlib import Path

from robench.errors import StoreError
from robench.files import parse_json, read_stored


def frozen_units(root: Path) -> set[str]:
    """Identities of the units that a frozen board of a store names.

    Raises:
        StoreError: a board cannot be read, so that it is not known what it names.
    """
    names: set[str] = set()
    for path in root.glob("boards/*.json"):
        try:
            units = parse_json(read_stored(path))["units"]
            if not isinstance(units, list) or not all(re.fullmatch("[0-9a-f]{16}", str(u)) for u in units):
                raise ValueError('"units" must be a list of identities, the 16 digits that end the names of units')
            names |= set(units)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StoreError(
                f"the board {path} cannot be read ({error}); nothing is removed before it is mended"
            ) from error
    return names
