"""What attacks are headed with in tables, from `reports/names.toml`."""

from __future__ import annotations

import tomllib
from functools import cache

from robench.entries.modules import built_in_folder


@cache
def _known() -> dict[str, str]:
    plain = tomllib.loads((built_in_folder("reports") / "names.toml").read_text(encoding="utf-8"))
    return dict(plain["attacks"])


def short_name(attack: str) -> str:
    """An attack's name as papers write it, its own where they have none.

    Example:
        >>> short_name("cw_l2"), short_name("mine")
        ('CW-L2', 'mine')
    """
    return _known().get(attack, attack)
