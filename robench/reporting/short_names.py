"""What attacks are headed with in tables, from `reports/names.toml`."""

from __future__ import annotations

from functools import cache

from robench.entries.modules import built_in_folder
from robench.files import read_toml


@cache
def _known() -> dict[str, str]:
    return dict(read_toml(built_in_folder("reports") / "names.toml")["attacks"])


def short_name(attack: str) -> str:
    """An attack's name as papers write it, its own where they have none.

    Example:
        >>> short_name("cw_l2"), short_name("mine")
        ('CW-L2', 'mine')
    """
    return _known().get(attack, attack)
