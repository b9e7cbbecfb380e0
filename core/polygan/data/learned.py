"""Facts that took long to find, kept in the cache so that a later start need not find them again."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from ..errors import PolyganError
from ..files import write_bytes
from .build import cache_folder

if TYPE_CHECKING:
    from collections.abc import Callable

    from .source import DataSettings

T = TypeVar("T")


def remembered(settings: DataSettings, identity: str, find: Callable[[], T]) -> T:
    """What ``find()`` returns (plain JSON data), from the cache if it was found before for the same ``identity``.

    ``identity`` covers all that the facts depend on: paths, sizes, modification times, settings, and the version of ``find``.
    A cache that cannot be read or written is no error: the facts are found again.
    """
    name = f"{hashlib.sha256(identity.encode()).hexdigest()[:32]}.json"
    with suppress(PolyganError, OSError, ValueError, LookupError, TypeError, RecursionError):
        return json.loads((cache_folder(settings) / "learned" / name).read_text("utf-8"))["found"]
    found = json.loads(json.dumps(find()))
    with suppress(OSError, PolyganError):
        path = cache_folder(settings) / "learned" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, json.dumps({"found": found}).encode())
    return found
