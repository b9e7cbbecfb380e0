"""Data that a script handed in before, found again in the cache of decoded data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...data.cache.place import cache_folder
from ...data.source import Source
from ...data.store import DamagedStore, Store
from ...errors import DataError
from ..folder import read_data

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np

    from ...data.source import DataSettings

HANDED = "<array>"
"""What ``data.source`` names where a script handed the data in: no file has this name on every system."""


class Stored(Source):
    """The decoded data of a run."""

    def __init__(self, store: Store) -> None:
        self.store, self.fields, self.info = store, store.fields, store.info

    def __len__(self) -> int:
        return len(self.store)

    def fingerprint(self) -> str:
        """The key of the decoded data."""
        return self.store.key

    def decode(self, index: int) -> Mapping[str, np.ndarray]:
        """A stored sample."""
        return {name: self.store.item(name, index) for name in self.fields}


def stored_source(data: DataSettings, run: Path | None) -> Stored:
    """The data of a run that a script handed in. DataError if the cache no longer has the data, and for a new run."""
    if run is None:
        raise DataError(
            f"data = {HANDED} was handed in by a script: pass the samples with polygan.train(..., data=samples)"
        )
    facts = read_data(run)
    key = str(facts.get("key"))
    place = cache_folder(data) / "stores" / key
    try:
        if not key.isalnum():  # a stranger's run may name any place
            raise DamagedStore(f"{key!r} is no key of decoded data")
        store = Store.open(place)
    except DamagedStore:
        raise DataError(
            f"the data of run {run} was handed in by a script, and the cache no longer has it ({place}): hand it in again with "
            f"polygan.resume({str(run)!r}, data=samples), or polygan.load({str(run)!r}, data=samples)"
        ) from None
    store.info = dict(facts["info"])
    return Stored(store)
