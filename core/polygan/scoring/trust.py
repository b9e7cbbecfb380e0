"""Which feature network may be opened: nothing is opened only because a saved run names it, and no code runs unasked."""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import TYPE_CHECKING, NamedTuple

from ..errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

HOLD_CODE = (".pt", ".pt2", ".pth", ".pkl", ".pickle", ".bin")
"""Suffixes of files that run code when they are loaded: pickles, and TorchScript, whose operators can write files."""


def is_file(features: str) -> bool:
    """Whether ``features`` names a file rather than a network that a plugin knows by name: names have no dot and no slash."""
    return re.fullmatch(r"[\w-]*", features) is None


def holds_code(features: str) -> bool:
    """Whether loading the file runs code that the file holds. A part after the suffix (``FILE.onnx:TENSOR``) does not count."""
    return PurePath(features).suffix.lower().partition(":")[0] in HOLD_CODE


class Trust(NamedTuple):
    """What the user of this process allows, beside what the settings of a run say."""

    features: str | None = None
    """The feature network that was named on the command line or by a keyword; None: at most a saved run names one."""
    allow_code: bool = False
    """Whether files that run code when they are loaded may be loaded."""

    def check(self, saved: str, run: Path | None = None) -> str:
        """The feature network to measure with, where ``saved`` is the name in the settings. ConfigError if it must stay closed.

        A saved run may be a stranger's. So a file that only its config.yaml names is not opened, whatever its kind.
        """
        features = saved if self.features is None else self.features
        if not is_file(features):
            return features
        code = holds_code(features)
        if self.features is None:
            place = f"{run / 'config.yaml'}" if run else "the run's config.yaml"
            flags = f"--features {features}" + (" --allow-code" if code and not self.allow_code else "")
            runs_code = " (loading this file runs code that it holds)" if code else ""
            raise ConfigError(
                f"{place} names the feature network {features!r}, and a file that only a saved run names is not opened. If you "
                f"trust the file{runs_code}, add {flags}; --features '' takes each metric's own network"
            )
        if code and not self.allow_code:
            raise ConfigError(
                f"features = {features!r}: loading this file runs code that it holds. If you trust the file, add --allow-code "
                "(allow_code=True); an ONNX file holds no code"
            )
        return features


NO_TRUST = Trust()
"""Nothing was asked for."""
