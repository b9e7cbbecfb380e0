"""Output for programs: JSON stands alone on stdout, whatever plugins print."""

from __future__ import annotations

import ctypes
import json
import math
import os
import sys
from contextlib import contextmanager, redirect_stdout, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_held: list[str] | None = None


def print_json(value: object) -> None:
    """Print a value as JSON. Inside `only_json` the text is kept until the block ends."""
    text = json.dumps(_plain(value), indent=1)
    if _held is None:
        print(text)
    else:
        _held.append(text)


@contextmanager
def only_json(active: bool = True) -> Iterator[None]:
    """In this block, all that reaches stdout is what `print_json` prints; everything else goes to stderr.

    A plugin may write through ``sys.stdout``, to file descriptor 1 or from C. The JSON is printed after the block, unless an
    exception ended it. ``active`` False: nothing changes.
    """
    global _held
    if not active:
        yield
        return
    _held = texts = []
    _flush()
    try:
        with _descriptor_to_stderr(), redirect_stdout(sys.stderr):
            yield
    finally:
        _held = None
    for text in texts:
        print(text)


@contextmanager
def _descriptor_to_stderr() -> Iterator[None]:
    """Let file descriptor 1 be stderr in this block."""
    try:
        kept = os.dup(1)
    except OSError:  # stdout is closed
        yield
        return
    try:
        with suppress(OSError):  # stderr is closed
            os.dup2(2, 1)
        yield
    finally:
        _flush()
        os.dup2(kept, 1)
        os.close(kept)


def _flush() -> None:
    """Write out what Python and the C library hold back for stdout."""
    sys.stdout.flush()
    with suppress(OSError, AttributeError, TypeError):  # Windows takes no None
        ctypes.CDLL(None).fflush(None)


def _plain(value: object) -> object:
    """The value with null for numbers that JSON does not have: nan and infinity."""
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
