"""The templates of pages, in `reports/`."""

from __future__ import annotations

from typing import Any

from robench.console import one_line
from robench.entries.modules import built_in_folder
from robench.errors import UsageError


class BrokenTemplate(UsageError):
    """A template that no page can be made with."""


def rendered(name: str, **values: Any) -> str:
    """A template, by its file's name, with values; what it shows is escaped.

    Raises:
        BrokenTemplate: it is broken, or shows what it was not given.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError, TemplateSyntaxError

    folder = built_in_folder("reports")
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    environment.globals |= {"percent": _percent, "number": _number}
    try:
        return environment.get_template(name).render(**values)
    except TemplateSyntaxError as error:
        raise BrokenTemplate(
            f"the template {folder / (error.name or name)} is broken in line {error.lineno}: {error.message}"
        ) from error
    except TemplateError as error:
        raise BrokenTemplate(
            f"the template {folder / name} cannot be filled: {error}; take the one that robench came with"
        ) from error


def _shown(value: object) -> object:
    """What stands in a page: text without control characters, which may turn the direction of what follows; markup as it is."""
    return one_line(value) if type(value) is str else value


def _percent(share: object) -> str:
    return f"{100 * share:.1f}" if isinstance(share, float | int) else "–"


def _number(value: object, form: str = ".4g") -> str:
    """∞ for what is not finite: summaries say None for it."""
    return format(value, form) if isinstance(value, float | int) else "∞"
