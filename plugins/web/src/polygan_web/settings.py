"""Options of exports to a page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Styled:
    """What the sliders of a page move."""

    intermediate: bool = True
    """Sliders move the intermediate latents w, the mapping network's output. false: they move the latents z."""


@dataclass(frozen=True, kw_only=True)
class Sounds:
    """How a page makes short sounds."""

    vocoder: str = "griffin-lim"
    """From log-mels to sound in the page, with a spectrogram's generator: griffin-lim, or a trained vocoder of the same front end."""


@dataclass(frozen=True, kw_only=True)
class Speech:
    """How a page speaks."""

    vocoder: str = "griffin-lim"
    """From mels to sound in the page: griffin-lim, or a trained vocoder of the same front end: a run's folder or name, or an exported file."""
    words: str = ""
    """A file with a word a line. A model of phonemes then says these words too, beside those of its training transcripts."""


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """How a page makes sound in another voice."""

    vocoder: str = "griffin-lim"
    """From mels to sound in the page: griffin-lim, or a trained vocoder of the same front end: a run's folder or name, or an exported file."""


@dataclass(frozen=True, kw_only=True)
class Resynthesis:
    """What a page of a vocoder takes. Its ONNX file gets the same option."""

    given: Literal["recording"] = "recording"
    """What the page takes: recordings, whose mels it computes by itself."""
