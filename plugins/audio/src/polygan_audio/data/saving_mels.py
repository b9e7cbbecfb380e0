"""Writing mels for `--data.mels`: a folder of NAME.npy, which earlier mels of polygan make way for, and nothing else does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from polygan import ConfigError, Samples

from .domain import AudioDomain
from .made_mels import plain_name, write_made

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from torch import Tensor

    from ..networks.melspec import MelSpec


class _MelFolder(AudioDomain):
    """Mels that are written as they are made."""

    writes: ClassVar[tuple[str, ...]] = (".npy",)

    def __init__(self, made: Iterator[tuple[str, Tensor]], finish: Callable[[Path], Path]) -> None:
        self._made, self._finish = made, finish

    def write(self, samples: Samples, path: Path) -> list[Path]:
        """NAME.npy of each mel, and what `write_made` writes."""
        written = []
        for name, mel in self._made:
            target = path / f"{plain_name(name)}.npy"
            target.parent.mkdir(parents=True, exist_ok=True)
            np.save(target, mel.numpy().astype(np.float32), allow_pickle=False)
            written.append(target)
        return [*written, self._finish(path)] if written else []


def check_mels_place(out: str | Path) -> None:
    """ConfigError for a file, and for a folder with .npy files that polygan did not write there."""
    folder = _MelFolder(iter(()), Path)
    if folder.suffix_of(out):
        raise ConfigError(f"{out} is one file, and each recording gets a mel; name a folder with --out")
    folder.check_place(out)


def save_mels(
    made: Iterator[tuple[str, Tensor]], out: str | Path, maker: str, front_end: MelSpec, held_out: Collection[str]
) -> list[Path]:
    """Write log-mels (n_mels, F) by their recordings' names as they are made; returns the files ``out/NAME.npy``.

    Earlier mels of polygan in the folder ``out`` are replaced as a whole when all are made. ``held_out``, read then, names the recordings
    that the maker was not trained on (`write_made`). ConfigError as `check_mels_place`.
    """
    check_mels_place(out)
    folder = _MelFolder(made, lambda path: write_made(path, maker, front_end, [*map(plain_name, held_out)]))
    return [path for path in Samples([], folder).save(out) if path.suffix == ".npy"]
