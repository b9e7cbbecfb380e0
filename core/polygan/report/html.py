"""Jinja2 templates as pages and parts of pages, where every text is escaped; numbers in words, tables and pictures."""

from __future__ import annotations

import base64
import json
import math
import struct
import sys
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ..messages import printable
from ..settings.changes import flat

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..data.pieces import Record as StoredPiece

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


_MOST_PIXELS = 16 << 20  # of a picture that is decoded; the header of a few bytes may claim gigabytes


def finite(value: object, otherwise: float = math.nan) -> float:
    """A finite number, or ``otherwise``."""
    if (
        isinstance(value, int | float) and abs(value) <= sys.float_info.max
    ):  # a JSON integer may be too large for a float
        return float(value)
    return otherwise


def number(value: object) -> str:
    """A number as text to read: thousands separated, four significant digits."""
    value = finite(value)
    if math.isnan(value):
        return "not finite"
    if value == int(value) or abs(value) >= 10_000:
        return f"{value:,.0f}" if abs(value) < 1e15 else f"{value:.4g}"
    return f"{value:,.4g}"


def duration(seconds: object) -> str:
    """Seconds as hours, minutes and seconds."""
    total = round(finite(seconds, 0))
    hours, minutes, rest = total // 3600, total // 60 % 60, total % 60
    if hours:
        return f"{hours:,} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def _short(value: object) -> object:
    """The value; of a text that is too long for a table, its beginning."""
    return f"{value[:200]}… ({len(value):,} characters)" if isinstance(value, str) and len(value) > 400 else value


def tables(facts: Mapping[str, object], title: str = "") -> Markup:
    """A table of the plain facts and a table of each mapping among them; deeper mappings become dotted names."""
    nested = {str(key): value for key, value in facts.items() if isinstance(value, dict) and value}
    plain = {key: value for key, value in facts.items() if str(key) not in nested}
    parts = ([(title, plain)] if plain else []) + list(nested.items())
    return part("tables", [(name, [(key, _short(value)) for key, value in flat(rows)]) for name, rows in parts])


def soft(sentence: str) -> Markup:
    """A paragraph in a softer colour; the sentence is escaped."""
    return part("soft", sentence) if sentence else Markup("")


def uri(kind: str, data: bytes) -> str:
    """A data URI of a media type."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def image(png: bytes, alt: str, goal: int) -> Markup:
    """A picture, enlarged by a whole factor towards ``goal`` pixels."""
    size = None
    if png[:8] == b"\x89PNG\r\n\x1a\n" and len(png) >= 24:
        width, height = struct.unpack(">II", png[16:24])
        zoom = max(1, goal // max(width, 1))
        size = width * zoom, height * zoom, zoom > 1
    return part("picture", size, alt, uri("image/png", png))


def shrunk(png: bytes, limit: int = 360) -> bytes:
    """A large PNG averaged down to at most ``limit`` pixels a side; a small or unreadable PNG stays as it is."""
    if len(png) < 60_000 or math.prod(struct.unpack(">II", png[16:24])) > _MOST_PIXELS:
        return png
    from matplotlib.image import imread, imsave

    try:
        pixels = np.atleast_3d(imread(BytesIO(png), "png"))  # (H, W, C) in [0, 1]
    except (OSError, ValueError, SyntaxError):
        return png
    k = -(-max(pixels.shape[:2]) // limit)
    h, w, c = pixels.shape[0] // k, pixels.shape[1] // k, pixels.shape[2]
    if k == 1 or h == 0 or w == 0:
        return png
    small = pixels[: h * k, : w * k].reshape(h, k, w, k, c).mean((1, 3))  # (h, w, C)
    small = small.repeat(3, axis=2) if c == 1 else small
    file = BytesIO()
    imsave(file, small, format="png")
    return file.getvalue()


def gallery(pieces: Sequence[StoredPiece], budget: int, *, most: int = 256, small: bool = False) -> Markup:
    """The first pieces, at most ``most`` and about ``budget`` bytes, and how many were left out."""
    figures: list[dict[str, object]] = []
    used = 0
    goal = 75 if small else 560 if len(pieces) == 1 else 112
    for i, piece in enumerate(pieces[:most]):
        png, wav = piece.get("png", b""), piece.get("wav", b"")
        png = shrunk(png) if small else png
        text, caption = str(piece.get("text", "")), str(piece.get("caption", ""))
        used += len(png) + len(wav) + len(text)
        if figures and used > budget:
            break
        figures.append(
            {
                "picture": image(png, caption or f"sample {i + 1}", goal) if png else "",
                "sound": uri("audio/wav", wav) if wav else "",
                "text": shown(text, 280 if small else 6000) if "text" in piece else None,
                "caption": caption,
            }
        )
    wide = any("wav" in piece or "text" in piece for piece in pieces)
    kind = " wide" if wide else " one" if len(pieces) == 1 else ""
    rest = len(pieces) - len(figures)
    more = f"and {rest:,} more in the run's folder" if rest and not small else ""
    return part("gallery", figures, kind, more)
