"""Messages to the user, through one logger, ``polygan``, that a program can silence or redirect.

Without a logging configuration, each message is a line on stderr. ``logging.getLogger("polygan")`` takes handlers and a level:
``setLevel(logging.ERROR)`` silences other messages, and ``addHandler`` redirects messages.

Names of files, classes, plugins and recipes come from strangers. `printable` therefore escapes control characters in every
message, so that a name can neither steer the terminal nor pass for a line of its own.
"""

from __future__ import annotations

import logging
import sys
import unicodedata
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOGGER = logging.getLogger("polygan")


def printable(text: object, keep: str = "") -> str:
    r"""Text that is safe to print on a terminal and to encode: ``\x1b`` instead of the escape character, ``\n`` instead of a new line.

    Escaped are control characters, separators of lines, marks that reverse the direction of text, and lone surrogates (bytes of
    a file name that are not UTF-8). ``keep`` holds characters that stay as they are.
    """
    text = str(text)
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if c in keep or not _steers(c) else repr(c)[1:-1] for c in text)


def _steers(character: str) -> bool:
    """Whether a character does something else than to show itself."""
    kind = unicodedata.category(character)
    return kind in ("Cc", "Cs", "Zl", "Zp") or unicodedata.bidirectional(character) in _OVERRIDES


_OVERRIDES = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")


def plural(number: int, one: str, many: str = "") -> str:
    """A count with its noun: ``1 file``, ``12,000 files``; ``many`` is the plural where it is not ``one`` with an s."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def cut(text: str, most: int) -> str:
    """The first ``most`` characters of a text, with ``…`` behind them where there are more."""
    return text if len(text) <= most else f"{text[:most]}…"


class _OnStderr(logging.Handler):
    """Prints the bare text to the current ``sys.stderr``, above a progress bar if there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = printable(self.format(record), keep="\n\t")
            bars = getattr(sys.modules.get("tqdm"), "tqdm", None)  # do not import tqdm only for this
            if bars is None:
                print(text, file=sys.stderr)
            else:
                bars.write(text, file=sys.stderr)
            sys.stderr.flush()
        except Exception:
            self.handleError(record)


_ON_STDERR = _OnStderr()


def say(text: str) -> None:
    """Report what happens, at level INFO."""
    _tell(logging.INFO, text)


def warn(text: str) -> None:
    """Report what may be wrong, at level WARNING."""
    _tell(logging.WARNING, text)


def fail(text: str) -> None:
    """Report the error that ends a command, at level ERROR."""
    _tell(logging.ERROR, text)


def _tell(level: int, text: str) -> None:
    text = printable(text)
    if _LOGGER.hasHandlers():
        _LOGGER.log(level, "%s", text)
    elif level >= (_LOGGER.level or logging.INFO) and level > logging.root.manager.disable and not _LOGGER.disabled:
        _ON_STDERR.handle(_LOGGER.makeRecord(_LOGGER.name, level, "", 0, text, (), None))


@contextmanager
def shown_on_stderr() -> Iterator[None]:
    """Print every message inside the block to stderr, even where a plugin configures logging."""
    level, propagate = _LOGGER.level, _LOGGER.propagate
    added = _ON_STDERR not in _LOGGER.handlers
    if added:
        _LOGGER.addHandler(_ON_STDERR)
    _LOGGER.setLevel(level or logging.INFO)
    _LOGGER.propagate = False
    try:
        yield
    finally:
        _LOGGER.setLevel(level)
        _LOGGER.propagate = propagate
        if added:
            _LOGGER.removeHandler(_ON_STDERR)
