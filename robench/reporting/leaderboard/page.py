"""A leaderboard as one HTML file that asks for nothing else, and as what other suffixes say."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from robench.entries.modules import built_in_folder
from robench.errors import UsageError
from robench.files import atomic_path
from robench.reporting.leaderboard.contents import Leaderboard, packed, plain
from robench.reporting.leaderboard.texts import as_csv, as_markdown
from robench.reporting.templates import rendered

_IN_A_SCRIPT = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})
"""What could end a script within the strings of JSON."""


def as_html(found: Leaderboard) -> str:
    """One file: styles, script and data are in it. Texts of the store reach the page as data alone, never as HTML."""
    folder = built_in_folder("reports")
    data = json.dumps(packed(found), separators=(",", ":"), allow_nan=False)
    return rendered(
        "leaderboard.html.j2",
        style=(folder / "leaderboard.css").read_text(encoding="utf-8"),
        script=(folder / "leaderboard.js").read_text(encoding="utf-8"),
        data=data.translate(_IN_A_SCRIPT),
        found=found,
    )


def as_json(found: Leaderboard) -> str:
    """All numbers, with their intervals."""
    return json.dumps(plain(found), indent=1) + "\n"


FORMS: dict[str, Callable[[Leaderboard], str]] = {
    ".html": as_html,
    ".md": as_markdown,
    ".json": as_json,
    ".csv": as_csv,
}


def form_of(path: Path) -> Callable[[Leaderboard], str]:
    """What writes a file of this suffix.

    Raises:
        UsageError: the suffix is none of `FORMS`.
    """
    if path.suffix.lower() not in FORMS:
        raise UsageError(f"{path} ends in none of {', '.join(FORMS)}, which say what is written")
    return FORMS[path.suffix.lower()]


def write(found: Leaderboard, path: Path) -> Path:
    """Write a leaderboard, whole or not at all, in the form of the file's suffix.

    Raises:
        UsageError: the suffix is none of `FORMS`.
        OSError: it cannot be written.
    """
    text = form_of(path)(found)
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")
    return path
