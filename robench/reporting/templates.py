"""The templates of pages, in `reports/`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from robench.entries.modules import built_in_folder

if TYPE_CHECKING:
    from jinja2 import Template


def template(name: str) -> Template:
    """A template by its file's name; what it shows is escaped, and a name that it does not know is an error."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(built_in_folder("reports")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"percent": _percent, "number": _number}
    return environment.get_template(name)


def _percent(share: object) -> str:
    return f"{100 * share:.1f}" if isinstance(share, float | int) else "–"


def _number(value: object, form: str = ".4g") -> str:
    """∞ for what is not finite: summaries say None for it."""
    return format(value, form) if isinstance(value, float | int) else "∞"
