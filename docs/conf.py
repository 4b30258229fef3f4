"""Sphinx: the pages of this folder, the API from its docstrings, the entries from the registry."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import _entries

import robench

project = "robench"
author = "the robench authors"
version = release = robench.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["build"]
html_theme = "furo"
html_title = f"robench {release}"
default_role = "code"  # `name` in a docstring, as in Markdown
templates_path: list[str] = []
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_attr_annotations = False  # the signature has them
napoleon_use_rtype = False


def setup(app: Any) -> None:
    app.connect("source-read", _entries.fill)
    app.connect("autodoc-process-docstring", _entries.as_rst, priority=400)  # before napoleon
