"""The exceptions of polygan.

Each message is one line that names the thing, the place and the remedy. The command line prints only this line;
``--traceback`` adds the traceback.
"""

from __future__ import annotations

import difflib
import errno
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class PolyganError(Exception):
    """Base of every error that polygan raises on purpose."""

    exit_code = 1


class ConfigError(PolyganError):
    """A setting is unknown, has the wrong type, is out of range, or does not fit another setting."""

    exit_code = 2


class PluginError(PolyganError):
    """A plugin cannot be loaded, or registered something that does not fit the hooks."""


class DataError(PolyganError):
    """A source, or a sample of a source, cannot be read."""


class CheckpointError(PolyganError):
    """A checkpoint is missing or damaged, or has another format or shape."""


class DivergenceError(PolyganError):
    """Training produced non-finite numbers, and the allowed number of rollbacks did not help."""


class StopTraining(PolyganError):
    """A listener raises this to end the run: training stops after the iteration, with a checkpoint, and `train` returns the run."""


class Preempted(PolyganError):
    """A stop was requested by a signal; a checkpoint has been written."""

    exit_code = 75


def closest(name: str, known: Iterable[str]) -> str:
    """The known name that the user probably meant, or an empty string."""
    known = list(known)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if not close:  # "dcgan" should find "image/dcgan"
        close = [k for k in known if k.rpartition("/")[2] == name or k.rpartition(".")[2] == name]
    return close[0] if close else ""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A suggestion to append to a message, `" (did you mean 'x'?)"`, or an empty string."""
    close = closest(name, known)
    return f" (did you mean {close!r}?)" if close else ""


def one_line(error: BaseException) -> str:
    """Type and message of an exception on one line."""
    text = " ".join(str(error).split())[:300]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
