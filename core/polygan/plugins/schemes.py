"""Names with a scheme, ``SCHEME:NAME``, for models that lie elsewhere. A plugin brings the model to this machine."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from ..errors import ConfigError, PluginError, did_you_mean
from ..hookspecs import Fetched
from .catalogue import get_catalogue

_NAME = re.compile(r"([a-z][a-z0-9.-]+):(.+)", re.S)  # one letter and a colon is a drive of Windows
_BRINGS = {"hf": "polygan-hub"}
"""The distribution of polygan that brings a scheme."""


class Found(NamedTuple):
    """Where a run or an exported model lies."""

    path: Path
    """The run's folder or the file on this machine."""
    folder: Path
    """The folder that what is made from the model belongs to."""
    name: str
    """The name that finds the same again."""


def scheme_of(name: str | Path) -> str:
    """The scheme of ``"SCHEME:NAME"``; empty for a path, and where a file or folder of this name exists."""
    match = _NAME.fullmatch(str(name)) if isinstance(name, str) else None
    return match[1] if match and not Path(name).exists() else ""


def find(name: str | Path) -> Found:
    """Where the run or model of this name lies: a path as the path is, a name with a scheme after it was fetched.

    Raises ConfigError for a scheme that no loaded plugin has, and what the plugin of the scheme raises.
    """
    scheme = scheme_of(name)
    if not scheme:
        path = Path(name)
        return Found(path, path.with_suffix("") if path.suffix == ".safetensors" else path, str(name))
    rest = str(name)[len(scheme) + 1 :]
    catalogue = get_catalogue()
    if scheme not in catalogue.schemes:
        brings = _BRINGS.get(scheme)
        remedy = f"pip install {brings}" if brings else "name a path, or install the plugin that has the scheme"
        close = "" if brings else did_you_mean(scheme, catalogue.schemes)
        raise ConfigError(f"{name}: no plugin brings models of {scheme!r}{close}: {remedy}{catalogue.absent()}")
    found = catalogue.resolve(catalogue.schemes[scheme])(rest)
    if not (isinstance(found, Fetched) and isinstance(found.path, Path) and isinstance(found.name, str)):
        owner = catalogue.owner("scheme", scheme)
        raise PluginError(f"scheme {scheme!r} of {owner} returned {found!r:.80}: return a polygan.Fetched")
    return Found(found.path, Path(re.split(r"[/@]", rest.partition("@")[0])[-1] or "model"), f"{scheme}:{found.name}")
