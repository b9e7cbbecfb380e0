"""Atomic, checksummed, pickle-free checkpoints.

A checkpoint is a folder ``step-00012000`` of safetensors files, one JSON file of plain state, and ``manifest.json``, written last,
with the size and SHA-256 of every other file. It is written beside its place and renamed into it.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_bytes

from .errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from torch import Tensor

FORMAT = 1
_TEMPORARY = ".writing-"
_DTYPES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
Networks = dict[str, dict[str, "Tensor"]]


@dataclass(frozen=True)
class Entry:
    """A checkpoint on disk, as its manifest says; nothing is verified."""

    step: int
    path: Path
    good: bool
    score: float | None


@dataclass(frozen=True)
class Checkpoint:
    """A loaded and verified checkpoint."""

    step: int
    path: Path
    networks: Networks
    training: Any
    manifest: dict[str, Any]


def _to_stderr(message: str) -> None:
    print(f"polygan: {message}", file=sys.stderr, flush=True)


class Checkpoints:
    """The checkpoints of a run. ``writable`` sweeps what a killed save left behind."""

    def __init__(
        self, folder: Path, keep: int = 3, *, writable: bool = False, warn: Callable[[str], None] = _to_stderr
    ) -> None:
        self.folder, self.keep, self.warn = Path(folder), keep, warn
        if writable and self.folder.is_dir():
            for leftover in self.folder.glob(f"{_TEMPORARY}*"):
                shutil.rmtree(leftover, ignore_errors=True)

    # Writing

    def save(
        self,
        step: int,
        networks: Mapping[str, Mapping[str, Tensor]],
        training: Any,
        *,
        seed: int,
        good: bool,
        score: float | None = None,
    ) -> Path:
        """Write a checkpoint durably and return its folder; older ones that need not be kept are removed after it.

        ``training`` is nested plain data with tensors; ``score`` (lower is better) picks the best. Raises CheckpointError when
        it cannot be written; the older checkpoints are then as they were.
        """
        path = self.folder / f"step-{step:08d}"
        temporary = self.folder / f"{_TEMPORARY}{path.name}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir()
            facts = {"format": FORMAT, "step": step, "seed": seed, "good": good, "score": score}
            self._write(temporary, networks, training, facts)
            if path.exists():  # a rename cannot replace a folder that holds files
                stale = self.folder / f"{_TEMPORARY}old-{path.name}"
                shutil.rmtree(stale, ignore_errors=True)
                path.rename(stale)
                temporary.rename(path)
                shutil.rmtree(stale, ignore_errors=True)
            else:
                temporary.rename(path)
            _sync(self.folder)
        except OSError as error:
            shutil.rmtree(temporary, ignore_errors=True)
            remedy = "free some space, then resume" if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) else "resume"
            raise CheckpointError(
                f"checkpoint {path} cannot be written ({error.strerror or error}); the older checkpoints are intact: {remedy}"
            ) from None
        self._prune()
        return path

    def _write(
        self, folder: Path, networks: Mapping[str, Mapping[str, Tensor]], training: Any, facts: dict[str, Any]
    ) -> None:
        tensors: dict[str, Tensor] = {}
        plain = json.dumps(_encode(training, tensors, "training"), indent=1).encode()
        groups = {f"{name}.safetensors": dict(state) for name, state in networks.items()}
        groups["training.safetensors"] = tensors
        with ThreadPoolExecutor(2) as pool:
            written = pool.map(lambda item: _write_file(folder / item[0], _safetensors(item[1])), groups.items())
            files = dict(zip(groups, written, strict=True))
        files["training.json"] = _write_file(folder / "training.json", iter([memoryview(plain)]))
        manifest = json.dumps({**facts, "files": files}, indent=1).encode()
        _write_file(folder / "manifest.json", iter([memoryview(manifest)]))
        _sync(folder)

    def _prune(self) -> None:
        entries = self.entries()
        kept = {e.step for e in entries[-self.keep :]}
        kept |= {e.step for e in [e for e in entries if e.good][-1:]}
        scored = [e for e in entries if e.score is not None]
        if scored:
            kept.add(min(scored, key=lambda e: (e.score, -e.step)).step)
        for entry in entries:
            if entry.step not in kept:
                # Renamed first: a removal that is interrupted leaves no half checkpoint under a valid name.
                doomed = self.folder / f"{_TEMPORARY}old-{entry.path.name}"
                try:
                    shutil.rmtree(doomed, ignore_errors=True)
                    entry.path.rename(doomed)
                    shutil.rmtree(doomed)
                except OSError as error:
                    self.warn(f"old checkpoint {entry.path} cannot be removed ({error.strerror or error})")

    # Reading

    def entries(self) -> list[Entry]:
        """The checkpoints by step, oldest first, from their manifests alone; one without a readable manifest is not good."""
        entries = []
        for path in sorted(self.folder.glob("step-*")):
            if path.name[5:].isdigit():
                try:
                    manifest = json.loads((path / "manifest.json").read_text(encoding="utf-8"))
                    good, score = bool(manifest.get("good")), manifest.get("score")
                except (OSError, ValueError, AttributeError):
                    good, score = False, None
                score = score if isinstance(score, (int, float)) and not isinstance(score, bool) else None
                entries.append(Entry(int(path.name[5:]), path, good, score))
        return sorted(entries, key=lambda e: e.step)

    def load(self, step: int | None = None, *, good_only: bool = False) -> Checkpoint:
        """The newest valid checkpoint (that is good), or that of ``step``. What is skipped is said, one line each.

        Raises CheckpointError where there is none, naming each reason.
        """
        entries = self.entries()
        if step is not None:
            chosen = [e for e in entries if e.step == step]
            if not chosen:
                have = ", ".join(str(e.step) for e in entries) or "none"
                raise CheckpointError(f"{self.folder} has no checkpoint of step {step}; it has {have}")
            return read_checkpoint(chosen[0].path)
        reasons = []
        for entry in reversed([e for e in entries if e.good or not good_only]):
            try:
                checkpoint = read_checkpoint(entry.path)
            except CheckpointError as error:
                reasons.append(str(error))
                self.warn(f"{error}; trying an older checkpoint")
                continue
            return checkpoint
        kind = "good checkpoint" if good_only else "checkpoint"
        why = f": {'; '.join(reasons)}" if reasons else ""
        raise CheckpointError(f"{self.folder} holds no valid {kind}{why}")


def read_checkpoint(path: Path) -> Checkpoint:
    """Read and verify one checkpoint folder. Raises CheckpointError naming the file that is wrong, and how."""
    manifest = _read_manifest(path)
    files = manifest["files"]
    with ThreadPoolExecutor(2) as pool:
        contents = dict(zip(files, pool.map(lambda name: _verified(path / name, files[name]), files), strict=True))
    try:
        networks = {
            name.removesuffix(".safetensors"): load_bytes(data)
            for name, data in contents.items()
            if name.endswith(".safetensors") and name != "training.safetensors"
        }
        tensors = load_bytes(contents["training.safetensors"])
        training = _decode(json.loads(contents["training.json"]), tensors)
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise CheckpointError(f"checkpoint {path} cannot be decoded ({error})") from None
    return Checkpoint(manifest["step"], path, networks, training, manifest)


def _read_manifest(path: Path) -> dict[str, Any]:
    try:
        manifest = json.loads((path / "manifest.json").read_text(encoding="utf-8"))
        version, files = manifest["format"], manifest["files"]
        if version == FORMAT:
            int(manifest["step"])
            complete = all(isinstance(f["size"], int) and isinstance(f["sha256"], str) for f in files.values())
            if not complete or any(Path(name).name != name for name in files):
                raise ValueError("its list of files is damaged")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = error.strerror if isinstance(error, OSError) else f"damaged: {error}"
        raise CheckpointError(f"checkpoint {path} has no usable manifest.json ({reason})") from None
    if version != FORMAT:
        raise CheckpointError(
            f"checkpoint {path} has format {version}, and this polygan reads {FORMAT}: upgrade polygan to use it"
        )
    return manifest


def _verified(path: Path, facts: Mapping[str, Any]) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"checkpoint file {path} cannot be read ({error.strerror})") from None
    if len(data) != facts["size"]:
        raise CheckpointError(f"checkpoint file {path} has {len(data)} bytes instead of {facts['size']}")
    if hashlib.sha256(data).hexdigest() != facts["sha256"]:
        raise CheckpointError(f"checkpoint file {path} does not match its checksum")
    return data


def load_weights(path: Path, names: Sequence[str]) -> Networks:
    """Networks to start from: of a run, a checkpoint folder, or an exported .safetensors file with ``NAME.key`` tensors."""
    if path.is_file():
        try:
            tensors = load_bytes(path.read_bytes())
        except (OSError, SafetensorError) as error:
            raise CheckpointError(f"{path} is not a readable .safetensors file ({error})") from None
        networks: Networks = {}
        for key, tensor in tensors.items():
            name, _, rest = key.partition(".")
            networks.setdefault(name, {})[rest] = tensor
        return {name: state for name, state in networks.items() if name in names}
    if (path / "manifest.json").is_file():
        return read_checkpoint(path).networks
    if (path / "checkpoints").is_dir():
        return Checkpoints(path / "checkpoints").load().networks
    raise CheckpointError(f"{path} is neither a run, nor a checkpoint folder, nor a .safetensors file")


# Plain data with tensors


def _encode(value: Any, tensors: dict[str, Tensor], key: str) -> Any:
    """JSON data in which a tensor is a reference, and tuples and keys that are no strings survive."""
    if isinstance(value, torch.Tensor):
        tensors[key] = value
        return {"$": "tensor", "key": key}
    if isinstance(value, dict):
        if all(isinstance(k, str) and k != "$" for k in value):
            return {k: _encode(v, tensors, f"{key}/{k}") for k, v in value.items()}
        items = [[_encode(k, tensors, key), _encode(v, tensors, f"{key}/{k}")] for k, v in value.items()]
        return {"$": "dict", "items": items}
    if isinstance(value, tuple):
        return {"$": "tuple", "items": [_encode(v, tensors, f"{key}/{i}") for i, v in enumerate(value)]}
    if isinstance(value, list):
        return [_encode(v, tensors, f"{key}/{i}") for i, v in enumerate(value)]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise CheckpointError(
        f"state {key} is a {type(value).__name__}, which a checkpoint cannot hold; use tensors, numbers, strings, lists and dicts"
    )


def _decode(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    if isinstance(value, list):
        return [_decode(v, tensors) for v in value]
    if not isinstance(value, dict):
        return value
    match value.get("$"):
        case None:
            return {k: _decode(v, tensors) for k, v in value.items()}
        case "tensor":
            return tensors[value["key"]]
        case "tuple":
            return tuple(_decode(v, tensors) for v in value["items"])
        case "dict":
            return {_decode(k, tensors): _decode(v, tensors) for k, v in value["items"]}
        case other:
            raise ValueError(f"unknown kind {other!r}")


# Files


def _safetensors(tensors: Mapping[str, Tensor]) -> Iterator[memoryview]:
    """The bytes of a safetensors file (8-byte header length, JSON header, data), tensor by tensor."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    offset = 0
    # Wide types first, so that every tensor is aligned for readers that map the file.
    order = sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))
    for name in order:
        tensor = tensors[name]
        if tensor.dtype not in _DTYPES:
            raise CheckpointError(f"tensor {name} is {tensor.dtype}, which a checkpoint cannot hold")
        end = offset + tensor.numel() * tensor.element_size()
        header[name] = {"dtype": _DTYPES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    yield memoryview(len(text).to_bytes(8, "little") + text)
    for name in order:
        data = tensors[name].detach().cpu().contiguous().reshape(-1)
        if data.numel():
            yield memoryview(data.view(torch.uint8).numpy())


def _write_file(path: Path, chunks: Iterator[memoryview]) -> dict[str, Any]:
    """Write and hash at the same time, then fsync; the manifest's entry."""
    digest, size = hashlib.sha256(), 0
    with ThreadPoolExecutor(1) as hasher, path.open("wb") as file:
        pending = None
        for chunk in chunks:
            if pending is not None:
                pending.result()  # at most one chunk is held beside the one being written
            pending = hasher.submit(digest.update, chunk)
            file.write(chunk)
            size += len(chunk)
        if pending is not None:
            pending.result()
        file.flush()
        os.fsync(file.fileno())
    return {"size": size, "sha256": digest.hexdigest()}


def _sync(folder: Path) -> None:
    if os.name == "nt":  # folders cannot be opened there
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
