"""Mel spectrograms that are given with recordings, e.g. those of a text-to-speech model."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from statistics import median
from threading import RLock
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open

from polygan import DataError, Fact, LeftOut

from .made_mels import plain_name, read_made

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .settings import AudioSettings

SUFFIXES = (".npy", ".safetensors")
FOLDER = "folder of mels"
"""The name of the fact that says where given mels lie."""
_PARSING = RLock()  # Python 3.11 cannot parse the headers of .npy files in several threads
_TRIED = 32  # mels whose values are looked at before decoding
_RATES = (8000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
Shape = tuple[int, int]


def read_mel(path: Path) -> np.ndarray:
    """(n_mels, frames) of a file with one array of that shape, or with a leading 1. DataError where there is none."""
    found = _open(path)[...]
    found = found.float().numpy() if isinstance(found, torch.Tensor) else found  # NumPy has no bfloat16
    return np.ascontiguousarray(found, np.float32).reshape(mel_shape(path))


def mel_shape(path: Path) -> Shape:
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
            with _PARSING:
                found: Any = np.load(path, mmap_mode="r", allow_pickle=False)
            if found.dtype.kind != "f":
                remedy = "log-mels are floats: save the mel before it is made an integer"
                raise DataError(f"mel {path} holds {found.dtype} numbers; {remedy}")
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

    def __init__(self, settings: AudioSettings, samples: Mapping[str, int], rate: int = 0) -> None:
        """``samples``: the length of each recording by its path below the root, without suffix, at the rate of the data.

        ``rate``: Hz of the data; 0: not known.

        Raises DataError where no recording has a mel, and for a fault that all mels share.
        """
        self.folder, self.hop = Path(settings.mels).expanduser(), settings.hop_length
        self.mean, self.deviation = settings.mels_normalised or (0.0, 1.0)
        if not self.folder.is_dir():
            raise DataError(f"data.mels = {settings.mels!r} is no folder; name the one that holds NAME.npy")
        self.made = read_made(self.folder)
        """What the folder says of itself; None: the mels are a user's own."""
        self.paths = self._paths(samples)
        shapes, problem = dict[str, Shape](), f"looked for NAME{', NAME'.join(SUFFIXES)}"
        for name, path in self.paths.items():
            try:
                shapes[name] = mel_shape(path)
            except DataError as error:  # `read` names each faulty mel
                problem = str(error)
        if not shapes:
            raise DataError(f"no recording has a mel in {self.folder} ({problem}); give one for each")
        counts = Counter(bands for bands, _ in shapes.values())
        self.n_mels = counts.most_common(1)[0][0]
        self._pattern = next(self.paths[name] for name, (bands, _) in shapes.items() if bands == self.n_mels)
        if fault := shared_fault({n: (shape, samples[n]) for n, shape in shapes.items()}, self.hop, rate):
            raise DataError(f"data.mels = {settings.mels!r}: {fault}")

    def _paths(self, samples: Mapping[str, int]) -> dict[str, Path]:
        """The mel of each recording that has one. DataError for a mel of two recordings."""
        paths: dict[str, Path] = {}
        owners: dict[Path, str] = {}
        for name in samples:
            # Folders of recordings are often flat on the side of the mels.
            names = dict.fromkeys((name, plain_name(name), Path(name).name))
            places = (self.folder / f"{n}{s}" for n in names for s in SUFFIXES)
            path = next((p for p in places if p.is_file()), None)
            if not path:
                continue
            if (other := owners.setdefault(path, name)) != name:
                raise DataError(
                    f"mel {path} would serve both {other} and {name}; keep mels in folders as the recordings "
                    f"({self.folder / name}{SUFFIXES[0]})"
                )
            paths[name] = path
        return paths

    def without(self, names: Sequence[str]) -> list[LeftOut]:
        """A line about recordings that their model made no mel of; none where all have one."""
        what, more = "recording" if len(names) == 1 else "recordings", ["..."] if len(names) > 3 else []
        return [LeftOut(len(names), what, f"no mel in {self.folder}", ", ".join([*names[:3], *more]))] if names else []

    def is_held_out(self, name: str) -> bool:
        """Whether the model that made the mels was not trained on a recording."""
        return self.made is not None and plain_name(name) in self.made.held_out

    def describe(self) -> list[Fact]:
        """Number and bands of the mels, their mean and deviation, which tell normalised mels, and who made them."""
        values = []
        for path in [*self.paths.values()][:: max(1, len(self.paths) // _TRIED)]:
            try:
                values.append(read_mel(path).ravel() * self.deviation + self.mean)
            except DataError:  # `read` names it
                continue
        if not values:
            return []
        found = np.concatenate(values).astype(np.float64)
        mean, deviation = float(found.mean()), float(found.std())
        said = f"{len(self.paths):,} with {self.n_mels} bands; mean {mean:.2f}, deviation {deviation:.2f}"
        facts = [Fact("mels", said), Fact(FOLDER, str(self.folder))]
        if self.made:
            kept = sum(map(self.is_held_out, self.paths))
            held = f"; its {kept:,} held-out recordings stay held out" if kept else ""
            facts.append(Fact("mels made by", f"{self.made.maker}{held}"))
        # The logarithm of speech's magnitudes has a mean of about -5; a mean of 0 with a deviation of 1 is a normalisation.
        if abs(mean) < 0.5 and deviation < 1.5 and not (self.mean or self.deviation != 1):
            advice = "if these mels were normalised, --data.mels_normalised MEAN DEVIATION undoes the normalisation"
            facts.append(Fact("mels look normalised", advice))
        return facts

    def identity(self) -> list[object]:
        """What changes whenever the mels do."""
        stats = ((n, p, p.stat()) for n, p in self.paths.items())
        found: list[object] = [(n, str(p), s.st_size, s.st_mtime_ns) for n, p, s in stats]
        found += [sorted(self.made.held_out)] if self.made else []
        return [*found, self.mean, self.deviation] if (self.mean, self.deviation) != (0.0, 1.0) else found

    def read(self, name: str, samples: int, rate: int, begin: int, length: int) -> np.ndarray:
        """Frames (frames, n_mels) of a recording's samples [begin, begin + length), ``begin`` a multiple of the hop.

        DataError where there is no mel, its bands differ from most mels', or its frames do not fit the recording's
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
        if not _fits(frames, samples, self.hop):
            raise DataError(
                f"mel {path} has {frames} frames, {frames} * {self.hop} = {frames * self.hop} samples, but the recording has "
                f"{samples} / {self.hop} = {samples / self.hop:.1f} frames at {rate} Hz; set --data.hop_length and "
                "--data.sample_rate as the mels were made"
            )
        first = begin // self.hop
        found = read_mel(path)[:, first : first + -(-length // self.hop)]
        if (self.mean, self.deviation) != (0.0, 1.0):
            found = found * np.float32(self.deviation) + np.float32(self.mean)
        return np.ascontiguousarray(found.T)


def _fits(frames: int, samples: int, hop: int) -> bool:
    """Whether a mel has the frames of a recording, or one frame more or fewer."""
    return samples // hop - 1 <= frames <= samples // hop + 1 + (samples % hop > 0)


def shared_fault(shapes: Mapping[str, tuple[Shape, int]], hop: int, rate: int = 0) -> str:
    """What is wrong with all mels alike, with the remedy; empty: no fault that two mels or more, and most of all, share.

    ``shapes`` has ((n_mels, frames), samples of the recording) by name; ``rate``: Hz of the recordings, 0: not known.
    """
    found = [(shape, samples) for shape, samples in shapes.values()]
    least = max(2, -(-4 * len(found) // 5)) if len(found) > 1 else 1
    right, turned = (sum(_fits(shape[side], samples, hop) for shape, samples in found) for side in (1, 0))
    if turned >= least > right:
        frames, bands = found[0][0]
        return (
            f"the mels lie the other way round: [frames, bands], e.g. [{frames}, {bands}]; "
            "save [bands, frames] (mel.T in NumPy)"
        )
    if right > len(found) - least or len(found) < 2:
        return ""
    missing = [samples / hop - frames for (_, frames), samples in found]
    usual = round(median(missing))
    if usual > 0 and sum(abs(m - usual) <= 1 for m in missing) >= least and _differ(samples for _, samples in found):
        return (
            f"every mel is {usual} frames shorter than its recording, whatever the length: the mels were made without padding; "
            f"make them with centred frames (center=True), or pad the sound by {usual * hop} samples in all"
        )
    hops = [samples / frames for (_, frames), samples in found]
    usual_hop = median(hops)
    if sum(abs(samples / usual_hop - frames) <= 2 for (_, frames), samples in found) >= least:
        each = f"every mel has a frame for each {usual_hop:.0f} samples, and data.hop_length is {hop}"
        if other := _other_rate(usual_hop, hop, rate):
            return (
                f"{each}: a hop of {hop} at {other:,} Hz, where the recordings have {rate:,} Hz; set --data.sample_rate {other} if "
                f"the mels were made at that rate, else --data.hop_length {usual_hop:.0f}"
            )
        return f"{each}; set --data.hop_length {usual_hop:.0f}, or --data.sample_rate as the mels were made"
    return ""


def _other_rate(usual_hop: float, hop: int, rate: int) -> int:
    """The usual sample rate at which hops last as long as they do in these mels; 0: none does to 0.5 %."""
    found = hop * rate / usual_hop
    near = min(_RATES, key=lambda known: abs(known - found))
    return near if rate and near != rate and abs(found / near - 1) < 5e-3 else 0


def _differ(lengths: Any) -> bool:
    """Whether lengths differ so much that a constant offset is no matter of the hop."""
    found = [*lengths]
    return max(found) > 1.2 * min(found)
