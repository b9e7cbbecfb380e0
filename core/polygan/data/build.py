"""Builds a memory-mapped store from a source: parallel threads decode each sample once into a folder of arrays."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import time
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import DISK_FULL, DataError
from ..files import sync_folder, write_text
from ..messages import warn
from .decoding import decoded
from .store import FORMAT, FieldWriter, Store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .source import DataSettings, Source

_BUILDING = ".building-"
_QUIET = 600
"""Seconds without a write after which a build counts as dead. The rule works on every system, file system and container."""


def cache_folder(settings: DataSettings) -> Path:
    """``settings.cache``, else $POLYGAN_CACHE, else ~/.cache/polygan."""
    return Path(settings.cache or os.environ.get("POLYGAN_CACHE") or "~/.cache/polygan").expanduser()


def build_store(
    source: Source, settings: DataSettings, *, progress: bool | None = None, workers: int | None = None
) -> Store:
    """The store of a source, decoded now or found in the cache. ``progress`` None: a bar on a terminal, else plain lines.

    Unreadable samples are named, counted and skipped. Raises DataError where their share is above ``settings.max_bad``, and for
    an empty source. Several processes may build the same store at once: the first to finish wins.
    """
    if len(source) == 0:
        raise DataError(f"data {settings.source!r} is empty; point --data at samples")
    identity = json.dumps([FORMAT, source.fingerprint(), _layout(source)])
    key = hashlib.sha256(identity.encode()).hexdigest()[:32]
    folder = cache_folder(settings) / "stores"
    path = folder / key
    if path.exists():
        try:
            store = Store.open(path)
        except DataError as error:
            warn(f"polygan: {error}; decoding again")
            shutil.rmtree(path, ignore_errors=True)
        else:
            # max_bad is not part of the key: a stricter max_bad finds the same store and has to be checked against it.
            skipped = _skipped(store.bad, len(source), settings)
            if skipped and progress is not False:
                warn(f"{skipped}; remove {path} to read them again")
            return _told_by(source, store)
    temporary = folder / f"{_BUILDING}{key}-{secrets.token_hex(4)}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _sweep(folder)
        temporary.mkdir()
        _decode_into(temporary, source, settings, key, progress, workers)
        try:
            temporary.rename(path)
            sync_folder(folder)
        except OSError:
            if not path.exists():  # where path exists, another process has finished the same store first
                raise
    except OSError as error:
        remedy = "free some space or name another folder with --data.cache"
        if error.errno not in DISK_FULL:
            remedy = "name a folder that can be written with --data.cache"
        raise DataError(f"decoded data cannot be kept in {folder} ({error.strerror or error}): {remedy}") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return _told_by(source, Store.open(path))


def _told_by(source: Source, store: Store) -> Store:
    """The store with this source's facts. The fingerprint need not cover facts, so the stored facts may differ."""
    store.info = {**json.loads(json.dumps(source.info)), "count": store.info["count"]}
    return store


def _layout(source: Source) -> dict[str, list[object]]:
    return {name: [field.dtype, list(field.shape)] for name, field in source.fields.items()}


def _sweep(folder: Path) -> None:
    """Remove the folders of dead builds: folders without a write for a while."""
    for leftover in folder.glob(f"{_BUILDING}*"):
        with suppress(OSError):  # another process may finish or remove the folder at this moment
            if time.time() - max(p.stat().st_mtime for p in (leftover, *leftover.iterdir())) > _QUIET:
                shutil.rmtree(leftover, ignore_errors=True)


def _decode_into(
    folder: Path, source: Source, settings: DataSettings, key: str, progress: bool | None, workers: int | None
) -> None:
    """Decode every sample in order of index and write arrays, then store.json."""
    bad: list[str] = []
    total, count = len(source), 0
    with ExitStack() as stack:
        writers = {name: stack.enter_context(FieldWriter(folder, name, field)) for name, field in source.fields.items()}
        samples = stack.enter_context(closing(decoded(source, settings, progress, workers)))
        for index, sample in enumerate(samples):
            if isinstance(sample, str):
                bad.append(f"{source.name(index)}: {sample}")
                if index > 1000 and len(bad) > settings.max_bad * total:
                    break
                continue
            for name, writer in writers.items():
                writer.add(sample[name])
            count += 1
        if skipped := _skipped(bad, total, settings):
            warn(skipped)
        for writer in writers.values():
            writer.finish()
    facts = {
        "format": FORMAT,
        "key": key,
        "count": count,
        "fields": _layout(source),
        "bad": bad,
        "info": {**source.info, "count": count},
    }
    write_text(folder / "store.json", json.dumps(facts))


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
    return f"polygan: {len(bad)} of {total} samples of {settings.source!r} were skipped ({shown})" if bad else ""
