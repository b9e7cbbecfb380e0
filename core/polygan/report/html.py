"""Numbers in words, and tables and pictures as HTML. The templates escape every text."""

from __future__ import annotations

import base64
import math
import struct
import sys
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup

from ..settings.changes import flat
from .rendering import part, shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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
