"""Packages that only some metrics and formats need."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from polygan import ConfigError


def need(package: str, extra: str, wanted_by: str, otherwise: str = "leave the metric out (--metrics)") -> Any:
    """An optional package. ConfigError that says what to install, or to do otherwise, where it is missing."""
    try:
        return import_module(package)
    except ImportError as error:
        missing = error.name or package
        raise ConfigError(
            f"{wanted_by} needs the package {missing}: pip install 'polygan-audio[{extra}]', or {otherwise}"
        ) from None
