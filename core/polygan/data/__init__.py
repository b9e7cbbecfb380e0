"""Data: sources, decoding, memory-mapped stores, streams of batches, domains.

Each name is imported on first use, so that the report reads a run's samples without torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .build import build_store
    from .cache.folders import cache_folder, remembered
    from .domain import Domain, Samples
    from .rows.joined import Joined
    from .source import Batch, DataSettings, Fact, Field, LeftOut, Source
    from .store import Split, Store, split_rows, split_store
    from .stream import Stream, Streams

_HOME = {
    "build": "build_store",
    "domain": "Domain Samples",
    "cache.folders": "cache_folder remembered",
    "rows.joined": "Joined",
    "source": "Batch DataSettings Fact Field LeftOut Source",
    "store": "Split Store split_rows split_store",
    "stream": "Stream Streams",
}
_LAZY = {name: module for module, names in _HOME.items() for name in names.split()}

__all__ = [
    "Batch",
    "DataSettings",
    "Domain",
    "Fact",
    "Field",
    "Joined",
    "LeftOut",
    "Samples",
    "Source",
    "Split",
    "Store",
    "Stream",
    "Streams",
    "build_store",
    "cache_folder",
    "remembered",
    "split_rows",
    "split_store",
]


def __getattr__(name: str) -> object:
    if name in _LAZY:
        return getattr(import_module(f".{_LAZY[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
