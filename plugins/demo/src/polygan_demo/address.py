"""Where a page is served unless told otherwise."""

from __future__ import annotations

HOST = "127.0.0.1"
PORT = 7860
