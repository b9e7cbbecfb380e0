"""The cache of scores: files of tensors that are whole or absent, and checked when read."""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor


log = logging.getLogger("polygan")


def _digest(tensors: Mapping[str, Tensor]) -> str:
    return hashlib.sha256(
        b"".join(v.cpu().contiguous().numpy().tobytes() for _, v in sorted(tensors.items()))
    ).hexdigest()


def read(path: Path) -> dict[str, Tensor] | None:
    """The tensors of a file; None if the file is absent or damaged."""
    try:
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
            return tensors if file.metadata()["sha256"] == _digest(tensors) else None
    except (OSError, SafetensorError, KeyError, TypeError):
        return None


def write(path: Path, tensors: Mapping[str, Tensor], what: str, facts: Mapping[str, str] | None = None) -> None:
    """Keep tensors, also if two processes do so at once. A failure to keep ``what`` is logged; scores do not depend on the cache."""
    plain = {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.stem}-") as folder:
            save_file(plain, Path(folder) / path.name, {**(facts or {}), "sha256": _digest(plain)})
            os.replace(Path(folder) / path.name, path)
    except (OSError, SafetensorError) as error:
        log.warning("polygan: %s not kept in %s (%s); free some space", what, path.parent, error)
