"""Mel spectrograms that are given with recordings, e.g. those of a text-to-speech model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open

from polygan import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .settings import AudioSettings

SUFFIXES = (".npy", ".safetensors")


def read_mel(path: Path) -> np.ndarray:
    """(n_mels, frames) of a file with one array of that shape, or with a leading 1. DataError where there is none."""
    found = _open(path)[...]
    found = found.float().numpy() if isinstance(found, torch.Tensor) else found  # NumPy has no bfloat16
    return np.ascontiguousarray(found, np.float32).reshape(mel_shape(path))


def mel_shape(path: Path) -> tuple[int, int]:
    """(n_mels, frames), from the header alone. DataError as `read_mel`."""
    found = _open(path)
    shape = tuple(found.shape if isinstance(found, np.ndarray) else found.get_shape())
    if len(shape) == 3 and shape[0] == 1:
        shape = shape[1:]
    if len(shape) != 2 or 0 in shape:
        raise DataError(f"mel {path} has the shape {list(shape)}; a mel is [bands, frames]")
    return shape[0], shape[1]


def _open(path: Path) -> Any:
    """Something that gives its array by slicing; nothing is read yet."""
    try:
        if path.suffix.lower() == ".npy":
            found: Any = np.load(path, mmap_mode="r", allow_pickle=False)
            if found.dtype.kind != "f":
                raise ValueError(f"{found.dtype} instead of floats")
            return found
        with safe_open(path, "pt") as file:
            keys = file.keys()
            if len(keys) != 1 and "mel" not in keys:
                raise ValueError(f"{len(keys)} tensors, none called mel")
            return file.get_slice("mel" if "mel" in keys else keys[0])
    except (OSError, EOFError, ValueError, SafetensorError) as error:
        raise DataError(f"mel {path} cannot be read ({' '.join(str(error).split())}); write it again") from None


class GivenMels:
    """A folder of mel files ``NAME.npy`` or ``NAME.safetensors``, NAME as the recording's."""

    def __init__(self, settings: AudioSettings, names: Iterable[str]) -> None:
        """``names``: paths of recordings below their root, without suffix. DataError where none has a mel."""
        self.folder, self.hop = Path(settings.mels).expanduser(), settings.hop_length
        if not self.folder.is_dir():
            raise DataError(f"data.mels = {settings.mels!r} is no folder; name the one that holds NAME.npy")
        self.paths: dict[str, Path] = {}
        for name in names:
            # Folders of recordings are often flat on the side of the mels.
            places = (self.folder / f"{n}{s}" for n in (name, Path(name).name) for s in SUFFIXES)
            path = next((p for p in places if p.is_file()), None)
            if path:
                self.paths[name] = path
        owners: dict[Path, str] = {}
        for name, path in self.paths.items():
            if (other := owners.setdefault(path, name)) != name:
                raise DataError(
                    f"mel {path} would serve both {other} and {name}; keep mels in folders as the recordings "
                    f"({self.folder / name}{SUFFIXES[0]})"
                )
        self.n_mels, problem = 0, f"looked for NAME{', NAME'.join(SUFFIXES)}"
        for path in self.paths.values():
            try:
                self.n_mels, self._pattern = mel_shape(path)[0], path
                break
            except DataError as error:
                problem = str(error)
        if not self.n_mels:
            raise DataError(f"no recording has a mel in {self.folder} ({problem}); give one for each")

    def identity(self) -> list[tuple[str, str, int, int]]:
        """What changes whenever the mels do."""
        stats = ((n, p, p.stat()) for n, p in self.paths.items())
        return [(n, str(p), s.st_size, s.st_mtime_ns) for n, p, s in stats]

    def read(self, name: str, samples: int, rate: int, begin: int, length: int) -> np.ndarray:
        """Frames (frames, n_mels) of a recording's samples [begin, begin + length), ``begin`` a multiple of the hop.

        DataError where there is no mel, its bands differ from the first's, or its frames do not fit the recording's
        ``samples`` within 1 (front ends with centred frames have one more).
        """
        path = self.paths.get(name)
        if path is None:
            raise DataError(
                f"has no mel {self.folder / name}{' or '.join(SUFFIXES)}; make one or leave the recording out"
            )
        bands, frames = mel_shape(path)
        whole = samples // self.hop
        if bands != self.n_mels:
            turned = abs(bands - whole) <= 1 and frames == self.n_mels
            how = "it lies the other way round, save [bands, frames]" if turned else "make all with the same front end"
            raise DataError(f"mel {path} has {bands} bands, {self._pattern} has {self.n_mels}; {how}")
        if not whole - 1 <= frames <= whole + 1 + (samples % self.hop > 0):
            raise DataError(
                f"mel {path} has {frames} frames, {frames} * {self.hop} = {frames * self.hop} samples, but the recording has "
                f"{samples} / {self.hop} = {samples / self.hop:.1f} frames at {rate} Hz; set --data.hop_length and "
                "--data.sample_rate as the mels were made"
            )
        first = begin // self.hop
        return np.ascontiguousarray(read_mel(path)[:, first : first + -(-length // self.hop)].T)
