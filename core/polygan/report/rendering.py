"""Jinja2 templates as pages and as parts of pages. Every text that a template shows is escaped."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ..messages import printable

_HERE = Path(__file__).parent
_KEPT = "\n\t\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
"""Characters that a page shows as they are, and a terminal does not: lines, and the direction of text, which elements isolate."""


def shown(value: object, limit: int = 1000) -> str:
    """Any value as text of at most ``limit`` characters; a long list is cut, and its length stands behind."""
    if isinstance(value, list | tuple):
        more = f", … ({len(value):,} in all)" if len(value) > 24 else ""
        value = (
            ", ".join(v if isinstance(v, str) else json.dumps(v, default=str, skipkeys=True) for v in value[:24]) + more
        )
    elif value is None or isinstance(value, bool):
        value = json.dumps(value).replace("null", "none")
    value = clean(value)
    return value if len(value) <= limit else value[:limit] + " …"


def clean(value: object) -> str:
    """Text without control characters, apart from new lines, tabs and marks of the direction of text."""
    return printable(value, keep=_KEPT)


def page(**values: object) -> str:
    """A whole page from ``templates/page.html``: its ``title``, ``head`` and ``sections``, with the style sheet of the report."""
    css = Markup((_HERE / "report.css").read_text("utf-8"))
    text = _environment().get_template("page.html").render(css=css, **values)
    return text.encode("utf-8", "backslashreplace").decode()  # a name may hold what UTF-8 does not


def part(macro: str, *values: object) -> Markup:
    """A part of a page: what a macro of ``templates/parts.html`` makes of the values."""
    return getattr(_parts(), macro)(*values)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalized,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["shown"] = shown
    return environment


@cache
def _parts() -> Any:
    return _environment().get_template("parts.html").module


def _finalized(value: object) -> object:
    """What a template shows of a value: markup as it is, and anything else without control characters."""
    return value if isinstance(value, Markup) else clean(value)
