"""Words, tables and pictures as HTML. These functions escape every text that they are given."""

from __future__ import annotations

import base64
import json
import math
import struct
import sys
from html import escape
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np

from ..messages import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ..data.pieces import Record as StoredPiece


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


_KEPT = "\n\t\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
"""Characters that a page shows as they are, and a terminal does not: lines, and the direction of text, which elements isolate."""


def safe(value: object, limit: int = 1000) -> str:
    """Any value as escaped text of at most ``limit`` characters; a long list is cut, and its length stands behind."""
    if isinstance(value, list | tuple):
        more = f", … ({len(value):,} in all)" if len(value) > 24 else ""
        value = (
            ", ".join(v if isinstance(v, str) else json.dumps(v, default=str, skipkeys=True) for v in value[:24]) + more
        )
    elif value is None or isinstance(value, bool):
        value = json.dumps(value).replace("null", "none")
    value = printable(value, keep=_KEPT)
    return escape(value if len(value) <= limit else value[:limit] + " …")


def _flat(facts: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    for key, value in facts.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _short(value: object) -> object:
    """The value; of a text that is too long for a table, its beginning."""
    return f"{value[:200]}… ({len(value):,} characters)" if isinstance(value, str) and len(value) > 400 else value


def tables(facts: Mapping[str, object], title: str = "") -> str:
    """A table of the plain facts and a table of each mapping among them; deeper mappings become dotted names."""
    nested = {str(key): value for key, value in facts.items() if isinstance(value, dict) and value}
    plain = {key: value for key, value in facts.items() if str(key) not in nested}
    parts = []
    for name, rows in ([(title, plain)] if plain else []) + list(nested.items()):
        body = "".join(
            f"<tr><th scope=row>{safe(k)}</th><td>{safe(_short(v)) or '–'}</td></tr>" for k, v in _flat(rows)
        )
        caption = f"<caption>{safe(name)}</caption>" if name else ""
        parts.append(f"<table>{caption}<tbody>{body}</tbody></table>")
    return f"<div class=tables>{''.join(parts)}</div>"


def section(title: str, body: str) -> str:
    """A part of the page with a title; empty if the body is empty."""
    return f"<section>\n<h2>{escape(title)}</h2>\n{body}\n</section>\n" if body else ""


def soft(sentence: str) -> str:
    """A paragraph in a softer colour; the sentence is escaped."""
    return f"<p class=soft>{escape(printable(sentence, keep=_KEPT))}</p>" if sentence else ""


def uri(kind: str, data: bytes) -> str:
    """A data URI of a media type."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def image(png: bytes, alt: str, goal: int) -> str:
    """A picture, enlarged by a whole factor towards ``goal`` pixels."""
    size = ""
    if png[:8] == b"\x89PNG\r\n\x1a\n" and len(png) >= 24:
        width, height = struct.unpack(">II", png[16:24])
        zoom = max(1, goal // max(width, 1))
        size = f" width={width * zoom} height={height * zoom}" + (" class=pixels" if zoom > 1 else "")
    return f'<img{size} alt="{escape(alt)}" src="{uri("image/png", png)}">'


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


def gallery(pieces: Sequence[StoredPiece], budget: int, *, most: int = 256, small: bool = False) -> str:
    """The first pieces, at most ``most`` and about ``budget`` bytes, and how many were left out."""
    shown: list[str] = []
    used = 0
    goal = 75 if small else 560 if len(pieces) == 1 else 112
    for i, piece in enumerate(pieces[:most]):
        png = piece.get("png", b"")
        data = [shrunk(png) if small else png, piece.get("wav", b"")]
        text = str(piece.get("text", ""))
        used += sum(map(len, data)) + len(text)
        if shown and used > budget:
            break
        words = str(piece.get("caption", ""))
        inner = image(data[0], printable(words, keep=_KEPT) or f"sample {i + 1}", goal) if data[0] else ""
        inner += f'<audio controls preload=metadata src="{uri("audio/wav", data[1])}"></audio>' if data[1] else ""
        if "text" in piece:
            inner += f"<blockquote dir=auto>{safe(text, 280 if small else 6000)}</blockquote>"
        shown.append(f"<figure>{inner}{caption(words)}</figure>")
    wide = any("wav" in piece or "text" in piece for piece in pieces)
    kind = " wide" if wide else " one" if len(pieces) == 1 else ""
    rest = len(pieces) - len(shown)
    more = soft(f"and {rest:,} more in the run's folder") if rest and not small else ""
    return f'<div class="tiles{kind}">{"".join(shown)}</div>{more}'


def caption(text: str) -> str:
    """What stands under a piece, if anything."""
    return f"<figcaption dir=auto>{safe(text, 300)}</figcaption>" if text else ""
