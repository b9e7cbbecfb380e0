"""A folder of mels beside a folder of recordings: a table of scales, and the mels converted."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from polygan import ConfigError, DataError, walk_files

from ..data import files
from ..data.mels import SUFFIXES, read_mel
from .evidence import Evidence, Kind, Pair
from .scale import Converter, Scale, loudness, scale_of, told_map

if TYPE_CHECKING:
    from ..data.recordings import Recording
    from ..data.sources import RecordingSource
    from ..networks.melspec import MelSpec

_SECONDS = 20.0  # of a recording that are read
_TOGETHER = 12  # recordings that the scale is found from
_ODD = 0.6
"""Correlation below which a file is odd."""
_FAR = 0.7  # nats from its recording, where other files are nearer
_NAMED = 5  # odd files


class File(NamedTuple):
    """A mel beside its recording."""

    name: str
    problem: str = ""
    """Why the two cannot be compared; empty: they can."""
    slope: float = 0.0
    offset: float = 0.0
    """given = slope * ln(bands) + offset, of this file."""
    correlation: float = 0.0
    difference: float = 0.0
    """Typical difference in nats of the converted mel from the recording's own."""


@dataclass
class Comparison:
    """Mels beside their recordings."""

    source: RecordingSource
    spec: MelSpec
    scale: Scale
    converter: Converter
    files: list[File] = field(default_factory=list)

    @property
    def odd(self) -> list[File]:
        """Files that cannot be compared, or that differ from the others."""
        usual = float(np.median([f.difference for f in self.files if not f.problem] or [0.0]))
        return [f for f in self.files if f.problem or f.correlation < _ODD or f.difference > max(_FAR, 3 * usual)]

    def summary(self) -> str:
        """The scale, and how far the mels are from the recordings once they are on the right scale."""
        far = [f.difference for f in self.files if not f.problem]
        away = (
            f"; as converted, {np.median(far):.2f} nats from the recordings' own (median of {len(far):,} files)"
            if far
            else ""
        )
        return f"{self.scale.said()}{away}"

    def lines(self, *, each: bool = False) -> list[str]:
        """The result, a line for each thing."""
        mels, spec, scale = self.source.mels, self.spec, self.scale
        assert mels is not None
        reads = f"{spec.log} of magnitudes, {spec.n_mels} bands, {spec.fmin:g} to {spec.top:g} Hz, {spec.n_fft}/{spec.hop_length}"
        found = [f"mels: {len(mels.paths):,} with a recording in {mels.folder}", f"the recipe reads: {reads}"]
        found.append(f"the mels are: {self.summary()}")
        if said := loudness(scale):
            found.append(f"loudness: {said}")
        if scale.other_front_end:
            same = f"; these are mels of {options}" if (options := scale.preset()) else ""
            found.append(f"front end: they fit another one better ({scale.other_front_end}){same}")
        if shift := scale.found.shift:
            found.append(f"time: {abs(shift)} frame{'s' if abs(shift) > 1 else ''} {'late' if shift > 0 else 'early'}")
        if (numbers := scale.numbers) and not scale.right and scale.known:
            found.append(f"the same in training: --data.mels_normalised {numbers[0]:.6g} {numbers[1]:.6g}")
        if odd := self.odd:
            found.append(f"other than most: {len(odd):,} of {len(self.files):,} files")
            found += [f"  {_told(f)}" for f in (odd if each else odd[:_NAMED])]
        if each:
            found += [f"{_told(f)}" for f in self.files if f not in odd]
        if scale.right and not scale.other_front_end and not scale.found.shift and not loudness(scale) and scale.known:
            found.append("these mels can be read as they are")
        return found


def _told(file: File) -> str:
    if file.problem:
        return f"{file.name}: {file.problem}"
    return (
        f"{file.name}: given = {told_map(file.slope, file.offset, 'ln')}, correlation "
        f"{file.correlation:.2f}, {file.difference:.2f} nats from its recording"
    )


def compare(source: RecordingSource, spec: MelSpec, most: int) -> Comparison:
    """Find the scale of the mels of a source, and compare at most so many files. DataError where nothing can be compared."""
    mels = source.mels
    assert mels is not None
    if mels.n_mels != spec.n_mels:
        raise ConfigError(
            f"the mels have {mels.n_mels} bands, and the front end has {spec.n_mels}; add --n_mels {mels.n_mels}, or name the preset "
            "of these mels with --mel"
        )
    known = [r for r in source.recordings if not r.problem and r.name in mels.paths]
    chosen = known[:: max(1, len(known) // _TOGETHER)][:_TOGETHER]
    pairs = [pair for r in chosen if isinstance(pair := _pair(r, source, spec), Pair)]
    scale = scale_of(pairs, spec)
    if scale is None:
        raise DataError(
            f"no recording of {source.settings.source!r} is long and loud enough to be compared with its mel"
        )
    evidence = Evidence(pairs, spec.hop_length)
    found = Comparison(source, spec, scale, Converter(scale, evidence))
    for recording in known[:: max(1, math.ceil(len(known) / most))]:
        found.files.append(_file(recording, found))
    return found


def _file(recording: Recording, found: Comparison) -> File:
    pair = _pair(recording, found.source, found.spec)
    if isinstance(pair, str):
        return File(recording.name, pair)
    scale, spec = found.scale, found.spec
    fit = Evidence([pair], spec.hop_length).fit(scale.found.kind, scale.found.shift)
    if fit is None:
        return File(recording.name, "too short or silent")
    converted = found.converter(pair.mel, fit.one if scale.found.by == "files" else None)
    # ln beside ln, so that differences are nats whatever the front end's logarithm.
    ours = converted.double() * (math.log(10) if spec.log == "log10" else 1.0)
    again = Evidence([Pair(pair.waveform, ours.float())], spec.hop_length)
    gaps = [given - own for own, given in again.matched(Kind(spec))]
    difference = float(np.nanmedian(np.abs(np.concatenate([g.ravel() for g in gaps])))) if gaps else 0.0
    return File(recording.name, "", *fit.one, fit.correlation, difference)


def _pair(recording: Recording, source: RecordingSource, spec: MelSpec) -> Pair | str:
    """A recording's first seconds with their mel, or why there is none."""
    mels, rate = source.mels, spec.sample_rate
    assert mels is not None
    frames = min(recording.head.frames, int(_SECONDS * recording.head.rate))
    try:
        waveform, _ = files.read(recording.path, 0, frames, rate)
        samples = -(-recording.head.frames * rate // recording.head.rate)
        given = mels.read(recording.name, samples, rate, 0, len(waveform))
    except DataError as error:
        return str(error)
    if not np.isfinite(given).all():
        return "its mel holds numbers that are not finite"
    return Pair(torch.from_numpy(waveform), torch.from_numpy(given.T.copy()))


class Mels:
    """The mel files below a folder."""

    def __init__(self, folder: Path) -> None:
        """DataError where there is no folder, or no mel in it."""
        self.folder = folder
        if not folder.is_dir():
            raise DataError(f"mels {str(folder)!r} is no folder; name the one that holds NAME.npy")
        self.names, _ = walk_files(folder, lambda name: name.lower().endswith(SUFFIXES))
        if not self.names:
            raise DataError(f"{folder} holds no mels; looked for {', '.join(SUFFIXES)}")

    def check_place(self, out: str) -> None:
        """ConfigError where converted mels would mix with other files. An empty ``out`` is no place."""
        place = Path(out).expanduser()
        if out and place.exists() and (not place.is_dir() or any(place.iterdir())):
            raise ConfigError(f"out = {out!r} is not empty; name a new folder")

    def convert(self, out: Path, found: Comparison | None, spec: MelSpec, normalised: tuple[float, ...] = ()) -> int:
        """Write every mel as NAME.npy, float32 (n_mels, F), below ``out``; returns how many.

        By ``normalised`` (mean, deviation), else by the scale that was ``found``. Raises ConfigError for mels that cannot be
        converted, DataError for a mel that cannot be read.
        """
        if found and not normalised and not found.scale.convertible:
            why = found.scale.other_front_end or "they are not like those of the recordings"
            raise ConfigError(
                f"these mels cannot be converted ({why}); make them again, or train with their front end: {found.scale.preset() or 'there is no preset'}"
            )
        fits = self._fits(found) if found and not normalised and found.scale.found.by == "files" else {}
        for name in self.names:
            mel = torch.tensor(read_mel(self.folder / name))
            if mel.shape[0] != spec.n_mels:
                raise DataError(
                    f"mel {self.folder / name} has {mel.shape[0]} bands, the front end has {spec.n_mels}; remove it"
                )
            if normalised:
                mean, deviation = normalised
                made = (mel * deviation + mean).clamp(min=spec.silence)
            else:
                assert found is not None
                if fits and name not in fits:
                    raise DataError(
                        f"mel {self.folder / name} has no recording, and each file has its own scale; remove it"
                    )
                made = found.converter(mel, fits.get(name))
            target = (out / name).with_suffix(".npy")
            target.parent.mkdir(parents=True, exist_ok=True)
            np.save(target, made.numpy(), allow_pickle=False)
        return len(self.names)

    def _fits(self, found: Comparison) -> dict[str, tuple[float, float]]:
        """Slope and offset of each mel whose recording can be compared, by the mel's path below the folder."""
        mels = found.source.mels
        assert mels is not None
        fits = dict[str, tuple[float, float]]()
        for recording in found.source.recordings:
            if recording.problem or recording.name not in mels.paths:
                continue
            if not (file := _file(recording, found)).problem:
                fits[str(mels.paths[recording.name].relative_to(mels.folder))] = file.slope, file.offset
        return fits
