"""Checkpoints: atomic, checksummed, and without pickle.

A checkpoint is a folder ``step-00012000`` of safetensors files, a JSON file of plain state, and ``manifest.json``. The manifest is
written last. It holds the size and SHA-256 of every other file, and a checksum of itself. The folder is written under another
name and then renamed.
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError
from safetensors.torch import load as load_bytes

from ..errors import DISK_FULL, CheckpointError, one_line
from ..files import Facts, Format, Written, replace_folder, sync_folder, write_blocks
from ..messages import warn
from ..reading import MB, parse_json, read_text
from .statefile import check_counters, check_manifest, decode, encode, read_verified, tensor_blocks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor

_LONGEST = 16 * MB  # of a manifest
# What Python and torch raise where a verified checkpoint holds values of another shape or type.
_STRANGE = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RuntimeError)
_WRITING, _REPLACED, _DOOMED = ".writing-", ".replaced-", ".doomed-"
Networks = dict[str, dict[str, "Tensor"]]


@dataclass(frozen=True)
class Entry:
    """A checkpoint on disk according to its manifest, not verified. ``foreign``: this polygan cannot read its format."""

    step: int
    path: Path
    good: bool
    score: float | None
    foreign: bool = False


@dataclass(frozen=True)
class Checkpoint:
    """A loaded and verified checkpoint."""

    step: int
    path: Path
    networks: Networks
    training: Any
    manifest: Facts


CHECKPOINT: Format[Checkpoint] = Format("checkpoint", 1, CheckpointError)
"""The format that polygan writes. A migration takes and returns a whole `Checkpoint`; `manifest.json` keeps its layout."""


def _warned(message: str) -> None:
    warn(f"polygan: {message}")


class Checkpoints:
    """The checkpoints of a run. With ``writable``, files that a killed save left behind are removed."""

    def __init__(
        self, folder: Path, keep: int = 3, *, writable: bool = False, warn: Callable[[str], None] = _warned
    ) -> None:
        self.folder, self.keep, self.warn = Path(folder), keep, warn
        if writable and self.folder.is_dir():
            for replaced in self.folder.glob(f"{_REPLACED}*"):  # killed between the two renames of `replace_folder`
                path = self.folder / replaced.name.removeprefix(_REPLACED)
                with suppress(OSError):
                    _remove(replaced) if path.exists() else replaced.rename(path)
            for prefix in (_WRITING, _DOOMED):
                for leftover in self.folder.glob(f"{prefix}*"):
                    _remove(leftover)

    # Writing

    def save(
        self,
        step: int,
        networks: Mapping[str, Mapping[str, Tensor]],
        training: object,
        *,
        seed: int,
        good: bool,
        score: float | None = None,
    ) -> Path:
        """Write a checkpoint durably and return its folder; then remove older checkpoints that need not be kept.

        ``training`` is nested plain data with tensors; ``score`` (lower is better) picks the best. Checkpoints of later steps are
        removed too: the run went back behind them (a rollback, a damaged file). Raises CheckpointError where the checkpoint
        cannot be written; the older checkpoints then stay unchanged.
        """
        path = self.folder / f"step-{step:08d}"
        temporary = self.folder / f"{_WRITING}{path.name}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            _remove(temporary)
            temporary.mkdir()
            facts = {"format": CHECKPOINT.number, "step": step, "seed": seed, "good": good, "score": score}
            self._write(temporary, networks, training, facts)
            replace_folder(temporary, path, self.folder / f"{_REPLACED}{path.name}")
        except OSError as error:
            full = error.errno in DISK_FULL
            raise CheckpointError(
                f"checkpoint {path} cannot be written ({error.strerror or error}); the older checkpoints are intact: "
                f"{'free some space' if full else 'remove the cause'}, then resume"
            ) from None
        finally:
            _remove(temporary)
        self._prune(step)
        return path

    def _write(
        self, folder: Path, networks: Mapping[str, Mapping[str, Tensor]], training: object, facts: Facts
    ) -> None:
        for name in networks:
            if name == "training" or Path(name).name != name:
                raise CheckpointError(
                    f"a network cannot be called {name!r}: this file name is taken or not allowed; rename the network"
                )
        tensors: dict[str, Tensor] = {}
        plain = json.dumps(encode(training, tensors, "training"), indent=1).encode()
        groups = {f"{name}.safetensors": dict(state) for name, state in networks.items()}
        groups["training.safetensors"] = tensors
        with ThreadPoolExecutor(2) as pool:
            written = pool.map(lambda item: write_blocks(folder / item[0], tensor_blocks(item[1])), groups.items())
            files = dict(zip(groups, written, strict=True))
        files["training.json"] = write_blocks(folder / "training.json", [plain])
        facts = {**facts, "files": files}
        manifest = json.dumps({**facts, "sha256": _digest(facts)}, indent=1).encode()
        write_blocks(folder / "manifest.json", [manifest])
        sync_folder(folder)

    def _prune(self, saved: int) -> None:
        entries = [e for e in self.entries() if not e.foreign]
        past = [e for e in entries if e.step <= saved]
        kept = {e.step for e in past[-max(1, self.keep) :]}
        kept |= {e.step for e in [e for e in past if e.good][-1:]}
        scored = [e for e in past if e.score is not None]
        if scored:
            kept.add(min(scored, key=lambda e: (e.score, -e.step)).step)
        for entry in entries:
            if entry.step not in kept:
                # Rename first: an interrupted removal then leaves no half checkpoint under a valid name.
                doomed = self.folder / f"{_DOOMED}{entry.path.name}"
                try:
                    _remove(doomed)
                    entry.path.rename(doomed)
                    shutil.rmtree(doomed)
                except OSError as error:
                    self.warn(f"old checkpoint {entry.path} cannot be removed ({error.strerror or error})")

    # Reading

    def entries(self) -> list[Entry]:
        """The checkpoints by step, oldest first, from their manifests alone. Without a readable manifest: not good."""
        entries = []
        for path in self.folder.glob("step-*"):
            if path.name[5:].isdecimal() and len(path.name) < 24:
                try:
                    manifest = parse_json(read_text(path / "manifest.json", _LONGEST, within=self.folder.parent))
                    good, score = manifest.get("good") is True, manifest.get("score")
                    foreign = not CHECKPOINT.reads(manifest.get("format", CHECKPOINT.number))
                except (OSError, ValueError, AttributeError):
                    good, score, foreign = False, None, False
                score = score if isinstance(score, (int, float)) and math.isfinite(score) else None
                entries.append(Entry(int(path.name[5:]), path, good, score, foreign))
        return sorted(entries, key=lambda e: e.step)

    def load(
        self,
        step: int | None = None,
        *,
        good_only: bool = False,
        use: Callable[[Checkpoint], object] | None = None,
        needs: Mapping[str, int] | None = None,
    ) -> Checkpoint:
        """The newest valid (or good) checkpoint, or the checkpoint of ``step``. A warning names each skipped checkpoint.

        ``use`` gets the checkpoint and loads it; where ``use`` raises CheckpointError, the next older checkpoint is tried.
        ``needs`` are the most bytes of networks' files (`file_sizes`); a larger file is not read. Raises CheckpointError with each
        reason where no checkpoint is left.
        """
        entries = self.entries()
        if step is not None:
            chosen = [e for e in entries if e.step == step]
            if not chosen:
                have = ", ".join(str(e.step) for e in entries) or "none"
                raise CheckpointError(f"{self.folder} has no checkpoint of step {step}; it has {have}")
            return self._used(chosen[0].path, use, needs)
        reasons = []
        for entry in reversed([e for e in entries if e.good or not good_only]):
            try:
                return self._used(entry.path, use, needs)
            except CheckpointError as error:
                reasons.append(str(error))
                self.warn(f"{error}; trying an older checkpoint")
        kind = "good checkpoint" if good_only else "checkpoint"
        why = f": {'; '.join(reasons)}" if reasons else ""
        raise CheckpointError(f"{self.folder} holds no valid {kind}{why}")

    def _used(
        self, path: Path, use: Callable[[Checkpoint], object] | None, needs: Mapping[str, int] | None
    ) -> Checkpoint:
        checkpoint = read_checkpoint(path, within=self.folder.parent, needs=needs)
        if use is not None:
            try:
                use(checkpoint)
            except _STRANGE as error:
                raise CheckpointError(f"checkpoint {path} does not fit this recipe ({one_line(error)})") from error
        return checkpoint


def read_checkpoint(path: Path, *, within: Path | None = None, needs: Mapping[str, int] | None = None) -> Checkpoint:
    """Read and verify one checkpoint folder. Raises CheckpointError, which names the wrong file and what is wrong."""
    manifest = _read_manifest(path, within)
    if path.name.startswith("step-") and path.name != f"step-{manifest['step']:08d}":
        raise CheckpointError(f"checkpoint {path} holds step {manifest['step']}; give the folder its name back")
    files = manifest["files"]
    if strange := [name for name in files if Path(name).name != name]:
        raise CheckpointError(
            f"checkpoint {path} names {strange[0]!r}, which is no file of the folder; do not use the checkpoint"
        )
    for name, most in (needs or {}).items():
        if (size := files.get(f"{name}.safetensors", {"size": 0})["size"]) > most:
            raise CheckpointError(
                f"checkpoint file {path / name}.safetensors has {size:,} bytes, and this recipe's {name} needs at most "
                f"{most:,}; use the settings (config.yaml) that it was trained with"
            )
    with ThreadPoolExecutor(2) as pool:
        contents = dict(zip(files, pool.map(lambda name: _read(path / name, files[name], within), files), strict=True))
    try:
        training = decode(contents.pop("training.json"), contents.pop("training.safetensors"))
        check_counters(training, manifest["step"])
    except (LookupError, ValueError, TypeError, AttributeError) as error:
        raise CheckpointError(f"checkpoint {path} has no usable training state ({error})") from None
    networks = {name.removesuffix(".safetensors"): tensors for name, tensors in contents.items()}
    checkpoint = Checkpoint(manifest["step"], path, networks, training, manifest)
    try:
        return CHECKPOINT.migrate(path, manifest["format"], checkpoint)
    except (LookupError, ValueError, TypeError, AttributeError) as error:
        raise CheckpointError(f"checkpoint {path} is not complete for format {manifest['format']} ({error})") from None


def _read_manifest(path: Path, within: Path | None = None) -> Facts:
    try:
        manifest = parse_json(read_text(path / "manifest.json", _LONGEST, within=within))
        version = manifest["format"]
        if CHECKPOINT.reads(version):
            if manifest.pop("sha256") != _digest(manifest):
                raise ValueError("it does not match its checksum")
            check_manifest(manifest)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        reason = error.strerror if isinstance(error, OSError) else f"damaged: {error}"
        raise CheckpointError(f"checkpoint {path} has no usable manifest.json ({reason})") from None
    CHECKPOINT.check(path, version)
    return manifest


def _read(path: Path, facts: Written, within: Path | None) -> Any:
    """The verified content of one file: tensors by name, or JSON data."""
    data = read_verified(path, facts, within)
    try:
        return load_bytes(data) if path.suffix == ".safetensors" else parse_json(data)
    except (SafetensorError, ValueError, KeyError) as error:
        raise CheckpointError(f"checkpoint file {path} cannot be decoded ({error})") from None


def _digest(facts: Facts) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
