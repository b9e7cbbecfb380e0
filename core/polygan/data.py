"""`Source` -> memory-mapped `Store` -> `Stream` of batches.

A source is decoded once, in parallel threads, into a folder of arrays that are read through memory mapping ever after.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
import shutil
import sys
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from threading import Event
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import torch
from tqdm import tqdm

from .domain import DataSettings, Field
from .errors import ConfigError, DataError
from .seeding import mix

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from .domain import Batch, Domain, Source

FORMAT = 1
_BUILDING = ".building-"
_QUIET = 600
"""Seconds without a write after which a build is taken for dead: true on every system, file system and container."""
_AHEAD = 4 << 20
"""Bytes of decoded samples that one piece of work is to hold."""
_DRAWS = 4


def cache_folder(settings: DataSettings) -> Path:
    """``settings.cache``, else $POLYGAN_CACHE, else ~/.cache/polygan."""
    return Path(settings.cache or os.environ.get("POLYGAN_CACHE") or "~/.cache/polygan").expanduser()


class Store:
    """Decoded samples on disk. ``info`` are the source's facts with ``count``, ``bad`` one line a skipped sample.

    Arrays are mapped, not loaded: pages that were read show as resident, but they belong to the file cache and the system
    takes them back when memory is short. Memory of the process's own does not grow with the store.
    """

    def __init__(self, path: Path, facts: Mapping[str, Any]) -> None:
        self.path, self.key = path, facts["key"]
        self.info: dict[str, Any] = facts["info"]
        self.bad: list[str] = facts["bad"]
        self.fields = {name: Field(dtype, tuple(shape)) for name, (dtype, shape) in facts["fields"].items()}
        self._count: int = facts["count"]
        self._arrays: dict[str, np.ndarray] = {}
        self._offsets: dict[str, np.ndarray] = {}
        for name, field in self.fields.items():
            array = np.load(path / f"{name}.npy", mmap_mode="r").view(np.ndarray)
            if array.dtype != field.dtype or array.shape[1:] != field.shape[1 if field.ragged else 0 :]:
                raise ValueError(f"{name}.npy holds {array.dtype} {array.shape}")
            rows = len(array)
            if field.ragged:
                self._offsets[name] = offsets = np.load(path / f"{name}.offsets.npy")
                rows = len(offsets) - 1
                if offsets[0] != 0 or offsets[-1] != len(array) or (np.diff(offsets) < 0).any():
                    raise ValueError(f"{name}.offsets.npy does not fit {name}.npy")
            if rows != self._count:
                raise ValueError(f"{name}.npy has {rows} rows instead of {self._count}")
            self._arrays[name] = array

    @classmethod
    def open(cls, path: Path) -> Store:
        """The store in a folder. Raises DataError where it is damaged or of another format."""
        try:
            facts = json.loads((path / "store.json").read_text(encoding="utf-8"))
            if facts["format"] != FORMAT:
                raise ValueError(f"format {facts['format']} instead of {FORMAT}")
            return cls(path, facts)
        except (OSError, EOFError, ValueError, LookupError, TypeError, AttributeError) as error:
            reason = error if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
            raise DataError(f"decoded data in {path} is damaged ({reason}); remove the folder") from None

    def __len__(self) -> int:
        return self._count

    def gather(self, field: str, rows: np.ndarray) -> torch.Tensor:
        """The rows (n,) of a field of fixed shape, (n, *shape), in memory of their own."""
        if field in self._offsets:
            raise ValueError(
                f"field {field!r} is of variable length; read it with Store.item and pad it in Domain.collate"
            )
        return torch.from_numpy(np.take(self._arrays[field], rows, axis=0))

    def item(self, field: str, row: int) -> np.ndarray:
        """One sample of a field, a read-only view; of variable length where the field is."""
        if field in self._offsets:
            begin, end = self._offsets[field][row : row + 2]
            return self._arrays[field][begin:end]
        return self._arrays[field][row]

    def lengths(self, field: str) -> np.ndarray:
        """(count,) lengths of a field of variable length."""
        return np.diff(self._offsets[field])


def build_store(
    source: Source, settings: DataSettings, *, progress: bool | None = None, workers: int | None = None
) -> Store:
    """The decoded source, from the cache if it is there. ``progress`` None: a bar on a terminal, else plain lines.

    Unreadable samples are named, counted and skipped; more than ``settings.max_bad`` of them are a DataError, and so is
    an empty source. Safe when several processes build the same store: the first to finish wins.
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
            print(f"polygan: {error}; decoding again", file=sys.stderr)
            shutil.rmtree(path, ignore_errors=True)
        else:
            # What may be skipped is no part of the key: a stricter setting finds the same store, and is held to it.
            skipped = _judge(store.bad, len(source), settings)
            if skipped and progress is not False:
                print(f"{skipped}; remove {path} to read them again", file=sys.stderr)
            return store
    temporary = folder / f"{_BUILDING}{key}-{secrets.token_hex(4)}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _sweep(folder)
        temporary.mkdir()
        _decode_into(temporary, source, settings, key, progress, workers)
        try:
            temporary.rename(path)
        except OSError:
            if not path.exists():  # else another process finished first; its store is the same, so ours is discarded
                raise
    except OSError as error:
        remedy = "free some space or name another folder with --data.cache"
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            remedy = "name a folder that can be written with --data.cache"
        raise DataError(f"decoded data cannot be kept in {folder} ({error.strerror or error}): {remedy}") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return Store.open(path)


def _layout(source: Source) -> dict[str, list[Any]]:
    return {name: [field.dtype, list(field.shape)] for name, field in source.fields.items()}


def _sweep(folder: Path) -> None:
    """Remove what builds that died left: folders in which nothing was written for a while."""
    for leftover in folder.glob(f"{_BUILDING}*"):
        with suppress(OSError):  # it may be finished, or swept by another process, at this moment
            if time.time() - max(p.stat().st_mtime for p in (leftover, *leftover.iterdir())) > _QUIET:
                shutil.rmtree(leftover, ignore_errors=True)


def _decode_into(
    folder: Path, source: Source, settings: DataSettings, key: str, progress: bool | None, workers: int | None
) -> None:
    """Decode every sample in order of index and write arrays, then store.json."""
    bad: list[str] = []
    total, count = len(source), 0
    with ExitStack() as stack:
        writers = {name: stack.enter_context(_Writer(folder, name, field)) for name, field in source.fields.items()}
        samples = stack.enter_context(closing(_decoded(source, settings, progress, workers)))
        for index, sample in enumerate(samples):
            if isinstance(sample, str):
                bad.append(f"{source.name(index)}: {sample}")
                if index > 1000 and len(bad) > settings.max_bad * total:
                    break
                continue
            for name, writer in writers.items():
                writer.add(sample[name])
            count += 1
        if skipped := _judge(bad, total, settings):
            print(skipped, file=sys.stderr)
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
    with (folder / "store.json").open("w", encoding="utf-8") as file:
        json.dump(facts, file)
        _to_disk(file)


def _judge(bad: Sequence[str], total: int, settings: DataSettings) -> str:
    """What was skipped, in a line; DataError where that is too much."""
    shown = "; ".join(bad[:3]) + (f"; and {len(bad) - 3} more" if len(bad) > 3 else "")
    if len(bad) == total:
        raise DataError(f"none of the {total} samples of {settings.source!r} can be read ({shown}); mend them")
    if len(bad) > settings.max_bad * total:
        raise DataError(
            f"{len(bad)} of {total} samples of {settings.source!r} cannot be read, more than data.max_bad = "
            f"{settings.max_bad:g} allows ({shown}); mend them or raise --data.max_bad"
        )
    return f"polygan: {len(bad)} of {total} samples of {settings.source!r} were skipped ({shown})" if bad else ""


def _decoded(
    source: Source, settings: DataSettings, progress: bool | None, workers: int | None
) -> Generator[Mapping[str, np.ndarray] | str]:
    """Every sample in order, or why it cannot be read; a bounded number of bytes is decoded ahead."""
    total, workers = len(source), workers or min(32, os.cpu_count() or 1)
    terminal = sys.stderr.isatty() if progress is None else progress
    if progress is None and not terminal:
        print(f"polygan: decoding {total} samples of {settings.source!r}", file=sys.stderr)
    pending: deque[Future[list[Mapping[str, np.ndarray] | str]]] = deque()
    pool = ThreadPoolExecutor(workers, "polygan-decode")
    start, chunk, largest = 0, 1, 1
    stopped = Event()
    with tqdm(total=total, desc="decoding", unit="", disable=not terminal, leave=False) as bar:
        try:
            while pending or start < total:
                while start < total and len(pending) < 4 * workers:
                    end = min(start + chunk, total)
                    pending.append(pool.submit(_decode_all, source, range(start, end), stopped))
                    start = end
                samples = pending.popleft().result()
                yield from samples
                bar.update(len(samples))
                sizes = [sum(a.nbytes for a in s.values()) for s in samples if not isinstance(s, str)]
                largest = max([largest, *sizes])
                chunk = max(1, min(64, _AHEAD // largest))
        finally:
            stopped.set()  # an interrupted build does not wait for samples that nobody wants
            pool.shutdown(wait=True, cancel_futures=True)


def _decode_all(source: Source, indices: range, stopped: Event) -> list[Mapping[str, np.ndarray] | str]:
    return [_decode(source, i) for i in indices if not stopped.is_set()]


def _decode(source: Source, index: int) -> Mapping[str, np.ndarray] | str:
    """One checked sample, or why it cannot be used."""
    try:
        return _checked(source.fields, source.decode(index))
    except MemoryError:  # says nothing about the sample: skipping it would make the data depend on the machine's load
        raise DataError(f"memory ran out while {source.name(index)} was decoded; free some, or remove it") from None
    except Exception as error:  # decoders of damaged files raise anything; the sample is named and counted
        text = " ".join(str(error).split()) or "unreadable"
        return text if isinstance(error, (DataError, OSError, ValueError)) else f"{type(error).__name__}: {text}"


def _checked(fields: Mapping[str, Field], sample: Mapping[str, Any]) -> Mapping[str, np.ndarray]:
    """The sample's arrays as its fields say. Raises ValueError where they are not."""
    arrays = {}
    for name, field in fields.items():
        if name not in sample:
            raise ValueError(f"has no {name!r}")
        array = arrays[name] = np.asarray(sample[name])
        fits = array.shape[1:] == field.shape[1:] and array.ndim > 0 if field.ragged else array.shape == field.shape
        if array.dtype != field.dtype or not fits:
            raise ValueError(f"{name} is {array.dtype} {array.shape} instead of {field.dtype} {field.shape}")
        if array.dtype.kind in "fc" and not np.isfinite(array).all():
            raise ValueError(f"{name} holds numbers that are not finite")
    return arrays


def _to_disk(file: IO[Any]) -> None:
    file.flush()
    os.fsync(file.fileno())


class _Writer:
    """Appends the rows of one field to a .npy file; how many there will be is known only at the end."""

    def __init__(self, folder: Path, name: str, field: Field) -> None:
        self.field, self.rows = field, 0
        self.offsets: list[int] = [0]
        self.offsets_path = folder / f"{name}.offsets.npy"
        self.file = (folder / f"{name}.npy").open("wb")
        self._header()

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):  # what is still buffered after a full disk; the folder is removed
            self.file.close()

    def _header(self) -> None:
        """NumPy pads a header so that one with another number of rows takes the same place."""
        shape = (self.rows, *self.field.shape[1 if self.field.ragged else 0 :])
        facts = {"descr": np.dtype(self.field.dtype).str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self.file, facts)

    def add(self, array: np.ndarray) -> None:
        self.file.write(np.ascontiguousarray(array).data)
        self.rows += len(array) if self.field.ragged else 1
        if self.field.ragged:
            self.offsets.append(self.rows)

    def finish(self) -> None:
        self.file.seek(0)
        self._header()
        _to_disk(self.file)
        if self.field.ragged:
            with self.offsets_path.open("wb") as file:
                np.save(file, np.array(self.offsets, np.int64))
                _to_disk(file)


class Split:
    """Some rows of a store."""

    def __init__(self, store: Store, rows: np.ndarray, name: str) -> None:
        self.store, self.rows, self.name = store, rows, name

    def __len__(self) -> int:
        return len(self.rows)


def split_store(store: Store, held_out: float) -> dict[str, Split]:
    """``train`` and ``held_out``: a fixed pseudo-random partition of the rows, the same for every seed of a run."""
    order = np.random.Generator(np.random.Philox(key=20_260)).permutation(len(store))
    kept = min(round(len(store) * held_out), len(store) - 1)
    return {"train": Split(store, order[kept:], "train"), "held_out": Split(store, order[:kept], "held_out")}


class Stream:
    """Batches by index: batch i is a pure function of (seed, i).

    Global batch i holds rows i*B .. (i+1)*B - 1 of an endless sequence of epochs, each a permutation of the split; a process
    gets its contiguous share. Raises DataError where the batch is larger than the split.
    """

    def __init__(self, split: Split, domain: Domain, batch_size: int, seed: int, rank: int = 0, world: int = 1) -> None:
        if batch_size > len(split):
            raise DataError(
                f"batch_size = {batch_size} is larger than the data: {len(split)} {split.name} samples; use a smaller "
                "--batch_size, or more data"
            )
        if batch_size % world:
            raise ConfigError(
                f"batch_size = {batch_size} cannot be shared by {world} processes; use a multiple of {world}"
            )
        self.split, self.domain, self.batch_size, self.seed = split, domain, batch_size, seed
        self.rank, self.world = rank, world
        self._orders: dict[int, np.ndarray] = {}

    def _order(self, epoch: int) -> np.ndarray:
        order = self._orders.get(epoch)
        if order is None:
            rng = np.random.Generator(np.random.Philox(key=mix(self.seed, 1, epoch)))
            order = self.split.rows[rng.permutation(len(self.split))]
            if len(self._orders) > 1:  # a batch touches two epochs at most
                self._orders.clear()
            self._orders[epoch] = order
        return order

    def rows(self, i: int) -> np.ndarray:
        """The store rows (batch_size,) of global batch i."""
        begin, end, size = i * self.batch_size, (i + 1) * self.batch_size, len(self.split)
        pieces = []
        for epoch in range(begin // size, (end - 1) // size + 1):
            pieces.append(self._order(epoch)[max(begin - epoch * size, 0) : end - epoch * size])
        return np.concatenate(pieces)

    def batch(self, i: int) -> Batch:
        """This process's share of global batch i, collated by the domain, on the CPU."""
        share = self.batch_size // self.world
        mine = slice(self.rank * share, (self.rank + 1) * share)
        rng = np.random.Generator(np.random.Philox(key=mix(self.seed, 2, i)))
        draws = rng.random((self.batch_size, _DRAWS))
        return self.domain.collate(self.split, self.rows(i)[mine], draws[mine])
