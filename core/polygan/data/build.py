"""Builds a memory-mapped store from a source: parallel threads decode each sample once into a folder of arrays."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import DISK_FULL, DataError
from ..files import write_text
from ..messages import say, warn
from .cache.building import Building, sweep
from .cache.folders import cache_folder
from .cache.names import write_names
from .cache.sums import sums_of
from .decoding import decoded
from .source import Source
from .store import FORMAT, DamagedStore, Store, with_sums

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence

    from .source import DataSettings

_LARGE = 8 << 30
"""Bytes of a store from which on the user is told that checking takes a while."""


def build_store(
    source: Source, settings: DataSettings, *, progress: bool | None = None, workers: int | None = None
) -> Store:
    """The store of a source, decoded now or found in the cache. ``progress`` None: a bar on a terminal, else plain lines.

    Unreadable samples are named, counted and skipped. Raises DataError where their share is above ``settings.max_bad``, and for
    an empty source. Several processes may build the same store at once: the first to finish wins. An interrupted build is
    continued by the next build of the same source.
    """
    if len(source) == 0:
        raise DataError(f"data {settings.source!r} is empty; point --data at samples")
    path = store_path(source, settings)
    store = _found(path, source, settings, progress)
    if store is None:
        _build(path, source, settings, progress, workers)
        store = Store.open(path, verify=False)
    # The fingerprint need not cover facts, so the facts of this source may differ from the stored facts.
    skipped = store.bad_rows or _rows_of(store.bad, source)
    info = source.info_without(skipped) if skipped else source.info
    store.info = {**json.loads(json.dumps(info)), "count": store.info["count"]}
    return store


def store_path(source: Source, settings: DataSettings) -> Path:
    """The folder of a source's store in the cache, whether it exists or not."""
    identity = json.dumps([FORMAT, source.fingerprint(), _layout(source)])
    return cache_folder(settings) / "stores" / hashlib.sha256(identity.encode()).hexdigest()[:32]


def _layout(source: Source) -> dict[str, list[object]]:
    return {name: [field.dtype, list(field.shape)] for name, field in source.fields.items()}


def _found(path: Path, source: Source, settings: DataSettings, progress: bool | None) -> Store | None:
    """The store in the cache; None where there is none, or only a damaged store, which is removed."""
    if not os.path.lexists(path):
        return None
    try:
        if progress is not False and (size := _size(path)) > _LARGE:
            say(f"polygan: checking {size / 1e9:.0f} GB of decoded data in {path}")
        store = Store.open(path)
    except DamagedStore as error:
        warn(f"polygan: {error}; decoding again")
        shutil.rmtree(path, ignore_errors=True)
        return None
    # max_bad is not part of the key: a stricter max_bad finds the same store and has to be checked against it.
    skipped = _skipped(store.bad, len(source), settings)
    if skipped and progress is not False:
        warn(f"{skipped}; remove {path} to read them again")
    return store


def _rows_of(bad: Sequence[str], source: Source) -> list[int]:
    """The indices of the samples in the lines of a store from an older polygan; none where a line fits no sample."""
    rows: list[int] = []
    for index in range(len(source) if bad else 0):
        if len(rows) < len(bad) and bad[len(rows)].startswith(f"{source.name(index)}: "):
            rows.append(index)
    return rows if len(rows) == len(bad) else []


def _size(path: Path) -> int:
    with suppress(OSError):
        return sum(p.stat().st_size for p in path.glob("*.npy"))
    return 0


def _build(path: Path, source: Source, settings: DataSettings, progress: bool | None, workers: int | None) -> None:
    """Decode a source into a folder beside ``path``, and rename the finished folder."""
    stores = path.parent
    building = None
    try:
        stores.mkdir(parents=True, exist_ok=True)
        building = _begun(stores, path.name, source)
        sweep(stores)
        _decode_into(building, source, settings, path.name, progress, workers)
        building.move_to(path)
    except OSError as error:
        remedy = "free some space or name another folder with --data.cache"
        if error.errno not in DISK_FULL:
            remedy = "name a folder that can be written with --data.cache"
        raise DataError(f"decoded data cannot be kept in {stores} ({error.strerror or error}): {remedy}") from None
    except KeyboardInterrupt:
        if building is None or not building.can_continue:
            raise KeyboardInterrupt("interrupted while decoding; the same command starts again") from None
        building, left = None, building
        left.leave(keep=True)
        raise KeyboardInterrupt("interrupted while decoding; the same command continues") from None
    finally:
        if building is not None:
            building.leave(keep=False)


def _begun(stores: Path, key: str, source: Source) -> Building:
    """A build that continues what an interrupted build left, or a new build where the leftovers are damaged."""
    for _ in stores.iterdir():
        with suppress(ValueError, LookupError, TypeError, AttributeError, FileNotFoundError):
            return Building(stores, key, source.fields)
    return Building(stores, key, source.fields)


def _decode_into(
    building: Building, source: Source, settings: DataSettings, key: str, progress: bool | None, workers: int | None
) -> None:
    """Decode every sample in order of index and write arrays, then store.json."""
    total = len(source)
    with closing(decoded(source, settings, progress, workers, building.next)) as samples:
        for sample in samples:
            if not isinstance(sample, str):
                building.add(sample)
                continue
            building.skip(f"{source.name(building.next)}: {sample}")
            if building.next > 1000 and len(building.bad) > settings.max_bad * total:
                break
    bad = list(building.bad.values())
    if skipped := _skipped(bad, total, settings):
        warn(skipped)
    parts = building.finish()
    facts = {
        "format": FORMAT,
        "key": key,
        "count": building.count,
        "fields": _layout(source),
        "bad": bad,
        "bad_rows": list(building.bad),
        "source": os.path.abspath(settings.source) if os.path.exists(settings.source) else settings.source,
        "info": {**source.info, "count": building.count},
    }
    if type(source).name is not Source.name:
        write_names(building.folder, _names(source, settings, building.bad))
    write_text(building.folder / "store.json", json.dumps(with_sums(facts, sums_of(parts))))


def _names(source: Source, settings: DataSettings, skipped: Container[int]) -> Iterator[str]:
    """The names of the decoded samples. Files are named from the folder of the data on; no name has a path of the machine."""
    place = Path(settings.source).expanduser()
    above = [f"{folder}{os.sep}" for folder in (place, place.absolute(), place.parent, place.absolute().parent)]
    for index in range(len(source)):
        if index not in skipped:
            name = source.name(index)
            begun = next((folder for folder in above if name.startswith(folder)), "")
            name = name[len(begun) :] if begun else os.path.basename(name) if os.path.isabs(name) else name
            yield name.replace(os.sep, "/")


def _skipped(bad: Sequence[str], total: int, settings: DataSettings) -> str:
    """A line that names skipped samples, empty if there are none. Raises DataError for too many."""
    shown = "; ".join(bad[:3]) + (f"; and {len(bad) - 3} more" if len(bad) > 3 else "")
    if len(bad) == total:
        raise DataError(f"none of the {total} samples of {settings.source!r} can be read ({shown}); repair them")
    if len(bad) > settings.max_bad * total:
        raise DataError(
            f"{len(bad)} of {total} samples of {settings.source!r} cannot be read, more than data.max_bad = "
            f"{settings.max_bad:g} allows ({shown}); repair them or raise --data.max_bad"
        )
    return (
        f"polygan: {len(bad)} of {total} samples of {settings.source!r} {'was' if len(bad) == 1 else 'were'} skipped ({shown})"
        if bad
        else ""
    )
