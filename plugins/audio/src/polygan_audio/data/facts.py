"""The facts that go along with sound: of a whole data set, and of each of its samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Required, TypedDict, cast

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from torch import Tensor

    from polygan import Samples


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
    tones: int
    """Clips of the set `tones`."""


class AudioInfo(SourceFacts, total=False):
    """Facts of sound data (`polygan.Source.info`)."""

    sample_rate: Required[int]
    """Hz."""
    segment: Required[int]
    """Samples of a training segment."""
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
    mel: Sequence[Tensor]
    """The log-mel (n_mels, frames) of each waveform. A waveform without samples was given as its mel alone."""


def info_of(info: Mapping[str, Any]) -> AudioInfo:
    """The facts of a data set of sound, by their types."""
    return cast("AudioInfo", info)


def extra_of(samples: Samples) -> AudioExtra:
    """What stands beside the waveforms of samples of sound, by its types."""
    return cast("AudioExtra", samples.extra)
