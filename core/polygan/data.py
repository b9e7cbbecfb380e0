"""`Source` -> memory-mapped `Store` -> `Stream` of batches.

A source is decoded once, in parallel threads, into a folder of arrays that are read through memory mapping ever after.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import socket
import sys
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from tqdm import tqdm

from .domain import DataSettings, Field
from .errors import ConfigError, DataError
from .seeding import mix

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .domain import Batch, Domain, Source

FORMAT = 1
_BUILDING = ".building-"
_DRAWS = 4


def cache_folder(settings: DataSettings) -> Path:
    """``settings.cache``, else $POLYGAN_CACHE, else ~/.cache/polygan."""
    return Path(settings.cache or os.environ.get("POLYGAN_CACHE") or "~/.cache/polygan").expanduser()


class Store:
    """Decoded samples on disk. ``info`` are the source's facts with ``count``, ``bad`` one line a skipped sample."""

    def __init__(self, path: Path, facts: Mapping[str, Any]) -> None:
        self.path, self.key = path, facts["key"]
        self.info: dict[str, Any] = facts["info"]
        self.bad: list[str] = facts["bad"]
        self.fields = {name: Field(dtype, tuple(shape)) for name, (dtype, shape) in facts["fields"].items()}
        self._count: int = facts["count"]
        self._arrays: dict[str, np.ndarray] = {}
        self._offsets: dict[str, np.ndarray] = {}
        for name, field in self.fields.items():
            array = np.load(path / f"{name}.npy", mmap_mode="r")
            if array.dtype != field.dtype or array.shape[1:] != field.shape[1 if field.ragged else 0 :]:
                raise ValueError(f"{name}.npy holds {array.dtype} {array.shape}")
            rows = len(array)
            if field.ragged:
                self._offsets[name] = np.load(path / f"{name}.offsets.npy")
                rows = len(self._offsets[name]) - 1
                if self._offsets[name][-1] != len(array):
                    raise ValueError(f"{name}.npy is cut off")
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
        except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
            raise DataError(f"decoded data in {path} is damaged ({error}); remove the folder") from None

    def __len__(self) -> int:
        return self._count

    def gather(self, field: str, rows: np.ndarray) -> torch.Tensor:
        """The rows (n,) of a field of fixed shape, (n, *shape), in memory of their own."""
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
    layout = {name: [field.dtype, list(field.shape)] for name, field in source.fields.items()}
    identity = json.dumps([FORMAT, source.fingerprint(), layout, settings.max_bad])
    key = hashlib.sha256(identity.encode()).hexdigest()[:32]
    folder = cache_folder(settings) / "stores"
    path = folder / key
    if path.exists():
        try:
            return Store.open(path)
        except DataError as error:
            print(f"polygan: {error}; decoding again", file=sys.stderr)
            shutil.rmtree(path, ignore_errors=True)
    temporary = folder / f"{_BUILDING}{key}-{socket.gethostname()}-{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _sweep(folder)
        temporary.mkdir()
        _decode_into(temporary, source, settings, key, progress, workers)
        # Another process may have finished first; its store is the same, so ours is discarded.
        with suppress(OSError):
            temporary.rename(path)
    except OSError as error:
        remedy = "free some space or name another folder with --data.cache"
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            remedy = "name a folder that can be written with --data.cache"
        raise DataError(f"decoded data cannot be kept in {folder} ({error.strerror or error}): {remedy}") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return Store.open(path)


def _sweep(folder: Path) -> None:
    """Remove what builds that died left: of this machine's dead processes at once, of others after a day."""
    for leftover in folder.glob(f"{_BUILDING}*"):
        with suppress(OSError, ValueError):
            _, host, pid = leftover.name.removeprefix(_BUILDING).split("-", 1)[0], *leftover.name.rsplit("-", 2)[-2:]
            old = time.time() - leftover.stat().st_mtime > 86_400
            mine = leftover.name.endswith(f"-{socket.gethostname()}-{pid}")
            if old or (mine and not _alive(int(pid))):
                shutil.rmtree(leftover, ignore_errors=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _decode_into(
    folder: Path, source: Source, settings: DataSettings, key: str, progress: bool | None, workers: int | None
) -> None:
    """Decode every sample in order of index and write arrays, then store.json."""
    writers = {name: _Writer(folder / name, field, len(source)) for name, field in source.fields.items()}
    bad: list[str] = []
    count = 0
    for index, sample in enumerate(_decoded(source, progress, workers)):
        if isinstance(sample, str):
            bad.append(f"{source.name(index)}: {sample}")
            if index > 1000 and len(bad) > settings.max_bad * len(source):
                break
            continue
        for name, writer in writers.items():
            writer.add(sample[name])
        count += 1
    _judge(bad, count, len(source), settings)
    for writer in writers.values():
        writer.close(count)
    facts = {
        "format": FORMAT,
        "key": key,
        "count": count,
        "fields": {name: [field.dtype, list(field.shape)] for name, field in source.fields.items()},
        "bad": bad,
        "info": {**source.info, "count": count},
    }
    with (folder / "store.json").open("w", encoding="utf-8") as file:
        json.dump(facts, file)
        file.flush()
        os.fsync(file.fileno())


def _judge(bad: list[str], count: int, total: int, settings: DataSettings) -> None:
    """Say what was skipped, or refuse."""
    if not bad:
        return
    shown = "; ".join(bad[:3]) + (f"; and {len(bad) - 3} more" if len(bad) > 3 else "")
    if count == 0 or len(bad) > settings.max_bad * total:
        raise DataError(
            f"{len(bad)} of {total} samples of {settings.source!r} cannot be read, more than data.max_bad = "
            f"{settings.max_bad:g} allows ({shown}); mend them or raise --data.max_bad"
        )
    print(f"polygan: {len(bad)} of {total} samples were skipped ({shown})", file=sys.stderr)


def _decoded(
    source: Source, progress: bool | None, workers: int | None
) -> Iterator[Mapping[str, np.ndarray] | str]:
    """Every sample in order, or why it cannot be read; a bounded number is decoded ahead."""
    workers = workers or min(32, os.cpu_count() or 1)
    terminal = sys.stderr.isatty() if progress is None else progress
    if progress is None and not terminal:
        print(f"decoding {len(source)} samples", file=sys.stderr)
    bar = tqdm(total=len(source), desc="decoding", unit="", disable=not terminal, leave=False)
    pool = ThreadPoolExecutor(workers, "polygan-decode")
    chunk = max(1, min(64, len(source) // (8 * workers)))
    pending: deque[Future[list[Any]]] = deque()
    starts = iter(range(0, len(source), chunk))
    try:
        for start in starts:
            pending.append(pool.submit(_decode_chunk, source, range(start, min(start + chunk, len(source)))))
            if len(pending) > 4 * workers:
                samples = pending.popleft().result()
                yield from samples
                bar.update(len(samples))
        while pending:
            samples = pending.popleft().result()
            yield from samples
            bar.update(len(samples))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        bar.close()


def _decode_chunk(source: Source, indices: range) -> list[Any]:
    return [_decode(source, i) for i in indices]


def _decode(source: Source, index: int) -> Mapping[str, np.ndarray] | str:
    """One checked sample, or why it cannot be used."""
    try:
        sample = source.decode(index)
    except Exception as error:
        text = " ".join(str(error).split()) or "unreadable"
        return text if isinstance(error, (DataError, OSError, ValueError)) else f"{type(error).__name__}: {text}"
    checked = {}
    for name, field in source.fields.items():
        if name not in sample:
            return f"has no {name!r}"
        array = np.asarray(sample[name])
        shape = field.shape[1:] if field.ragged else field.shape
        if array.dtype != field.dtype or (array.shape[1:] if field.ragged else array.shape) != shape:
            return f"{name} is {array.dtype} {array.shape} instead of {field.dtype} {field.shape}"
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            return f"{name} holds numbers that are not finite"
        checked[name] = array
    return checked


class _Writer:
    """Appends the rows of one field to a .npy file; how many there will be is known only at the end."""

    HEADER = 128

    def __init__(self, path: Path, field: Field, expected: int) -> None:
        self.path, self.field = path, field
        self.file = path.with_name(f"{path.name}.npy").open("wb")
        self.file.write(bytes(self.HEADER))
        self.lengths: list[int] = []

    def add(self, array: np.ndarray) -> None:
        self.lengths.append(len(array) if self.field.ragged else 1)
        self.file.write(np.ascontiguousarray(array).data)

    def close(self, count: int) -> None:
        rows = sum(self.lengths)
        shape = (rows, *(self.field.shape[1:] if self.field.ragged else self.field.shape))
        text = repr({"descr": np.dtype(self.field.dtype).str, "fortran_order": False, "shape": shape})
        # The layout of a version 1.0 .npy file: magic, version, header length, header padded with spaces to a newline.
        header = b"\x93NUMPY\x01\x00" + (self.HEADER - 10).to_bytes(2, "little")
        header += text.encode("latin1").ljust(self.HEADER - 11) + b"\n"
        self.file.seek(0)
        self.file.write(header)
        self.file.flush()
        os.fsync(self.file.fileno())
        self.file.close()
        if self.field.ragged:
            offsets = np.concatenate([[0], np.cumsum(self.lengths, dtype=np.int64)])
            np.save(self.path.with_name(f"{self.path.name}.offsets.npy"), offsets)


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

    def __init__(
        self, split: Split, domain: Domain, batch_size: int, seed: int, rank: int = 0, world: int = 1
    ) -> None:
        if batch_size > len(split):
            raise DataError(
                f"batch_size = {batch_size} is larger than the data: {len(split)} {split.name} samples; use a smaller "
                "--batch_size, or more data"
            )
        if batch_size % world:
            raise ConfigError(f"batch_size = {batch_size} cannot be shared by {world} processes; use a multiple of {world}")
        self.split, self.domain, self.batch_size, self.seed = split, domain, batch_size, seed
        self.rank, self.world = rank, world
        self._orders: dict[int, np.ndarray] = {}

    def _order(self, epoch: int) -> np.ndarray:
        if epoch not in self._orders:
            if len(self._orders) > 1:
                self._orders.pop(min(self._orders))
            rng = np.random.Generator(np.random.Philox(key=mix(self.seed, 1, epoch)))
            self._orders[epoch] = self.split.rows[rng.permutation(len(self.split))]
        return self._orders[epoch]

    def rows(self, i: int) -> np.ndarray:
        """The store rows (batch_size,) of global batch i."""
        begin, end, size = i * self.batch_size, (i + 1) * self.batch_size, len(self.split)
        first, last = begin // size, (end - 1) // size
        pieces = []
        for epoch in range(first, last + 1):
            order = self._order(epoch)
            pieces.append(order[max(begin - epoch * size, 0) : min(end - epoch * size, size)])
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)

    def batch(self, i: int) -> Batch:
        """This process's share of global batch i, collated by the domain, on the CPU."""
        share = self.batch_size // self.world
        mine = slice(self.rank * share, (self.rank + 1) * share)
        rng = np.random.Generator(np.random.Philox(key=mix(self.seed, 2, i)))
        draws = rng.random((self.batch_size, _DRAWS))
        return self.domain.collate(self.split, self.rows(i)[mine], draws[mine])
