"""The facts that go along with sound: of a whole data set, and of each of its samples."""

from __future__ import annotations

from collections import Counter
from statistics import median
from typing import TYPE_CHECKING, Required, TypedDict, cast

from polygan import Fact

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from torch import Tensor

    from polygan import Samples

    from ..networks.melspec import MelSpec
    from .encoding import Encoding
    from .files import Header


_SPEAKERS = 20  # that are listed


class SourceFacts(TypedDict, total=False):
    """What one kind of source knows of its sound, beside what all know."""

    files: int
    resampled: int
    """Files that had another sample rate."""
    mixed_down: int
    """Files that had several channels."""
    without_text: int
    """Files without a transcript, where others have one."""
    n_mels: int
    """Bands of the given mels."""
    mel_hop: int
    """Samples between frames of the given mels."""
    mels_scale: str
    """``keep`` where the scale of the given mels is not compared with the recordings'; absent where it is."""
    mels_front_end: dict[str, Any]
    """The fields of the front end (`MelSpec`) of mels that a model made; absent where it is not known."""
    tones: int
    """Clips of the set `tones`."""


class AudioInfo(SourceFacts, total=False):
    """Facts of sound data (`polygan.Source.info`)."""

    sample_rate: Required[int]
    """Hz."""
    segment: Required[int]
    """Samples of a training segment; 0: whole clips."""
    crop: str
    """``start`` where segments begin with their clips; absent where they begin anywhere."""
    longest: int
    """Samples of the longest clip."""
    classes: list[str]
    """The names of the speakers, or of the kinds of sounds, sorted; their places are the labels."""
    symbols: str
    """The characters of all transcripts, sorted."""
    seconds: float
    """Length of all recordings together."""
    short: str
    """How many clips are shorter than a segment, and what became of them."""
    count: int
    """Clips that could be decoded."""


class AudioExtra(TypedDict, total=False):
    """What stands beside the waveforms in `polygan.Samples.extra`."""

    sample_rate: Required[int]
    """Hz of all waveforms."""
    text: Sequence[str]
    """The transcript of each waveform; empty: none."""
    parallel_text: Sequence[str]
    """The transcript of each clip's parallel recording."""
    whole: bool
    """The data is of whole clips, so that a batch is padded."""
    mel: Sequence[Tensor]
    """The log-mel (n_mels, frames) of each waveform. A waveform without samples was given as its mel alone."""
    alignment: Sequence[Tensor]
    """Of speech made from text: the share (frames, symbols) of each symbol in each frame, in [0, 1]; reports draw it."""
    front_end: MelSpec
    """The front end by whose mels the waveforms were made; reports play Griffin-Lim from the same mels."""
    encoding: Encoding
    """How files of the waveforms are written; absent: 16 bits."""


def info_of(info: Mapping[str, Any]) -> AudioInfo:
    """The facts of a data set of sound, by their types."""
    return cast("AudioInfo", info)


def extra_of(samples: Samples) -> AudioExtra:
    """What stands beside the waveforms of samples of sound, by its types."""
    return cast("AudioExtra", samples.extra)


def facts_of_files(suffixes: Sequence[str], heads: Sequence[Header], rate: int) -> list[Fact]:
    """Kinds, lengths, rates and channels of recordings that become sound of ``rate`` Hz."""
    seconds = sorted(head.seconds for head in heads)
    rates, channels = Counter(head.rate for head in heads), Counter(head.channels for head in heads)
    lengths = f"{seconds[0]:.2f} to {seconds[-1]:.2f} s, median {median(seconds):.2f} s"
    return [
        Fact("files", ", ".join(f"{n:,} {suffix}" for suffix, n in Counter(suffixes).most_common())),
        Fact("length", f"{_clock(sum(seconds))} in all; {lengths}"),
        Fact("sample rate", f"{rate:,} Hz" if set(rates) == {rate} else f"{rate:,} Hz, from {counted(rates, ' Hz')}"),
        Fact("channels", "1" if set(channels) == {1} else f"mixed down to 1, from {counted(channels)}"),
    ]


def fact_of_texts(texts: Sequence[str], columns: str) -> Fact:
    """Where transcripts come from, how long they are, and how many files have none."""
    lengths = sorted(len(text) for text in texts if text) or [0]
    said = f"{columns}; {lengths[0]} to {lengths[-1]} characters, median {median(lengths):g}"
    without = sum(not text for text in texts)
    return Fact("transcripts", f"{said}; {without:,} files without" if without else said)


def fact_of_speakers(clips: Sequence[tuple[str, float]]) -> Fact:
    """How many clips and minutes each speaker has; ``clips`` holds the speaker and the seconds of each clip."""
    found: dict[str, list[float]] = {}
    for speaker, seconds in sorted(clips):
        found.setdefault(speaker, []).append(seconds)
    shown = [
        f"{name} ({len(own):,} {'clip' if len(own) == 1 else 'clips'}, {sum(own) / 60:.1f} min)"
        for name, own in [*found.items()][:_SPEAKERS]
    ]
    more = [f"{len(found) - _SPEAKERS:,} more"] if len(found) > _SPEAKERS else []
    return Fact("speakers", f"{len(found):,}: {', '.join([*shown, *more])}")


def counted(found: Counter[int], unit: str = "") -> str:
    """``22,050 Hz (12 files), 16,000 Hz (3 files)``."""
    shown = [f"{value:,}{unit} ({n:,} {'file' if n == 1 else 'files'})" for value, n in found.most_common(6)]
    return ", ".join([*shown, *(["..."] if len(found) > len(shown) else [])])


def _clock(seconds: float) -> str:
    """``1 h 02 min``, ``2 min 03 s`` or ``3.2 s``."""
    hours, minutes, rest = int(seconds) // 3600, int(seconds) // 60 % 60, int(seconds) % 60
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{seconds:.1f} s"
