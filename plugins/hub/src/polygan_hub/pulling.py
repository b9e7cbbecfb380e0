"""Bringing models from the Hub. What a repository says of itself is not believed: names, sizes, checksums and types are checked."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import SafetensorError, safe_open

from polygan import CheckpointError, ConfigError, DataSettings, Fetched, cache_folder

from .client import Name, connect, one_line, parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from huggingface_hub.hf_api import ModelInfo, RepoSibling

MODEL = "model.safetensors"
"""The exported model in a repository. The facts that rebuild the networks lie within it."""
OURS = re.compile(r"model\.(safetensors|json)|README\.md|config\.yaml|scores\.json|samples/[\w-][\w.-]*\.(png|wav|txt)")
"""The files of a repository that polygan reads. Other files are never downloaded."""
_PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_MOST_SAMPLES = 64


def pull(name: str, *, revision: str | None = None, out: str | Path | None = None) -> Path:
    """Bring the model ``[hf:]OWNER/NAME[@REVISION]`` from the Hub, and return the .safetensors file that `polygan.load` takes.

    ``out`` is a new folder, which gets the model card, settings, scores and samples too. Without ``out`` the model alone lies in
    polygan's cache. Nothing stays of a download that fails. Raises ConfigError for a model that is not there or not allowed, and
    CheckpointError for a repository that holds no polygan model, for a damaged file and for a broken connection.
    """
    wanted = parse(name, revision)
    if out is None:
        return _cached(wanted)[0]
    folder = Path(out)
    if os.path.lexists(folder):
        raise ConfigError(f"{folder} exists already: name a new folder with --out")
    with one_line(wanted, "pull"):
        found = _looked_up(wanted)
        files = [s for s in found.siblings or () if OURS.fullmatch(s.rfilename)]
        samples = [s for s in files if s.rfilename.startswith("samples/")]
        skipped = {s.rfilename for s in samples[_MOST_SAMPLES:]}
        with _download(wanted, found, [s for s in files if s.rfilename not in skipped], folder.parent) as temporary:
            temporary.rename(folder)
    return folder / MODEL


def fetch(name: str) -> Fetched:
    """The model of ``hf:NAME`` in polygan's cache, and its name with the commit (`polygan_schemes`)."""
    wanted = parse(name)
    path, commit = _cached(wanted)
    return Fetched(path, f"{wanted.repo}@{commit}")


def _cached(wanted: Name) -> tuple[Path, str]:
    """The model in polygan's cache, and its commit. A commit that is there already needs no network."""
    folder = cache_folder(DataSettings()) / "fetched/hf" / wanted.repo
    if _COMMIT.fullmatch(wanted.revision) and (path := folder / f"{wanted.revision}.safetensors").is_file():
        return path, wanted.revision
    with one_line(wanted, "pull"):
        found = _looked_up(wanted)
        commit = str(found.sha)
        path = folder / f"{commit}.safetensors"
        if not path.is_file():
            model = [s for s in found.siblings or () if s.rfilename == MODEL]
            with _download(wanted, found, model, folder) as temporary:
                (temporary / MODEL).replace(path)
    return path, commit


def _looked_up(wanted: Name) -> ModelInfo:
    """The files and the commit of a repository. Raises CheckpointError for a repository that holds no polygan model."""
    found = connect().model_info(wanted.repo, revision=wanted.revision or None, files_metadata=True)
    if not _COMMIT.fullmatch(str(found.sha)):
        raise CheckpointError(f"pull {wanted}: the Hub names no commit: try again later")
    names = [s.rfilename for s in found.siblings or ()]
    for name in names:
        if _leaves(name):
            raise CheckpointError(
                f"pull {wanted}: refused: the file {name!r:.80} would lie outside of the model's folder"
            )
    if MODEL not in names:
        pickles = [name for name in names if name.endswith(_PICKLES)]
        only = f"only pickles ({pickles[0]:.60}), which may run any code" if pickles else f"no {MODEL}"
        raise CheckpointError(
            f"pull {wanted}: the repository holds no polygan model, {only}: name one that `polygan push` made"
        )
    return found


def _leaves(name: str) -> bool:
    """Whether a file of this name would lie outside of its folder, on any system."""
    parts = re.split(r"[/\\]", name)
    return not name or "\\" in name or ":" in name or "\0" in name or any(part in ("", ".", "..") for part in parts)


@contextmanager
def _download(wanted: Name, found: ModelInfo, files: Iterable[RepoSibling], beside: Path) -> Iterator[Path]:
    """A folder with verified files, to be moved into place in this block. The folder and what is left in it go at the end."""
    beside.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".pull-", dir=beside))
    made = temporary / "files"
    try:
        api = connect()
        for sibling in files:
            api.hf_hub_download(wanted.repo, sibling.rfilename, revision=str(found.sha), local_dir=made)
            _verify(wanted, sibling, made / sibling.rfilename)
        shutil.rmtree(made / ".cache", ignore_errors=True)
        check_model(made / MODEL, str(wanted))
        yield made
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _verify(wanted: Name, sibling: RepoSibling, path: Path) -> None:
    """Compare a file with the size and the checksum that the Hub has of it: SHA-256, or git's SHA-1 for a small file."""
    size, lfs = path.stat().st_size, sibling.lfs
    expected, digest = (lfs.sha256, hashlib.sha256()) if lfs else (sibling.blob_id, hashlib.sha1(usedforsecurity=False))
    if not lfs:
        digest.update(f"blob {size}\0".encode())
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    same = expected is None or digest.hexdigest() == expected
    if not same or (sibling.size is not None and sibling.size != size):
        raise CheckpointError(f"pull {wanted}: {sibling.rfilename} arrived damaged and was removed: pull again")


def check_model(path: Path, name: str) -> None:
    """Refuse a file that is no .safetensors file, or that holds no facts of polygan. Tensors are not read."""
    try:
        with safe_open(path, "np") as file:
            facts = json.loads((file.metadata() or {}).get("polygan", "null"))
    except (OSError, SafetensorError, ValueError, RecursionError) as error:
        said = " ".join(str(error).split())[:120]
        raise CheckpointError(
            f"pull {name}: {MODEL} is no readable .safetensors file ({said}): its owner has to push it again"
        ) from None
    if not isinstance(facts, dict) or not isinstance(facts.get("recipe"), str):
        raise CheckpointError(
            f"pull {name}: {MODEL} holds tensors, and nothing that polygan wrote: name a model that `polygan push` made"
        )
